//! What the strategies that copy have in common: everything that can be done before the stop.

use crate::address::AddressRange;
use crate::target::Image;
use crate::target::Memory;
use crate::target::RemoteMemory;
use crate::target::TargetError;
use crate::target::capture::CaptureOptions;
use crate::target::capture::Stage;
use crate::target::capture::Subject;
use crate::target::capture::Taken;
use crate::target::capture::buffers::Buffers;
use crate::target::capture::copy;
use crate::target::capture::copy::Copied;
use crate::target::capture::destination::Destination;
use crate::target::capture::files::MappedFiles;
use crate::target::capture::plan::Plan;
use crate::target::capture::plan::total;
use crate::target::memory_limit::check_copy;
use crate::target::pagemap::Pagemap;
use crate::target::process_state::ProcessState;
use std::time::Duration;
use std::time::Instant;

/// How often room is made again because the process has grown meanwhile.
pub(super) const ROOM_TRIES: u32 = 3;
/// Pages made beyond what is planned, for what appears before the stop: 1/32 and this.
const SPARE: u64 = 8 << 20;
/// First and longest time between two tries while the collector runs.
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(64);

/// Everything that can be done before the stop.
pub(super) struct Preparation<'a> {
    pub(super) pid: i32,
    /// What its memory is asked from: the process, or a thread of it.
    pub(super) holder: i32,
    pub(super) options: &'a CaptureOptions<'a>,
    pub(super) files: MappedFiles,
    pub(super) plan: Plan,
    pub(super) destination: Destination,
    pub(super) buffers: Buffers,
}

impl<'a> Preparation<'a> {
    /// Looks at the process and makes room for its copy.
    pub(super) fn new(subject: &Subject<'a>) -> Result<Self, TargetError> {
        let Subject { pid, holder, options, .. } = *subject;
        let mut files = MappedFiles::default();
        let plan = Plan::read(holder, &mut files)?;
        let destination = Destination::reserve(0)?;
        let buffers = Buffers::default();
        let mut preparation = Self { pid, holder, options, files, plan, destination, buffers };
        if !options.with_buffers {
            preparation.buffers = Buffers::find(holder, &preparation.plan, options.signals)?;
        }
        let planned = total(&preparation.wanted_runs()?);
        preparation.reserve(planned)?;
        preparation.make_room(planned)?;
        preparation.warm_up()?;
        Ok(preparation)
    }

    /// The ranges to copy, as of now.
    pub(super) fn wanted_runs(&self) -> Result<Vec<AddressRange>, TargetError> {
        let runs = self.plan.runs(&mut Pagemap::open(self.holder)?)?;
        Ok(self.buffers.leave_out(&runs).0)
    }

    /// Reserves room for `planned` bytes and what may come; refuses what memory there is not.
    pub(super) fn reserve(&mut self, planned: u64) -> Result<(), TargetError> {
        self.destination = Destination::reserve(0)?;
        check_copy(self.pid, with_spare(planned), self.options.memory_limit)?;
        self.destination = Destination::reserve(capacity(planned))?;
        Ok(())
    }

    /// Makes pages for `planned` bytes, then again for what the process has grown meanwhile.
    pub(super) fn make_room(&mut self, mut planned: u64) -> Result<(), TargetError> {
        for _ in 0..ROOM_TRIES {
            let options = self.options;
            let wanted = with_spare(planned);
            self.destination.make(wanted, &mut |done| {
                options.report(Stage::Preparing, done, wanted);
                options.check_signals()
            })?;
            self.plan = Plan::read(self.holder, &mut self.files)?;
            planned = total(&self.wanted_runs()?);
            if planned <= wanted {
                break;
            }
        }
        self.options.report(Stage::Preparing, planned, planned);
        self.options.report(Stage::Copying, 0, planned);
        Ok(())
    }

    /// Reads what may not be in memory, so that no disk is waited for while the process stands still.
    fn warm_up(&mut self) -> Result<(), TargetError> {
        let runs = self.plan.cold_runs(&mut Pagemap::open(self.holder)?)?;
        let limits = copy::Limits { signals: self.options.signals, until: None };
        copy::copy(self.holder, &runs, self.destination.bytes(), limits).map(drop)
    }

    /// Whether the garbage collector runs.
    pub(super) fn is_busy(&self) -> bool {
        is_busy(self.holder, self.options)
    }

    /// The process runs again: open what was mapped in the last moment, and build the image.
    pub(super) fn into_taken(mut self, copied: &CopiedRuns) -> Taken {
        self.files.open(self.holder, &self.plan.mappings);
        let overlays = self.plan.overlays(&self.files);
        let segments = copy::segments(&copied.runs, &copied.copied.holes);
        let backing = self.destination.into_backing(total(&copied.runs));
        let image = Image::new(backing, &segments, overlays).with_left_out(copied.left_out.clone());
        Taken { image, mappings: self.plan.mappings, state: copied.state.clone() }
    }
}

/// What was copied of a process that stood still.
pub(super) struct CopiedRuns {
    /// The ranges, sorted, one after the other in the destination.
    pub(super) runs: Vec<AddressRange>,
    /// What of it could not be read.
    pub(super) copied: Copied,
    /// What was left out on purpose, sorted.
    pub(super) left_out: Vec<AddressRange>,
    /// Registers and the like, if they were asked for.
    pub(super) state: Option<Box<ProcessState>>,
}

/// Whether the garbage collector runs.
pub(super) fn is_busy(holder: i32, options: &CaptureOptions<'_>) -> bool {
    let memory = RemoteMemory::new(holder);
    options.busy_flags.iter().any(|&flag| memory.read_u32(flag).is_ok_and(|value| value != 0))
}

/// Waits longer from try to try, but not longer than the collector runs.
pub(super) fn wait_for_collector(
    holder: i32,
    options: &CaptureOptions<'_>,
    tries: u32,
) -> Result<(), TargetError> {
    let wait = FIRST_WAIT.saturating_mul(1 << tries.min(16)).min(LONGEST_WAIT);
    let started = Instant::now();
    while started.elapsed() < wait && is_busy(holder, options) {
        options.check_signals()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Bytes to make for `planned` bytes.
fn with_spare(planned: u64) -> u64 {
    planned.saturating_add(planned / 32).saturating_add(SPARE)
}

/// Bytes to reserve for `planned` bytes: address space is free.
fn capacity(planned: u64) -> u64 {
    planned.saturating_add(planned / 2).saturating_add(256 << 20)
}
