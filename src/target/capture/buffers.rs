//! Large buffers: what is in memory but holds no pointer, and so nothing that an analysis of references
//! could follow. Numbers of an array, the text of a long string.
//!
//! They are looked for while the process runs: a page no word of which is an address of writable memory
//! is one of a buffer, if its neighbours are, too. In the stop some pages of each are looked at again.
//! Should the analysis want to read one of them after all, the image notes it, and the process is
//! copied again with everything.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Mapping;
use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::capture::plan::Plan;
use crate::target::image::PAGE;
use crate::target::pagemap::Pagemap;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::io::IoSliceMut;

/// Mappings smaller than this are not looked at. Unit: bytes.
const SMALLEST_MAPPING: u64 = 1 << 20;
/// Pages judged at a time.
const BLOCK_PAGES: u64 = 64;
/// Pages of a block that are looked at first; in memory of small objects every one of them has pointers.
const SAMPLES: [u64; 4] = [3, 21, 37, 62];
/// Pages in a row that are worth leaving out.
const WORTH_IT: u64 = 32;
/// How much of the address space a bit of the filter stands for, as a power of two.
const FILTER_SHIFT: u32 = 30;
/// Words of the filter: for addresses below 2^47.
const FILTER_WORDS: usize = 1 << (47 - FILTER_SHIFT - 6);
const WORDS: usize = PAGE as usize / 8;

/// Where pointers may point to.
#[derive(Default)]
struct PointerRanges {
    ranges: Vec<AddressRange>,
    filter: Vec<u64>,
}

impl PointerRanges {
    /// All writable memory, where objects are.
    fn new(mappings: &[Mapping]) -> Self {
        let mut filter = vec![0_u64; FILTER_WORDS];
        let mut ranges: Vec<AddressRange> = Vec::new();
        for mapping in mappings.iter().filter(|mapping| mapping.readable && mapping.writable) {
            let range = mapping.range;
            for index in range.start.get() >> FILTER_SHIFT..=(range.end.get() - 1) >> FILTER_SHIFT {
                if let Some(word) = filter.get_mut((index / 64) as usize) {
                    *word |= 1 << (index % 64);
                }
            }
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Self { ranges, filter }
    }

    /// Whether the word, its three lowest bits aside, is an address of writable memory.
    #[inline]
    fn contain(&self, word: u64) -> bool {
        let index = word >> FILTER_SHIFT;
        let is_near =
            self.filter.get((index / 64) as usize).is_some_and(|bits| bits >> (index % 64) & 1 == 1);
        is_near && {
            let after = self.ranges.partition_point(|range| range.start.get() <= word);
            let range = after.checked_sub(1).and_then(|index| self.ranges.get(index));
            range.is_some_and(|range| range.contains(Address::new(word)))
        }
    }
}

/// What a page is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It has pointers, or it begins a block of the C library's allocator, whose head may be wanted.
    Needed,
    /// Nothing but zeros.
    Zero,
    /// Anything else.
    Raw,
}

/// The buffers of a process that were found.
#[derive(Default)]
pub(super) struct Buffers {
    pointers: PointerRanges,
    /// Sorted.
    ranges: Vec<AddressRange>,
}

impl Buffers {
    /// Looks through the large mappings of a running process.
    ///
    /// Cost: a sixteenth of its memory is read, and the buffers wholly.
    pub(super) fn find(holder: i32, plan: &Plan, signals: Option<&SignalWatch>) -> Result<Self, TargetError> {
        let mut found = Self { pointers: PointerRanges::new(&plan.mappings), ranges: Vec::new() };
        let mut pagemap = Pagemap::open(holder)?;
        let mut search = Search { holder, found: &mut found, run: None, has_content: false };
        for mapping in plan.mappings.iter().filter(|mapping| is_large(mapping)) {
            let runs = plan.resident(mapping.range, &mut pagemap)?;
            for run in runs.iter().filter(|run| run.length() >= WORTH_IT * PAGE) {
                let mut start = run.start;
                while start < run.end {
                    signals.map_or(Ok(()), SignalWatch::check)?;
                    let end = start.plus(BLOCK_PAGES * PAGE).min(run.end);
                    search.block(AddressRange::new(start, end));
                    start = end;
                }
                search.end_run();
            }
        }
        Ok(found)
    }

