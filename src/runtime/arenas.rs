//! pymalloc's arenas: which pieces of memory the pools were cut from, and how many pools of each are free.
//!
//! The table of arenas (`arenas`, Objects/obmalloc.c; in the interpreter's `obmalloc` state from 3.12 on) is
//! an array of `arena_object` that the pools point into by their `arenaindex`. No symbol is needed: the
//! pointer to it is the word whose array has, at the index of a pool, an arena that holds the pool.

use crate::address::Address;
use crate::address::AddressRange;
use crate::layout::schema::Arena as ArenaLayout;
use crate::runtime::pymalloc::Pool;
use crate::target::Image;
use crate::target::image::PAGE;
use rayon::prelude::*;

/// Bytes of a word.
const WORD: u64 = 8;
/// Words of the candidates that one task looks at.
const TASK: usize = 1 << 12;
/// Interpreters with an allocator of their own that are looked for.
const MOST_TABLES: usize = 64;
/// `INITIAL_ARENA_OBJECTS`: what a table has at first; later always twice as much as before.
const FEWEST_ENTRIES: u64 = 16;
/// Pools that a table must explain to be one.
const SAMPLE: usize = 16;

/// An arena in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Where it begins.
    pub address: Address,
    /// Pools that fit into it.
    pub pools: u32,
    /// Pools of it without a live block, those that were never used among them.
    pub free_pools: u32,
}

/// Finds the arenas of the pools, sorted by address. `places` are where a pointer to a table may be: static
/// data, interpreters. Pools whose table is not found have no arena in the result.
pub fn find(
    image: &Image,
    layout: &ArenaLayout,
    (pools, arena_size): (&[Pool], u64),
    places: &[AddressRange],
) -> Vec<Arena> {
    let reader = Reader { image, layout, arena_size };
    // A damaged binary may claim any size, and several the same addresses: not more words than there are.
    let most = image.page_count() * (PAGE / WORD) as usize;
    let words: Vec<Address> = places.iter().flat_map(|range| words_in(image, *range)).take(most).collect();
    let mut left: Vec<&Pool> = pools.iter().collect();
    let mut arenas: Vec<Arena> = Vec::new();
    for _ in 0..MOST_TABLES {
        let Some(&first) = left.first() else { break };
        let found = words.par_chunks(TASK).find_map_first(|words| {
            words.iter().find_map(|&word| {
                let table = image.pointer(word).filter(|table| table.is_aligned(8))?;
                reader.explains(table, first, &left).then_some(table)
            })
        });
        let Some(table) = found else {
            // Nothing explains this one; the others may still be.
            let page = first.address;
            left.retain(|pool| pool.address != page);
            continue;
        };
        let mut highest = 0;
        left.retain(|pool| match reader.arena_of(table, pool) {
            Some(arena) => {
                highest = highest.max(pool.arena_index);
                if arenas.last() != Some(&arena) {
                    arenas.push(arena);
                }
                false
            }
            None => true,
        });
        let entries = (u64::from(highest) + 1).next_power_of_two().max(FEWEST_ENTRIES);
        arenas.extend((0..entries).filter_map(|index| reader.spare_arena(table, index)));
    }
    arenas.sort_by_key(|arena| arena.address);
    arenas.dedup_by_key(|arena| arena.address);
    arenas
}

/// The words of a range that were captured.
fn words_in(image: &Image, range: AddressRange) -> impl Iterator<Item = Address> + '_ {
    let words = image
        .pages_in(range)
        .flat_map(|(page, _)| (0..PAGE / WORD).map(move |index| page.plus(index * WORD)));
    words.filter(move |word| *word >= range.start && word.plus(WORD) <= range.end)
}

struct Reader<'a> {
    image: &'a Image,
    layout: &'a ArenaLayout,
    arena_size: u64,
}

