//! The map by mapping of an inspected heap: what is in use where, and what by.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::ObjectId;
use crate::heap::model::Heap;
use crate::heap::occupancy::Extent;
use crate::heap::occupancy::Occupancy;
use crate::heap::occupancy::capacity;
use crate::heap::occupancy::extents;
use crate::heap::space::Space;
use crate::inspection::Inspection;
use crate::inspection::pieces::Classifier;
use crate::inspection::sparse;
use crate::memory_map::regions::ArenaFigures;
use crate::memory_map::regions::GROUP_BUFFERS;
use crate::memory_map::regions::GROUP_OTHER_BLOCKS;
use crate::memory_map::regions::GROUP_OTHER_OBJECTS;
use crate::memory_map::regions::GROUPS;
use crate::memory_map::regions::MallocFigures;
use crate::memory_map::regions::Region;
use crate::memory_map::regions::RegionKind;
use crate::memory_map::regions::RegionMap;
use crate::runtime::arenas::Arena;
use crate::runtime::glibc;
use crate::runtime::pymalloc::Pool;
use crate::target::image::PAGE;
use rayon::prelude::*;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Objects that one task looks at.
const TASK: usize = 1 << 16;

/// An arena with what its pools say.
pub(super) struct ArenaUse {
    /// Where it is.
    pub(super) range: AddressRange,
    /// Its numbers.
    pub(super) figures: ArenaFigures,
}

/// Draws the map. Cost: a pass over the pools and their blocks, one over the objects, one over the pages.
pub(super) fn region_map(inspection: &Inspection, is_in: &(dyn Fn(ObjectId) -> bool + Sync)) -> RegionMap {
    let space = inspection.space();
    let pool_size = space.features.pool_size;
    let pools = inspection.pools();
    let (arenas, other_pools) = arenas_in_use(&space, &inspection.arenas(&pools), &pools);
    let ranges: Vec<AddressRange> = arenas.iter().map(|arena| arena.range).collect();
    let classifier = Classifier {
        image: space.image,
        mappings: &inspection.capture.mappings,
        binaries: &inspection.binaries,
        arenas: &ranges,
        other_pools: &other_pools,
        pool_size,
        segment: space.layouts.mimalloc_segment.as_ref(),
    };
    let mut regions: Vec<Region> = classifier.pieces().into_iter().map(Region::new).collect();
    let occupancy = Occupancy::new(space.image);
    occupancy.mark_pools(&space, &pools);
    occupancy.mark_blocks(space.image, &inspection.mimalloc);
    for region in &mut regions {
        mark_chunks(&space, &occupancy, region);
    }
    let groups = Groups::of(&inspection.heap);
    let mut filling = Filling::new(inspection, &space, regions, &occupancy);
    filling.objects(&groups, is_in);
    filling.buffers(&groups);
    let (regions, elsewhere) = filling.finish(&arenas);
    let mut total = ArenaFigures::default();
    for arena in &arenas {
        total.join(&arena.figures);
    }
    RegionMap {
        regions,
        groups: groups.names,
        sparse: sparse::sparse_arenas(&space, &inspection.heap, &arenas, is_in),
        arenas: (total.arenas > 0).then_some(total),
        elsewhere,
    }
}

/// The arenas with the numbers of their pools, and the pools outside of them.
fn arenas_in_use(space: &Space<'_>, found: &[Arena], pools: &[Pool]) -> (Vec<ArenaUse>, Vec<Pool>) {
    let pool_size = space.features.pool_size;
    let mut arenas: Vec<ArenaUse> = found
        .iter()
        .map(|arena| ArenaUse {
            range: AddressRange::new(arena.address, arena.address.plus(space.features.arena_size)),
            figures: ArenaFigures {
                arenas: 1,
                bytes: space.features.arena_size,
                free_pools: u64::from(arena.free_pools),
                free_pool_bytes: u64::from(arena.free_pools) * pool_size,
                ..ArenaFigures::default()
            },
        })
        .collect();
    // In a damaged table arenas may overlap: the later one gives way.
    let mut end = Address::NULL;
    arenas.retain(|arena| {
        let is_sound = arena.range.start >= end;
        end = if is_sound { arena.range.end } else { end };
        is_sound
    });
    let mut others = Vec::new();
    for pool in pools {
        let after = arenas.partition_point(|arena| arena.range.start <= pool.address);
        let arena = after.checked_sub(1).and_then(|index| arenas.get_mut(index));
        let Some(arena) = arena.filter(|arena| arena.range.contains(pool.address)) else {
            others.push(*pool);
            continue;
        };
        let size = u64::from(pool.block_size);
        let free = capacity(pool, pool_size as u32).saturating_sub(u64::from(pool.live));
        arena.figures.join(&ArenaFigures {
            pools: 1,
            blocks: u64::from(pool.live),
            block_bytes: u64::from(pool.live) * size,
            free_blocks: free,
            free_block_bytes: free * size,
            ..ArenaFigures::default()
        });
    }
    (arenas, others)
}

/// Which group the objects of each type are in: the types with most bytes have one each.
struct Groups {
    names: Vec<String>,
    of_type: Vec<usize>,
}

