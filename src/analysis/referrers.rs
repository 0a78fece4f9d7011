//! For each object the set of kinds of the objects that refer to it.
//!
//! Kinds are gone through in order, so that a set grows by its largest member only: sets are the nodes of a
//! tree in which each has its largest member and the set without it, and "is this kind in the set already?" is
//! "was the set made in this round?". One look at four bytes per reference, no lock unless a new set is made, and
//! four bytes per object; the sets do not depend on the number of threads, their numbers do.

use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// Sources of one kind that a thread takes at a time.
const TASK: usize = 1 << 13;
/// More different sets than this are damage: references that would make another one are left out.
const MOST_SETS: usize = 1 << 26;

/// The objects that refer to others, by kind.
pub trait KindSources: Sync {
    /// Number of kinds; they are `0..kinds`.
    fn kinds(&self) -> u32;

    /// Number of objects of this kind that refer to others.
    fn sources(&self, kind: u32) -> usize;

    /// Whether the set of this kind alone must have a number, referred to or not.
    fn needs_single(&self, kind: u32) -> bool;

    /// Calls `visit` for what the sources in `range` refer to. What is no object is ignored.
    fn for_each_target(&self, kind: u32, range: Range<usize>, visit: &mut impl FnMut(u32));
}

/// A set, as a node of the tree of sets. Number 0 is the empty set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set {
    /// The set without its largest member.
    rest: u32,
    /// The largest member.
    largest: u32,
}

/// The set of each object.
#[derive(Debug)]
pub struct ReferrerSets {
    sets: Vec<Set>,
    of: Vec<u32>,
    singles: Vec<(u32, u32)>,
    /// Whether there were more different sets than are kept.
    pub is_cut: bool,
}

impl ReferrerSets {
    /// Number of sets, the empty one included; some belong to no object.
    pub fn count(&self) -> usize {
        self.sets.len()
    }

    /// The number of the set of an object; the empty set for an object that is not known. O(1).
    #[inline]
    pub fn of(&self, object: usize) -> u32 {
        self.of.get(object).copied().unwrap_or(0)
    }

    /// The number of the set that has only this kind, if it was asked for. O(log kinds).
    pub fn single(&self, kind: u32) -> Option<u32> {
        let at = self.singles.binary_search_by_key(&kind, |&(kind, _)| kind).ok()?;
        self.singles.get(at).map(|&(_, set)| set)
    }

    /// The kinds in a set, largest first. O(size of the set).
    pub fn kinds(&self, set: u32) -> impl Iterator<Item = u32> {
        let get = |set: u32| self.sets.get(set as usize).filter(|_| set != 0);
        std::iter::successors(get(set), move |set| get(set.rest)).map(|set| set.largest)
    }
}

/// One round: all references from objects of one kind.
struct Round<'a> {
    of: &'a [AtomicU32],
    /// From a set to the set with this round's kind; 0: not made yet.
    with_kind: &'a [AtomicU32],
    /// Sets before the round.
    before: u32,
    /// For each set that was made in the round the set it was made from.
    made: Mutex<Vec<u32>>,
}

impl Round<'_> {
    /// Adds the round's kind to the set of `target`. Two threads that do it at once write the same.
    #[inline]
    fn add(&self, target: u32) {
        let Some(place) = self.of.get(target as usize) else { return };
        let set = place.load(Ordering::Relaxed);
        if set < self.before {
            let known = self.with_kind.get(set as usize).map_or(0, |place| place.load(Ordering::Relaxed));
            let larger = if known == 0 { self.make(set) } else { known };
            if larger != 0 {
                place.store(larger, Ordering::Relaxed);
            }
        }
    }

    /// The set with this round's kind; 0 if there are too many sets.
    fn make(&self, set: u32) -> u32 {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = self.with_kind.get(set as usize) else { return 0 };
        let known = place.load(Ordering::Relaxed);
        let number = self.before as usize + made.len();
        if known != 0 || number >= MOST_SETS {
            return known;
        }
        made.push(set);
        place.store(number as u32, Ordering::Relaxed);
        number as u32
    }
}

