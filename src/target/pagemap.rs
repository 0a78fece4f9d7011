//! Which pages of a process are in memory: `PAGEMAP_SCAN` (Linux 6.7), else `/proc/PID/pagemap`.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::TargetError;
use crate::target::image::PAGE;
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Page categories of Linux `include/uapi/linux/fs.h`.
const CAN_BE_PROTECTED: u64 = 1;
const IS_WRITTEN: u64 = 1 << 1;
const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;
/// A guard page made by `MADV_GUARD_INSTALL` (glibc 2.42 has them at the end of stacks): it looks swapped, and
/// nothing can read it. The category is of Linux 6.16.
const IS_GUARD: u64 = 1 << 8;

/// Bits of an entry of `/proc/PID/pagemap` (Linux `Documentation/admin-guide/mm/pagemap.rst`).
const ENTRY_NUMBER: u64 = (1 << 55) - 1;
const ENTRY_SOFT_DIRTY: u64 = 1 << 55;
const ENTRY_GUARD: u64 = 1 << 58;
const ENTRY_FILE: u64 = 1 << 61;
const ENTRY_SWAPPED: u64 = 1 << 62;
const ENTRY_PRESENT: u64 = 1 << 63;

/// Ranges that one scan call may return.
const REGIONS: usize = 4096;

/// `PM_SCAN_WP_MATCHING`.
const PROTECT: u64 = 1;
/// Write-protecting holds the lock of the address space: so many bytes at a time.
const PROTECTED_AT_A_TIME: u64 = 32 << 20;

/// `struct page_region` of Linux `include/uapi/linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of Linux `include/uapi/linux/fs.h`.
#[repr(C)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vector: u64,
    vector_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// Which pages to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// In memory or in swap.
    Resident,
    /// The same, but not those that still show a file.
    Anonymous,
    /// In swap.
    Swapped,
}

impl Pages {
    /// Whether an entry of the page map is one of them.
    fn include(self, bits: u64) -> bool {
        let is_found = match self {
            Self::Resident => bits & (ENTRY_PRESENT | ENTRY_SWAPPED) != 0,
            Self::Anonymous => Self::Resident.include(bits) && bits & ENTRY_FILE == 0,
            Self::Swapped => bits & ENTRY_SWAPPED != 0,
        };
        is_found && bits & ENTRY_GUARD == 0
    }

    /// Categories of which a page must have none, and those of which it must have one.
    const fn categories(self, guards: u64) -> (u64, u64) {
        match self {
            Self::Resident => (guards, IS_PRESENT | IS_SWAPPED),
            Self::Anonymous => (guards | IS_FILE, IS_PRESENT | IS_SWAPPED),
            Self::Swapped => (guards, IS_SWAPPED),
        }
    }
}

/// What `/proc/PID/pagemap` says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    /// An entry with these bits.
    #[cfg(test)]
    pub(super) const fn new(frame: u64, is_soft_dirty: bool) -> Self {
        Self(ENTRY_PRESENT | frame | if is_soft_dirty { ENTRY_SOFT_DIRTY } else { 0 })
    }

    /// Whether the page is in memory or in swap.
    pub(super) fn is_resident(self) -> bool {
        Pages::Resident.include(self.0)
    }

    /// Whether it was written to since the soft-dirty bits were cleared, or is of a new mapping.
    pub(super) const fn is_soft_dirty(self) -> bool {
        self.0 & ENTRY_SOFT_DIRTY != 0
    }

    /// Where it is: a frame of memory, or a place in swap.
    pub(super) const fn place(self) -> u64 {
        self.0 & (ENTRY_NUMBER | ENTRY_SWAPPED | ENTRY_PRESENT)
    }

    /// Whether it is not anonymous memory. Of a mapping of anonymous memory it is the huge zero page.
    pub(super) const fn is_of_file(self) -> bool {
        self.0 & ENTRY_FILE != 0
    }

    /// Whether a place has a number: without `CAP_SYS_ADMIN` the kernel shows none.
    pub(super) const fn is_known(place: u64) -> bool {
        place & ENTRY_NUMBER != 0
    }
}

/// Finds the pages of a process that are in memory (or in swap).
pub(super) struct Pagemap {
    pid: i32,
    file: File,
    regions: Vec<Region>,
    entries: Vec<u8>,
    can_scan: bool,
    /// [`IS_GUARD`] where the kernel knows it.
    guards: u64,
}

impl Pagemap {
    /// Opens the page map of a process; it stays that of the program that runs now.
    pub(super) fn open(pid: i32) -> Result<Self, TargetError> {
        let file = File::open(format!("/proc/{pid}/pagemap"))
            .map_err(|error| TargetError::from_proc(pid, "pagemap", error))?;
        let regions = vec![Region::default(); REGIONS];
        Ok(Self { pid, file, regions, entries: Vec::new(), can_scan: true, guards: IS_GUARD })
    }

