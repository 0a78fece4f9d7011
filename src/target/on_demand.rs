//! The memory of a process that stands still, read block by block where somebody looks.
//!
//! For a process whose memory cannot be copied whole. It stands still for as long as it is looked at;
//! afterwards what was read stays readable, and nothing else is.

use crate::target::TargetError;
use crate::target::image::PAGE;
use crate::target::image::Segment;
use crate::target::live::HeldStop;
use crate::target::live::StopStatistics;
use memmap2::MmapOptions;
use memmap2::MmapRaw;
use nix::errno::Errno;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::io::IoSliceMut;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Bytes read at a time: larger blocks are hardly faster, and smaller ones much slower.
const BLOCK: usize = 64 * 1024;
const PAGE_SIZE: usize = PAGE as usize;

/// Blocks of a stopped process that were looked at.
pub struct OnDemand {
    room: MmapRaw,
    length: usize,
    /// Sorted by where they are stored.
    segments: Vec<Segment>,
    /// What became of each block; not set before somebody looked.
    blocks: Vec<OnceLock<Block>>,
    /// Whose memory it is: the process, or a thread of it.
    holder: i32,
    stop: Mutex<Option<HeldStop>>,
    /// The most bytes that may be kept.
    limit: u64,
    kept: AtomicU64,
    missed: AtomicU64,
    /// Pages that cannot be read, by where they would be stored.
    holes: Mutex<BTreeSet<usize>>,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// All of it is there.
    Whole,
    /// Some of its pages cannot be read.
    WithHoles,
    /// Nobody could be asked any more, or there was no room.
    Missed,
}

/// How it went, once the process was let go.
#[derive(Debug)]
pub struct Released {
    /// The stop.
    pub stop: StopStatistics,
    /// Bytes that were read.
    pub bytes: u64,
    /// Pages that could not be read.
    pub unreadable_pages: u64,
    /// Why not all was read that somebody wanted, if so: its time was up, our memory was, or it has ended.
    pub cut: Option<TargetError>,
}

impl OnDemand {
    /// The memory of a process that `stop` holds, stored as `segments` say, one after the other. At most `limit`
    /// bytes are kept.
    pub(super) fn new(holder: i32, stop: HeldStop, segments: Vec<Segment>, limit: u64) -> io::Result<Self> {
        let local = segments.last().map_or(0, |last| last.local.saturating_add(last.range.length()));
        let length = usize::try_from(local).unwrap_or(usize::MAX);
        let room = MmapOptions::new().len(length.max(1)).no_reserve_swap().map_anon()?;
        // Without large pages it is only slower.
        let _ = room.advise(memmap2::Advice::HugePage);
        let blocks = std::iter::repeat_with(OnceLock::new).take(length.div_ceil(BLOCK)).collect();
        Ok(Self {
            room: room.into(),
            length,
            segments,
            blocks,
            holder,
            stop: Mutex::new(Some(stop)),
            limit,
            kept: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            holes: Mutex::default(),
        })
    }

    /// Bytes of the whole.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Blocks that were wanted too late, or beyond the limit.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The bytes from `start` on, if they can be had.
    pub(super) fn bytes(&self, start: usize, length: usize) -> Option<&[u8]> {
        let end = start.checked_add(length).filter(|&end| end <= self.length)?;
        if length == 0 {
            return Some(&[]);
        }
        let mut has_holes = false;
        for block in start / BLOCK..=(end - 1) / BLOCK {
            match self.blocks.get(block)?.get_or_init(|| self.read_block(block)) {
                Block::Whole => {}
                Block::WithHoles => has_holes = true,
                Block::Missed => return None,
            }
        }
        if has_holes && self.holes().range(start / PAGE_SIZE..end.div_ceil(PAGE_SIZE)).next().is_some() {
            return None;
        }
        #[expect(unsafe_code, reason = "other blocks are still written to while this one is read")]
        // SAFETY: the range lies inside the mapping. Every block that it touches was filled before its
        // lock was set, and `read_block` alone writes to a block, inside that lock: nobody writes to
        // these bytes any more as long as the mapping lives.
        Some(unsafe { std::slice::from_raw_parts(self.room.as_ptr().wrapping_add(start), length) })
    }

