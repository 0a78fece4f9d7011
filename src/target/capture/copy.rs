//! The copy itself: two threads, `process_vm_readv` in large batches.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::diagnose::refused;
use crate::target::image::PAGE;
use crate::target::image::Segment;
use crate::target::priority::Turn;
use crate::target::watchdog;
use nix::errno::Errno;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::io::IoSliceMut;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

/// Ranges that one call may name (`UIO_MAXIOV` in Linux `include/uapi/linux/uio.h`).
const RANGES: usize = 1024;
/// Smallest and largest number of bytes in one call.
const SMALLEST_BATCH: u64 = 256 << 10;
const LARGEST_BATCH: u64 = 8 << 20;
/// Below this one thread is faster than starting another.
const WORTH_TWO_THREADS: u64 = 4 << 20;
/// After so many unreadable pages in a row the rest of a range is given up.
const UNREADABLE_IN_A_ROW: u32 = 32;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Bytes copied.
    pub(super) bytes: u64,
    /// Ranges that could not be read, sorted.
    pub(super) holes: Vec<AddressRange>,
}

/// What ends a copy early.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Signals that end it.
    pub(super) signals: Option<&'a SignalWatch>,
    /// When the process must be let go.
    pub(super) until: Option<Instant>,
}

impl Limits<'_> {
    pub(super) fn check(&self, pid: i32) -> Result<(), TargetError> {
        if self.until.is_some_and(|until| Instant::now() > until) {
            return Err(TargetError::PauseExceeded { pid });
        }
        self.signals.map_or(Ok(()), SignalWatch::check)
    }
}

/// Some ranges of the target and the place for all of them.
struct Batch<'a> {
    remote: &'a [AddressRange],
    local: &'a mut [u8],
}

/// Copies `runs`, one after the other, to the beginning of `destination`, which has room for them.
pub(super) fn copy(
    pid: i32,
    runs: &[AddressRange],
    destination: &mut [u8],
    limits: Limits<'_>,
) -> Result<Copied, TargetError> {
    let total = super::plan::total(runs);
    let (pieces, ends) = split(runs, (total / 16).clamp(SMALLEST_BATCH, LARGEST_BATCH) / PAGE * PAGE);
    let queue = Mutex::new(batches(&pieces, &ends, destination).into_iter());
    let turn = Turn::begin();
    let work = || {
        let mut copied = Copied::default();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(batch) = next else { return Ok(copied) };
            limits.check(pid)?;
            watchdog::alive();
            turn.end_if_long();
            copy_batch(pid, batch, &mut copied).map_err(|error| match error {
                Errno::ESRCH => TargetError::Gone { pid },
                error => refused(pid, "read", error.into()),
            })?;
        }
    };
    if total < WORTH_TWO_THREADS {
        return work();
    }
    let (ours, theirs) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let ours = work();
        (ours, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (mut copied, other) = (ours?, theirs?);
    copied.bytes += other.bytes;
    copied.holes.extend(other.holes);
    copied.holes.sort_by_key(|hole| hole.start);
    Ok(copied)
}

/// Cuts ranges into pieces and groups them: `ends` has the index after the last piece of each group.
fn split(runs: &[AddressRange], batch: u64) -> (Vec<AddressRange>, Vec<usize>) {
    let mut pieces: Vec<AddressRange> = Vec::with_capacity(runs.len());
    let mut ends = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    for run in runs {
        let mut start = run.start;
        while start < run.end {
            let length = (run.end.get() - start.get()).min(batch - bytes);
            pieces.push(AddressRange::new(start, start.plus(length)));
            start = start.plus(length);
            bytes += length;
            count += 1;
            if bytes == batch || count == RANGES {
                ends.push(pieces.len());
                (bytes, count) = (0, 0);
            }
        }
    }
    if count > 0 {
        ends.push(pieces.len());
    }
    (pieces, ends)
}

fn batches<'a>(pieces: &'a [AddressRange], ends: &[usize], destination: &'a mut [u8]) -> Vec<Batch<'a>> {
    let mut batches = Vec::with_capacity(ends.len());
    let (mut first, mut rest) = (0, destination);
    for &end in ends {
        let remote = &pieces[first..end];
        let length = usize::try_from(super::plan::total(remote)).unwrap_or(usize::MAX);
        let Some((local, after)) = rest.split_at_mut_checked(length) else { break };
        batches.push(Batch { remote, local });
        (first, rest) = (end, after);
    }
    batches
}