    /// Splits the ranges to copy: without the buffers, and what of them is buffers.
    pub(super) fn leave_out(&self, runs: &[AddressRange]) -> (Vec<AddressRange>, Vec<AddressRange>) {
        if self.ranges.is_empty() {
            return (runs.to_vec(), Vec::new());
        }
        let mut wanted = Vec::with_capacity(runs.len() + self.ranges.len());
        let mut left_out = Vec::with_capacity(self.ranges.len());
        let mut first = 0;
        for run in runs {
            let mut start = run.start;
            while self.ranges.get(first).is_some_and(|range| range.end <= start) {
                first += 1;
            }
            for range in self.ranges[first..].iter().take_while(|range| range.start < run.end) {
                let cut = AddressRange::new(range.start.max(start), range.end.min(run.end));
                if start < cut.start {
                    wanted.push(AddressRange::new(start, cut.start));
                }
                left_out.push(cut);
                start = cut.end;
            }
            if start < run.end {
                wanted.push(AddressRange::new(start, run.end));
            }
        }
        (wanted, left_out)
    }

    /// The process stands still: looks at one page in each 64 of every buffer. A buffer that has pointers
    /// now, or cannot be read, is none any more.
    pub(super) fn look_again(&mut self, holder: i32) {
        let pointers = &self.pointers;
        self.ranges.retain(|range| {
            let pages = range.length() / PAGE;
            let addresses = (0..pages.div_ceil(BLOCK_PAGES)).map(|block| {
                let page = (block * BLOCK_PAGES + BLOCK_PAGES / 2).min(pages - 1);
                range.start.plus(page * PAGE)
            });
            let addresses: Vec<Address> = addresses.collect();
            addresses.chunks(BLOCK_PAGES as usize).all(|addresses| {
                let mut bytes = vec![0; addresses.len() * PAGE as usize];
                read(holder, addresses.iter().map(|&start| (start, PAGE)), &mut bytes)
                    && bytes
                        .chunks(PAGE as usize)
                        .all(|page| content(page, pointers, u64::MAX) != Content::Needed)
            })
        });
    }
}

/// A search on its way through the mappings, in order of address.
struct Search<'a> {
    holder: i32,
    found: &'a mut Buffers,
    /// Pages of a buffer that ends where we are.
    run: Option<AddressRange>,
    /// Whether it is more than zeros.
    has_content: bool,
}

impl Search<'_> {
    fn block(&mut self, block: AddressRange) {
        let pages = block.length() / PAGE;
        let samples =
            SAMPLES.into_iter().filter(|&page| page < pages).map(|page| block.start.plus(page * PAGE));
        let samples: Vec<Address> = samples.collect();
        let mut bytes = vec![0; (BLOCK_PAGES * PAGE) as usize];
        let sampled = &mut bytes[..samples.len() * PAGE as usize];
        let pointers = &self.found.pointers;
        let may_be_raw = read(self.holder, samples.iter().map(|&start| (start, PAGE)), sampled)
            && sampled.chunks(PAGE as usize).all(|page| content(page, pointers, 0) != Content::Needed);
        let all = &mut bytes[..block.length() as usize];
        if !may_be_raw || !read(self.holder, std::iter::once((block.start, block.length())), all) {
            self.end_run();
            return;
        }
        for (index, page) in all.chunks(PAGE as usize).enumerate() {
            let start = block.start.plus(index as u64 * PAGE);
            let content = content(page, &self.found.pointers, u64::MAX);
            if content == Content::Needed {
                self.end_run();
                continue;
            }
            self.has_content |= content == Content::Raw;
            let run = self.run.get_or_insert(AddressRange::new(start, start));
            run.end = start.plus(PAGE);
        }
    }

    /// What comes next is no buffer, or not adjacent.
    fn end_run(&mut self) {
        let has_content = std::mem::take(&mut self.has_content);
        let Some(run) = self.run.take().filter(|_| has_content) else { return };
        // The head of a block lies in its first page, which may look like the rest of it.
        let start = run.start.plus(PAGE);
        if start.plus(WORTH_IT * PAGE) <= run.end {
            self.found.ranges.push(AddressRange::new(start, run.end));
        }
    }
}

