//! Which strategy, and which instead if it does not work.

use crate::target::Capture;
use crate::target::CaptureOptions;
use crate::target::CaptureStatistics;
use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Strategy;
use crate::target::capture::Subject;
use crate::target::capture::forecast::forecast;
use crate::target::capture::fork::Fork;
use crate::target::capture::in_place::InPlace;
use crate::target::capture::precopy::Precopy;
use crate::target::capture::stop_and_copy::StopAndCopy;
use crate::target::diagnose;
use crate::target::memory_limit;
use crate::target::proc_status::memory_holder;
use crate::target::watchdog;
use std::time::Duration;

/// A pause that is not worth executing anything in the process.
const SHORT: Duration = Duration::from_millis(20);

/// Which strategy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Choice {
    /// `copy`; with the permission to inject, what stops the process least.
    #[default]
    Auto,
    /// Stop, copy, let go.
    Copy,
    /// Let it duplicate itself, and copy the duplicate.
    Fork,
    /// Copy while it runs, then stop for what it has written to meanwhile.
    Precopy,
    /// Stop, and read while it stands still.
    InPlace,
}

impl Choice {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Copy, Self::Fork, Self::Precopy, Self::InPlace];

    /// The word for it, in options and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Copy => "copy",
            Self::Fork => "fork",
            Self::Precopy => "precopy",
            Self::InPlace => "in-place",
        }
    }

    /// The strategies to try, best first.
    fn candidates(self, subject: &Subject<'_>) -> Vec<&'static dyn Strategy> {
        let by_itself = self == Self::Auto && subject.options.may_inject && subject.forecast.pause > SHORT;
        if subject.options.with_state {
            // Only a process that stands still has registers to be written down.
            return vec![&StopAndCopy];
        }
        match self {
            Self::InPlace => vec![&InPlace],
            Self::Auto if by_itself => vec![&Precopy, &Fork, &StopAndCopy],
            Self::Precopy => vec![&Precopy, &Fork, &StopAndCopy],
            Self::Fork => vec![&Fork, &StopAndCopy],
            Self::Auto | Self::Copy => vec![&StopAndCopy],
        }
    }
}

/// Takes the memory of a live process by the strategy that the options ask for, or by the next one if that
/// does not work: the statistics say which, and why.
///
/// Cost: with `copy` the process stands still for 110 to 170 ms for each GiB copied; making room before takes
/// twice as long, while it runs.
pub fn capture_live(pid: i32, options: &CaptureOptions<'_>) -> Result<Capture, TargetError> {
    let _held = options.signals.map(SignalWatch::hold);
    watchdog::start();
    memory_limit::go_first();
    diagnose::check(pid)?;
    let forecast = forecast(pid)?;
    let subject = Subject { pid, holder: memory_holder(pid), options, forecast };
    let mut statistics = CaptureStatistics::default();
    let mut refusal = None;
    for strategy in options.choice.candidates(&subject) {
        let expected = match strategy.expected_pause(&subject) {
            Ok(expected) => expected,
            Err(Setback::Unusable(reason)) => {
                statistics.notes.push(format!("{} was not used: {reason}", strategy.name()));
                continue;
            }
            Err(Setback::Failed(error)) => return Err(error),
        };
        if let Some(longest) = options.longest_pause.filter(|&longest| expected > longest) {
            let name = strategy.name();
            refusal.get_or_insert(TargetError::PauseTooLong { pid, strategy: name, expected, longest });
            statistics
                .notes
                .push(format!("{name} was not used: it would take about {} ms", expected.as_millis()));
            continue;
        }
        statistics.strategy = strategy.name();
        statistics.expected_pause_ns = u64::try_from(expected.as_nanos()).unwrap_or(u64::MAX);
        match strategy.take(&subject, &mut statistics) {
            Ok(taken) => {
                options.check_signals()?;
                return super::capture(taken, &subject, statistics);
            }
            Err(Setback::Unusable(reason)) => {
                statistics.notes.push(format!("{} was given up: {reason}", strategy.name()));
            }
            Err(Setback::Failed(error)) => return Err(error),
        }
    }
    Err(refusal.unwrap_or_else(|| TargetError::NoStrategy { pid, reasons: statistics.notes.join("; ") }))
}
