//! What a set of roots reaches.

use crate::graph::adjacency::Adjacency;
use crate::graph::id::ObjectId;
use rayon::Scope;
use rayon::prelude::*;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Objects whose rows are looked up together, so that the processor waits for memory once for all of them.
const BATCH: usize = 8;
/// A thread gives half of what it has pending to an idle one if it has at least so many.
const WORTH_SHARING: usize = 256;

/// A set of objects, a bit each.
#[derive(Clone, Debug, Default)]
pub struct ObjectSet {
    words: Vec<u64>,
}

impl ObjectSet {
    /// The empty set over `count` objects.
    pub fn new(count: usize) -> Self {
        Self { words: vec![0; count.div_ceil(64)] }
    }

    /// Whether `object` is in the set.
    #[inline]
    pub fn contains(&self, object: ObjectId) -> bool {
        self.words.get(object.index() / 64).is_some_and(|word| word >> (object.index() % 64) & 1 == 1)
    }

    /// Adds `object`; says whether it was new. An id outside the set is ignored.
    #[inline]
    pub fn insert(&mut self, object: ObjectId) -> bool {
        let Some(word) = self.words.get_mut(object.index() / 64) else { return false };
        let bit = 1 << (object.index() % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether there is no object in the set. O(size of the universe / 64).
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Number of objects in the set. O(size of the universe / 64).
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// Everything that `roots` reach along `references`, the roots included, and nothing that is
/// `excluded`; what is `opaque` is reached but not walked through. Parallel; the set does not depend on the
/// threads. O(objects + references).
pub fn reachable(
    references: &Adjacency,
    count: usize,
    roots: impl Iterator<Item = ObjectId>,
    excluded: &ObjectSet,
    opaque: &ObjectSet,
) -> ObjectSet {
    let search = Search {
        references,
        excluded,
        opaque,
        marks: std::iter::repeat_with(AtomicU8::default).take(count).collect(),
        active: AtomicUsize::new(1),
    };
    let pending: Vec<ObjectId> = roots.filter(|&root| search.reach(root)).collect();
    rayon::scope(|scope| search.follow(scope, pending));
    ObjectSet { words: search.marks.par_chunks(64).with_min_len(1 << 10).map(word_of).collect() }
}

/// Adds what further roots reach to what is `reached` already. O(what is new).
pub fn reach_more(
    references: &Adjacency,
    reached: &mut ObjectSet,
    roots: impl Iterator<Item = ObjectId>,
    excluded: &ObjectSet,
    opaque: &ObjectSet,
) {
    let mut pending: Vec<ObjectId> = Vec::new();
    let mut reach = |object: ObjectId, pending: &mut Vec<ObjectId>| {
        if !excluded.contains(object) && reached.insert(object) {
            pending.push(object);
        }
    };
    for root in roots {
        reach(root, &mut pending);
    }
    while let Some(object) = pending.pop() {
        if !opaque.contains(object) {
            references.row(object).iter().for_each(|&target| reach(ObjectId(target), &mut pending));
        }
    }
}

fn word_of(marks: &[AtomicU8]) -> u64 {
    let bit = |(index, mark): (usize, &AtomicU8)| u64::from(mark.load(Ordering::Relaxed)) << index;
    marks.iter().enumerate().map(bit).fold(0, |word, bit| word | bit)
}

/// A search that several threads carry on.
struct Search<'a> {
    references: &'a Adjacency,
    excluded: &'a ObjectSet,
    opaque: &'a ObjectSet,
    /// A byte each, because a byte is written without a lock: that two threads meet an object at once costs a
    /// second look at its row, and no thread can undo what another marks.
    marks: Vec<AtomicU8>,
    /// Tasks that have not come to their end.
    active: AtomicUsize,
}

impl Search<'_> {
    /// Marks an object; whether it was new. Nothing but the mark is shared, so the order is relaxed.
    #[inline]
    fn reach(&self, object: ObjectId) -> bool {
        let Some(mark) = self.marks.get(object.index()) else { return false };
        if mark.load(Ordering::Relaxed) != 0 || self.excluded.contains(object) {
            return false;
        }
        mark.store(1, Ordering::Relaxed);
        true
    }

    fn follow<'scope>(&'scope self, scope: &Scope<'scope>, mut pending: Vec<ObjectId>) {
        let mut rows: [&[u32]; BATCH] = [&[]; BATCH];
        while !pending.is_empty() {
            let batch = pending.len().saturating_sub(BATCH);
            let taken = pending.len() - batch;
            for (row, object) in rows.iter_mut().zip(pending.drain(batch..)) {
                *row = if self.opaque.contains(object) { &[] } else { self.references.row(object) };
            }
            for &target in rows.iter().take(taken).copied().flatten() {
                if self.reach(ObjectId(target)) {
                    pending.push(ObjectId(target));
                }
            }
            if pending.len() >= WORTH_SHARING
                && self.active.load(Ordering::Relaxed) < rayon::current_num_threads()
            {
                let half = pending.split_off(pending.len() / 2);
                self.active.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move |scope| self.follow(scope, half));
            }
        }
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::adjacency::Chunk;

    #[test]
    fn reach_follows_cycles_and_stops_at_what_is_excluded() {
        let mut chunk = Chunk::default();
        for row in [&[1_u32][..], &[0, 2], &[3], &[], &[0]] {
            for &target in row {
                chunk.push(target);
            }
            chunk.end_row();
        }
        let references = Adjacency::new(vec![chunk]);
        let none = ObjectSet::new(5);
        let all = reachable(&references, 5, [ObjectId(0)].into_iter(), &none, &none);
        assert_eq!((0..5).filter(|&id| all.contains(ObjectId(id))).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let mut excluded = ObjectSet::new(5);
        excluded.insert(ObjectId(2));
        let some = reachable(&references, 5, [ObjectId(0)].into_iter(), &excluded, &none);
        assert_eq!(some.count(), 2);
    }
}