impl Groups {
    fn of(heap: &Heap) -> Self {
        let mut bytes = vec![0_u64; heap.walk.types.records.len()];
        let objects = heap.objects();
        for (kind, &size) in objects.types.iter().zip(&objects.sizes) {
            if let Some(total) = bytes.get_mut(kind.index()) {
                *total = total.saturating_add(size);
            }
        }
        let mut order: Vec<usize> = (0..bytes.len()).collect();
        order.sort_by_key(|&kind| std::cmp::Reverse(bytes[kind]));
        let mut of_type = vec![GROUP_OTHER_OBJECTS; bytes.len()];
        let mut names = vec![String::new(); GROUPS];
        for (group, &kind) in order.iter().take(GROUP_OTHER_OBJECTS).enumerate() {
            of_type[kind] = group;
            names[group] = heap.labels.get(kind).cloned().unwrap_or_default();
        }
        let others = [
            (GROUP_OTHER_OBJECTS, "other objects"),
            (GROUP_BUFFERS, "buffers not counted"),
            (GROUP_OTHER_BLOCKS, "other blocks"),
        ];
        for (group, name) in others {
            name.clone_into(&mut names[group]);
        }
        Self { names, of_type }
    }

    fn of_object(&self, heap: &Heap, object: ObjectId) -> usize {
        let kind = heap.objects().types.get(object.index());
        kind.and_then(|kind| self.of_type.get(kind.index())).copied().unwrap_or(GROUP_OTHER_OBJECTS)
    }
}

/// A region while it is being filled.
struct Tally {
    /// By sector, then group.
    groups: Vec<AtomicU64>,
    /// By sector: used, but not captured.
    missing: Vec<AtomicU64>,
    objects: AtomicU64,
    object_bytes: AtomicU64,
    buffer_bytes: AtomicU64,
}

impl Tally {
    fn new(sectors: usize) -> Self {
        let zeros = |count| std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Self {
            groups: zeros(sectors * GROUPS),
            missing: zeros(sectors),
            objects: AtomicU64::new(0),
            object_bytes: AtomicU64::new(0),
            buffer_bytes: AtomicU64::new(0),
        }
    }
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

struct Filling<'a> {
    inspection: &'a Inspection,
    space: &'a Space<'a>,
    regions: Vec<Region>,
    tallies: Vec<Tally>,
    occupancy: &'a Occupancy,
}

impl<'a> Filling<'a> {
    fn new(
        inspection: &'a Inspection,
        space: &'a Space<'a>,
        regions: Vec<Region>,
        occupancy: &'a Occupancy,
    ) -> Self {
        let tallies = regions.iter().map(|region| Tally::new(region.fills.len())).collect();
        Self { inspection, space, regions, tallies, occupancy }
    }

    fn region_of(&self, address: Address) -> Option<(&Region, &Tally)> {
        let after = self.regions.partition_point(|region| region.range.start <= address);
        let index = after.checked_sub(1)?;
        let region = self.regions.get(index).filter(|region| region.range.contains(address))?;
        Some((region, self.tallies.get(index)?))
    }

    /// Adds a stretch to the group it belongs to, over as many regions as it reaches.
    fn add(&self, start: Address, bytes: u64, group: usize) {
        let mut at = start;
        let end = start.get().saturating_add(bytes);
        while let Some((region, tally)) = self.region_of(at).filter(|_| at.get() < end) {
            region.split(at, end - at.get(), |sector, part| {
                if let Some(counter) = tally.groups.get(sector * GROUPS + group) {
                    add(counter, part);
                }
            });
            let counter = if group == GROUP_BUFFERS { &tally.buffer_bytes } else { &tally.object_bytes };
            add(counter, region.range.end.get().min(end) - at.get());
            at = region.range.end;
        }
    }

    /// Marks a stretch as used, in memory that was captured and in memory that was not.
    fn mark(&self, start: Address, bytes: u64) {
        if self.occupancy.mark(self.space.image, start, bytes) == 0 {
            return;
        }
        let end = start.get().saturating_add(bytes);
        let mut at = start;
        while let Some((region, tally)) = self.region_of(at).filter(|_| at.get() < end) {
            let stop = region.range.end.get().min(end);
            let mut page = at.get();
            while page < stop {
                let next = (page / PAGE + 1).saturating_mul(PAGE).min(stop);
                if self.space.image.page_of(Address::new(page)).is_none()
                    && let Some(missing) = tally.missing.get(region.sector_of(Address::new(page)))
                {
                    add(missing, next - page);
                }
                page = next;
            }
            at = region.range.end;
        }
    }

    fn objects(&mut self, groups: &Groups, is_in: &(dyn Fn(ObjectId) -> bool + Sync)) {
        let heap = &self.inspection.heap;
        let count = heap.count();
        let filling = &*self;
        (0..count.div_ceil(TASK)).into_par_iter().for_each(|task| {
            for index in task * TASK..((task + 1) * TASK).min(count) {
                let object = ObjectId::from_index(index);
                if is_in(object) {
                    filling.object(object, groups);
                }
            }
        });
    }

