//! Every object in a live block of every pymalloc pool: one linear pass over the pools.
//!
//! A block is an object when the word where its type would be is a type, the type says that its
//! instances start exactly there in a block, the header is that of a living object and the object's own
//! size needs a block of this size. What the test cannot decide is left to the references.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::object_index::PageBits;
use crate::graph::object_index::mark;
use crate::heap::header::is_dead_count;
use crate::heap::plans::Plans;
use crate::heap::recent::Recent;
use crate::heap::shape::Shape;
use crate::heap::shape::ShapeContext;
use crate::heap::size_in_block::SizeInBlock;
use crate::heap::space::Space;
use crate::heap::types::TypeRegistry;
use crate::runtime::pymalloc::LARGEST_POOL;
use crate::runtime::pymalloc::Pool;
use crate::target::huge_pages::zeroed_column;
use crate::target::image::PAGE;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Pools that one task sweeps.
const TASK_POOLS: usize = 256;
/// Pages in the largest pool of any version.
const MOST_POOL_PAGES: usize = LARGEST_POOL / PAGE as usize;
/// The two words before the head of types with a managed dict (`_PyType_PreHeaderSize`, Include/internal/pycore_object.h).
const PRE_HEADER_WORDS: u64 = 16;
const NOT_A_TYPE: u32 = u32::MAX;
/// Words that are no type are remembered up to this many; damage must not fill our memory.
const MOST_REMEMBERED: usize = 1 << 16;

/// Which captured pages an allocator's small blocks fill: nothing but what the sweep finds is an object there.
pub struct PoolPages {
    words: Vec<u64>,
    /// Those in which no type lies, where they are not all of them.
    without_types: Option<Vec<u64>>,
}

impl PoolPages {
    /// The pages of `pools`, by page number. Type objects are larger than any block of theirs.
    pub fn new(space: &Space<'_>, pools: &[Pool], pool_size: u32) -> Self {
        let spans = pools
            .iter()
            .map(|pool| (AddressRange::new(pool.address, pool.address.plus(u64::from(pool_size))), false));
        Self { without_types: None, ..Self::of_spans(space, spans) }
    }

    /// The pages of such spans, in order of address, each with whether types may lie in it. Cost: one look at each
    /// captured page, whatever damaged spans claim.
    pub fn of_spans(space: &Space<'_>, spans: impl Iterator<Item = (AddressRange, bool)>) -> Self {
        let mut words = vec![0; space.image.page_count().div_ceil(64)];
        let mut without_types = words.clone();
        let mut done = Address::NULL;
        for (span, has_types) in spans {
            let rest = AddressRange::new(span.start.max(done), span.end);
            done = done.max(span.end);
            for (_, page) in space.image.pages_in(rest) {
                let bit = 1_u64 << (page % 64);
                words[page as usize / 64] |= bit;
                without_types[page as usize / 64] |= if has_types { 0 } else { bit };
            }
        }
        Self { words, without_types: Some(without_types) }
    }

    /// Whether the page is such a page.
    #[inline]
    pub fn contains(&self, page: u32) -> bool {
        self.words.get(page as usize / 64).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Whether no type lies in the page.
    #[inline]
    pub fn excludes_types(&self, page: u32) -> bool {
        let words = self.without_types.as_ref().unwrap_or(&self.words);
        words.get(page as usize / 64).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }
}

/// Everything that a sweep found, in order of address.
pub struct Swept {
    /// Where the objects are.
    pub addresses: Vec<u64>,
    /// The numbers of their types in the registry.
    pub types: Vec<u32>,
    /// Their sizes where the sweep could tell them, else 0; empty if it never can.
    pub sizes: Vec<u64>,
    /// Which granules of each page of the image start an object.
    pub bits: Vec<PageBits>,
    /// Pools whose count of live blocks is not what their free list says.
    pub count_mismatches: u64,
    /// First such pool.
    pub first_mismatch: Option<Address>,
}

/// What one task found. Its columns are parts of the columns of all, one place for each live block.
struct TaskResult<'a> {
    addresses: &'a mut [u64],
    types: &'a mut [u32],
    sizes: &'a mut [u64],
    /// Places that are filled.
    count: usize,
    bits: Vec<(u32, PageBits)>,
    count_mismatches: u64,
    first_mismatch: Option<Address>,
}