    fn holes(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.holes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_held(&self) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.as_ref().is_some_and(HeldStop::is_held)
    }

    /// Reads a block from the process.
    fn read_block(&self, block: usize) -> Block {
        let start = block * BLOCK;
        let length = BLOCK.min(self.length - start);
        let kept = self.kept.fetch_add(length as u64, Ordering::Relaxed).saturating_add(length as u64);
        if kept > self.limit || !self.is_held() {
            self.kept.fetch_sub(length as u64, Ordering::Relaxed);
            return self.miss();
        }
        #[expect(unsafe_code, reason = "other blocks are read while this one is written to")]
        // SAFETY: the range lies inside the mapping, and nobody else reads or writes it: slices are handed
        // out only of blocks whose lock is set, and this runs inside the lock of this block.
        let local =
            unsafe { std::slice::from_raw_parts_mut(self.room.as_mut_ptr().wrapping_add(start), length) };
        let mut read = self.read(start, local);
        if read == Ok(false) {
            let mut holes = Vec::new();
            for (index, page) in local.chunks_mut(PAGE_SIZE).enumerate() {
                match self.read(start + index * PAGE_SIZE, page) {
                    Ok(true) => {}
                    Ok(false) => holes.push(start / PAGE_SIZE + index),
                    Err(gone) => read = Err(gone),
                }
            }
            self.holes().extend(holes);
        }
        // It may have been let go between the look and the read.
        match read {
            Ok(is_whole) if self.is_held() => {
                if is_whole {
                    Block::Whole
                } else {
                    Block::WithHoles
                }
            }
            Ok(_) | Err(_) => self.miss(),
        }
    }

    fn miss(&self) -> Block {
        self.missed.fetch_add(1, Ordering::Relaxed);
        Block::Missed
    }

    /// Whether all of this could be read; an error if there is nobody left to ask.
    fn read(&self, start: usize, into: &mut [u8]) -> Result<bool, Errno> {
        let ranges = self.remote(start as u64, into.len() as u64);
        let wanted = into.len();
        loop {
            match process_vm_readv(Pid::from_raw(self.holder), &mut [IoSliceMut::new(into)], &ranges) {
                Err(Errno::EINTR) => {}
                Err(Errno::ESRCH) => return Err(Errno::ESRCH),
                result => return Ok(result == Ok(wanted)),
            }
        }
    }

    /// Where these bytes are in the process.
    fn remote(&self, start: u64, length: u64) -> Vec<RemoteIoVec> {
        let end = start.saturating_add(length);
        let first = self.segments.partition_point(|segment| segment.local <= start).saturating_sub(1);
        let overlapping = self.segments[first..].iter().take_while(|segment| segment.local < end);
        overlapping
            .filter_map(|segment| {
                let from = start.max(segment.local);
                let to = end.min(segment.local.saturating_add(segment.range.length()));
                let base = segment.range.start.plus(from - segment.local);
                (from < to).then(|| RemoteIoVec { base: base.get() as usize, len: (to - from) as usize })
            })
            .collect()
    }

    /// Lets the process go; `None` if that was done before.
    pub(super) fn release(&self, pid: i32) -> Option<Released> {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let was_held = stop.is_held();
        let bytes = self.kept.load(Ordering::Relaxed);
        let is_over_limit = bytes.saturating_add(BLOCK as u64) > self.limit;
        let cut = (self.missed() > 0).then(|| {
            if !was_held {
                TargetError::PauseExceeded { pid }
            } else if is_over_limit {
                let needed = bytes.saturating_add(self.missed().saturating_mul(BLOCK as u64));
                let limit = "what was free when it was stopped, or --memory-limit".to_owned();
                TargetError::NotEnoughMemory {
                    pid,
                    purpose: "what was read of".to_owned(),
                    needed,
                    available: self.limit,
                    limit,
                }
            } else {
                TargetError::Gone { pid }
            }
        });
        Some(Released { stop: stop.release(), bytes, unreadable_pages: self.holes().len() as u64, cut })
    }
}
