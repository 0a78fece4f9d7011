//! Nearly empty arenas, and the objects that keep them from being given back.

use crate::address::Address;
use crate::graph::id::ObjectId;
use crate::heap::model::Heap;
use crate::heap::occupancy::extents;
use crate::heap::space::Space;
use crate::inspection::region_map::ArenaUse;
use crate::memory_map::regions::SparseArenas;

/// Limits: arenas with at most so many percent in live blocks.
const LIMITS: [u64; 3] = [10, 25, 50];
/// Types that are named.
const MOST_HOLDERS: usize = 10;

/// The nearly empty arenas at each limit. Cost: one pass over the objects in them.
pub(super) fn sparse_arenas(
    space: &Space<'_>,
    heap: &Heap,
    arenas: &[ArenaUse],
    is_in: &(dyn Fn(ObjectId) -> bool + Sync),
) -> Vec<SparseArenas> {
    let level = |arena: &ArenaUse| {
        let live = arena.figures.block_bytes.saturating_mul(100);
        LIMITS.iter().position(|&limit| live <= arena.figures.bytes.saturating_mul(limit))
    };
    let levels: Vec<Option<usize>> = arenas.iter().map(level).collect();
    let mut holders = vec![[(0_u64, 0_u64); LIMITS.len()]; heap.labels.len()];
    for (arena, level) in arenas.iter().zip(&levels) {
        let Some(level) = *level else { continue };
        for object in objects_in(heap, arena).filter(|&object| is_in(object)) {
            let Some(kind) = heap.objects().types.get(object.index()) else { continue };
            let Some(counts) = holders.get_mut(kind.index()) else { continue };
            let mut own = None;
            extents(space, heap, object, &mut |extent| {
                own.get_or_insert(extent.bytes);
            });
            counts[level].0 += 1;
            counts[level].1 += own.unwrap_or(0);
        }
    }
    let sums = LIMITS.iter().enumerate().map(|(limit, &percent)| {
        let within =
            arenas.iter().zip(&levels).filter(|(_, level)| level.is_some_and(|level| level <= limit));
        let mut sum =
            SparseArenas { percent, arenas: 0, bytes: 0, live_bytes: 0, holders: top(heap, &holders, limit) };
        for (arena, _) in within {
            sum.arenas += 1;
            sum.bytes += arena.figures.bytes;
            sum.live_bytes += arena.figures.block_bytes;
        }
        sum
    });
    let mut sums: Vec<SparseArenas> = sums.filter(|sum| sum.arenas > 0).collect();
    // A limit that adds no arena says nothing new.
    sums.dedup_by_key(|sum| sum.arenas);
    sums
}

/// The objects that the sweep found in an arena: their addresses are sorted.
fn objects_in<'h>(heap: &'h Heap, arena: &ArenaUse) -> impl Iterator<Item = ObjectId> + use<'h> {
    let objects = heap.objects();
    let swept = objects.addresses.get(..objects.swept).unwrap_or(&[]);
    let at = |limit: Address| swept.partition_point(|&address| address < limit.get());
    (at(arena.range.start)..at(arena.range.end)).map(ObjectId::from_index)
}

fn top(heap: &Heap, holders: &[[(u64, u64); LIMITS.len()]], limit: usize) -> Vec<(String, u64, u64)> {
    let sum = |counts: &[(u64, u64)]| {
        counts.iter().fold((0, 0), |sum: (u64, u64), count| (sum.0 + count.0, sum.1 + count.1))
    };
    let mut rows: Vec<(String, u64, u64)> = holders
        .iter()
        .zip(&heap.labels)
        .map(|(counts, label)| (label, sum(counts.get(..=limit).unwrap_or(counts))))
        .filter(|(_, (objects, _))| *objects > 0)
        .map(|(label, (objects, bytes))| (label.clone(), objects, bytes))
        .collect();
    rows.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.0.cmp(&other.0)));
    rows.truncate(MOST_HOLDERS);
    rows
}