impl TaskResult<'_> {
    fn push(&mut self, object: Address, number: u32, size: Option<u64>) -> bool {
        let places = self.addresses.get_mut(self.count).zip(self.types.get_mut(self.count));
        let Some((address, kind)) = places else { return false };
        *address = object.get();
        *kind = number;
        if let Some((place, size)) = self.sizes.get_mut(self.count).zip(size) {
            *place = size;
        }
        self.count += 1;
        true
    }
}

/// A thread's own view of the types met: no lock on the hot path.
pub struct TypeCache<'a> {
    space: &'a Space<'a>,
    registry: &'a TypeRegistry<'a>,
    pool_pages: &'a PoolPages,
    recent: Recent,
    numbers: FxHashMap<u64, u32>,
    shapes: Vec<Option<Shape>>,
    sizes: Vec<Option<SizeInBlock>>,
    /// Of types that are C variables, whose plans depend on nothing else that is to be found.
    plans: Option<&'a Plans<'a>>,
}

impl<'a> TypeCache<'a> {
    /// An empty cache.
    pub fn new(space: &'a Space<'a>, registry: &'a TypeRegistry<'a>, pool_pages: &'a PoolPages) -> Self {
        Self {
            space,
            registry,
            pool_pages,
            recent: Recent::default(),
            numbers: FxHashMap::default(),
            shapes: Vec::new(),
            sizes: Vec::new(),
            plans: None,
        }
    }

    /// The same, for whoever wants to know sizes.
    fn with_plans(self, plans: &'a Plans<'a>) -> Self {
        Self { plans: Some(plans), ..self }
    }

    /// The number of the type at the address that this word is, if it is one.
    #[inline]
    pub fn number(&mut self, word: u64) -> Option<u32> {
        if !word.is_multiple_of(8) || word < PAGE {
            return None;
        }
        let address = Address::new(word);
        if let Some(number) = self.recent.get(address) {
            return Some(number);
        }
        // Most words are ruled out here.
        let page = self.space.image.page_of(address)?;
        if self.pool_pages.excludes_types(page) {
            return None;
        }
        let number = self.number_met_before(address)?;
        self.recent.set(address, number);
        Some(number)
    }

    fn number_met_before(&mut self, address: Address) -> Option<u32> {
        if let Some(&number) = self.numbers.get(&address.get()) {
            return (number != NOT_A_TYPE).then_some(number);
        }
        let number = self.registry.number(address);
        if number.is_some() || self.numbers.len() < MOST_REMEMBERED {
            self.numbers.insert(address.get(), number.unwrap_or(NOT_A_TYPE));
        }
        number
    }

    /// How instances of a type fill their block.
    #[inline]
    pub fn shape(&mut self, number: u32) -> Option<Shape> {
        if let Some(&Some(shape)) = self.shapes.get(number as usize) {
            return Some(shape);
        }
        let shape = Shape::of(self.space, &self.registry.record(number)?);
        if self.shapes.len() <= number as usize {
            self.shapes.resize(number as usize + 1, None);
        }
        self.shapes[number as usize] = Some(shape);
        Some(shape)
    }

    /// How the size of an instance is told. Only asked for types that have one: to plan a type is to meet its bases,
    /// and a word in a block that holds no object is no proof of a type in use.
    #[inline]
    fn size_in_block(&mut self, number: u32) -> SizeInBlock {
        match self.sizes.get(number as usize) {
            Some(&Some(size)) => size,
            _ => self.learn_size(number),
        }
    }

    fn learn_size(&mut self, number: u32) -> SizeInBlock {
        let is_variable = self.registry.record(number).is_some_and(|record| !record.is_heap());
        let plan = self.plans.filter(|_| is_variable).and_then(|plans| plans.get(number));
        let size = plan.map_or(SizeInBlock::Unknown, |plan| SizeInBlock::of(self.space, plan));
        if self.sizes.len() <= number as usize {
            self.sizes.resize(number as usize + 1, None);
        }
        self.sizes[number as usize] = Some(size);
        size
    }
}

