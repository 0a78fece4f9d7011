//! The strategy `fork`: the process is made to duplicate itself, and the duplicate, which never runs, is copied
//! while the process goes on. It stands still for as long as its page tables take to copy.

use crate::address::AddressRange;
use crate::target::CaptureStatistics;
use crate::target::Mapping;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Stage;
use crate::target::capture::Strategy;
use crate::target::capture::Subject;
use crate::target::capture::Taken;
use crate::target::capture::copy;
use crate::target::capture::note_stop;
use crate::target::capture::plan::Plan;
use crate::target::capture::plan::total;
use crate::target::capture::preparation::CopiedRuns;
use crate::target::capture::preparation::Preparation;
use crate::target::capture::preparation::wait_for_collector;
use crate::target::image::PAGE;
use crate::target::inject::Injection;
use crate::target::inject::Means;
use crate::target::live;
use crate::target::live::Live;
use crate::target::live::StopLimits;
use crate::target::memory_limit;
use crate::target::pagemap::Pagemap;
use crate::target::priority;
use crate::target::proc_maps::read_mappings;
use crate::target::proc_status::memory_holder;
use crate::target::ptrace;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::cell::Cell;
use std::time::Duration;
use std::time::Instant;

/// Nanoseconds that duplicating the entry of a page takes.
const PER_PAGE: u64 = 130;
const FIXED: Duration = Duration::from_millis(2);
/// What is shared with the duplicate, so that it holds no file of the process open: descriptors and working
/// directory. No signal when it ends.
const CLONE_FLAGS: u64 = (libc::CLONE_FILES | libc::CLONE_FS) as u64;
/// How long the duplicate may take to stop and to end.
const DEADLINE: Duration = Duration::from_secs(10);

/// See the head of this file.
pub(super) struct Fork;

impl Strategy for Fork {
    fn name(&self) -> &'static str {
        "fork"
    }

    fn expected_pause(&self, subject: &Subject<'_>) -> Result<Duration, Setback> {
        means(subject)?;
        if let Some(room) = memory_limit::headroom_of(subject.pid)
            && room.available < subject.forecast.bytes / 4
        {
            let reason =
                "pages that it writes to meanwhile exist twice, and its control group is nearly full";
            return Err(Setback::Unusable(reason.to_owned()));
        }
        let entries = Duration::from_nanos(subject.forecast.bytes / PAGE * PER_PAGE);
        let stop = Duration::from_micros(10)
            .saturating_mul(u32::try_from(subject.forecast.threads).unwrap_or(u32::MAX));
        Ok(FIXED.saturating_add(entries).saturating_add(stop))
    }

    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback> {
        let means = means(subject)?;
        let mut preparation = Preparation::new(subject)?;
        let copied = live::on_a_thread(|| duplicate_and_copy(subject, &means, &mut preparation, statistics))?;
        Ok(preparation.into_taken(&copied))
    }
}

fn means(subject: &Subject<'_>) -> Result<Means, Setback> {
    if subject.holder != subject.pid {
        return Err(Setback::Unusable("its first thread has ended".to_owned()));
    }
    Means::find(subject.pid, &read_mappings(subject.pid)?).map_err(Setback::Unusable)
}

/// All that is traced belongs to the calling thread: the process while it stands still, then the duplicate.
fn duplicate_and_copy(
    subject: &Subject<'_>,
    means: &Means,
    preparation: &mut Preparation<'_>,
    statistics: &mut CaptureStatistics,
) -> Result<CopiedRuns, Setback> {
    let options = subject.options;
    let limits = StopLimits { deadline: options.stop_deadline, signals: options.signals };
    loop {
        let mut live = Live::seize(subject.pid, limits)?;
        live.stop()?;
        priority::raise();
        let is_last = statistics.retries >= options.retries;
        let collecting = preparation.is_busy();
        let duplicate = if collecting && !is_last { None } else { Some(duplicate(subject, means, &live)) };
        let stop = live.release();
        priority::lower();
        let pause = note_stop(statistics, stop.pause);
        let Some(duplicate) = duplicate else {
            wait_for_collector(preparation.holder, options, statistics.retries)?;
            statistics.retries += 1;
            continue;
        };
        let duplicate = duplicate.map_err(Setback::Unusable)?;
        statistics.pause_ns = pause;
        statistics.threads = stop.threads;
        statistics.collecting = collecting;
        let before = std::mem::take(&mut preparation.plan.mappings);
        let copied = copy_duplicate(&duplicate, preparation, statistics);
        if let Ok(copied) = &copied {
            note_missing_mappings(&before, preparation, statistics);
            options.report(Stage::Copying, copied.copied.bytes, copied.copied.bytes);
        }
        if let Some(left) = duplicate.end(subject, means) {
            statistics.notes.push(left);
        }
        return copied.map_err(Setback::Failed);
    }
}

/// A process that does not run, traced by the calling thread. The kernel kills it when that ends.
struct Duplicate {
    pid: i32,
    /// Its number where the process itself lives.
    own_number: i64,
    /// Whether its end was collected: its number may be another's by now.
    is_over: Cell<bool>,
}

/// What happens while the process stands still.
fn duplicate(subject: &Subject<'_>, means: &Means, live: &Live<'_>) -> Result<Duplicate, String> {
    if !live.is_interrupted(subject.pid) || !live.is_complete() {
        return Err("one of its threads is stopped, ends, or hangs in the kernel".to_owned());
    }
    let mut injection = Injection::begin(subject.pid, means, subject.options.step_watch)?;
    let stack = injection.child_stack();
    let (result, child) = injection.call(libc::SYS_clone, [CLONE_FLAGS, stack, 0, 0, 0])?;
    let duplicate = child.map(|pid| Duplicate { pid, own_number: result, is_over: Cell::new(false) });
    injection.end()?;
    match duplicate {
        Some(duplicate) if result > 0 => Ok(duplicate),
        _ => Err(format!("the kernel does not duplicate it: {}", Errno::from_raw(-result as i32))),
    }
}

