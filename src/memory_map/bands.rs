//! The recipe's map: three bands of the address space, each cut into at most some 3280 sectors.
//!
//! A sector is used when objects cover it without a hole, fragmented when anything touches it,
//! free otherwise. An object covers its size and 16 bytes for the header of `malloc`, so smaller
//! holes do not count. One pass over the spans, one over the pages that they touch.

use crate::address::Address;
use crate::memory_map::pages::PageRun;
use crate::memory_map::pages::Pages;
use crate::memory_map::pages::Part;
use rayon::prelude::*;

/// First address of the middle band.
const MEDIUM: u64 = 0x8000_0000;
/// First address of the high band.
const HIGH: u64 = 0x1_0000_0000;
/// Smallest sector, in bytes.
pub(super) const SMALLEST_SECTOR: u64 = 4096;
/// Sectors in a line of the map.
pub(super) const LINE: u64 = 80;
/// Sectors double while the span fills more lines than this.
pub(super) const MOST_LINES: u64 = 40;

/// Objects with more than so much between them are in different parts of a process: no mapping is as large.
const DISTANCE: u64 = 1 << 36;
/// More parts than that have no meaning.
const MOST_PARTS: usize = 6;

/// What is in a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sector {
    /// Nothing.
    Free,
    /// Something, and a hole.
    Fragmented,
    /// Objects, without a hole of more than 16 bytes.
    Used,
}

impl Sector {
    /// The character of the map.
    pub const fn symbol(self) -> char {
        match self {
            Self::Free => ' ',
            Self::Fragmented => '-',
            Self::Used => '*',
        }
    }
}

/// One band that holds objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// First address of the first sector; a multiple of `sector_bytes`.
    pub start: Address,
    /// Bytes in a sector; a power of two.
    pub sector_bytes: u64,
    /// The sectors, by address; never empty.
    pub sectors: Vec<Sector>,
}

impl Band {
    /// Bytes from the first sector to the last.
    pub fn length(&self) -> u128 {
        u128::from(self.sector_bytes) * self.sectors.len() as u128
    }

    /// Number of sectors of a kind.
    pub fn count(&self, kind: Sector) -> usize {
        self.sectors.iter().filter(|&&sector| sector == kind).count()
    }

    /// The share of fragmented sectors, in percent.
    pub fn fragmentation(&self) -> f64 {
        self.count(Sector::Fragmented) as f64 * 100.0 / self.sectors.len().max(1) as f64
    }

    /// One character per sector.
    pub fn map(&self) -> String {
        self.sectors.iter().map(|sector| sector.symbol()).collect()
    }

    /// The same band in sectors of twice the size: as if the recipe had chosen them.
    #[must_use]
    pub fn coarser(&self) -> Self {
        let Some(sector_bytes) = self.sector_bytes.checked_mul(2) else { return self.clone() };
        let start = self.start.get() / sector_bytes * sector_bytes;
        let lead = usize::from(start != self.start.get());
        let mut fine = vec![Sector::Free; lead];
        fine.extend_from_slice(&self.sectors);
        let sectors = fine
            .chunks(2)
            .map(|pair| match pair {
                [one, other] if one == other => *one,
                [Sector::Free] => Sector::Free,
                _ => Sector::Fragmented,
            })
            .collect();
        Self { start: Address::new(start), sector_bytes, sectors }
    }
}

/// The three bands; one without objects is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bands {
    /// Objects below 2 GiB: the heap of programs that are not position independent.
    pub lo: Option<Band>,
    /// Objects from 2 GiB to 4 GiB.
    pub med: Option<Band>,
    /// Objects above: mapped memory, and everything in position-independent programs.
    pub hi: Option<Band>,
    /// The high band in parts, if nearly all of it is the distance between them: each in sectors of its own size.
    pub hi_parts: Vec<Band>,
}

/// Which of the three bands an address belongs to.
fn band_of(address: u64) -> usize {
    usize::from(address >= MEDIUM) + usize::from(address >= HIGH)
}

impl Bands {
    /// Maps objects given as (address, size), sorted by address. Cost: linear in the spans.
    pub fn of(spans: &[(u64, u64)]) -> Self {
        Self::of_spans(spans.iter().copied())
    }

    /// The same for spans that need not be in memory.
    pub fn of_spans(spans: impl Iterator<Item = (u64, u64)>) -> Self {
        let part = Part::of(spans, band_of);
        let extents = part.extents;
        Pages::join(vec![part]).map_or_else(Self::default, |pages| Self::of_pages(&pages, extents))
    }

