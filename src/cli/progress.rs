//! The progress bar: on standard error, if that is a terminal, and only for what takes long.

use crate::cli::backend::Step;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// How long the user waits before anything is drawn.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar that is not drawn yet.
pub(super) struct Progress {
    begun: Instant,
    enabled: bool,
    drawn: AtomicBool,
    bar: ProgressBar,
}

impl Progress {
    /// A bar that will be drawn if it is wanted and there is a terminal.
    pub(super) fn new(enabled: bool) -> Self {
        let bar = ProgressBar::hidden();
        Self { begun: Instant::now(), enabled, drawn: AtomicBool::new(false), bar }
    }

    /// Takes note of a step. Cheap until half a second has gone by.
    pub(super) fn step(&self, step: Step) {
        if !self.enabled || self.begun.elapsed() < PATIENCE {
            return;
        }
        if !self.drawn.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.set_message(step.phase);
        let template = match step.total {
            Some(total) => {
                self.bar.set_length(total);
                "{spinner} {msg} {wide_bar} {percent:>3}% {elapsed}"
            }
            None => "{spinner} {msg} {human_pos} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_position(step.done);
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
