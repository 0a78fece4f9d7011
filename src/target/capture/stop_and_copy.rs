//! The strategy `copy`: stop, copy everything that is wanted, let go. Nothing in the target is touched.

use crate::target::CaptureStatistics;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Stage;
use crate::target::capture::Strategy;
use crate::target::capture::Subject;
use crate::target::capture::Taken;
use crate::target::capture::copy;
use crate::target::capture::note_stop;
use crate::target::capture::plan::total;
use crate::target::capture::preparation::CopiedRuns;
use crate::target::capture::preparation::Preparation;
use crate::target::capture::preparation::ROOM_TRIES;
use crate::target::capture::preparation::wait_for_collector;
use crate::target::image::PAGE;
use crate::target::live::StopLimits;
use crate::target::live::while_stopped;
use crate::target::pagemap::Pagemap;
use crate::target::process_state;
use std::time::Duration;
use std::time::Instant;

/// See the head of this file.
pub(super) struct StopAndCopy;

impl Strategy for StopAndCopy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn expected_pause(&self, subject: &Subject<'_>) -> Result<Duration, Setback> {
        Ok(subject.forecast.pause)
    }

    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback> {
        let mut preparation = Preparation::new(subject)?;
        let copied = take(&mut preparation, statistics)?;
        statistics.bytes_copied = copied.copied.bytes;
        statistics.bytes_left_out = total(&copied.left_out);
        statistics.pages_skipped = total(&copied.copied.holes) / PAGE;
        Ok(preparation.into_taken(&copied))
    }
}

/// What a stop gave.
enum Outcome {
    /// The copy, and whether the collector was running.
    Copied(CopiedRuns, bool),
    /// The collector runs.
    Busy,
    /// The copy needs so many bytes, more than there is room for.
    NoRoom(u64),
}

/// Stops the process, as often as it takes, and copies it.
fn take(
    preparation: &mut Preparation<'_>,
    statistics: &mut CaptureStatistics,
) -> Result<CopiedRuns, TargetError> {
    let options = preparation.options;
    let limits = StopLimits { deadline: options.stop_deadline, signals: options.signals };
    let mut room_tries = 0;
    loop {
        let last_try = statistics.retries >= options.retries;
        let pid = preparation.pid;
        let (outcome, stop) = while_stopped(pid, limits, || copy(preparation, last_try))?;
        let pause_ns = note_stop(statistics, stop.pause);
        match outcome {
            Outcome::Copied(copied, collecting) => {
                statistics.pause_ns = pause_ns;
                statistics.threads = stop.threads;
                statistics.collecting = collecting;
                options.report(Stage::Copying, copied.copied.bytes, copied.copied.bytes);
                return Ok(copied);
            }
            Outcome::Busy => {
                wait_for_collector(preparation.holder, options, statistics.retries)?;
                statistics.retries += 1;
            }
            Outcome::NoRoom(needed) => {
                room_tries += 1;
                if room_tries > ROOM_TRIES {
                    return Err(TargetError::GrowsTooFast { pid });
                }
                let planned = needed.saturating_add(needed / 2);
                preparation.reserve(planned)?;
                preparation.make_room(planned)?;
            }
        }
    }
}

/// What happens while the process stands still, and nothing else does.
fn copy(preparation: &mut Preparation<'_>, even_if_busy: bool) -> Result<Outcome, TargetError> {
    let options = preparation.options;
    // The stop itself took a moment, too; how long, only its thread knows.
    let until = options.longest_pause.map(|longest| Instant::now() + longest);
    let collecting = preparation.is_busy();
    if collecting && !even_if_busy {
        return Ok(Outcome::Busy);
    }
    preparation.plan.refresh(preparation.holder, &preparation.files)?;
    let resident = preparation.plan.runs(&mut Pagemap::open(preparation.holder)?)?;
    preparation.buffers.look_again(preparation.holder);
    let (runs, left_out) = preparation.buffers.leave_out(&resident);
    let needed = total(&runs);
    if needed > preparation.destination.capacity() {
        return Ok(Outcome::NoRoom(needed));
    }
    let state = options.with_state.then(|| Box::new(process_state::read(preparation.pid)));
    let limits = copy::Limits { signals: options.signals, until };
    let copied = copy::copy(preparation.holder, &runs, preparation.destination.bytes(), limits)?;
    Ok(Outcome::Copied(CopiedRuns { runs, copied, left_out, state }, collecting))
}
