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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::image::Backing;
    use crate::target::image::Segment;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const BASE: u64 = 0x2000_0000_0000;

    /// A page that begins a segment of two slices, and one that begins none, in a mapping and a binary that claim
    /// everything up to the end of the address space.
    fn endless() -> Vec<Piece> {
        let layout = MimallocSegment {
            sizeof: PAGE,
            segment_slices: 0,
            segment_info_slices: 8,
            kind: 16,
            slice_entries: 24,
            thread_id: 32,
            slices: 64,
            abandoned_next: None,
            used: 40,
            cookie: 48,
        };
        let mut bytes = vec![0; 2 * PAGE as usize];
        for (offset, value) in [(0, 2_u64), (8, 1), (24, 2), (48, 77)] {
            bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        let page = |start: u64, local| {
            let range = AddressRange::new(Address::new(start), Address::new(start + PAGE));
            Segment { range, local }
        };
        let segments = [page(BASE + SEGMENT, 0), page(BASE + 3 * SEGMENT, PAGE)];
        let image = Image::new(Backing::Owned(bytes), &segments, Vec::new());
        let mapping = Mapping {
            range: AddressRange::new(Address::new(BASE), Address::new(u64::MAX - PAGE + 1)),
            readable: true,
            writable: true,
            executable: false,
            shared: false,
            file_offset: 0,
            inode: 0,
            name: String::new(),
            deleted: false,
        };
        let data = AddressRange::new(Address::new(BASE + 8 * SEGMENT), Address::new(u64::MAX));
        Classifier {
            image: &image,
            mappings: &[mapping],
            binaries: &[(data, "damaged.so".to_owned())],
            arenas: &[],
            other_pools: &[],
            pool_size: 16384,
            segment: Some(&layout),
        }
        .pieces()
    }

    /// One step for each 32 MiB would be 2^39 of them.
    #[test]
    fn mappings_as_long_as_the_address_space_cost_what_was_captured() {
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(endless()));
        let pieces = receiver.recv_timeout(Duration::from_secs(60)).expect("it ends");
        let segments: Vec<_> = pieces.iter().filter(|piece| piece.kind == RegionKind::Mimalloc).collect();
        assert_eq!(segments.len(), 1);
        let start = Address::new(BASE + SEGMENT);
        assert_eq!(segments[0].range, AddressRange::new(start, start.plus(2 * SLICE)));
        let data = pieces.last().map(|piece| (piece.kind, piece.name.as_str()));
        assert_eq!(data, Some((RegionKind::BinaryData, "damaged.so")));
    }
}