    /// Appends to `found` the ranges of such pages in `range`, joining neighbours.
    /// Cost: about 5 ns a resident page with the scan, 100 ns without.
    pub(super) fn find(
        &mut self,
        range: AddressRange,
        pages: Pages,
        found: &mut Vec<AddressRange>,
    ) -> Result<(), TargetError> {
        let failed = |error: io::Error| TargetError::from_proc(self.pid, "pagemap", error);
        while self.can_scan {
            let categories = pages.categories(self.guards);
            match scan(&self.file, range, categories, &mut self.regions, found) {
                Err(Errno::EINVAL) if self.guards != 0 => self.guards = 0,
                Err(Errno::ENOTTY | Errno::EINVAL | Errno::ENOSYS) => self.can_scan = false,
                result => return result.map_err(|error| failed(error.into())),
            }
        }
        read_entries(&self.file, range, &mut self.entries, |page, Entry(bits)| {
            if pages.include(bits) {
                push(found, page.get(), page.get() + PAGE);
            }
        })
        .map_err(failed)
    }

    /// Calls `visit` with the entry of each page. Cost: about 100 ns a page.
    pub(super) fn for_each_entry(
        &mut self,
        range: AddressRange,
        visit: impl FnMut(Address, Entry),
    ) -> Result<(), TargetError> {
        read_entries(&self.file, range, &mut self.entries, visit)
            .map_err(|error| TargetError::from_proc(self.pid, "pagemap", error))
    }
}

impl Pagemap {
    /// Appends to `found` the pages in memory or in swap, and whether each was written to since it was last
    /// protected: true for all that are not registered with a `userfaultfd`.
    pub(super) fn find_written(
        &mut self,
        range: AddressRange,
        found: &mut Vec<(AddressRange, bool)>,
    ) -> Result<(), TargetError> {
        let (none_of, one_of) = Pages::Resident.categories(self.guards);
        let argument = ScanArgument {
            category_inverted: none_of,
            category_mask: none_of,
            category_anyof_mask: one_of,
            return_mask: IS_WRITTEN,
            ..ScanArgument::of(range)
        };
        let push = |region: &Region| {
            let written = region.categories & IS_WRITTEN != 0;
            let range = AddressRange::new(Address::new(region.start), Address::new(region.end));
            match found.last_mut() {
                Some((last, same)) if last.end == range.start && *same == written => last.end = range.end,
                _ => found.push((range, written)),
            }
        };
        match scan_with(&self.file, argument, &mut self.regions, push) {
            Err(Errno::EINVAL) if self.guards != 0 => {
                self.guards = 0;
                return self.find_written(range, found);
            }
            result => result,
        }
        .map_err(|error| TargetError::from_proc(self.pid, "pagemap", error.into()))
    }

    /// Protects the pages that were written to, and appends them to `found`: what is written to from now on
    /// will be found the next time. The target does not stop for it.
    pub(super) fn protect_written(
        &mut self,
        range: AddressRange,
        found: &mut Vec<AddressRange>,
    ) -> Result<(), TargetError> {
        let mut start = range.start;
        while start < range.end {
            let end = start.plus(PROTECTED_AT_A_TIME).min(range.end);
            let argument = ScanArgument {
                flags: PROTECT,
                // What the process has mapped anew meanwhile is not registered.
                category_mask: IS_WRITTEN | CAN_BE_PROTECTED,
                category_anyof_mask: IS_PRESENT | IS_SWAPPED,
                return_mask: IS_WRITTEN,
                ..ScanArgument::of(AddressRange::new(start, end))
            };
            scan_with(&self.file, argument, &mut self.regions, |region| {
                push(found, region.start, region.end);
            })
            .map_err(|error| TargetError::from_proc(self.pid, "pagemap", error.into()))?;
            start = end;
        }
        Ok(())
    }
}

impl ScanArgument {
    /// Everything in a range, and nothing asked about it.
    fn of(range: AddressRange) -> Self {
        Self {
            size: size_of::<Self>() as u64,
            flags: 0,
            start: range.start.get(),
            end: range.end.get(),
            walk_end: 0,
            vector: 0,
            vector_length: 0,
            max_pages: 0,
            category_inverted: 0,
            category_mask: 0,
            category_anyof_mask: 0,
            return_mask: 0,
        }
    }
}

mod request {
    use super::ScanArgument;
    nix::ioctl_readwrite!(
        /// `PAGEMAP_SCAN`: the number of ranges found, from `start` to `walk_end`.
        pagemap_scan, b'f', 16, ScanArgument
    );
}

fn scan(
    file: &File,
    range: AddressRange,
    (none_of, one_of): (u64, u64),
    regions: &mut [Region],
    found: &mut Vec<AddressRange>,
) -> Result<(), Errno> {
    let argument = ScanArgument {
        category_inverted: none_of,
        category_mask: none_of,
        category_anyof_mask: one_of,
        return_mask: IS_SWAPPED,
        ..ScanArgument::of(range)
    };
    scan_with(file, argument, regions, |region| push(found, region.start, region.end))
}