impl Reader<'_> {
    /// The arena that the table has at the pool's index, if the pool lies in it.
    fn arena_of(&self, table: Address, pool: &Pool) -> Option<Arena> {
        let at = table.plus(u64::from(pool.arena_index) * self.layout.sizeof);
        let address = self.image.pointer(at.plus(self.layout.address))?;
        let inside = address.distance_to(pool.address)?;
        let pools = self.image.word32(at.plus(self.layout.ntotalpools))?;
        let free_pools = self.image.word32(at.plus(self.layout.nfreepools))?;
        let sound = inside < self.arena_size && pools > 0 && free_pools < pools && pools <= 1 << 16;
        sound.then_some(Arena { address, pools, free_pools })
    }

    /// An arena of which no pool is used. The last of the usable ones is kept from 3.9 on, so that it is not
    /// given back and asked for again and again (`insert_to_freepool`, Objects/obmalloc.c; bpo-37257); as no
    /// pool leads to it, the entries are looked at that any table with the others' must have.
    fn spare_arena(&self, table: Address, index: u64) -> Option<Arena> {
        let at = table.plus(index * self.layout.sizeof);
        let address =
            self.image.pointer(at.plus(self.layout.address)).filter(|address| !address.is_null())?;
        let next_pool = self.image.pointer(at.plus(self.layout.pool_address))?;
        let pools = self.image.word32(at.plus(self.layout.ntotalpools))?;
        let free_pools = self.image.word32(at.plus(self.layout.nfreepools))?;
        let inside = address.distance_to(next_pool).is_some_and(|carved| carved <= self.arena_size);
        let sound =
            address.is_aligned(PAGE) && inside && pools > 0 && free_pools == pools && pools <= 1 << 16;
        sound.then_some(Arena { address, pools, free_pools })
    }

    /// Whether a table explains a pool and, of some others, more than by chance.
    fn explains(&self, table: Address, first: &Pool, others: &[&Pool]) -> bool {
        if self.arena_of(table, first).is_none() {
            return false;
        }
        // All pools of an allocator have their arenas in one table; other interpreters have their own, and
        // in these tables an index leads to another arena.
        let step = (others.len() / SAMPLE).max(1);
        let sample: Vec<_> = others.iter().step_by(step).collect();
        let explained = sample.iter().filter(|pool| self.arena_of(table, pool).is_some()).count();
        explained > 0 && (explained * 4 >= sample.len() || explained >= 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::pymalloc::find_pools;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    const BASE: u64 = 0x7f00_0000_0000;
    const POOL: u64 = 16384;

    fn layout() -> ArenaLayout {
        ArenaLayout {
            sizeof: 48,
            address: 0,
            pool_address: 8,
            nfreepools: 16,
            ntotalpools: 20,
            freepools: 24,
            nextarena: 32,
            prevarena: 40,
        }
    }

    fn put(bytes: &mut [u8], offset: u64, value: u64, length: usize) {
        let at = usize::try_from(offset).unwrap();
        bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    }

    /// Two arenas of four pools, two pools used; the table and the pointer to it in the page before.
    fn memory(free: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(9 * POOL).unwrap()];
        put(&mut bytes, 64, BASE + 512, 8);
        for (index, pool) in [(0, 1), (1, 5)] {
            put(&mut bytes, 512 + index * 48, BASE + (1 + 4 * index) * POOL, 8);
            put(&mut bytes, 512 + index * 48 + 16, free, 4);
            put(&mut bytes, 512 + index * 48 + 20, 4, 4);
            let at = pool * POOL;
            put(&mut bytes, at, 1, 4);
            put(&mut bytes, at + 32, index, 4);
            put(&mut bytes, at + 36, 3, 4);
            put(&mut bytes, at + 40, 48 + 64, 4);
            put(&mut bytes, at + 44, POOL - 64, 4);
        }
        bytes
    }

    #[test]
    fn an_arena_without_a_used_pool_is_found_in_the_table() {
        let mut bytes = memory(3);
        put(&mut bytes, 512 + 2 * 48, BASE + 9 * POOL, 8);
        put(&mut bytes, 512 + 2 * 48 + 8, BASE + 9 * POOL, 8);
        put(&mut bytes, 512 + 2 * 48 + 16, 4 << 32 | 4, 8);
        let spare = Arena { address: Address::new(BASE + 9 * POOL), pools: 4, free_pools: 4 };
        assert_eq!(search(bytes.clone()).last(), Some(&spare));
        put(&mut bytes, 512 + 2 * 48 + 8, BASE + 14 * POOL, 8);
        assert_eq!(search(bytes).len(), 2, "its next pool is not in it");
    }

    fn search(bytes: Vec<u8>) -> Vec<Arena> {
        search_in(bytes, &[AddressRange::new(Address::new(BASE), Address::new(BASE + 256))])
    }

    fn search_in(bytes: Vec<u8>, places: &[AddressRange]) -> Vec<Arena> {
        let end = BASE + bytes.len() as u64;
        let range = AddressRange::new(Address::new(BASE), Address::new(end));
        let image = Image::new(Backing::Owned(bytes), &[Segment { range, local: 0 }], Vec::new());
        let pools = find_pools(&image, u32::try_from(POOL).unwrap());
        assert_eq!(pools.len(), 2);
        find(&image, &layout(), (&pools, 4 * POOL), places)
    }

    #[test]
    fn the_table_is_found_by_what_it_says() {
        let arena = |index: u64| Arena {
            address: Address::new(BASE + (1 + 4 * index) * POOL),
            pools: 4,
            free_pools: 3,
        };
        assert_eq!(search(memory(3)), [arena(0), arena(1)]);
        assert_eq!(search(memory(9)), [], "more free pools than pools");
    }

    /// Word by word it would be 2^60 of them, a thousand times.
    #[test]
    fn places_as_long_as_the_address_space_cost_what_was_captured() {
        let everywhere = AddressRange::new(Address::new(3), Address::new(u64::MAX));
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(search_in(memory(3), &[everywhere; 1000])));
        let found = receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("it ends");
        assert_eq!(found, search(memory(3)));
    }
}
