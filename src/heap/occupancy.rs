//! Which bytes of the captured memory are in use, sixteen at a time: live blocks of pools, and objects with
//! the tables that belong to them.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::ObjectId;
use crate::heap::kind::Kind;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::plan::Plan;
use crate::heap::size::SizeRule;
use crate::heap::space::Space;
use crate::runtime::mimalloc::Mimalloc;
use crate::runtime::mimalloc::blocks::FreeBlocks;
use crate::runtime::pymalloc::POOL_OVERHEAD;
use crate::runtime::pymalloc::Pool;
use crate::target::Image;
use crate::target::image::PAGE;
use rayon::prelude::*;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Bytes that one bit stands for: what `malloc` rounds to, and what it puts before a block.
const GRANULE: u64 = 16;
/// Words of bits for a page.
const WORDS: usize = (PAGE / GRANULE / 64) as usize;

/// A bit for every sixteen bytes of every captured page. Several threads mark at once.
pub struct Occupancy {
    bits: Vec<AtomicU64>,
}

impl Occupancy {
    /// Nothing in use. Memory: 1/128 of what was captured.
    pub fn new(image: &Image) -> Self {
        let words = image.page_count() * WORDS;
        Self { bits: std::iter::repeat_with(AtomicU64::default).take(words).collect() }
    }

    /// Marks a stretch as used, as far as it was captured; gives the bytes of it that were not.
    pub fn mark(&self, image: &Image, start: Address, bytes: u64) -> u64 {
        let end = start.get().saturating_add(bytes);
        let mut at = start.get();
        let mut missing = 0;
        while at < end {
            let page_end = (at / PAGE + 1).saturating_mul(PAGE).min(end);
            match image.page_of(Address::new(at)) {
                Some(page) => self.mark_in_page(page as usize, at % PAGE, at % PAGE + (page_end - at)),
                None => missing += page_end - at,
            }
            at = page_end;
        }
        missing
    }

    fn mark_in_page(&self, page: usize, from: u64, to: u64) {
        let (first, end) = (from / GRANULE, to.div_ceil(GRANULE));
        for (index, word) in (0_u64..).zip(self.bits.iter().skip(page * WORDS).take(WORDS)) {
            let low = first.max(index * 64);
            let high = end.min(index * 64 + 64);
            if low < high {
                let count = high - low;
                let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << (low - index * 64) };
                word.fetch_or(mask, Ordering::Relaxed);
            }
        }
    }

    /// Bytes in use in a page.
    pub fn used_in(&self, page: u32) -> u64 {
        let words = self.bits.iter().skip(page as usize * WORDS).take(WORDS);
        words.map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()) * GRANULE).sum()
    }

    /// Marks the live blocks of all pools. A pool without a free block is used to the last byte, since
    /// nothing else can be put there.
    pub fn mark_pools(&self, space: &Space<'_>, pools: &[Pool]) {
        let pool_size = space.features.pool_size as u32;
        pools.par_iter().with_min_len(64).for_each(|pool| {
            let size = u64::from(pool.block_size);
            if u64::from(pool.live) == capacity(pool, pool_size) {
                self.mark(space.image, pool.address, u64::from(pool_size));
            } else if let Some(blocks) = pool.read(space.image, pool_size) {
                self.mark(space.image, pool.address, POOL_OVERHEAD as u64);
                for (block, _) in blocks.live() {
                    self.mark(space.image, block, size);
                }
            }
        });
    }

    /// Marks the live blocks in mimalloc's pages.
    pub fn mark_blocks(&self, image: &Image, mimalloc: &Mimalloc) {
        mimalloc.pages.par_iter().for_each_init(FreeBlocks::default, |free, page| {
            page.for_each_live(image, (free, mimalloc), |block, _| {
                let end = block.plus(page.block_size);
                for (start, _) in image.pages_in(AddressRange::new(block, end)) {
                    let (from, to) = (start.max(block), start.plus(PAGE).min(end));
                    self.mark(image, from, to.get() - from.get());
                }
            });
        });
    }
}

/// How many blocks fit into a pool.
pub fn capacity(pool: &Pool, pool_size: u32) -> u64 {
    (u64::from(pool_size) - POOL_OVERHEAD as u64) / u64::from(pool.block_size)
}

/// A stretch of memory that belongs to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub start: Address,
    /// Its length.
    pub bytes: u64,
    /// Whether several objects may have it: the keys that the instances of a class share.
    pub is_shared: bool,
}

