//! The map by mapping: one band for each region that holds something, with a scale of its own.
//!
//! Unlike in the recipe's map, what counts is the memory that is really in use: the live blocks of
//! allocators, and of large objects their own bytes and the tables that belong to them.

use crate::address::Address;
use crate::address::AddressRange;
use crate::memory_map::Band;
use crate::memory_map::Sector;
use crate::memory_map::bands::LINE;
use crate::memory_map::bands::MOST_LINES;
use crate::memory_map::bands::SMALLEST_SECTOR;

/// Groups that fill sectors: this many types, and three more.
pub const GROUPS: usize = 10;
/// The group of all other objects.
pub const GROUP_OTHER_OBJECTS: usize = GROUPS - 3;
/// The group of buffers that no object counts.
pub const GROUP_BUFFERS: usize = GROUPS - 2;
/// The group of blocks that are no objects.
pub const GROUP_OTHER_BLOCKS: usize = GROUPS - 1;

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegionKind {
    /// What `brk` gave to `malloc`.
    BrkHeap,
    /// A heap of a thread, of glibc's `malloc`.
    ThreadHeap,
    /// Arenas of pymalloc, one after the other.
    Arenas,
    /// Where pools are, but the bounds of their arenas are not known.
    Pools,
    /// A segment of mimalloc.
    Mimalloc,
    /// Anonymous memory: large blocks of `malloc`, maps.
    Large,
    /// Variables of a binary.
    BinaryData,
    /// Memory shared with others.
    Shared,
    /// A file.
    File,
    /// The stack of the main thread.
    Stack,
}

impl RegionKind {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrkHeap => "brk heap",
            Self::ThreadHeap => "thread heap",
            Self::Arenas => "pymalloc arenas",
            Self::Pools => "pymalloc pools",
            Self::Mimalloc => "mimalloc segment",
            Self::Large => "large blocks",
            Self::BinaryData => "binary's data",
            Self::Shared => "shared memory",
            Self::File => "mapped file",
            Self::Stack => "stack",
        }
    }
}

/// A stretch of addresses with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub range: AddressRange,
    /// What it is.
    pub kind: RegionKind,
    /// File or name of the mapping; empty if it has none.
    pub name: String,
}

/// What is in one sector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectorFill {
    /// Bytes in use.
    pub used: u64,
    /// Bytes of objects by group; the last two groups are what is in use besides.
    pub groups: [u64; GROUPS],
}

impl SectorFill {
    /// The group that has most of what is in use; `None` in an empty sector.
    pub fn main_group(&self) -> Option<usize> {
        let most = (0..GROUPS).max_by_key(|&group| (self.groups[group], GROUPS - group))?;
        (self.used > 0).then_some(most)
    }
}

/// Numbers of pymalloc's arenas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaFigures {
    /// Number of arenas.
    pub arenas: u64,
    /// Bytes of all their pools.
    pub bytes: u64,
    /// Pools with a live block.
    pub pools: u64,
    /// Pools without one, which any size of block may have.
    pub free_pools: u64,
    /// Bytes of these.
    pub free_pool_bytes: u64,
    /// Live blocks.
    pub blocks: u64,
    /// Bytes of these.
    pub block_bytes: u64,
    /// Blocks that are free in pools that are not, for one size of block only.
    pub free_blocks: u64,
    /// Bytes of these.
    pub free_block_bytes: u64,
}

impl ArenaFigures {
    /// Adds others.
    pub fn join(&mut self, other: &Self) {
        self.arenas += other.arenas;
        self.bytes += other.bytes;
        self.pools += other.pools;
        self.free_pools += other.free_pools;
        self.free_pool_bytes += other.free_pool_bytes;
        self.blocks += other.blocks;
        self.block_bytes += other.block_bytes;
        self.free_blocks += other.free_blocks;
        self.free_block_bytes += other.free_block_bytes;
    }
}

/// Numbers of a heap of glibc's `malloc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MallocFigures {
    /// Bytes of free chunks between used ones.
    pub free: u64,
    /// Number of these.
    pub free_chunks: u64,
    /// The largest, in bytes.
    pub largest_free: u64,
    /// Free bytes at the end, which can be given back.
    pub top: u64,
}

/// A region that holds something.
#[derive(Clone, Debug)]
pub struct Region {
    /// Where.
    pub range: AddressRange,
    /// What it is.
    pub kind: RegionKind,
    /// File or name of the mapping; empty if it has none.
    pub name: String,
    /// Bytes in a sector; a power of two.
    pub sector_bytes: u64,
    /// The sectors, from the one that has the first address on.
    pub fills: Vec<SectorFill>,
    /// Bytes that are in memory or swapped out; `None` if they were not looked at.
    pub resident: Option<u64>,
    /// Objects that begin here.
    pub objects: u64,
    /// Bytes of objects and their tables here.
    pub object_bytes: u64,
    /// Bytes of buffers here that no object counts.
    pub buffer_bytes: u64,
    /// Of arenas.
    pub arenas: Option<ArenaFigures>,
    /// Of a heap of `malloc`.
    pub malloc: Option<MallocFigures>,
}

