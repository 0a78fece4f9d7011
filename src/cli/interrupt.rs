//! Signals that ask the program to end: the first one is noted and ends it in order, the second
//! one ends it at once.

use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Whether the user wants the program to end.
pub(super) struct Interrupts {
    signal: Arc<AtomicUsize>,
}

impl Interrupts {
    /// Listens to nothing.
    pub(super) fn none() -> Self {
        Self { signal: Arc::new(AtomicUsize::new(0)) }
    }

    /// Listens to the signals that are not ignored (as `nohup` has it).
    pub(super) fn listen() -> Self {
        let interrupts = Self::none();
        let ignored = ignored_signals();
        let any = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored >> (signal - 1) & 1 == 0 {
                // Without a handler the signal just ends the program, which is right, too.
                let _ = flag::register_conditional_default(signal, Arc::clone(&any));
                let _ = flag::register(signal, Arc::clone(&any));
                let number = usize::try_from(signal).unwrap_or(0);
                let _ = flag::register_usize(signal, Arc::clone(&interrupts.signal), number);
            }
        }
        interrupts
    }

    /// The signal that came.
    pub(super) fn received(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }
}

/// The mask of signals that we were started to ignore.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