/// Sweeps all pools. The result is in order of address, whatever the number of threads.
pub fn sweep(space: &Space<'_>, plans: &Plans<'_>, pool_pages: &PoolPages, pools: &[Pool]) -> Swept {
    let places: usize = pools.iter().map(most_live).sum();
    let mut addresses: Vec<u64> = zeroed_column(places);
    let mut numbers: Vec<u32> = zeroed_column(places);
    let mut sizes: Vec<u64> = zeroed_column(places);
    let tasks: Vec<(&[Pool], TaskResult<'_>)> = tasks(pools, (&mut addresses, &mut numbers, &mut sizes));
    let done: Vec<TaskResult<'_>> = tasks
        .into_par_iter()
        .map_init(
            || TypeCache::new(space, plans.registry, pool_pages).with_plans(plans),
            |types, (pools, mut task)| {
                for pool in pools {
                    sweep_pool(space, types, pool, &mut task);
                }
                task
            },
        )
        .collect();
    let mut bits = vec![[0; 8]; space.image.page_count()];
    let mut counts = Vec::with_capacity(done.len());
    let (mut count_mismatches, mut first_mismatch) = (0, None);
    for task in done {
        counts.push((task.addresses.len(), task.count));
        count_mismatches += task.count_mismatches;
        first_mismatch = first_mismatch.or(task.first_mismatch);
        for (page, page_bits) in task.bits {
            if let Some(place) = bits.get_mut(page as usize) {
                *place = page_bits;
            }
        }
    }
    rayon::join(
        || close_gaps(&mut addresses, &counts),
        || {
            close_gaps(&mut numbers, &counts);
            close_gaps(&mut sizes, &counts);
        },
    );
    Swept { addresses, types: numbers, sizes, bits, count_mismatches, first_mismatch }
}

/// The most live blocks that the pool's own free list can leave.
fn most_live(pool: &Pool) -> usize {
    pool.carved()
}

/// Cuts the pools into tasks, each with its own part of the columns.
fn tasks<'a, 'b>(
    pools: &'b [Pool],
    (mut addresses, mut numbers, mut sizes): (&'a mut [u64], &'a mut [u32], &'a mut [u64]),
) -> Vec<(&'b [Pool], TaskResult<'a>)> {
    let mut tasks = Vec::with_capacity(pools.len() / TASK_POOLS + 1);
    for pools in pools.chunks(TASK_POOLS) {
        let places = pools.iter().map(most_live).sum();
        let (own_addresses, others) = std::mem::take(&mut addresses).split_at_mut(places);
        addresses = others;
        let (own_numbers, others) = std::mem::take(&mut numbers).split_at_mut(places);
        numbers = others;
        let (own_sizes, others) = std::mem::take(&mut sizes).split_at_mut(places);
        sizes = others;
        let task = TaskResult {
            addresses: own_addresses,
            types: own_numbers,
            sizes: own_sizes,
            count: 0,
            bits: Vec::with_capacity(pools.len() * 4),
            count_mismatches: 0,
            first_mismatch: None,
        };
        tasks.push((pools, task));
    }
    tasks
}

/// Moves the filled places of each part (given as places and filled ones) together.
fn close_gaps<T: Copy>(column: &mut Vec<T>, parts: &[(usize, usize)]) {
    let (mut from, mut to) = (0, 0);
    for &(places, filled) in parts {
        column.copy_within(from..from + filled, to);
        from += places;
        to += filled;
    }
    column.truncate(to);
    // Places of free blocks go back to the system.
    // A few are kept for the objects that are found otherwise.
    column.shrink_to(to + to / 64 + (1 << 16));
}

fn sweep_pool(space: &Space<'_>, types: &mut TypeCache<'_>, pool: &Pool, swept: &mut TaskResult<'_>) {
    let Some(blocks) = pool.read(space.image, space.features.pool_size as u32) else { return };
    if blocks.count_mismatch() > 0 {
        swept.count_mismatches += 1;
        swept.first_mismatch.get_or_insert(pool.address);
    }
    let mut bits: [PageBits; MOST_POOL_PAGES] = [[0; 8]; MOST_POOL_PAGES];
    for (address, bytes) in blocks.live() {
        let Some((offset, number, size)) = object_in_block(space, types, address, bytes) else { continue };
        let object = address.plus(offset);
        if !swept.push(object, number, size) {
            break;
        }
        let page = (object.get() - pool.address.get()) / PAGE;
        if let Some(bits) = bits.get_mut(page as usize) {
            mark(bits, object);
        }
    }
    let pages = (space.features.pool_size / PAGE) as usize;
    for (index, bits) in bits.into_iter().enumerate().take(pages) {
        if let Some(page) = space.image.page_of(pool.address.plus(index as u64 * PAGE)) {
            swept.bits.push((page, bits));
        }
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

/// Where in a live block an object starts, what type it is and its size if that is easy to tell, if the block holds
/// one.
fn object_in_block(
    space: &Space<'_>,
    types: &mut TypeCache<'_>,
    address: Address,
    bytes: &[u8],
) -> Option<(u64, u32, Option<u64>)> {
    let type_offset = space.layouts.object.type_pointer as usize;
    let count_offset = space.layouts.object.refcount.unwrap_or(0) as usize;
    let (prefix, bytes) = request_in_block(bytes);
    let address = address.plus(prefix);
    let head = space.gc_head();
    // What is not collected, what is, and what has two more words before it: most of all objects first.
    for offset in [0, head, head + PRE_HEADER_WORDS] {
        let start = offset as usize;
        let Some(type_word) = word(bytes, start + type_offset) else { break };
        let Some(number) = types.number(type_word) else { continue };
        let Some(shape) = types.shape(number) else { continue };
        if u64::from(shape.pre_header) != offset {
            continue;
        }
        if word(bytes, start + count_offset)
            .is_none_or(|count| is_dead_count(count) || is_address(space, count))
        {
            continue;
        }
        if shape.is_gc && !is_collector_header(space, bytes, start) {
            continue;
        }
        let context = ShapeContext { space, address: address.plus(offset), object: &bytes[start..] };
        if shape.fits(&context, bytes.len(), start) {
            let size = types.size_in_block(number).read(space, context.object);
            return Some((prefix + offset, number, size));
        }
    }
    None
}

/// Whether a count may be a pointer: programs that are not position-independent lie below 4 GiB, and an array of
/// pointers to what is in them looks like a count and links. An object with as many references is found by them.
#[inline]
fn is_address(space: &Space<'_>, count: u64) -> bool {
    count >= PAGE && space.image.page_of(Address::new(count)).is_some()
}

/// The part of a block that was asked for. With the debug hooks (`PYTHONMALLOC=debug`, `-X dev`, debug
/// builds; `_PyMem_DebugRawAlloc`, Objects/obmalloc.c) it lies between its size, big-endian, with a letter
/// for the kind of memory and seven forbidden bytes, and eight more of these.
pub(super) fn request_in_block(bytes: &[u8]) -> (u64, &[u8]) {
    const PREFIX: usize = 16;
    // 0xFB up to 3.7.
    const FORBIDDEN: [[u8; 7]; 2] = [[0xfd; 7], [0xfb; 7]];
    let read = || {
        let size = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        let (kind, forbidden) = bytes.get(8..PREFIX)?.split_first()?;
        let is_marked = matches!(kind, b'o' | b'm' | b'r') && FORBIDDEN.iter().any(|mark| mark == forbidden);
        let end = PREFIX.checked_add(usize::try_from(size).ok()?)?;
        if is_marked { bytes.get(PREFIX..end) } else { None }
    };
    read().map_or((0, bytes), |request| (PREFIX as u64, request))
}

/// Whether the two words before a collected object can be its collector header: not on a list, or
/// linked to readable neighbours (`Include/internal/pycore_gc.h`).
fn is_collector_header(space: &Space<'_>, bytes: &[u8], start: usize) -> bool {
    let head = space.layouts.gc_head.sizeof as usize;
    let Some(at) = start.checked_sub(head) else { return false };
    let next = word(bytes, at + space.layouts.gc_head.next as usize).map(|next| next & !3);
    match next {
        Some(0) => true,
        Some(next) => next % 8 == 0 && space.image.page_of(Address::new(next)).is_some(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_hooks_leave_the_middle_of_a_block() {
        let mut block = vec![0; 64];
        block[7] = 24;
        block[8] = b'o';
        block[9..16].fill(0xfd);
        assert_eq!(request_in_block(&block), (16, &[0; 24][..]));
        block[7] = 100;
        assert_eq!(request_in_block(&block).0, 0, "more than the block has");
        block[7] = 24;
        block[9] = 0;
        assert_eq!(request_in_block(&block).0, 0);
    }
}