/// Calls `visit` for every range that a scan finds, in as many calls as it takes.
fn scan_with(
    file: &File,
    mut argument: ScanArgument,
    regions: &mut [Region],
    mut visit: impl FnMut(&Region),
) -> Result<(), Errno> {
    argument.vector = regions.as_mut_ptr() as u64;
    argument.vector_length = regions.len() as u64;
    while argument.start < argument.end {
        argument.walk_end = 0;
        #[expect(unsafe_code, reason = "an ioctl that no library wraps")]
        // SAFETY: the argument has the kernel's layout and its true size; the kernel writes at most
        // `vector_length` regions into `regions`, which is borrowed mutably for the whole call.
        let count = unsafe { request::pagemap_scan(file.as_raw_fd(), &raw mut argument) };
        let count = match count {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        regions.iter().take(count).for_each(&mut visit);
        if argument.walk_end <= argument.start {
            return Ok(());
        }
        argument.start = argument.walk_end;
    }
    Ok(())
}

fn read_entries(
    file: &File,
    range: AddressRange,
    entries: &mut Vec<u8>,
    mut visit: impl FnMut(Address, Entry),
) -> io::Result<()> {
    entries.resize(64 * 1024, 0);
    let mut page = range.start.get() / PAGE;
    let end = range.end.get() / PAGE;
    while page < end {
        let wanted = usize::try_from((end - page).saturating_mul(8)).unwrap_or(usize::MAX).min(entries.len());
        let count = match file.read_at(&mut entries[..wanted], page * 8) {
            Ok(count) => count / 8,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            return Ok(());
        }
        for entry in entries[..count * 8].chunks_exact(8) {
            let bits = entry.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
            visit(Address::new(page * PAGE), Entry(bits));
            page += 1;
        }
    }
    Ok(())
}

/// Appends a range to a sorted list, joining neighbours.
pub(super) fn push(found: &mut Vec<AddressRange>, start: u64, end: u64) {
    let (start, end) = (Address::new(start), Address::new(end));
    match found.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => found.push(AddressRange::new(start, end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every second page of an anonymous mapping is touched.
    #[test]
    fn both_ways_find_exactly_the_touched_pages() {
        let pages = 64;
        let mut map = memmap2::MmapMut::map_anon(pages * PAGE as usize).unwrap();
        let _ = map.advise(memmap2::Advice::NoHugePage);
        for page in (0..pages).step_by(2) {
            map[page * PAGE as usize] = 1;
        }
        let start = Address::new(map.as_ptr() as u64);
        let range = AddressRange::new(start, start.plus(pages as u64 * PAGE));
        let mut pagemap = Pagemap::open(std::process::id().cast_signed()).unwrap();
        for kind in [Pages::Resident, Pages::Anonymous] {
            for can_scan in [true, false] {
                pagemap.can_scan = can_scan;
                let mut found = Vec::new();
                pagemap.find(range, kind, &mut found).unwrap();
                let expected: Vec<_> = (0..pages as u64)
                    .step_by(2)
                    .map(|page| AddressRange::new(start.plus(page * PAGE), start.plus((page + 1) * PAGE)))
                    .collect();
                assert_eq!(found, expected, "scan: {can_scan}");
            }
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn guard_pages_are_not_there() {
        const MADV_GUARD_INSTALL: i32 = 102;
        let map = memmap2::MmapMut::map_anon(4 * PAGE as usize).unwrap();
        let start = Address::new(map.as_ptr() as u64);
        #[expect(unsafe_code, reason = "nix has no such advice yet")]
        // SAFETY: the page is of our own mapping, and nothing reads it from here on.
        let status =
            unsafe { nix::libc::madvise(map.as_ptr().cast_mut().cast(), PAGE as usize, MADV_GUARD_INSTALL) };
        if status != 0 {
            eprintln!("SKIPPED: this kernel has no guard pages");
            return;
        }
        let mut pagemap = Pagemap::open(std::process::id().cast_signed()).unwrap();
        for can_scan in [true, false] {
            pagemap.can_scan = can_scan;
            let mut found = Vec::new();
            pagemap.find(AddressRange::new(start, start.plus(PAGE)), Pages::Resident, &mut found).unwrap();
            assert_eq!(found, [], "scan: {can_scan}");
        }
    }

    #[test]
    fn both_ways_agree_on_all_our_mappings() {
        let pid = std::process::id().cast_signed();
        let mut pagemap = Pagemap::open(pid).unwrap();
        let mappings = crate::target::proc_maps::read_mappings(pid).unwrap();
        for mapping in mappings.iter().filter(|mapping| mapping.is_file() && !mapping.shared) {
            for kind in [Pages::Resident, Pages::Anonymous, Pages::Swapped] {
                let mut ways = [Vec::new(), Vec::new()];
                pagemap.can_scan = true;
                pagemap.find(mapping.range, kind, &mut ways[0]).unwrap();
                pagemap.can_scan = false;
                pagemap.find(mapping.range, kind, &mut ways[1]).unwrap();
                if mapping.writable || kind != Pages::Resident {
                    assert_eq!(ways[0], ways[1], "{mapping:?}");
                }
            }
        }
    }
}
