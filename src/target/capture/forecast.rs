//! What a capture would take, said before it is made.

use crate::target::TargetError;
use crate::target::capture::files::MappedFiles;
use crate::target::capture::plan::Plan;
use crate::target::capture::plan::total;
use crate::target::pagemap::Pagemap;
use crate::target::proc_status::describe;
use crate::target::proc_status::memory_holder;
use std::time::Duration;

/// Copying speed to expect, in bytes per second: two threads on an ordinary machine do 6 to 10 GB/s.
const BYTES_PER_SECOND: u64 = 7_000_000_000;
/// Stopping and letting go one thread.
const PER_THREAD: Duration = Duration::from_micros(10);
/// Reading the mappings and finding the pages.
const FIXED: Duration = Duration::from_millis(1);

/// What a capture is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes to copy, as of now.
    pub bytes: u64,
    /// Threads to stop, as of now.
    pub threads: usize,
    /// How long the process will stand still.
    pub pause: Duration,
}

/// Looks at a running process and says what capturing it would take. Does not stop it.
pub fn forecast(pid: i32) -> Result<Forecast, TargetError> {
    let holder = memory_holder(pid);
    let plan = Plan::read(holder, &mut MappedFiles::default())?;
    let bytes = total(&plan.runs(&mut Pagemap::open(holder)?)?);
    let threads = describe(pid)?.threads;
    Ok(Forecast { bytes, threads, pause: pause(bytes, threads) })
}

fn pause(bytes: u64, threads: usize) -> Duration {
    let copying = Duration::from_micros(bytes / (BYTES_PER_SECOND / 1_000_000));
    let stopping = PER_THREAD.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
    FIXED.saturating_add(copying).saturating_add(stopping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gibibyte_takes_a_sixth_of_a_second() {
        let gibibyte = pause(1 << 30, 1);
        assert!((150..160).contains(&gibibyte.as_millis()), "{gibibyte:?}");
        assert!(pause(0, 100) < Duration::from_millis(3));
        assert!(pause(u64::MAX, usize::MAX) > Duration::from_secs(1));
    }

    #[test]
    fn our_own_forecast_is_not_nothing() {
        let forecast = forecast(std::process::id().cast_signed()).unwrap();
        assert!(forecast.bytes > 10_000 && forecast.threads > 0);
    }
}
