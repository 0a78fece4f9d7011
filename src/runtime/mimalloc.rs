//! mimalloc: its segments, their pages, and what each page is for.
//!
//! Free-threaded builds keep every object in pages of mimalloc, apart by purpose: memory of C code, objects
//! that the collector does not know, those that it knows, and those of them with two words before the object.
//! A segment is 32 MiB of slices of 64 KiB; pages are runs of slices, and all blocks of a page have one size
//! (`Include/internal/mimalloc/mimalloc/types.h`, `Objects/mimalloc/segment.c`, `Include/internal/pycore_mimalloc.h`).
//! Segments are recognised by their header, whoever owns them: also those that ended threads left behind.

pub mod blocks;

use crate::address::Address;
use crate::address::AddressRange;
use crate::layout::schema::Layouts;
use crate::layout::schema::MimallocHeap;
use crate::layout::schema::MimallocPage;
use crate::layout::schema::MimallocSegment;
use crate::runtime::interpreters::Runtime;
use crate::target::Image;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use rustc_hash::FxHashSet;

/// Bytes of a segment, and what its address is a multiple of (`MI_SEGMENT_SIZE`).
pub const SEGMENT: u64 = 32 << 20;
/// Bytes of a slice (`MI_SEGMENT_SLICE_SIZE`).
pub const SLICE: u64 = 64 << 10;
/// Slices of a segment (`MI_SLICES_PER_SEGMENT`).
const MOST_SLICES: u64 = 512;
/// Slices that the header of a segment can take, guard slices included.
const MOST_HEADER_SLICES: u64 = 16;
/// No segment is larger than the address space of a process. Unit: slices.
const MOST_HUGE_SLICES: u64 = (1 << 47) / SLICE;
/// What `xblock_size` says of larger blocks (`MI_HUGE_BLOCK_SIZE`, 2.1.2). Unit: bytes.
const HUGE_BLOCK: u64 = 2 << 30;
/// Heaps of a thread (`_Py_MIMALLOC_HEAP_COUNT`).
const HEAPS: u64 = 4;
/// Queues of pages in a heap (`MI_BIN_FULL + 1`), each { first, last, block_size }.
const QUEUES: u64 = 75;
const QUEUE: u64 = 24;

/// What the blocks of a page hold (`mi_heap_t.tag`, `mi_heapidx` in `pycore_mimalloc.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Memory of C code: no objects.
    Memory,
    /// Objects that the collector does not know.
    Object,
    /// Objects that the collector knows.
    Collected,
    /// Objects that the collector knows, two words after the start of the block.
    CollectedWithPreHeader,
}

impl Purpose {
    const fn of_tag(tag: u64) -> Option<Self> {
        match tag {
            0 => Some(Self::Memory),
            1 => Some(Self::Object),
            2 => Some(Self::Collected),
            3 => Some(Self::CollectedWithPreHeader),
            _ => None,
        }
    }

    /// Bytes of a block before its object.
    pub const fn pre_header(self) -> u64 {
        if matches!(self, Self::CollectedWithPreHeader) { 16 } else { 0 }
    }

    /// Whether the objects are of types that the collector knows.
    pub const fn is_collected(self) -> bool {
        matches!(self, Self::Collected | Self::CollectedWithPreHeader)
    }
}

/// A page with blocks in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPage {
    /// The first block.
    pub first: Address,
    /// The slices that belong to it.
    pub span: AddressRange,
    /// Bytes in a block.
    pub block_size: u64,
    /// How many blocks were ever carved.
    pub capacity: u32,
    /// How many of them are in use, by its own count: those that other threads freed included.
    pub used: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// The `mi_heap_t` that owns it; null while no thread does.
    pub heap: Address,
    /// The segment that it is in.
    pub segment: Address,
    /// The first blocks of its lists of free ones: `free`, `local_free`, `xthread_free`.
    lists: [Address; 3],
    /// How links are encoded, in builds where they are.
    code: Option<LinkCode>,
}

/// How the links of free lists are encoded in debug builds (`mi_ptr_encode`,
/// `Include/internal/mimalloc/mimalloc/internal.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkCode {
    keys: [u64; 2],
    /// What stands for null: the address of the page or of the heap.
    null: u64,
}