impl Duplicate {
    /// Waits until it can be read, and makes sure that it dies with us.
    fn secure(&self, subject_watch: Option<crate::target::inject::StepWatch<'_>>) -> Result<(), TargetError> {
        let started = Instant::now();
        loop {
            match ptrace::status(self.pid) {
                Ok(Some(_)) => break,
                Ok(None) if started.elapsed() < DEADLINE => std::thread::sleep(Duration::from_micros(50)),
                Ok(None) | Err(_) => return Err(TargetError::Gone { pid: self.pid }),
            }
        }
        if let Some(watch) = subject_watch {
            watch("securing the duplicate");
        }
        let options = nix::sys::ptrace::Options::PTRACE_O_EXITKILL;
        nix::sys::ptrace::setoptions(Pid::from_raw(self.pid), options)
            .map_err(|_| TargetError::Gone { pid: self.pid })?;
        // Should memory run out, it is to go first, and not the process.
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", self.pid), "1000");
        Ok(())
    }

    /// Kills it, and has the process collect it. What is left behind, if anything.
    fn end(&self, subject: &Subject<'_>, means: &Means) -> Option<String> {
        let step = |name| {
            if let Some(watch) = subject.options.step_watch {
                watch(name);
            }
        };
        step("killing the duplicate");
        let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        let started = Instant::now();
        while !ptrace::collect_end(self.pid) && started.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_micros(100));
        }
        self.is_over.set(true);
        step("collecting the duplicate");
        for _ in 0..20 {
            if let Ok(true) = self.collect(subject, means) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(format!("the duplicate, process {}, stays as a zombie until the process ends", self.pid))
    }

    /// Stops one thread of the process for a moment, in which it collects the duplicate. Its own parent does
    /// not get to see it, since it sends no signal and `wait` passes over it.
    fn collect(&self, subject: &Subject<'_>, means: &Means) -> Result<bool, String> {
        let failed = |error: TargetError| error.to_string();
        let limits = StopLimits { deadline: Duration::from_millis(500), signals: None };
        let mut live = Live::seize_leader(subject.pid, limits).map_err(failed)?;
        live.stop_known().map_err(failed)?;
        if !live.is_interrupted(subject.pid) {
            return Ok(false);
        }
        let mut injection = Injection::begin(subject.pid, means, subject.options.step_watch)?;
        let how = (libc::__WALL | libc::WNOHANG) as u64;
        let (result, _) = injection.call(libc::SYS_wait4, [self.own_number.cast_unsigned(), 0, how, 0, 0])?;
        injection.end()?;
        drop(live);
        Ok(result == self.own_number || result == -i64::from(libc::ECHILD))
    }
}

impl Drop for Duplicate {
    fn drop(&mut self) {
        // It is not ours to be left: whatever failed before, it must not stay.
        if !self.is_over.get() {
            let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// Copies the duplicate; the process runs.
fn copy_duplicate(
    duplicate: &Duplicate,
    preparation: &mut Preparation<'_>,
    statistics: &mut CaptureStatistics,
) -> Result<CopiedRuns, TargetError> {
    let options = preparation.options;
    duplicate.secure(options.step_watch)?;
    preparation.holder = duplicate.pid;
    preparation.plan = Plan::read(duplicate.pid, &mut preparation.files)?;
    let resident = preparation.plan.runs(&mut Pagemap::open(duplicate.pid)?)?;
    preparation.buffers.look_again(duplicate.pid);
    let (runs, left_out) = preparation.buffers.leave_out(&resident);
    let needed = total(&runs);
    if needed > preparation.destination.capacity() {
        preparation.reserve(needed)?;
    }
    if let Some(watch) = options.step_watch {
        watch("copying the duplicate");
    }
    let limits = copy::Limits { signals: options.signals, until: None };
    let copied = copy::copy(duplicate.pid, &runs, preparation.destination.bytes(), limits)?;
    statistics.bytes_copied = copied.bytes;
    statistics.bytes_left_out = total(&left_out);
    statistics.pages_skipped = total(&copied.holes) / PAGE;
    preparation.holder = memory_holder(preparation.pid);
    Ok(CopiedRuns { runs, copied, left_out, state: None })
}

/// Memory that a duplicate does not get (`MADV_DONTFORK`): what lies there is not in the copy. What the process
/// has given back in the last moment before the stop is not meant.
fn note_missing_mappings(
    before: &[Mapping],
    preparation: &Preparation<'_>,
    statistics: &mut CaptureStatistics,
) {
    let Ok(now) = read_mappings(preparation.pid) else { return };
    let there = &preparation.plan.mappings;
    let has = |mappings: &[Mapping], range: AddressRange| {
        let after = mappings.partition_point(|mapping| mapping.range.start <= range.start);
        after.checked_sub(1).is_some_and(|index| mappings[index].range.contains(range.start))
    };
    let missing = before
        .iter()
        .filter(|mapping| mapping.readable && mapping.writable && !mapping.shared)
        .filter(|mapping| !has(there, mapping.range) && has(&now, mapping.range));
    let bytes: u64 = missing.map(|mapping| mapping.range.length()).sum();
    if bytes > 0 {
        statistics.pages_skipped = statistics.pages_skipped.saturating_add(bytes / PAGE);
        statistics.notes.push(format!("{} KiB of its memory are not in the duplicate", bytes / 1024));
    }
}
