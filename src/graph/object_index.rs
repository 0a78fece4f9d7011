//! From an address to an object id, by a bitmap and ranks: a byte or two per object, one cache
//! line per look-up.

use crate::address::Address;
use crate::graph::id::ObjectId;

/// Bits per page: objects start at multiples of eight bytes.
const WORDS: usize = 8;

/// Which granules of a 4 KiB page are the start of an object.
pub type PageBits = [u64; WORDS];

/// Marks the granule of `address` in the bits of its page.
#[inline]
pub fn mark(bits: &mut PageBits, address: Address) {
    let granule = (address.get() as usize % 4096) / 8;
    bits[granule / 64] |= 1 << (granule % 64);
}

/// A word of bits, its lower half first, and how many objects are before it in order of address: side by side, so
/// that a look-up waits for memory once, and counts one word.
type Entry = [u32; 3];

/// Ids of the objects found by sweeping pages, dense in order of address.
pub struct ObjectIndex {
    pages: Vec<[Entry; WORDS]>,
}

impl ObjectIndex {
    /// Takes the bitmap by page number; `order` gives the page numbers in order of address.
    pub fn new(bits: &[PageBits], order: impl Iterator<Item = u32>) -> Self {
        let mut pages = vec![[[0; 3]; WORDS]; bits.len()];
        let mut count = 0_u32;
        for page in order {
            let page = page as usize;
            if let (Some(entries), Some(bits)) = (pages.get_mut(page), bits.get(page)) {
                for (entry, &word) in entries.iter_mut().zip(bits) {
                    *entry = [word as u32, (word >> 32) as u32, count];
                    count += word.count_ones();
                }
            }
        }
        Self { pages }
    }

    /// What a look-up of this address, which lies in page number `page`, will read.
    #[inline]
    pub fn entry(&self, page: u32, address: Address) -> Option<&[u32; 3]> {
        let granule = (address.get() as usize % 4096) / 8;
        self.pages.get(page as usize).map(|entries| &entries[granule / 64])
    }

    /// The id of the object that starts at `address`, which lies in page number `page`. O(1).
    #[inline]
    pub fn find(&self, page: u32, address: Address) -> Option<ObjectId> {
        let entries = self.pages.get(page as usize)?;
        if !address.get().is_multiple_of(8) {
            return None;
        }
        let granule = (address.get() as usize % 4096) / 8;
        let [low, high, before] = entries[granule / 64];
        let bits = u64::from(low) | u64::from(high) << 32;
        let bit = 1_u64 << (granule % 64);
        if bits & bit == 0 {
            return None;
        }
        Some(ObjectId(before + (bits & (bit - 1)).count_ones()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ranks_in_order_of_address() {
        let mut bits = vec![[0; WORDS]; 2];
        // Page 1 comes before page 0 in the address space.
        let addresses = [0x1000_u64, 0x1010, 0x1ff8, 0x2008, 0x2a00];
        for &address in &addresses {
            mark(&mut bits[usize::from(address < 0x2000)], Address::new(address));
        }
        let index = ObjectIndex::new(&bits, [1, 0].into_iter());
        for (id, &address) in addresses.iter().enumerate() {
            let page = u32::from(address < 0x2000);
            assert_eq!(index.find(page, Address::new(address)), Some(ObjectId::from_index(id)));
        }
        assert_eq!(index.find(1, Address::new(0x1008)), None);
        assert_eq!(index.find(1, Address::new(0x1011)), None, "not aligned");
        assert_eq!(index.find(7, Address::new(0x1000)), None, "no such page");
    }
}
