//! The live blocks of a page of mimalloc: all that were carved but those on one of its lists of free ones.

use crate::address::Address;
use crate::address::AddressRange;
use crate::runtime::mimalloc::BlockPage;
use crate::runtime::mimalloc::Mimalloc;
use crate::target::Image;
use crate::target::image::PAGE;
use rayon::prelude::*;

/// As much of a block as tells what it holds. Unit: bytes.
const PREFIX: usize = 1024;

/// Which blocks of a page are free; kept from page to page so that its memory is.
#[derive(Default)]
pub struct FreeBlocks {
    words: Vec<u64>,
    /// How many are on the lists of the thread that owns the page.
    by_owner: u32,
}

impl FreeBlocks {
    /// Reads the lists of a page. A link that leads nowhere or back ends its list.
    pub fn read(&mut self, image: &Image, page: &BlockPage, delayed: &[u64]) {
        self.words.clear();
        self.words.resize((page.capacity as usize).div_ceil(64), 0);
        self.by_owner = 0;
        let [free, local, from_others] = page.lists;
        for (first, is_own) in [(free, true), (local, true), (from_others, false)] {
            let mut block = first;
            while self.insert(page, block) {
                self.by_owner += u32::from(is_own);
                let Some(link) = image.word(block) else { break };
                block = Address::new(page.code.map_or(link, |code| code.decode(link)));
            }
        }
        let from = delayed.partition_point(|&block| block < page.first.get());
        let here =
            delayed.get(from..).unwrap_or(&[]).iter().take_while(|&&block| block < page.span.end.get());
        for &block in here {
            self.insert(page, Address::new(block));
        }
    }

    /// Marks a block; whether it is one of the page and was not marked.
    fn insert(&mut self, page: &BlockPage, block: Address) -> bool {
        let index = page.first.distance_to(block).filter(|offset| offset % page.block_size == 0);
        let index = index.map(|offset| offset / page.block_size);
        let Some(index) = index.filter(|&index| index < u64::from(page.capacity)) else { return false };
        let Some(word) = self.words.get_mut(index as usize / 64) else { return false };
        let bit = 1_u64 << (index % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, index: u64) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

impl Mimalloc {
    /// What lies in memory that holds no live block, without the links between free ones. Cost: a look at each
    /// block.
    pub fn free_ranges(&self, image: &Image) -> Vec<AddressRange> {
        let in_page = |free: &mut FreeBlocks, page: &BlockPage| page.free_ranges(image, (free, self));
        let pages = self.pages.par_iter().map_init(FreeBlocks::default, in_page);
        let mut ranges: Vec<AddressRange> = pages.flatten_iter().collect();
        let mut pages = self.pages.iter().peekable();
        for data in &self.data {
            let mut at = data.start;
            while let Some(page) = pages.next_if(|page| page.span.start < data.end) {
                ranges.push(AddressRange::new(at, page.span.start));
                at = at.max(page.span.end);
            }
            ranges.push(AddressRange::new(at, data.end));
        }
        ranges.retain(|range| !range.is_empty());
        ranges
    }
}

impl BlockPage {
    fn free_ranges(
        &self,
        image: &Image,
        (free, mimalloc): (&mut FreeBlocks, &Mimalloc),
    ) -> Vec<AddressRange> {
        free.read(image, self, &mimalloc.delayed);
        let block = |index: u64| self.first.plus(index * self.block_size);
        let carved = u64::from(self.capacity);
        let blocks = (0..carved).filter(|&index| free.contains(index));
        let mut ranges: Vec<AddressRange> =
            blocks.map(|index| AddressRange::new(block(index).plus(8), block(index + 1))).collect();
        ranges.push(AddressRange::new(block(carved), self.span.end));
        ranges
    }

    /// Calls `visit` for each live block with its address and the bytes that it begins with (memory that was
    /// never touched reads as zero, as it would in the target), in order of address. Says by how many blocks
    /// the page's own count is off: a few in a process stopped inside the allocator, more in a damaged one.
    pub fn for_each_live(
        &self,
        image: &Image,
        (free, mimalloc): (&mut FreeBlocks, &Mimalloc),
        mut visit: impl FnMut(Address, &[u8]),
    ) -> u32 {
        free.read(image, self, &mimalloc.delayed);
        let length = usize::try_from(self.block_size).map_or(PREFIX, |size| size.min(PREFIX));
        let mut copy = [0; PREFIX];
        let mut index = 0;
        while index < u64::from(self.capacity) {
            let block = self.first.plus(index * self.block_size);
            if image.page_of(block).is_none() {
                // Nothing that begins in this page was ever written: on to the next one.
                let left = PAGE - block.get() % PAGE;
                index += left.div_ceil(self.block_size).max(1);
                continue;
            }
            if !free.contains(index) {
                match image.bytes(block, length) {
                    Some(bytes) => visit(block, bytes),
                    None => visit(block, read_prefix(image, block, &mut copy, length)),
                }
            }
            index += 1;
        }
        // What other threads freed counts as used (types.h).
        free.by_owner.saturating_add(self.used).abs_diff(self.capacity)
    }
}

fn read_prefix<'a>(image: &Image, block: Address, copy: &'a mut [u8; PREFIX], length: usize) -> &'a [u8] {
    copy.fill(0);
    let mut filled = 0;
    while filled < length {
        let at = block.plus(filled as u64);
        let piece = image.piece(at).unwrap_or(&[]);
        let step = ((PAGE - at.get() % PAGE) as usize).min(length - filled);
        let count = piece.len().min(step);
        if let (Some(to), Some(from)) = (copy.get_mut(filled..filled + count), piece.get(..count)) {
            to.copy_from_slice(from);
        }
        filled += step;
    }
    copy.get(..length).unwrap_or(&[])
}