/// The sets of `count` objects. Cost: one step per reference, in parallel, and a few per kind.
pub fn referrer_sets(count: usize, sources: &impl KindSources) -> ReferrerSets {
    let of: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
    let mut with_kind = vec![AtomicU32::new(0)];
    let mut sets = vec![Set { rest: 0, largest: u32::MAX }];
    let mut singles = Vec::new();
    for kind in 0..sources.kinds() {
        let number = sources.sources(kind);
        let needs_single = sources.needs_single(kind);
        if number == 0 && !needs_single {
            continue;
        }
        let round =
            Round { of: &of, with_kind: &with_kind, before: sets.len() as u32, made: Mutex::default() };
        if needs_single {
            singles.push((kind, round.make(0)));
        }
        let task = |start: usize| {
            let range = start..(start + TASK).min(number);
            sources.for_each_target(kind, range, &mut |target| round.add(target));
        };
        if number > TASK {
            (0..number.div_ceil(TASK)).into_par_iter().for_each(|index| task(index * TASK));
        } else {
            task(0);
        }
        let made = round.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        for &rest in &made {
            sets.push(Set { rest, largest: kind });
            if let Some(place) = with_kind.get(rest as usize) {
                place.store(0, Ordering::Relaxed);
            }
        }
        with_kind.resize_with(sets.len(), || AtomicU32::new(0));
    }
    let is_cut = sets.len() >= MOST_SETS;
    ReferrerSets { sets, of: of.into_iter().map(AtomicU32::into_inner).collect(), singles, is_cut }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// (kind, targets) of each source.
    struct Plain {
        kinds: u32,
        edges: Vec<Vec<Vec<u32>>>,
    }

    impl KindSources for Plain {
        fn kinds(&self) -> u32 {
            self.kinds
        }

        fn sources(&self, kind: u32) -> usize {
            self.edges[kind as usize].len()
        }

        fn needs_single(&self, kind: u32) -> bool {
            kind.is_multiple_of(3)
        }

        fn for_each_target(&self, kind: u32, range: Range<usize>, visit: &mut impl FnMut(u32)) {
            self.edges[kind as usize][range].iter().flatten().for_each(|&target| visit(target));
        }
    }

    fn random(state: &mut u64, below: u32) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 20) as u32 % below
    }

    #[test]
    fn sets_are_those_of_the_obvious_algorithm() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for (kinds, objects, per_kind) in [(1, 5, 3), (7, 40, 20), (40, 300, 9), (5, 30_000, 30_000)] {
            let mut edges = Vec::new();
            let mut expected = vec![BTreeSet::new(); objects as usize];
            for kind in 0..kinds {
                let mut of_kind = Vec::new();
                for _ in 0..random(&mut state, per_kind + 1) {
                    // A target that is no object (there may be damage) must do no harm.
                    let targets: Vec<u32> =
                        (0..random(&mut state, 4)).map(|_| random(&mut state, objects + 2)).collect();
                    for &target in &targets {
                        if let Some(set) = expected.get_mut(target as usize) {
                            set.insert(kind);
                        }
                    }
                    of_kind.push(targets);
                }
                edges.push(of_kind);
            }
            let sets = referrer_sets(objects as usize, &Plain { kinds, edges });
            for (object, expected) in expected.iter().enumerate() {
                let found: BTreeSet<u32> = sets.kinds(sets.of(object)).collect();
                assert_eq!(&found, expected, "object {object}");
            }
            let mut numbers: Vec<_> = (0..objects as usize).map(|object| sets.of(object)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let different: BTreeSet<_> = expected.iter().collect();
            assert_eq!(numbers.len(), different.len(), "one number for each set");
            for kind in 0..kinds {
                let single = sets.single(kind).map(|set| sets.kinds(set).collect::<Vec<_>>());
                assert_eq!(single, kind.is_multiple_of(3).then(|| vec![kind]));
            }
        }
    }
}