/// Copies a batch; pages that cannot be read become holes.
fn copy_batch(pid: i32, batch: Batch<'_>, copied: &mut Copied) -> Result<(), Errno> {
    let Batch { remote, mut local } = batch;
    let mut ranges: Vec<RemoteIoVec> = remote
        .iter()
        .map(|range| RemoteIoVec { base: range.start.get() as usize, len: range.length() as usize })
        .collect();
    let mut first = 0;
    let mut unreadable = 0;
    while first < ranges.len() {
        let mut into = [IoSliceMut::new(local)];
        let count = match process_vm_readv(Pid::from_raw(pid), &mut into, &ranges[first..]) {
            Ok(count) => count / PAGE as usize * PAGE as usize,
            Err(Errno::EFAULT) => 0,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        let mut passed = count;
        if count == 0 {
            let RemoteIoVec { base, len } = ranges[first];
            unreadable += 1;
            passed = if unreadable < UNREADABLE_IN_A_ROW { len.min(PAGE as usize) } else { len };
            if passed == len {
                unreadable = 0; // the next range is another matter
            }
            let start = Address::new(base as u64);
            copied.holes.push(AddressRange::new(start, start.plus(passed as u64)));
        } else {
            unreadable = 0;
            copied.bytes += count as u64;
        }
        local = local.split_at_mut_checked(passed).map_or(&mut [], |(_, rest)| rest);
        first = advance(&mut ranges, first, passed);
    }
    Ok(())
}

/// Moves the beginning of `ranges[first..]` on by `bytes`; gives the new first.
fn advance(ranges: &mut [RemoteIoVec], mut first: usize, mut bytes: usize) -> usize {
    while let Some(range) = ranges.get_mut(first) {
        let step = bytes.min(range.len);
        range.base += step;
        range.len -= step;
        bytes -= step;
        if range.len > 0 {
            break;
        }
        first += 1;
    }
    first
}

/// Where each page of the runs is stored, the holes left out. Both lists are sorted.
pub(super) fn segments(runs: &[AddressRange], holes: &[AddressRange]) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(runs.len() + holes.len());
    let mut holes = holes.iter().peekable();
    let mut local = 0;
    for run in runs {
        let mut start = run.start;
        let mut push = |start: Address, end: Address| {
            if start < end {
                let local = local + (start.get() - run.start.get());
                segments.push(Segment { range: AddressRange::new(start, end), local });
            }
        };
        while let Some(hole) = holes.next_if(|hole| hole.start < run.end) {
            push(start, hole.start);
            start = start.max(hole.end);
        }
        push(start, run.end);
        local += run.length();
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(Address::new(start * PAGE), Address::new(end * PAGE))
    }

    #[test]
    fn ranges_are_cut_and_grouped() {
        let (pieces, ends) = split(&[range(0, 3), range(10, 11), range(20, 25)], 4 * PAGE);
        assert_eq!(pieces, [range(0, 3), range(10, 11), range(20, 24), range(24, 25)]);
        assert_eq!(ends, [2, 3, 4]);
        let many: Vec<_> = (0..3000).map(|page| range(2 * page, 2 * page + 1)).collect();
        let (pieces, ends) = split(&many, 1 << 40);
        assert_eq!(pieces.len(), 3000);
        assert_eq!(ends, [1024, 2048, 3000]);
    }

    #[test]
    fn holes_are_cut_out() {
        let runs = [range(0, 4), range(8, 10), range(20, 21)];
        let segments = segments(&runs, &[range(1, 2), range(8, 9), range(20, 21)]);
        let found: Vec<_> = segments.iter().map(|segment| (segment.range, segment.local / PAGE)).collect();
        assert_eq!(found, [(range(0, 1), 0), (range(2, 4), 2), (range(9, 10), 5)]);
    }

    /// Our own memory, with an unreadable page in the middle and a range of nothing at the end.
    #[test]
    fn what_cannot_be_read_is_left_out() {
        let pages = 8;
        let mut map = memmap2::MmapMut::map_anon(pages * PAGE as usize).unwrap();
        for (index, page) in map.chunks_mut(PAGE as usize).enumerate() {
            page.fill(u8::try_from(index).unwrap());
        }
        let start = Address::new(map.as_ptr() as u64);
        let own = AddressRange::new(start, start.plus(pages as u64 * PAGE));
        let nowhere = range(1, 9 + u64::from(UNREADABLE_IN_A_ROW));
        // One bad page before good ones, after a range of nothing.
        let pid = std::process::id().cast_signed();
        let first = crate::target::proc_maps::read_mappings(pid).unwrap()[0].range.start;
        let half_bad = AddressRange::new(first.minus(PAGE), first.plus(PAGE));
        let runs = [own, nowhere, half_bad];
        let mut destination = vec![0xff; super::super::plan::total(&runs) as usize];
        let copied = copy(pid, &runs, &mut destination, Limits { signals: None, until: None }).unwrap();
        assert_eq!(copied.bytes, own.length() + PAGE);
        assert_eq!(super::super::plan::total(&copied.holes), nowhere.length() + PAGE);
        assert_eq!(destination[..map.len()], map[..]);
        assert!(destination[destination.len() - PAGE as usize..].starts_with(b"\x7fELF"));
    }
}