fn is_large(mapping: &Mapping) -> bool {
    mapping.inode == 0
        && mapping.readable
        && mapping.writable
        && !mapping.shared
        && mapping.range.length() >= SMALLEST_MAPPING
        && !mapping.name.starts_with("[stack")
        && !mapping.name.starts_with("[v")
}

/// Judges a page; blocks of up to `largest_block` bytes may begin in it.
fn content(page: &[u8], pointers: &PointerRanges, largest_block: u64) -> Content {
    let word = |bytes: &[u8]| {
        u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
    };
    let mut any = 0;
    for bytes in page.chunks_exact(8) {
        let value = word(bytes);
        any |= value;
        if pointers.contain(value) {
            return Content::Needed;
        }
    }
    if any == 0 {
        return Content::Zero;
    }
    if page.len() >= WORDS * 8 && is_block_head(word(page), word(&page[8..]), largest_block) {
        return Content::Needed;
    }
    Content::Raw
}

/// Whether a page begins with the head of a block that has mappings of its own (`IS_MMAPPED`, glibc
/// malloc/malloc.c): nothing before it, and a size in whole pages with that flag.
fn is_block_head(before: u64, size: u64, largest: u64) -> bool {
    before == 0 && size & (PAGE - 1) == 2 && (PAGE..=largest).contains(&(size & !(PAGE - 1)))
}

/// Whether all of these ranges of the process could be read, one after the other.
fn read(holder: i32, ranges: impl Iterator<Item = (Address, u64)>, into: &mut [u8]) -> bool {
    let remote: Vec<RemoteIoVec> = ranges
        .map(|(start, length)| RemoteIoVec { base: start.get() as usize, len: length as usize })
        .collect();
    let wanted = into.len();
    wanted > 0 && process_vm_readv(Pid::from_raw(holder), &mut [IoSliceMut::new(into)], &remote) == Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(Address::new(start * PAGE), Address::new(end * PAGE))
    }

    fn pointers() -> PointerRanges {
        let line = "7f0000000000-7f0000100000 rw-p 0 0:0 0\n7f0000100000-7f0000200000 r--p 0 0:0 0\n";
        PointerRanges::new(&crate::target::proc_maps::parse_maps(line.as_bytes()))
    }

    #[test]
    fn a_word_is_a_pointer_if_it_leads_to_writable_memory() {
        let pointers = pointers();
        for (word, expected) in [
            (0x7f00_0000_0000, true),
            (0x7f00_000f_ffff, true),
            (0x7f00_0010_0000, false),
            (0x7eff_ffff_fff8, false),
            (0, false),
            (u64::MAX, false),
            (1 << 47, false),
        ] {
            assert_eq!(pointers.contain(word), expected, "{word:#x}");
        }
    }

    #[test]
    fn one_pointer_makes_a_page_needed() {
        let pointers = pointers();
        let mut page = vec![0x41; PAGE as usize];
        assert!(content(&page, &pointers, u64::MAX) == Content::Raw);
        page[4088..].copy_from_slice(&0x7f00_0000_1230_u64.to_le_bytes());
        assert!(content(&page, &pointers, u64::MAX) == Content::Needed);
        page.fill(0);
        assert!(content(&page, &pointers, u64::MAX) == Content::Zero);
        page[8..16].copy_from_slice(&0x10_0002_u64.to_le_bytes());
        assert!(content(&page, &pointers, u64::MAX) == Content::Needed, "the head of a block");
    }

    #[test]
    fn buffers_are_cut_out_of_the_ranges() {
        let buffers = Buffers {
            pointers: PointerRanges::default(),
            ranges: vec![range(2, 4), range(6, 9), range(20, 30)],
        };
        let (wanted, left_out) = buffers.leave_out(&[range(0, 5), range(6, 8), range(8, 12), range(25, 26)]);
        assert_eq!(wanted, [range(0, 2), range(4, 5), range(9, 12)]);
        assert_eq!(left_out, [range(2, 4), range(6, 8), range(8, 9), range(25, 26)]);
    }
}