/// Calls `visit` for the memory of an object: first its own, from the headers before it on, then that of
/// its tables where they are simple: items of lists, keys and values of dicts, entries of sets. Nothing for an
/// object that is not in memory.
pub fn extents(space: &Space<'_>, heap: &Heap, object: ObjectId, visit: &mut impl FnMut(Extent)) {
    let objects = heap.objects();
    let index = object.index();
    let (Some(&address), Some(&size), Some(kind), Some(flags)) = (
        objects.addresses.get(index),
        objects.sizes.get(index),
        objects.types.get(index),
        objects.flags.get(index),
    ) else {
        return;
    };
    let Some(Some(plan)) = heap.walk.plans.get(kind.index()) else { return };
    if flags.has(Flags::SYNTHETIC) {
        return;
    }
    let address = Address::new(address);
    let is_static = flags.has(Flags::STATIC);
    let before = if is_static { 0 } else { space.pre_header(plan.record.flags) };
    let own = own_bytes(plan, size.saturating_sub(before));
    // A length that memory does not bear out must not be walked through.
    let own = if is_borne_out(space, address, own) { own } else { plan.record.basic_size };
    visit(Extent { start: address.minus(before), bytes: own.saturating_add(before), is_shared: false });
    tables(space, plan, address, &mut |start, bytes, is_shared| {
        if !start.is_null() && is_borne_out(space, start, bytes) {
            visit(Extent { start, bytes, is_shared });
        }
    });
}

/// Whether so many bytes can be there, and damage has not claimed too much already.
fn is_borne_out(space: &Space<'_>, start: Address, bytes: u64) -> bool {
    space.is_plausible_array(start, bytes, 1) && space.work.take_long(bytes / 8)
}

/// Bytes of an object itself. `__sizeof__` of some types counts memory that is elsewhere.
fn own_bytes(plan: &Plan, size: u64) -> u64 {
    match plan.size_rule {
        SizeRule::Default
        | SizeRule::Int
        | SizeRule::Text
        | SizeRule::Type
        | SizeRule::Code
        | SizeRule::Frame
        | SizeRule::Generator => size,
        _ => size.min(plan.record.basic_size),
    }
}

fn tables(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut dyn FnMut(Address, u64, bool)) {
    let layouts = space.layouts;
    let read = |offset: u64| space.image.word(object.plus(offset));
    let mut found = || -> Option<()> {
        match plan.kind {
            Kind::List => {
                let slots = u64::try_from(read(layouts.list.allocated)?.cast_signed()).ok()?;
                visit(Address::new(read(layouts.list.items)?), slots.checked_mul(8)?, false);
            }
            Kind::Set => {
                let table = Address::new(read(layouts.set.table)?);
                if table != object.plus(layouts.set.smalltable) {
                    let slots = read(layouts.set.mask)?.checked_add(1)?;
                    visit(table, slots.checked_mul(layouts.set_entry.sizeof)?, false);
                }
            }
            Kind::Dict | Kind::OrderedDict | Kind::StorageDict => {
                let start = Address::new(read(layouts.dict.keys)?);
                let keys = space.dict_keys(start)?;
                visit(start, keys.size, keys.reference_count != 1);
                let values = Address::new(read(layouts.dict.values)?);
                visit(values, (keys.entry_count + keys.usable).checked_mul(8)?, false);
            }
            _ => {}
        }
        Some(())
    };
    // What cannot be read has no extent.
    let _ = found();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressRange;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    const BASE: u64 = 0x7f00_0000_0000;

    #[test]
    fn what_is_marked_is_counted_once() {
        let range = AddressRange::new(Address::new(BASE), Address::new(BASE + 2 * PAGE));
        let image =
            Image::new(Backing::Owned(vec![0; 2 * PAGE as usize]), &[Segment { range, local: 0 }], vec![]);
        let occupancy = Occupancy::new(&image);
        assert_eq!(occupancy.mark(&image, Address::new(BASE + 8), 16), 0);
        assert_eq!(occupancy.used_in(0), 32);
        occupancy.mark(&image, Address::new(BASE + 16), 16);
        assert_eq!(occupancy.used_in(0), 32);
        occupancy.mark(&image, Address::new(BASE + 1000), PAGE);
        assert_eq!([occupancy.used_in(0), occupancy.used_in(1)], [32 + 4096 - 992, 1008]);
        assert_eq!(occupancy.mark(&image, Address::new(BASE + PAGE), 3 * PAGE), 2 * PAGE);
        assert_eq!(occupancy.used_in(1), PAGE);
        assert_eq!(occupancy.mark(&image, Address::new(u64::MAX - 10), u64::MAX), 10);
    }
}
