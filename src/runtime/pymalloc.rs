//! pymalloc: which small blocks are live, from the pools alone.
//!
//! Pools are recognised by the invariant of their header (`Objects/obmalloc.c`, `struct pool_header`,
//! `Include/internal/pycore_obmalloc.h` since 3.12), which needs no symbol and no arena table. A block is
//! live when it lies below `nextoffset` and not on the pool's free list.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Image;
use crate::target::image::PAGE;
use rayon::prelude::*;

/// Bytes of a pool before its first block (`POOL_OVERHEAD`), the same since 2.3.
pub const POOL_OVERHEAD: usize = 48;
/// Largest request that pymalloc serves, in bytes (`SMALL_REQUEST_THRESHOLD`).
pub const LARGEST_BLOCK: usize = 512;
/// Largest pool of any version, in bytes.
pub const LARGEST_POOL: usize = 16 * 1024;
/// The most blocks that a pool can have.
const MOST_BLOCKS: usize = LARGEST_POOL / 8;

/// A pool with at least one live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where it starts; a multiple of the pool size.
    pub address: Address,
    /// Bytes in a block.
    pub block_size: u32,
    /// Live blocks as the pool counts them itself.
    pub live: u32,
    /// Which arena of the table it was cut from.
    pub arena_index: u32,
    /// First block of the free list.
    free: Address,
    /// Offset of the first byte never carved.
    next_offset: u32,
}

/// The bytes of one pool and which of its blocks are free.
pub struct PoolBlocks<'a> {
    pool: Pool,
    bytes: std::borrow::Cow<'a, [u8]>,
    free: [u64; MOST_BLOCKS / 64],
    free_count: u32,
}

fn word32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn word64(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

/// Reads the header at a pool-aligned address; `None` if it is not that of a used pool.
fn read_header(header: &[u8], address: Address, pool_size: u32) -> Option<Pool> {
    // struct pool_header { ref.count@0, freeblock@8, nextpool@16, prevpool@24, arenaindex@32, szidx@36,
    // nextoffset@40, maxnextoffset@44 }: unchanged from 2.3 to 3.15.
    let live = word32(header, 0)?;
    let free = Address::new(word64(header, 8)?);
    let arena_index = word32(header, 32)?;
    let size_index = word32(header, 36)?;
    let next_offset = word32(header, 40)?;
    let max_next_offset = word32(header, 44)?;
    let block_size = pool_size.checked_sub(max_next_offset)?;
    if live == 0
        || arena_index >= 1 << 20
        || block_size % 8 != 0
        || !(8..=LARGEST_BLOCK as u32).contains(&block_size)
    {
        return None;
    }
    // The block size is (szidx + 1) times the alignment, 8 or 16.
    let classes = [size_index.checked_add(1)?.checked_mul(8)?, size_index.checked_add(1)?.checked_mul(16)?];
    let overhead = POOL_OVERHEAD as u32;
    let capacity = (pool_size - overhead) / block_size;
    let carved = next_offset.checked_sub(overhead)?;
    let well_formed =
        classes.contains(&block_size) && carved % block_size == 0 && carved / block_size <= capacity;
    let free_inside = free.is_null() || address.distance_to(free).is_some_and(|at| at < u64::from(pool_size));
    (well_formed && free_inside && live <= carved / block_size).then_some(Pool {
        address,
        block_size,
        live,
        arena_index,
        free,
        next_offset,
    })
}

/// Every used pool of the image, sorted by address. Cost: a look at each pool-aligned page.
pub fn find_pools(image: &Image, pool_size: u32) -> Vec<Pool> {
    let candidates: Vec<_> =
        image.pages().filter(|(address, _)| address.is_aligned(u64::from(pool_size))).collect();
    candidates
        .par_iter()
        .with_min_len(4096)
        .filter_map(|&(address, page)| read_header(image.page_bytes(page), address, pool_size))
        .collect()
}

impl Pool {
    /// Number of blocks ever carved from the pool.
    pub fn carved(&self) -> usize {
        (self.next_offset as usize - POOL_OVERHEAD) / self.block_size as usize
    }

    /// Reads the pool's blocks and its free list. Pages of it that were never touched read as
    /// zero, as they would in the target. `None` if its first page is gone.
    pub fn read<'a>(&self, image: &'a Image, pool_size: u32) -> Option<PoolBlocks<'a>> {
        let size = pool_size as usize;
        let bytes = match image.bytes(self.address, size) {
            Some(bytes) => std::borrow::Cow::Borrowed(bytes),
            None => std::borrow::Cow::Owned(read_pages(image, self.address, size)?),
        };
        let mut blocks = PoolBlocks { pool: *self, bytes, free: [0; MOST_BLOCKS / 64], free_count: 0 };
        blocks.read_free_list();
        Some(blocks)
    }
}

