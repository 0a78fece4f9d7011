//! The strategy `in-place`: the process stands still while its memory is read, where the analysis looks.
//! For one whose memory cannot be copied. It is let go when the image is released.

use crate::target::CaptureStatistics;
use crate::target::Image;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Strategy;
use crate::target::capture::Subject;
use crate::target::capture::Taken;
use crate::target::capture::buffers::Buffers;
use crate::target::capture::copy;
use crate::target::capture::files::MappedFiles;
use crate::target::capture::note_stop;
use crate::target::capture::plan::Plan;
use crate::target::capture::plan::total;
use crate::target::capture::preparation::is_busy;
use crate::target::capture::preparation::wait_for_collector;
use crate::target::image::Backing;
use crate::target::live::HeldStop;
use crate::target::memory_limit;
use crate::target::memory_limit::check_copy;
use crate::target::on_demand::OnDemand;
use crate::target::pagemap::Pagemap;
use std::time::Duration;

/// Nanoseconds that reading and analysing a byte takes: measured for small objects on an aged heap.
const PER_BYTE: f64 = 4.0;
/// It is never held for longer than this, whatever happens to us short of being frozen ourselves.
const LONGEST: Duration = Duration::from_secs(600);
/// Least memory that makes a try worthwhile.
const LEAST_MEMORY: u64 = 16 << 20;

/// See the head of this file.
pub(super) struct InPlace;

impl Strategy for InPlace {
    fn name(&self) -> &'static str {
        "in-place"
    }

    fn expected_pause(&self, subject: &Subject<'_>) -> Result<Duration, Setback> {
        let reading = Duration::from_secs_f64(subject.forecast.bytes as f64 * PER_BYTE / 1e9);
        Ok(reading.saturating_add(subject.forecast.pause))
    }

    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback> {
        let Subject { pid, holder, options, .. } = *subject;
        check_copy(pid, LEAST_MEMORY, options.memory_limit)?;
        let available = memory_limit::tightest().map_or(u64::MAX, |limit| limit.available);
        let limit = available.min(options.memory_limit.unwrap_or(u64::MAX));
        let mut files = MappedFiles::default();
        let mut plan = Plan::read(holder, &mut files)?;
        let mut buffers = Buffers::default();
        if !options.with_buffers {
            buffers = Buffers::find(holder, &plan, options.signals)?;
        }
        let expected = Duration::from_nanos(statistics.expected_pause_ns);
        options.warn(&format!(
            "process {pid} will stand still while its memory is analysed: about {:.1} s",
            expected.as_secs_f64()
        ));
        let stop = loop {
            let longest = options.longest_pause.unwrap_or(LONGEST);
            let stop = HeldStop::begin(pid, options.stop_deadline, longest)?;
            let collecting = is_busy(holder, options);
            statistics.collecting = collecting;
            if !collecting || statistics.retries >= options.retries {
                break stop;
            }
            note_stop(statistics, stop.release().pause);
            wait_for_collector(holder, options, statistics.retries)?;
            statistics.retries += 1;
        };
        plan.refresh(holder, &files)?;
        buffers.look_again(holder);
        let (runs, left_out) = buffers.leave_out(&plan.runs(&mut Pagemap::open(holder)?)?);
        files.open(holder, &plan.mappings);
        statistics.threads = subject.forecast.threads;
        statistics.bytes_left_out = total(&left_out);
        let segments = copy::segments(&runs, &[]);
        let memory = OnDemand::new(holder, stop, segments.clone(), limit)
            .map_err(|source| TargetError::System { action: "reserve room".to_owned(), source })?;
        let image = Image::new(Backing::OnDemand(Box::new(memory)), &segments, plan.overlays(&files))
            .with_left_out(left_out);
        Ok(Taken { image, mappings: plan.mappings, state: None })
    }
}