impl LinkCode {
    /// The keys two words long at `at`.
    fn read(image: &Image, owner: Address, keys: Option<u64>) -> Option<Self> {
        let at = owner.plus(keys?);
        Some(Self { keys: [image.word(at)?, image.word(at.plus(8))?], null: owner.get() })
    }

    const fn decode(self, link: u64) -> u64 {
        let plain = link.wrapping_sub(self.keys[0]).rotate_right((self.keys[0] % 64) as u32) ^ self.keys[1];
        if plain == self.null { 0 } else { plain }
    }
}

/// Everything that mimalloc has, in order of address.
#[derive(Debug, Default)]
pub struct Mimalloc {
    /// Every page in use.
    pub pages: Vec<BlockPage>,
    /// Blocks that other threads freed and that still count as used, sorted (`thread_delayed_free`).
    pub delayed: Vec<u64>,
    /// How many segments there are.
    pub segments: usize,
    /// What each of them has behind its header.
    pub data: Vec<AddressRange>,
    /// Segments that no thread owns: their threads ended.
    pub abandoned_segments: usize,
    /// Which interpreter each heap belongs to, by its place in [`Runtime::interpreters`].
    pub heaps: FxHashMap<Address, usize>,
    /// Which interpreter each abandoned segment belongs to, where the interpreters list them.
    pub abandoned: FxHashMap<Address, usize>,
    /// Pages whose own numbers contradict each other.
    pub damaged: u64,
    /// The first of them.
    pub first_damaged: Option<Address>,
}

/// The layouts of one version of mimalloc.
#[derive(Clone, Copy)]
struct Structures<'a> {
    image: &'a Image,
    segment: &'a MimallocSegment,
    page: &'a MimallocPage,
    heap: Option<&'a MimallocHeap>,
}

/// Reads all of it; empty if the layout has no mimalloc. Cost: a look at each 32 MiB of address space that
/// was captured, and a few words for each page.
pub fn find(image: &Image, layouts: &Layouts, runtime: &Runtime) -> Mimalloc {
    let (Some(segment), Some(page)) = (&layouts.mimalloc_segment, &layouts.mimalloc_page) else {
        return Mimalloc::default();
    };
    let structures = Structures { image, segment, page, heap: layouts.mimalloc_heap.as_ref() };
    let mut found = Mimalloc { heaps: heaps(layouts, runtime), ..Mimalloc::default() };
    let segments = structures.segments(&found.heaps);
    found.segments = segments.len();
    found.data = segments.iter().map(|&segment| structures.data(segment)).collect();
    for &address in &segments {
        let owner = image.word(address.plus(segment.thread_id));
        found.abandoned_segments += usize::from(owner == Some(0));
    }
    let parts: Vec<_> = segments.par_iter().map(|&segment| structures.pages(segment)).collect();
    for (pages, damaged) in parts {
        found.pages.extend(pages);
        found.damaged += u64::from(damaged.is_some());
        found.first_damaged = found.first_damaged.or(damaged);
    }
    found.delayed = structures.delayed(&found);
    found.abandoned = abandoned(image, layouts, runtime, &segments);
    found
}

/// The heaps of every thread: four in a row in its state.
fn heaps(layouts: &Layouts, runtime: &Runtime) -> FxHashMap<Address, usize> {
    let mut heaps = FxHashMap::default();
    let first = layouts.thread_state_impl.as_ref().and_then(|state| state.mimalloc_heaps);
    let (Some(first), Some(heap)) = (first, &layouts.mimalloc_heap) else { return heaps };
    for (index, interpreter) in runtime.interpreters.iter().enumerate() {
        for thread in &interpreter.threads {
            for number in 0..HEAPS {
                heaps.insert(thread.address.plus(first + number * heap.sizeof), index);
            }
        }
    }
    heaps
}