fn read_pages(image: &Image, address: Address, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    for (index, piece) in bytes.chunks_mut(PAGE as usize).enumerate() {
        match image.page_of(address.plus(index as u64 * PAGE)) {
            Some(page) => piece.copy_from_slice(image.page_bytes(page).get(..piece.len())?),
            None if index == 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

impl PoolBlocks<'_> {
    fn read_free_list(&mut self) {
        let mut block = self.pool.free;
        // The list is singly linked through the first word of each free block; a set bit met again
        // is a loop in a damaged list.
        while !block.is_null() {
            let Some(index) = self.index_of(block) else { return };
            let bit = 1 << (index % 64);
            if self.free[index / 64] & bit != 0 {
                return;
            }
            self.free[index / 64] |= bit;
            self.free_count += 1;
            let Some(next) = word64(&self.bytes, POOL_OVERHEAD + index * self.pool.block_size as usize)
            else {
                return;
            };
            block = Address::new(next);
        }
    }

    fn index_of(&self, block: Address) -> Option<usize> {
        let offset =
            usize::try_from(self.pool.address.distance_to(block)?).ok()?.checked_sub(POOL_OVERHEAD)?;
        let size = self.pool.block_size as usize;
        (offset % size == 0 && offset / size < self.pool.carved()).then_some(offset / size)
    }

    /// By how many the live blocks differ from the pool's own count: at most one in a process
    /// stopped inside the allocator, more in a damaged one.
    pub fn count_mismatch(&self) -> u32 {
        (self.pool.carved() as u32).saturating_sub(self.free_count).abs_diff(self.pool.live)
    }

    /// What lies in blocks that are free, without the links between them, and behind the last block that was
    /// ever carved.
    pub fn free_ranges(&self) -> Vec<AddressRange> {
        let size = u64::from(self.pool.block_size);
        let first = self.pool.address.plus(POOL_OVERHEAD as u64);
        let free = (0..self.pool.carved()).filter(|index| self.free[index / 64] >> (index % 64) & 1 == 1);
        let mut ranges: Vec<AddressRange> = free
            .map(|index| {
                let start = first.plus(index as u64 * size);
                AddressRange::new(start.plus(8), start.plus(size))
            })
            .collect();
        let end = self.pool.address.plus(self.bytes.len() as u64);
        ranges.push(AddressRange::new(self.pool.address.plus(u64::from(self.pool.next_offset)), end));
        ranges
    }

    /// The live blocks with their bytes, in order of address.
    pub fn live(&self) -> impl Iterator<Item = (Address, &[u8])> + '_ {
        let size = self.pool.block_size as usize;
        (0..self.pool.carved()).filter(|index| self.free[index / 64] >> (index % 64) & 1 == 0).filter_map(
            move |index| {
                let offset = POOL_OVERHEAD + index * size;
                Some((self.pool.address.plus(offset as u64), self.bytes.get(offset..offset + size)?))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    const POOL_SIZE: u32 = 16384;
    const BASE: u64 = 0x7f00_0000_0000;

    /// A pool of 64-byte blocks, five carved, the second and fourth free.
    fn pool_bytes() -> Vec<u8> {
        let mut bytes = vec![0; POOL_SIZE as usize];
        let put = |bytes: &mut Vec<u8>, offset: usize, value: u64, length: usize| {
            bytes[offset..offset + length].copy_from_slice(&value.to_le_bytes()[..length]);
        };
        put(&mut bytes, 0, 3, 4);
        put(&mut bytes, 8, BASE + 48 + 64, 8);
        put(&mut bytes, 36, 3, 4);
        put(&mut bytes, 40, 48 + 5 * 64, 4);
        put(&mut bytes, 44, 16384 - 64, 4);
        put(&mut bytes, 48 + 64, BASE + 48 + 3 * 64, 8);
        bytes
    }

    fn image(bytes: Vec<u8>) -> Image {
        let end = BASE + bytes.len() as u64;
        let range = AddressRange::new(Address::new(BASE), Address::new(end));
        Image::new(Backing::Owned(bytes), &[Segment { range, local: 0 }], Vec::new())
    }

    #[test]
    fn live_blocks_are_the_carved_ones_not_on_the_free_list() {
        let image = image(pool_bytes());
        let pools = find_pools(&image, POOL_SIZE);
        assert_eq!(pools.len(), 1);
        let blocks = pools[0].read(&image, POOL_SIZE).unwrap();
        let live: Vec<u64> = blocks.live().map(|(address, _)| (address.get() - BASE - 48) / 64).collect();
        assert_eq!(live, [0, 2, 4]);
        assert_eq!(blocks.count_mismatch(), 0);
    }

    #[test]
    fn a_free_list_that_loops_or_leaves_the_pool_ends() {
        for target in [BASE + 48 + 64, BASE + 7, 0xdead_beef] {
            let mut bytes = pool_bytes();
            bytes[48 + 3 * 64..48 + 3 * 64 + 8].copy_from_slice(&target.to_le_bytes());
            let image = image(bytes);
            let blocks = find_pools(&image, POOL_SIZE)[0].read(&image, POOL_SIZE).unwrap();
            assert_eq!(blocks.live().count(), 3, "link to {target:#x}");
        }
    }

    #[test]
    fn no_flipped_bit_in_a_header_breaks_the_reader() {
        for bit in 0..48 * 8 {
            let mut bytes = pool_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let image = image(bytes);
            for pool in find_pools(&image, POOL_SIZE) {
                let blocks = pool.read(&image, POOL_SIZE).unwrap();
                assert!(blocks.live().count() <= MOST_BLOCKS, "bit {bit}");
            }
        }
    }
}