    fn object(&self, object: ObjectId, groups: &Groups) {
        let heap = &self.inspection.heap;
        let group = groups.of_object(heap, object);
        // The sweep found it in a block of a pool, which is marked already. A page of mimalloc can be as large as
        // the object, and not have been captured.
        let in_pool = object.index() < heap.objects().swept && self.inspection.mimalloc.pages.is_empty();
        let mut is_own = true;
        extents(self.space, heap, object, &mut |Extent { start, bytes, is_shared }| {
            if is_own && let Some((_, tally)) = self.region_of(start) {
                add(&tally.objects, 1);
            }
            if !(is_own && in_pool) {
                // What malloc puts before a block belongs to it.
                self.mark(start.minus(16), bytes.saturating_add(16));
            }
            if !is_shared {
                self.add(start, bytes, group);
            }
            is_own = false;
        });
    }

    fn buffers(&mut self, groups: &Groups) {
        let heap = &self.inspection.heap;
        for row in &self.inspection.buffers().rows {
            if row.attributed == 0 {
                continue;
            }
            let skipped = row.bytes - row.attributed.min(row.bytes);
            let start = row.address.plus(skipped);
            self.mark(start, row.attributed);
            let group = if row.counted { groups.of_object(heap, row.object) } else { GROUP_BUFFERS };
            self.add(start, row.attributed, group);
        }
    }

    /// Adds the pages up; gives the regions that hold something and the resident bytes of the others.
    fn finish(self, arenas: &[ArenaUse]) -> (Vec<Region>, u64) {
        let Self { mut regions, tallies, occupancy, space, .. } = self;
        let mut residents = vec![0_u64; regions.len()];
        let mut outside = 0;
        let mut current = 0;
        for (address, page) in space.image.pages() {
            while regions.get(current).is_some_and(|region| region.range.end <= address) {
                current += 1;
            }
            let Some(region) = regions.get_mut(current).filter(|region| region.range.contains(address))
            else {
                outside += PAGE;
                continue;
            };
            residents[current] += PAGE;
            let sector = region.sector_of(address);
            if let Some(fill) = region.fills.get_mut(sector) {
                fill.used += occupancy.used_in(page);
            }
        }
        for ((region, tally), resident) in regions.iter_mut().zip(&tallies).zip(&residents) {
            let is_private =
                !matches!(region.kind, RegionKind::Shared | RegionKind::File | RegionKind::BinaryData);
            region.resident = is_private.then_some(*resident);
            fill(region, tally);
            region.arenas = figures_of(region, arenas);
        }
        // An arena is the allocator's even when no pool of it is used.
        let is_kept = |region: &Region| region.used() > 0 || region.kind == RegionKind::Arenas;
        let (kept, empty): (Vec<_>, Vec<_>) =
            regions.into_iter().zip(residents).partition(|(region, _)| is_kept(region));
        let elsewhere = empty.iter().map(|(_, resident)| resident).sum::<u64>() + outside;
        (kept.into_iter().map(|(region, _)| region).collect(), elsewhere)
    }
}

fn fill(region: &mut Region, tally: &Tally) {
    region.objects = tally.objects.load(Ordering::Relaxed);
    region.object_bytes = tally.object_bytes.load(Ordering::Relaxed);
    region.buffer_bytes = tally.buffer_bytes.load(Ordering::Relaxed);
    for index in 0..region.fills.len() {
        let room = region.sector_room(index);
        let missing = tally.missing.get(index).map_or(0, |missing| missing.load(Ordering::Relaxed));
        let fill = &mut region.fills[index];
        fill.used = (fill.used + missing).min(room);
        for (group, place) in fill.groups.iter_mut().enumerate() {
            *place = tally.groups.get(index * GROUPS + group).map_or(0, |sum| sum.load(Ordering::Relaxed));
        }
        let known: u64 = fill.groups.iter().sum();
        fill.groups[GROUP_OTHER_BLOCKS] = fill.used.saturating_sub(known);
    }
}

fn figures_of(region: &Region, arenas: &[ArenaUse]) -> Option<ArenaFigures> {
    if region.kind != RegionKind::Arenas {
        return None;
    }
    let mut sum = ArenaFigures::default();
    arenas
        .iter()
        .filter(|arena| region.range.contains(arena.range.start))
        .for_each(|arena| sum.join(&arena.figures));
    Some(sum)
}

/// Marks the chunks of `malloc` that are in use: memory of C code among them.
fn mark_chunks(space: &Space<'_>, occupancy: &Occupancy, region: &mut Region) {
    if region.kind != RegionKind::BrkHeap {
        return;
    }
    // Twice, since only at the end it is sure that these are chunks.
    region.malloc = glibc::chunks(space.image, region.range, |_, _| {}).map(|chunks| MallocFigures {
        free: chunks.free,
        free_chunks: chunks.free_chunks,
        largest_free: chunks.largest_free,
        top: chunks.top,
    });
    if region.malloc.is_some() {
        glibc::chunks(space.image, region.range, |at, bytes| {
            occupancy.mark(space.image, at, bytes);
        });
    }
}
