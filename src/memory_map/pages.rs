//! Which pages objects cover or touch: every band is put together from these.
//!
//! A sector of the recipe's map is one or more pages, and it is covered by objects without a hole exactly if all
//! its pages are. So one pass over the objects is enough for bands of any sector size, and several threads can
//! share it.

use crate::memory_map::bands::SMALLEST_SECTOR;
use crate::memory_map::bands::Sector;

/// What `malloc` is taken to put before each object, in bytes.
const MALLOC_HEADER: u64 = 16;

/// Neighbouring pages in the same state, which is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRun {
    /// Number of the first page, counted from address zero.
    pub(super) first: u64,
    /// Number of the page behind the last.
    pub(super) end: u64,
    pub(super) sector: Sector,
}

/// All pages that objects touch, in order; runs of covered pages are as long as they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages(pub(super) Vec<PageRun>);

impl Pages {
    /// The pages of objects in several chunks, all in order of address, each (address, size). `None` if an object
    /// reaches over what begins in another chunk and does not touch it: then they must be one chunk.
    pub(super) fn join(parts: Vec<Part>) -> Option<Self> {
        let mut pages = Self::default();
        let mut open: Option<(u64, u64)> = None;
        for part in parts {
            let Some((start, end)) = part.first else { continue };
            open = Some(match open {
                Some((before, reached)) if start <= reached => (before, end.max(reached)),
                Some(run) => {
                    pages.push(run);
                    (start, end)
                }
                None => (start, end),
            });
            let Some(last) = part.last else { continue };
            if let Some(run) = open {
                if run.1 >= part.second {
                    return None;
                }
                pages.push(run);
            }
            for &run in &part.between.0 {
                pages.push_pages(run);
            }
            open = Some(last);
        }
        if let Some(run) = open {
            pages.push(run);
        }
        Some(pages)
    }

    /// Adds a stretch without a hole, behind all others.
    fn push(&mut self, (start, end): (u64, u64)) {
        let (first, behind) = (start / SMALLEST_SECTOR, end.div_ceil(SMALLEST_SECTOR));
        let (covered, covered_end) = (start.div_ceil(SMALLEST_SECTOR), end / SMALLEST_SECTOR);
        if covered >= covered_end {
            return self.push_pages(PageRun { first, end: behind, sector: Sector::Fragmented });
        }
        self.push_pages(PageRun { first, end: covered, sector: Sector::Fragmented });
        self.push_pages(PageRun { first: covered, end: covered_end, sector: Sector::Used });
        self.push_pages(PageRun { first: covered_end, end: behind, sector: Sector::Fragmented });
    }

    /// Adds pages behind all others; the first may be the last one of before, and then it has a hole between.
    fn push_pages(&mut self, mut run: PageRun) {
        if let Some(last) = self.0.last_mut() {
            run.first = run.first.max(last.end);
            if run.first == last.end && run.sector == last.sector {
                last.end = last.end.max(run.end);
                return;
            }
        }
        if run.first < run.end {
            self.0.push(run);
        }
    }

    /// The runs in groups with at least so many free pages between them.
    pub(super) fn groups(&self, distance: u64) -> impl Iterator<Item = &[PageRun]> {
        self.0.chunk_by(move |one, next| next.first - one.end < distance)
    }
}

/// What a chunk of the objects touches. Its first and last stretch may go on in other chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Lowest and highest address of an object by its place, see [`Part::of`].
    pub(super) extents: [Option<(u64, u64)>; 3],
    first: Option<(u64, u64)>,
    /// Where the stretch behind the first begins, if there are two.
    second: u64,
    between: Pages,
    last: Option<(u64, u64)>,
}

impl Part {
    /// Goes through (address, size) sorted by address; `place` says which extent an address belongs to (0 to 2).
    pub(super) fn of(spans: impl Iterator<Item = (u64, u64)>, place: impl Fn(u64) -> usize) -> Self {
        Self::behind(0, spans, place)
    }

    /// Whether an object before the chunk that ends at `reached` makes other stretches of it than it has.
    pub(super) fn is_reached_over(&self, reached: u64) -> bool {
        self.last.is_some() && reached >= self.second
    }

