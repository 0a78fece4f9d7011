//! Every object in the pages of mimalloc: one linear pass over the pages that hold objects.
//!
//! A page says whether its blocks hold objects and where in a block they start, so little is left to be
//! tested: the type must be one, of the kind that the page is for, and the object must not reach beyond its
//! block. Blocks that are being made or unmade fail that.

use crate::address::Address;
use crate::graph::object_index::PageBits;
use crate::graph::object_index::mark;
use crate::heap::shape::ShapeContext;
use crate::heap::space::Space;
use crate::heap::sweep::PoolPages;
use crate::heap::sweep::Swept;
use crate::heap::sweep::TypeCache;
use crate::heap::sweep::request_in_block;
use crate::heap::types::TypeRegistry;
use crate::runtime::mimalloc::BlockPage;
use crate::runtime::mimalloc::Mimalloc;
use crate::runtime::mimalloc::Purpose;
use crate::runtime::mimalloc::blocks::FreeBlocks;
use crate::target::image::PAGE;
use rayon::prelude::*;

/// Pages that one task sweeps.
const TASK_PAGES: usize = 64;
/// No type object is smaller than this. Unit: bytes.
const SMALLEST_TYPE: u64 = 400;

/// Which captured pages mimalloc holds: nothing but what the sweep finds is an object there, and in those of
/// small blocks is no type.
pub fn pages(space: &Space<'_>, mimalloc: &Mimalloc) -> PoolPages {
    let spans = mimalloc.pages.iter().map(|page| {
        let has_types = page.purpose.is_collected() && page.block_size >= SMALLEST_TYPE;
        (page.span, has_types)
    });
    PoolPages::of_spans(space, spans)
}

/// Sweeps the pages that hold objects. The result is in order of address, whatever the number of threads.
pub fn sweep(
    space: &Space<'_>,
    registry: &TypeRegistry<'_>,
    pool_pages: &PoolPages,
    mimalloc: &Mimalloc,
) -> Swept {
    let found: Vec<Part> = mimalloc
        .pages
        .par_chunks(TASK_PAGES)
        .map_init(
            || (TypeCache::new(space, registry, pool_pages), FreeBlocks::default()),
            |(types, free), pages| {
                let mut part = Part::default();
                for page in pages.iter().filter(|page| page.purpose != Purpose::Memory) {
                    sweep_page(space, types, (free, mimalloc), page, &mut part);
                }
                part
            },
        )
        .collect();
    join(space, found)
}

/// What one task found, in order of address.
#[derive(Default)]
struct Part {
    addresses: Vec<u64>,
    types: Vec<u32>,
    bits: Vec<(u32, PageBits)>,
    count_mismatches: u64,
    first_mismatch: Option<Address>,
}

fn join(space: &Space<'_>, parts: Vec<Part>) -> Swept {
    let count = parts.iter().map(|part| part.addresses.len()).sum();
    let mut all = Swept {
        addresses: Vec::with_capacity(count),
        types: Vec::with_capacity(count),
        sizes: Vec::new(),
        bits: vec![[0; 8]; space.image.page_count()],
        count_mismatches: 0,
        first_mismatch: None,
    };
    for part in parts {
        all.addresses.extend_from_slice(&part.addresses);
        all.types.extend_from_slice(&part.types);
        all.count_mismatches += part.count_mismatches;
        all.first_mismatch = all.first_mismatch.or(part.first_mismatch);
        for (page, bits) in part.bits {
            if let Some(place) = all.bits.get_mut(page as usize) {
                *place = bits;
            }
        }
    }
    all
}

fn sweep_page(
    space: &Space<'_>,
    types: &mut TypeCache<'_>,
    (free, mimalloc): (&mut FreeBlocks, &Mimalloc),
    page: &BlockPage,
    swept: &mut Part,
) {
    let mut marks = Marks::default();
    let mismatch = page.for_each_live(space.image, (free, mimalloc), |block, bytes| {
        let Some((offset, number)) = object_in_block(space, types, page, (block, bytes)) else { return };
        let object = block.plus(offset);
        swept.addresses.push(object.get());
        swept.types.push(number);
        marks.add(space, object, &mut swept.bits);
    });
    marks.end(space, &mut swept.bits);
    if mismatch > 0 {
        swept.count_mismatches += 1;
        swept.first_mismatch.get_or_insert(page.first);
    }
}

/// The bits of one captured page while its objects come in order of address.
#[derive(Default)]
struct Marks {
    start: u64,
    bits: PageBits,
}

impl Marks {
    fn add(&mut self, space: &Space<'_>, object: Address, into: &mut Vec<(u32, PageBits)>) {
        let start = object.get() / PAGE * PAGE;
        if start != self.start {
            self.end(space, into);
            self.start = start;
        }
        mark(&mut self.bits, object);
    }

    fn end(&mut self, space: &Space<'_>, into: &mut Vec<(u32, PageBits)>) {
        let bits = std::mem::take(&mut self.bits);
        if bits != PageBits::default()
            && let Some(page) = space.image.page_of(Address::new(self.start))
        {
            into.push((page, bits));
        }
    }
}

/// Where in a live block an object starts and what type it is, if the block holds one.
fn object_in_block(
    space: &Space<'_>,
    types: &mut TypeCache<'_>,
    page: &BlockPage,
    (block, bytes): (Address, &[u8]),
) -> Option<(u64, u32)> {
    let (prefix, request) = request_in_block(bytes);
    let start = page.purpose.pre_header();
    let object = request.get(usize::try_from(start).ok()?..)?;
    let type_word = object.get(space.layouts.object.type_pointer as usize..)?.first_chunk()?;
    let number = types.number(u64::from_le_bytes(*type_word))?;
    let shape = types.shape(number)?;
    if u64::from(shape.pre_header) != start
        || shape.is_gc != page.purpose.is_collected()
        || space.is_dead_split(object)
    {
        return None;
    }
    let offset = prefix + start;
    let context = ShapeContext { space, address: block.plus(offset), object };
    let room = page.block_size.checked_sub(offset)?;
    shape.fits_within(&context, room).then_some((offset, number))
}