    /// The same for spans in several chunks, which are gone through in parallel: all in order of address.
    pub fn of_chunks<S>(chunks: Vec<S>) -> Self
    where
        S: Iterator<Item = (u64, u64)> + Clone + Send + Sync,
    {
        let mut parts: Vec<Part> = chunks.par_iter().map(|chunk| Part::of(chunk.clone(), band_of)).collect();
        // A list's size has the array of its items, wherever that is: it may reach over the next chunks.
        let mut reached = 0;
        for (part, chunk) in parts.iter_mut().zip(&chunks) {
            if part.is_reached_over(reached) {
                *part = Part::behind(reached, chunk.clone(), band_of);
            }
            reached = part.end().max(reached);
        }
        let mut extents: [Option<(u64, u64)>; 3] = [None; 3];
        for (all, &own) in parts.iter().flat_map(|part| &part.extents).enumerate() {
            let all = &mut extents[all % 3];
            *all = all.zip(own).map(|((lowest, _), (_, highest))| (lowest, highest)).or(*all).or(own);
        }
        match Pages::join(parts) {
            Some(pages) => Self::of_pages(&pages, extents),
            None => Self::of_spans(chunks.into_iter().flatten()),
        }
    }

    fn of_pages(pages: &Pages, extents: [Option<(u64, u64)>; 3]) -> Self {
        // Not band by band: an object that begins below a band may reach into it.
        let band = |extent: Option<(u64, u64)>| {
            extent.map(|(lowest, highest)| BandMap::new(lowest, highest).fill(&pages.0))
        };
        let [lo, med, hi] = extents.map(band);
        let part = |runs: &[PageRun]| {
            let (lowest, highest) = (runs.first()?.first, runs.last()?.end - 1);
            Some(BandMap::new(lowest * SMALLEST_SECTOR, highest * SMALLEST_SECTOR).fill(runs))
        };
        let first = pages.0.partition_point(|run| run.end <= HIGH / SMALLEST_SECTOR);
        let above = Pages(pages.0[first..].to_vec());
        let parts: Vec<Band> = above.groups(DISTANCE / SMALLEST_SECTOR).filter_map(part).collect();
        let hi_parts = if (2..=MOST_PARTS).contains(&parts.len()) { parts } else { Vec::new() };
        Self { lo, med, hi, hi_parts }
    }

    /// The bands with the names they have in every output.
    pub fn named(&self) -> [(&'static str, Option<&Band>); 3] {
        [("lo", self.lo.as_ref()), ("med", self.med.as_ref()), ("hi", self.hi.as_ref())]
    }
}

/// A band that is being filled.
struct BandMap {
    sector_bytes: u64,
    /// Number of the first sector, counted from address zero.
    first: u64,
    sectors: Vec<Sector>,
}

impl BandMap {
    /// An empty map from the first to the last of the band's own objects.
    fn new(lowest: u64, highest: u64) -> Self {
        let mut sector_bytes = SMALLEST_SECTOR;
        while highest.saturating_sub(lowest) / sector_bytes / LINE > MOST_LINES {
            sector_bytes *= 2;
        }
        let first = lowest / sector_bytes;
        let count = (highest / sector_bytes).saturating_sub(first) + 1;
        let sectors = vec![Sector::Free; usize::try_from(count).unwrap_or(0)];
        Self { sector_bytes, first, sectors }
    }

    /// Marks the sectors that pages touch. A stretch of covered pages is one run: a sector that is not covered by
    /// one run has a hole.
    fn fill(mut self, runs: &[PageRun]) -> Band {
        let pages = self.sector_bytes / SMALLEST_SECTOR;
        let past_last = self.first + self.sectors.len() as u64;
        for run in runs {
            for number in (run.first / pages).max(self.first)..run.end.div_ceil(pages).min(past_last) {
                let start = number * pages;
                let is_covered = run.sector == Sector::Used && run.first <= start && run.end - start >= pages;
                if let Some(sector) = self.sectors.get_mut((number - self.first) as usize) {
                    *sector = if is_covered { Sector::Used } else { Sector::Fragmented };
                }
            }
        }
        self.finish()
    }

