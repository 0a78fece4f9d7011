//! Where each page is stored, when pages are copied again and again and new ones appear.

use crate::address::AddressRange;
use crate::target::image::Segment;

/// The pages that have a place; the places of new ones are behind all others.
#[derive(Default)]
pub(super) struct Slots {
    /// Sorted by address; no two overlap.
    segments: Vec<Segment>,
    /// Bytes given away.
    used: u64,
}

impl Slots {
    /// Bytes given away so far.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Whether every page of the ranges has a place, else the parts that have none. Sorted ranges.
    pub(super) fn without(&self, ranges: &[AddressRange]) -> Vec<AddressRange> {
        let mut missing = Vec::new();
        self.walk(ranges, &mut |range, local| {
            if local.is_none() {
                missing.push(range);
            }
        });
        missing
    }

    /// The places of sorted ranges; pages that have none yet get one.
    pub(super) fn place(&mut self, ranges: &[AddressRange]) -> Vec<Segment> {
        let mut placed = Vec::with_capacity(ranges.len());
        let mut new = Vec::new();
        let mut used = self.used;
        self.walk(ranges, &mut |range, local| {
            let local = local.unwrap_or_else(|| {
                new.push(Segment { range, local: used });
                let place = used;
                used = used.saturating_add(range.length());
                place
            });
            placed.push(Segment { range, local });
        });
        self.used = used;
        if !new.is_empty() {
            self.segments.extend(new);
            self.segments.sort_unstable_by_key(|segment| segment.range.start);
        }
        placed
    }

    /// Cuts ranges at the borders of the segments, and calls `visit` with each part and its place.
    fn walk(&self, ranges: &[AddressRange], visit: &mut dyn FnMut(AddressRange, Option<u64>)) {
        let mut first = 0;
        for range in ranges {
            let mut start = range.start;
            // Ranges are sorted, so no segment before this one is needed again.
            let before = |segment: &Segment| segment.range.end <= start;
            first += self.segments[first..].partition_point(before);
            let mut next = first;
            while start < range.end {
                let segment = self.segments.get(next).filter(|segment| segment.range.start < range.end);
                let Some(segment) = segment else {
                    visit(AddressRange::new(start, range.end), None);
                    break;
                };
                if start < segment.range.start {
                    visit(AddressRange::new(start, segment.range.start), None);
                    start = segment.range.start;
                }
                let end = segment.range.end.min(range.end);
                let local = segment.local + (start.get() - segment.range.start.get());
                visit(AddressRange::new(start, end), Some(local));
                start = end;
                next += 1;
            }
        }
    }
}

/// The pages of both lists, sorted and joined. Each list is sorted.
pub(super) fn union(one: &[AddressRange], other: &[AddressRange]) -> Vec<AddressRange> {
    let mut all: Vec<AddressRange> = one.iter().chain(other).copied().collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<AddressRange> = Vec::with_capacity(all.len());
    for range in all {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// The pages that are in both lists. Each list is sorted, and its ranges do not overlap.
pub(super) fn intersection(one: &[AddressRange], other: &[AddressRange]) -> Vec<AddressRange> {
    let mut both = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        let (start, end) = (a.start.max(b.start), a.end.min(b.end));
        if start < end {
            both.push(AddressRange::new(start, end));
        }
        if a.end <= b.end {
            i += 1;
        } else {
            j += 1;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(Address::new(start), Address::new(end))
    }

    #[test]
    fn pages_keep_their_place_and_new_ones_come_last() {
        let mut slots = Slots::default();
        slots.place(&[range(10, 20), range(30, 40)]);
        let placed = slots.place(&[range(15, 35), range(50, 52)]);
        let found: Vec<_> = placed.iter().map(|segment| (segment.range, segment.local)).collect();
        assert_eq!(
            found,
            [(range(15, 20), 5), (range(20, 30), 20), (range(30, 35), 10), (range(50, 52), 30)]
        );
        assert_eq!(slots.used(), 32);
        assert_eq!(slots.without(&[range(5, 25), range(51, 60)]), [range(5, 10), range(52, 60)]);
    }

    fn sets(limit: u64) -> impl Strategy<Value = Vec<AddressRange>> {
        proptest::collection::btree_set(0..limit, 0..40).prop_map(|numbers| {
            let single: Vec<_> = numbers.into_iter().map(|number| range(number, number + 1)).collect();
            union(&single, &[])
        })
    }

    fn members(ranges: &[AddressRange]) -> Vec<u64> {
        ranges.iter().flat_map(|range| range.start.get()..range.end.get()).collect()
    }

    proptest! {
        #[test]
        fn places_never_overlap_and_sets_are_sets(rounds in proptest::collection::vec(sets(60), 1..6)) {
            let mut slots = Slots::default();
            let mut places = std::collections::BTreeMap::new();
            for round in &rounds {
                let both = members(&intersection(round, &rounds[0]));
                let expected: Vec<u64> = members(round).into_iter().filter(|page| members(&rounds[0]).contains(page)).collect();
                prop_assert_eq!(both, expected);
                let mut covered = Vec::new();
                for segment in slots.place(round) {
                    for page in segment.range.start.get()..segment.range.end.get() {
                        let local = segment.local + page - segment.range.start.get();
                        prop_assert_eq!(*places.entry(page).or_insert(local), local);
                        covered.push(page);
                    }
                }
                prop_assert_eq!(covered, members(round));
                prop_assert!(slots.without(round).is_empty());
            }
            let mut all: Vec<u64> = places.values().copied().collect();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), places.len());
            prop_assert_eq!(all.len() as u64, slots.used());
        }
    }
}
