//! The heap of glibc's `malloc`, from the headers of its chunks: how much of it is free.
//!
//! `struct malloc_chunk` and `heap_info` (malloc/malloc.c, malloc/arena.c of glibc): a chunk has its size,
//! with three flags, at byte 8; whether it is in use is a flag of the one after it. Chunks that wait in
//! a thread's cache or a fast bin look used.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Image;

/// The chunk before is in use.
const PREVIOUS_IN_USE: u64 = 1;
const FLAGS: u64 = 7;
const SMALLEST_CHUNK: u64 = 32;
/// A heap of a thread's arena begins at a multiple of this (`HEAP_MAX_SIZE`). Unit: bytes.
pub const THREAD_HEAP: u64 = 64 << 20;

/// What the chunks of a heap say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkFigures {
    /// Bytes of chunks in use, headers included.
    pub used: u64,
    /// Bytes of free chunks between used ones.
    pub free: u64,
    /// Number of free chunks.
    pub free_chunks: u64,
    /// The largest of them, in bytes.
    pub largest_free: u64,
    /// Bytes of the last chunk, which `malloc_trim` and, above a threshold, `free` give back.
    pub top: u64,
}

/// Walks the chunks from the start of a heap to its end and calls `visit` with those in use; `None` if these
/// are no such chunks: what was visited before means nothing then. Cost: one read for each chunk.
pub fn chunks(
    image: &Image,
    heap: AddressRange,
    mut visit: impl FnMut(Address, u64),
) -> Option<ChunkFigures> {
    let mut figures = ChunkFigures::default();
    let mut at = heap.start;
    let mut size = image.word(at.plus(8))? & !FLAGS;
    loop {
        if size < SMALLEST_CHUNK || !size.is_multiple_of(16) {
            return None;
        }
        let next = at.plus(size);
        if next == heap.end {
            figures.top = size;
            return Some(figures);
        }
        if next > heap.end || next <= at {
            return None;
        }
        let header = image.word(next.plus(8))?;
        if header & PREVIOUS_IN_USE == 0 {
            figures.free += size;
            figures.free_chunks += 1;
            figures.largest_free = figures.largest_free.max(size);
        } else {
            figures.used += size;
            visit(at, size);
        }
        at = next;
        size = header & !FLAGS;
    }
}

/// Whether a heap of a thread's arena begins at the start of a mapping: `heap_info` has the arena, the
/// previous heap and its size.
pub fn is_thread_heap(image: &Image, mapping: AddressRange) -> bool {
    let start = mapping.start;
    let read = |offset: u64| image.word(start.plus(offset));
    let sound = || {
        let arena = Address::new(read(0)?);
        let previous = Address::new(read(8)?);
        let size = read(16)?;
        let arena_is_here = start.distance_to(arena).is_some_and(|at| (16..4096).contains(&at));
        let linked = arena_is_here == previous.is_null();
        let heap = |address: Address| address.is_null() || address.is_aligned(THREAD_HEAP);
        Some(linked && heap(previous) && size % 4096 == 0 && (4096..=THREAD_HEAP).contains(&size))
    };
    start.is_aligned(THREAD_HEAP) && sound() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    const BASE: u64 = 0x5555_0000_0000;

    fn heap(headers: &[(usize, u64)]) -> Option<ChunkFigures> {
        let mut bytes = vec![0; 4096];
        for &(at, header) in headers {
            bytes[at + 8..at + 16].copy_from_slice(&header.to_le_bytes());
        }
        let range = AddressRange::new(Address::new(BASE), Address::new(BASE + 4096));
        let image = Image::new(Backing::Owned(bytes), &[Segment { range, local: 0 }], Vec::new());
        let mut visited = 0;
        let figures = chunks(&image, range, |_, size| visited += size);
        assert!(figures.is_none_or(|figures| figures.used == visited));
        figures
    }

    #[test]
    fn free_chunks_are_told_by_their_neighbours() {
        let sound = [(0, 65), (64, 129), (192, 32), (224, 3873)];
        let figures = ChunkFigures { used: 96, free: 128, free_chunks: 1, largest_free: 128, top: 3872 };
        assert_eq!(heap(&sound), Some(figures));
    }

    #[test]
    fn what_is_no_heap_is_none() {
        assert_eq!(heap(&[]), None);
        assert_eq!(heap(&[(0, 8192)]), None);
        assert_eq!(heap(&[(0, 65), (64, 40)]), None);
        assert_eq!(heap(&[(0, u64::MAX)]), None);
    }
}