    /// Where the last stretch ends, which is behind all others.
    pub(super) fn end(&self) -> u64 {
        self.last.or(self.first).map_or(0, |(_, end)| end)
    }

    /// The same behind objects that reach up to `before`.
    pub(super) fn behind(
        before: u64,
        spans: impl Iterator<Item = (u64, u64)>,
        place: impl Fn(u64) -> usize,
    ) -> Self {
        let mut part = Self::default();
        let mut open: Option<(u64, u64)> = None;
        spans.for_each(|(address, size)| {
            if let Some(extent) = part.extents.get_mut(place(address)) {
                *extent = Some((extent.map_or(address, |(lowest, _)| lowest), address));
            }
            let end = address.saturating_add(size).saturating_add(MALLOC_HEADER);
            match &mut open {
                Some((_, reached)) if address <= *reached => *reached = end.max(*reached),
                Some(run) => {
                    part.close(*run, address);
                    *run = (address, end);
                }
                None if address <= before => open = Some((address, end.max(before))),
                None => open = Some((address, end)),
            }
        });
        match part.first {
            None => part.first = open,
            Some(_) => part.last = open,
        }
        part
    }

    /// A stretch has ended, and the next begins at an address.
    fn close(&mut self, run: (u64, u64), next: u64) {
        if self.first.is_some() {
            self.between.push(run);
        } else {
            self.first = Some(run);
            self.second = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pages_of(chunks: &[&[(u64, u64)]]) -> Option<Pages> {
        Pages::join(chunks.iter().map(|chunk| Part::of(chunk.iter().copied(), |_| 0)).collect())
    }

    proptest! {
        #[test]
        fn chunks_make_the_same_pages_as_the_whole(
            steps in prop::collection::vec((0_u64..6000, 0_u64..9000), 0..80),
            cuts in prop::collection::vec(0_usize..80, 0..5),
        ) {
            let mut address = 0;
            let spans: Vec<(u64, u64)> = steps.into_iter().map(|(step, size)| {
                address += step;
                (address, size)
            }).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(spans.len())).collect();
            cuts.extend([0, spans.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &spans[pair[0]..pair[1]]).collect();
            let whole = pages_of(&[&spans]).unwrap();
            if let Some(joined) = pages_of(&chunks) {
                prop_assert_eq!(&joined, &whole);
            }
            let sorted = whole.0.windows(2).all(|pair| pair[0].end <= pair[1].first);
            prop_assert!(sorted && whole.0.iter().all(|run| run.first < run.end));
        }
    }

    #[test]
    fn an_object_may_reach_over_several_chunks() {
        let chunks: [&[(u64, u64)]; 3] =
            [&[(0, 100), (4096, 30_000)], &[(8192, 8), (16384, 8), (40_000, 8)], &[(50_000, 8), (60_000, 8)]];
        let parts = |reached: u64, chunk: &[(u64, u64)]| Part::behind(reached, chunk.iter().copied(), |_| 0);
        let first = parts(0, chunks[0]);
        assert!(parts(0, chunks[1]).is_reached_over(first.end()));
        let second = parts(first.end(), chunks[1]);
        assert!(!second.is_reached_over(first.end()) && !parts(0, chunks[2]).is_reached_over(second.end()));
        let joined = Pages::join(vec![first, second, parts(0, chunks[2])]);
        assert_eq!(joined, pages_of(&[&chunks.concat()]));
    }

    #[test]
    fn an_object_that_swallows_the_next_chunk_is_noticed() {
        let near: &[(u64, u64)] = &[(0, 100), (4096, 50_000)];
        assert_eq!(pages_of(&[near, &[(8192, 8), (16384, 8), (32768, 8)]]), None);
        assert!(pages_of(&[near, &[(8192, 8)], &[(90_000, 8), (99_000, 8)]]).is_some());
    }

    #[test]
    fn groups_end_where_nothing_is_for_long() {
        let pages = pages_of(&[&[(0, 10), (8192, 10), (1 << 30, 10)]]).unwrap();
        assert_eq!(pages.groups(1000).map(<[PageRun]>::len).collect::<Vec<_>>(), [2, 1]);
    }
}