/// The segments that ended threads left to their interpreter (`mi_abandoned_pool_t`, up to 2.1.2).
fn abandoned(
    image: &Image,
    layouts: &Layouts,
    runtime: &Runtime,
    segments: &[Address],
) -> FxHashMap<Address, usize> {
    let mut owners = FxHashMap::default();
    let known: FxHashSet<Address> = segments.iter().copied().collect();
    let parts = (
        layouts.interpreter.mimalloc,
        &layouts.mimalloc_interpreter,
        &layouts.mimalloc_abandoned_pool,
        layouts.mimalloc_segment.as_ref().and_then(|segment| segment.abandoned_next),
    );
    let (Some(state), Some(interpreter), Some(lists), Some(next)) = parts else { return owners };
    let Some(pool) = interpreter.abandoned_pool else { return owners };
    for (index, interpreter) in runtime.interpreters.iter().enumerate() {
        for list in [lists.abandoned, lists.abandoned_visited] {
            let mut link = image.word(interpreter.address.plus(state + pool + list));
            // The links of `abandoned` carry a tag below the alignment (`mi_tagged_segment_ptr`).
            while let Some(at) = link.map(|word| Address::new(word & !(SEGMENT - 1))) {
                if !known.contains(&at) || owners.insert(at, index).is_some() {
                    break;
                }
                link = image.word(at.plus(next));
            }
        }
    }
    owners
}