impl Region {
    /// An empty region, in sectors such as the recipe would choose.
    pub fn new(piece: Piece) -> Self {
        let mut sector_bytes = SMALLEST_SECTOR;
        while piece.range.length() / sector_bytes / LINE > MOST_LINES {
            sector_bytes *= 2;
        }
        let first = piece.range.start.get() / sector_bytes;
        let last = piece.range.end.get().saturating_sub(1) / sector_bytes;
        let count = usize::try_from(last.saturating_sub(first)).unwrap_or(0) + 1;
        Self {
            range: piece.range,
            kind: piece.kind,
            name: piece.name,
            sector_bytes,
            fills: vec![SectorFill::default(); count],
            resident: None,
            objects: 0,
            object_bytes: 0,
            buffer_bytes: 0,
            arenas: None,
            malloc: None,
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.fills.iter().map(|fill| fill.used).sum()
    }

    /// The number of the sector that has an address of the region.
    pub fn sector_of(&self, address: Address) -> usize {
        let first = self.range.start.get() / self.sector_bytes;
        usize::try_from((address.get() / self.sector_bytes).saturating_sub(first)).unwrap_or(usize::MAX)
    }

    /// Calls `visit` with each sector that a stretch touches and the bytes of it there.
    pub fn split(&self, start: Address, bytes: u64, mut visit: impl FnMut(usize, u64)) {
        let from = start.max(self.range.start);
        let end = start.get().saturating_add(bytes).min(self.range.end.get());
        let mut at = from.get();
        while at < end {
            let next = (at / self.sector_bytes + 1).saturating_mul(self.sector_bytes).min(end);
            visit(self.sector_of(Address::new(at)), next - at);
            at = next;
        }
    }

    /// Bytes of the region in one of its sectors.
    pub fn sector_room(&self, index: usize) -> u64 {
        let first = self.range.start.get() / self.sector_bytes;
        let start = first.saturating_add(index as u64).saturating_mul(self.sector_bytes);
        let end = start.saturating_add(self.sector_bytes).min(self.range.end.get());
        end.saturating_sub(start.max(self.range.start.get()))
    }

    /// The region in the recipe's signs: full means used to the last byte, free not used at all.
    pub fn band(&self) -> Band {
        let sector = |(index, fill): (usize, &SectorFill)| match fill.used {
            0 => Sector::Free,
            used if used >= self.sector_room(index) => Sector::Used,
            _ => Sector::Fragmented,
        };
        let first = self.range.start.get() / self.sector_bytes * self.sector_bytes;
        Band {
            start: Address::new(first),
            sector_bytes: self.sector_bytes,
            sectors: self.fills.iter().enumerate().map(sector).collect(),
        }
    }
}

/// Sorts pieces and joins those of one kind and name that touch.
pub fn join_pieces(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| piece.range.start);
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last)
                if last.range.end >= piece.range.start
                    && last.kind == piece.kind
                    && last.name == piece.name =>
            {
                last.range.end = last.range.end.max(piece.range.end);
            }
            _ => joined.push(piece),
        }
    }
    joined
}

/// How full arenas are: those with at most so many of a hundred bytes in live blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseArenas {
    /// At most so many percent are live.
    pub percent: u64,
    /// Number of these arenas.
    pub arenas: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of live blocks that keep them.
    pub live_bytes: u64,
    /// Types of the objects in them, by bytes there, the largest first: label, objects, bytes.
    pub holders: Vec<(String, u64, u64)>,
}

/// The whole map by mapping.
#[derive(Clone, Debug, Default)]
pub struct RegionMap {
    /// The regions that hold something, by address.
    pub regions: Vec<Region>,
    /// What the groups of [`SectorFill`] are.
    pub groups: Vec<String>,
    /// All arenas, if there are any.
    pub arenas: Option<ArenaFigures>,
    /// Arenas that are nearly empty, by ascending limit.
    pub sparse: Vec<SparseArenas>,
    /// Resident private memory of regions that hold nothing, in bytes: code, stacks, free mappings.
    pub elsewhere: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(start: u64, bytes: u64) -> Region {
        let range = AddressRange::new(Address::new(start), Address::new(start + bytes));
        Region::new(Piece { range, kind: RegionKind::Large, name: String::new() })
    }

    proptest! {
        #[test]
        fn sectors_cover_a_region_exactly(start in 0_u64..1 << 30, pages in 1_u64..1 << 20, at in 0_u64..1 << 32, bytes in 0_u64..1 << 24) {
            let region = region(start / 4096 * 4096, pages * 4096);
            let room: u64 = (0..region.fills.len()).map(|index| region.sector_room(index)).sum();
            prop_assert_eq!(room, region.range.length());
            prop_assert!(region.fills.len() as u64 <= (MOST_LINES + 1) * LINE + 1);
            let mut sum = 0;
            region.split(Address::new(at), bytes, |index, part| {
                assert!(part <= region.sector_room(index));
                sum += part;
            });
            let start = at.max(region.range.start.get());
            prop_assert_eq!(sum, (at + bytes).min(region.range.end.get()).saturating_sub(start));
        }
    }

    #[test]
    fn a_sector_is_full_when_all_of_it_is_used() {
        let mut region = region(0x1_0000, 4 * 4096);
        for (fill, used) in region.fills.iter_mut().zip([4096, 4095, 1, 0]) {
            fill.used = used;
        }
        assert_eq!(region.band().map(), "*-- ");
        assert_eq!(region.used(), 4096 + 4095 + 1);
    }

    #[test]
    fn neighbours_of_a_kind_are_one() {
        let piece = |start: u64, end: u64, kind| Piece {
            range: AddressRange::new(Address::new(start), Address::new(end)),
            kind,
            name: String::new(),
        };
        let arenas = RegionKind::Arenas;
        let joined = join_pieces(vec![
            piece(8192, 12288, arenas),
            piece(0, 4096, arenas),
            piece(4096, 8192, arenas),
            piece(12288, 16384, RegionKind::Large),
            piece(20480, 24576, RegionKind::Large),
        ]);
        assert_eq!(
            joined,
            [
                piece(0, 12288, arenas),
                piece(12288, 16384, RegionKind::Large),
                piece(20480, 24576, RegionKind::Large)
            ]
        );
    }
}