    fn finish(self) -> Band {
        Band {
            start: Address::new(self.first * self.sector_bytes),
            sector_bytes: self.sector_bytes,
            sectors: self.sectors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The recipe's own walk over one sector, every object looked at again for every sector.
    fn naive_sector(spans: &[(u64, u64)], start: u64, end: u64) -> Sector {
        let mut cursor = start;
        let mut touched = false;
        for &(address, size) in spans {
            let reach = address + size + 16;
            if cursor >= end {
                break;
            }
            if reach <= cursor {
                continue;
            }
            touched |= address < end;
            if address > cursor {
                break;
            }
            cursor = reach;
        }
        if cursor >= end {
            Sector::Used
        } else if touched {
            Sector::Fragmented
        } else {
            Sector::Free
        }
    }

    #[test]
    fn distant_parts_have_sectors_of_their_own() {
        let near = [(0x5555_5555_0000, 4096), (0x5555_5555_2000, 64)];
        assert_eq!(Bands::of(&near).hi_parts, []);
        let parts = Bands::of(&[&near[..], &[(0x7fff_0000_0000, 8192)]].concat()).hi_parts;
        assert_eq!(parts.iter().map(Band::map).collect::<Vec<_>>(), ["*--", "**-"]);
        assert_eq!(parts[1].start.get(), 0x7fff_0000_0000);
        assert!(parts.iter().all(|part| part.sector_bytes == 4096));
    }

    fn check_band(spans: &[(u64, u64)], band: Option<&Band>, limits: std::ops::Range<u64>) {
        let own: Vec<u64> = spans.iter().map(|span| span.0).filter(|start| limits.contains(start)).collect();
        let Some(band) = band else {
            assert!(own.is_empty());
            return;
        };
        assert!(band.sectors.len() as u64 <= (MOST_LINES + 1) * LINE + 1);
        assert_eq!(band.start.get(), own[0] / band.sector_bytes * band.sector_bytes);
        for (index, &sector) in band.sectors.iter().enumerate() {
            let start = band.start.get() + index as u64 * band.sector_bytes;
            assert_eq!(sector, naive_sector(spans, start, start + band.sector_bytes), "sector at {start:#x}");
        }
    }

    /// Objects that lie close together (small gaps, overlaps), with jumps between the groups.
    fn spans() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let step = prop_oneof![8 => 0_u64..200, 2 => 0_u64..5000, 1 => 0_u64..0x4000_0000];
        let size = prop_oneof![6 => 0_u64..120, 2 => 0_u64..20_000, 1 => 0_u64..10_000_000];
        (0_u64..0xC000_0000, prop::collection::vec((step, size), 0..120)).prop_map(|(start, steps)| {
            let mut address = start;
            let mut spans: Vec<_> = steps
                .into_iter()
                .map(|(step, size)| {
                    address += step;
                    (address, size)
                })
                .collect();
            spans.sort_unstable();
            spans
        })
    }

    proptest! {
        #[test]
        fn one_pass_agrees_with_the_recipes_walk(spans in spans()) {
            let bands = Bands::of(&spans);
            let chunks: Vec<_> = spans.chunks(spans.len() / 3 + 1).map(|chunk| chunk.iter().copied()).collect();
            prop_assert_eq!(&Bands::of_chunks(chunks), &bands);
            check_band(&spans, bands.lo.as_ref(), 0..MEDIUM);
            check_band(&spans, bands.med.as_ref(), MEDIUM..HIGH);
            check_band(&spans, bands.hi.as_ref(), HIGH..u64::MAX);
        }

        #[test]
        fn a_coarser_map_shows_the_same_memory(spans in spans()) {
            for band in Bands::of(&spans).named().into_iter().filter_map(|(_, band)| band) {
                let coarse = band.coarser();
                prop_assert_eq!(coarse.start.get() % coarse.sector_bytes, 0);
                for (index, &sector) in coarse.sectors.iter().enumerate() {
                    let start = coarse.start.get() + index as u64 * coarse.sector_bytes;
                    let inside = band.sectors.iter().enumerate().filter(|&(fine, _)| {
                        let at = band.start.get() + fine as u64 * band.sector_bytes;
                        at >= start && at < start + coarse.sector_bytes
                    });
                    let kinds: Vec<_> = inside.map(|(_, &sector)| sector).collect();
                    prop_assert_eq!(sector == Sector::Free, kinds.iter().all(|&kind| kind == Sector::Free));
                    prop_assert_eq!(sector == Sector::Used, kinds == [Sector::Used; 2]);
                }
            }
        }
    }

    #[test]
    fn holes_of_sixteen_bytes_do_not_count() {
        let page = 0x10_000;
        assert_eq!(Bands::of(&[(page, 2032), (page + 2048, 2032)]).lo.unwrap().sectors, [Sector::Used]);
        assert_eq!(Bands::of(&[(page, 2032), (page + 2049, 2032)]).lo.unwrap().sectors, [Sector::Fragmented]);
    }

    #[test]
    fn an_object_reaches_into_the_next_band() {
        let bands = Bands::of(&[(MEDIUM - 4096, 12_288), (MEDIUM + 4096, 1)]);
        assert_eq!(bands.med.unwrap().map(), "*");
        assert_eq!(bands.lo.unwrap().map(), "*");
    }

    #[test]
    fn nonsense_addresses_do_not_overflow() {
        let bands = Bands::of(&[(0, u64::MAX), (u64::MAX, u64::MAX)]);
        assert_eq!(bands.lo.unwrap().map(), "*");
        assert_eq!(bands.hi.unwrap().sectors.len(), 1);
        assert_eq!(Bands::of(&[]), Bands::default());
    }
}