impl Structures<'_> {
    fn word(&self, at: Address) -> u64 {
        self.image.word(at).unwrap_or(0)
    }

    /// Every segment, in order of address: a header that makes sense, with the cookie of this process's
    /// CPython. A library may have a mimalloc of its own, whose cookie is another.
    fn segments(&self, heaps: &FxHashMap<Address, usize>) -> Vec<Address> {
        let aligned = self.image.pages().map(|(address, _)| address);
        let aligned = aligned.filter(|address| address.is_aligned(SEGMENT) && self.is_segment(*address));
        let candidates: Vec<Address> = aligned.collect();
        let cookie = |segment: &Address| self.word(segment.plus(self.segment.cookie)) ^ segment.get();
        let mut votes: FxHashMap<u64, (usize, usize)> = FxHashMap::default();
        for segment in &candidates {
            votes.entry(cookie(segment)).or_default().1 += 1;
        }
        for segment in heaps.keys().flat_map(|&heap| self.segments_of_heap(heap)) {
            if let Some(vote) = votes.get_mut(&cookie(&segment)) {
                vote.0 += 1;
            }
        }
        let best = votes.into_iter().max_by_key(|&(cookie, votes)| (votes, cookie));
        candidates.into_iter().filter(|segment| Some(cookie(segment)) == best.map(|best| best.0)).collect()
    }

    /// Whether the numbers of a header go together.
    fn is_segment(&self, address: Address) -> bool {
        let read = |offset: u64| self.word(address.plus(offset));
        let entries = read(self.segment.slice_entries);
        let header = read(self.segment.segment_info_slices);
        let slices = read(self.segment.segment_slices);
        let used = read(self.segment.used);
        let is_huge = self.image.word32(address.plus(self.segment.kind));
        (1..=MOST_HEADER_SLICES).contains(&header)
            && header < entries
            && entries <= MOST_SLICES
            && entries <= slices
            && (1..=entries).contains(&used)
            && match is_huge {
                Some(0) => slices <= MOST_SLICES,
                Some(1) => slices <= MOST_HUGE_SLICES,
                _ => false,
            }
    }

    /// The segments of the first page in each queue of a heap.
    fn segments_of_heap(&self, heap: Address) -> impl Iterator<Item = Address> {
        let queues = self.heap.map(|layout| heap.plus(layout.pages));
        (0..QUEUES).filter_map(move |index| {
            let page = self.image.word(queues?.plus(index * QUEUE))?;
            (page != 0).then(|| Address::new(page & !(SEGMENT - 1)))
        })
    }

    /// What is behind the header of a segment.
    fn data(&self, segment: Address) -> AddressRange {
        let header = self.word(segment.plus(self.segment.segment_info_slices)).min(MOST_HEADER_SLICES);
        let slices = self.word(segment.plus(self.segment.segment_slices)).min(MOST_HUGE_SLICES);
        AddressRange::new(segment.plus(header * SLICE), segment.plus(slices * SLICE))
    }

    /// The pages in use of a segment, and the first that contradicts itself.
    fn pages(&self, segment: Address) -> (Vec<BlockPage>, Option<Address>) {
        let entries = self.word(segment.plus(self.segment.slice_entries));
        let end = self.data(segment).end;
        let mut pages = Vec::new();
        let mut damaged = None;
        let mut index = self.word(segment.plus(self.segment.segment_info_slices));
        while index < entries {
            let descriptor = segment.plus(self.segment.slices + index * self.page.sizeof);
            let count = u64::from(self.image.word32(descriptor.plus(self.page.slice_count)).unwrap_or(0));
            if count == 0 {
                // A thread may just be joining two runs; all that follows is unknown.
                return (pages, damaged.or(Some(descriptor)));
            }
            let start = segment.plus(index * SLICE);
            let span = AddressRange::new(start, start.plus(count * SLICE).min(end));
            match self.page(segment, descriptor, span) {
                Ok(page) => pages.extend(page),
                Err(at) => damaged = damaged.or(Some(at)),
            }
            index += count;
        }
        (pages, damaged)
    }

    /// The page with this descriptor; none if nothing in it is in use.
    fn page(&self, segment: Address, at: Address, span: AddressRange) -> Result<Option<BlockPage>, Address> {
        let layout = self.page;
        let read16 = |offset: u64| self.word(at.plus(offset)) & 0xffff;
        let (capacity, reserved) = (read16(layout.capacity), read16(layout.reserved));
        let used = self.word(at.plus(layout.used)) & layout.used_mask();
        let block_size = match (layout.block_size, layout.xblock_size) {
            (Some(offset), _) => self.word(at.plus(offset)),
            (None, Some(offset)) => self.word(at.plus(offset)) & 0xffff_ffff,
            (None, None) => return Err(at),
        };
        // 0 is a free run, 1 one that is not a page (yet).
        if block_size <= 1 || used == 0 {
            return Ok(None);
        }
        let is_huge = layout.block_size.is_none() && block_size >= HUGE_BLOCK;
        let first = match layout.page_start {
            Some(offset) => Address::new(self.word(at.plus(offset))),
            None => span.start.plus(start_offset(block_size)),
        };
        let room = first.distance_to(span.end).filter(|_| first >= span.start).unwrap_or(0);
        let block_size = if is_huge { room } else { block_size };
        let tag = match (layout.heap_tag, layout.tag) {
            (Some(offset), _) => self.word(at.plus(offset)) & 0xff,
            (None, Some(bits)) => bits.of(self.word(at.plus(bits.offset))),
            (None, None) => 0,
        };
        let purpose = Purpose::of_tag(tag).ok_or(at)?;
        let fits = capacity.checked_mul(block_size).is_some_and(|bytes| bytes <= room);
        if !fits || capacity > reserved || used > capacity || block_size == 0 || block_size % 8 != 0 {
            return Err(at);
        }
        // The lowest bits of `xthread_free` say how another thread is to free a block.
        let lists = [layout.free, layout.local_free, layout.xthread_free];
        let lists = lists.map(|offset| Address::new(self.word(at.plus(offset)) & !3));
        Ok(Some(BlockPage {
            first,
            span,
            block_size,
            capacity: capacity as u32,
            used: used as u32,
            purpose,
            heap: Address::new(self.word(at.plus(layout.xheap))),
            segment,
            lists,
            code: LinkCode::read(self.image, at, layout.keys),
        }))
    }

    /// The blocks that wait for their thread to free them, in all heaps. No block is on two lists.
    fn delayed(&self, found: &Mimalloc) -> Vec<u64> {
        let mut blocks = Vec::new();
        let Some(layout) = self.heap else { return blocks };
        let most = found.pages.iter().map(|page| page.capacity as usize).sum();
        // The links of a heap are encoded where those of its pages are.
        let keys = layout.keys.filter(|_| self.page.keys.is_some());
        let mut heaps: Vec<Address> = found.heaps.keys().copied().collect();
        heaps.sort_unstable();
        for heap in heaps {
            let code = LinkCode::read(self.image, heap, keys);
            let mut block = self.word(heap.plus(layout.thread_delayed_free));
            while block != 0 && blocks.len() < most {
                blocks.push(block);
                let Some(link) = self.image.word(Address::new(block)) else { break };
                block = code.map_or(link, |code| code.decode(link));
            }
        }
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }
}

/// How far the first block is from the start of its page (`_mi_segment_page_start_from_slice`, 2.1.2).
const fn start_offset(block_size: u64) -> u64 {
    match block_size {
        8..=64 => 3 * block_size,
        65..=512 => block_size,
        _ => 0,
    }
}
