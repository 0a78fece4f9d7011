//! What each stretch of the address space is.

use crate::address::Address;
use crate::address::AddressRange;
use crate::layout::schema::MimallocSegment;
use crate::memory_map::regions::Piece;
use crate::memory_map::regions::RegionKind;
use crate::memory_map::regions::join_pieces;
use crate::runtime::glibc;
use crate::runtime::pymalloc::Pool;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::image::PAGE;

/// A segment of mimalloc begins at a multiple of this, and is so large unless it holds one huge block
/// (`MI_SEGMENT_SIZE`, mimalloc/types.h). Unit: bytes.
const SEGMENT: u64 = 32 << 20;
/// Bytes of a slice of a segment (`MI_SEGMENT_SLICE_SIZE`).
const SLICE: u64 = 64 << 10;
/// Slices of a segment (`MI_SLICES_PER_SEGMENT`).
const SLICES: u64 = 512;

/// What is needed to tell one stretch from another.
pub(super) struct Classifier<'a> {
    pub(super) image: &'a Image,
    pub(super) mappings: &'a [Mapping],
    /// Variables of binaries with their files, sorted.
    pub(super) binaries: &'a [(AddressRange, String)],
    /// Arenas, sorted; they do not overlap.
    pub(super) arenas: &'a [AddressRange],
    /// Pools outside of these, sorted.
    pub(super) other_pools: &'a [Pool],
    pub(super) pool_size: u64,
    pub(super) segment: Option<&'a MimallocSegment>,
}

impl Classifier<'_> {
    /// All stretches that may hold something, by address, neighbours of a kind joined.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for mapping in self.mappings {
            let is_kernels = mapping.name.starts_with("[v");
            if !mapping.readable || is_kernels {
                continue;
            }
            self.mapping(mapping, &mut pieces);
        }
        join_pieces(pieces)
    }

    fn mapping(&self, mapping: &Mapping, pieces: &mut Vec<Piece>) {
        let piece = |range, kind| Piece { range, kind, name: mapping.name.clone() };
        if mapping.shared {
            let kind = if mapping.is_file() && !is_memory_file(&mapping.name) {
                RegionKind::File
            } else {
                RegionKind::Shared
            };
            pieces.push(piece(mapping.range, kind));
        } else if let Some((_, file)) = self.binaries_in(mapping.range).next().filter(|_| mapping.is_file()) {
            pieces.push(Piece { range: mapping.range, kind: RegionKind::BinaryData, name: file.clone() });
        } else if mapping.is_file() {
            pieces.push(piece(mapping.range, RegionKind::File));
        } else if mapping.name == "[heap]" {
            pieces.push(piece(mapping.range, RegionKind::BrkHeap));
        } else if mapping.name == "[stack]" {
            pieces.push(piece(mapping.range, RegionKind::Stack));
        } else if glibc::is_thread_heap(self.image, mapping.range) {
            self.cut(mapping, RegionKind::ThreadHeap, pieces);
        } else {
            self.cut(mapping, RegionKind::Large, pieces);
        }
    }

    /// The variables of binaries that lie in a range. They do not overlap.
    fn binaries_in(&self, range: AddressRange) -> impl Iterator<Item = &(AddressRange, String)> {
        let first = self.binaries.partition_point(|(data, _)| data.end <= range.start);
        self.binaries.iter().skip(first).take_while(move |(data, _)| data.start < range.end)
    }

    /// Cuts what is known out of an anonymous mapping: the kernel makes one of neighbours.
    fn cut(&self, mapping: &Mapping, rest: RegionKind, pieces: &mut Vec<Piece>) {
        let mut special: Vec<(AddressRange, RegionKind, &str)> = Vec::new();
        let name = mapping.name.as_str();
        // The pages of variables that are zero at the start.
        special.extend(self.binaries_in(mapping.range).map(|(data, file)| {
            let end = Address::new(data.end.get().checked_next_multiple_of(PAGE).unwrap_or(u64::MAX));
            (
                AddressRange::new(data.start.max(mapping.range.start), end),
                RegionKind::BinaryData,
                file.as_str(),
            )
        }));
        let first = self.arenas.partition_point(|arena| arena.end <= mapping.range.start);
        let here = self.arenas.iter().skip(first).take_while(|arena| arena.start < mapping.range.end);
        special.extend(here.map(|&arena| (arena, RegionKind::Arenas, name)));
        let first = self.other_pools.partition_point(|pool| pool.address < mapping.range.start);
        let here = self.other_pools.iter().skip(first).take_while(|pool| pool.address < mapping.range.end);
        special.extend(here.map(|pool| {
            (AddressRange::new(pool.address, pool.address.plus(self.pool_size)), RegionKind::Pools, name)
        }));
        special.extend(self.segments(mapping.range).map(|segment| (segment, RegionKind::Mimalloc, name)));
        special.sort();
        let mut at = mapping.range.start;
        let mut push = |start: Address, end: Address, kind: RegionKind, name: &str| {
            let range = AddressRange::new(start, end);
            if !range.is_empty() {
                pieces.push(Piece { range, kind, name: name.to_owned() });
            }
        };
        for (range, kind, special_name) in special {
            let start = range.start.max(at);
            let end = range.end.min(mapping.range.end);
            if start < end {
                push(at, start, rest, name);
                push(start, end, kind, special_name);
                at = end;
            }
        }
        push(at, mapping.range.end, rest, name);
    }

    /// mimalloc's segments. Cost: by the memory that was captured; a damaged mapping may be as long as the
    /// address space.
    fn segments(&self, range: AddressRange) -> impl Iterator<Item = AddressRange> + '_ {
        self.segment.into_iter().flat_map(move |layout| {
            let starts = self.image.pages_in(range).map(|(start, _)| start);
            let starts = starts.filter(move |start| start.is_aligned(SEGMENT) && range.contains(*start));
            starts.filter_map(|start| self.segment_at(start, layout))
        })
    }

    fn segment_at(&self, start: Address, layout: &MimallocSegment) -> Option<AddressRange> {
        let read = |offset: u64| self.image.word(start.plus(offset));
        let slices = read(layout.segment_slices)?;
        let info = read(layout.segment_info_slices)?;
        let entries = read(layout.slice_entries)?;
        let kind = self.image.word32(start.plus(layout.kind))?;
        let cookie = read(layout.cookie)?;
        let sound = kind <= 1
            && cookie != 0
            && (1..SLICES).contains(&info)
            && (1..=SLICES).contains(&entries)
            && entries <= slices
            && (1..1 << 32).contains(&slices);
        sound.then(|| AddressRange::new(start, start.plus(slices * SLICE)))
    }
}

/// Whether a file is only another name for memory.
fn is_memory_file(name: &str) -> bool {
    name.starts_with("/dev/") || name.starts_with("/memfd:") || name.starts_with("/SYSV")
}
