//! The exported symbols of a file that has no section headers, found as the dynamic linker finds them.
//!
//! The table of `PT_DYNAMIC` has pairs of tag and value (System V ABI, "Dynamic Section"). The
//! number of symbols stands in the hash table alone: in the older kind as it is, in the newer kind
//! as the end of the last chain.

use crate::binary::elf_file::ElfFile;
use crate::binary::elf_file::Section;
use goblin::elf::dynamic::DT_GNU_HASH;
use goblin::elf::dynamic::DT_HASH;
use goblin::elf::dynamic::DT_STRSZ;
use goblin::elf::dynamic::DT_STRTAB;
use goblin::elf::dynamic::DT_SYMTAB;
use goblin::elf::section_header::SHT_DYNSYM;
use goblin::elf::section_header::SHT_STRTAB;

/// Bytes of a symbol (`Elf64_Sym`).
const SYMBOL: u64 = 24;
/// More symbols than any library exports, and more than have one hash.
const MOST_SYMBOLS: u64 = 1 << 24;
const LONGEST_CHAIN: u64 = 1 << 12;

/// `.dynsym` and `.dynstr`, which names its strings by its index.
pub(super) fn exported_symbols(elf: &ElfFile, bias: u64) -> Option<Vec<Section>> {
    let table = elf.dynamic_table()?;
    let value = |wanted: u64| {
        let mut pairs = table.chunks_exact(16);
        pairs.find_map(|pair| (word(pair, 0)? == wanted).then(|| word(pair, 8)).flatten())
    };
    let place = |tag: u64| {
        let address = value(tag)?;
        let addresses = [address, address.wrapping_sub(bias)];
        addresses.into_iter().find_map(|address| Some((address, elf.offset_of(address)?)))
    };
    let (symbols, strings) = (place(DT_SYMTAB)?, place(DT_STRTAB)?);
    let old = || place(DT_HASH).and_then(|(_, offset)| old_hash_count(elf, offset));
    let new = || place(DT_GNU_HASH).and_then(|(_, offset)| new_hash_count(elf, offset));
    let count = old().or_else(new)?.min(MOST_SYMBOLS);
    let section = |name: &str, (address, offset): (u64, u64), size, kind| Section {
        name: name.to_owned(),
        address,
        offset,
        size,
        link: 1,
        kind,
        flags: 0,
    };
    Some(vec![
        section(".dynsym", symbols, count * SYMBOL, SHT_DYNSYM),
        section(".dynstr", strings, value(DT_STRSZ)?, SHT_STRTAB),
    ])
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn half(elf: &ElfFile, offset: u64) -> Option<u64> {
    let bytes = elf.bytes_at(offset, 4).ok()?;
    Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
}

/// `nbucket, nchain, ...`: there is a chain entry for each symbol.
fn old_hash_count(elf: &ElfFile, offset: u64) -> Option<u64> {
    half(elf, offset.checked_add(4)?)
}

/// `nbuckets, symoffset, bloom_size, bloom_shift`, the filter, the buckets, the chains: the chain
/// with the highest first symbol ends with the last symbol, whose lowest bit is set.
fn new_hash_count(elf: &ElfFile, offset: u64) -> Option<u64> {
    let field = |index: u64| half(elf, offset.checked_add(4 * index)?);
    let (buckets, first, filter) = (field(0)?, field(1)?, field(2)?);
    let start = offset.checked_add(16)?.checked_add(filter.checked_mul(8)?)?;
    let heads = elf.bytes_at(start, buckets.checked_mul(4)?).ok()?;
    let heads = heads.chunks_exact(4).map(|head| u32::from_le_bytes([head[0], head[1], head[2], head[3]]));
    let mut last = u64::from(heads.max()?);
    if last < first {
        return Some(first);
    }
    let chains = start.checked_add(buckets.checked_mul(4)?)?;
    for _ in 0..LONGEST_CHAIN {
        let entry = half(elf, chains.checked_add((last - first).checked_mul(4)?)?)?;
        last += 1;
        if entry & 1 == 1 {
            return Some(last);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// What the section headers of our own C library say is what is found without them.
    #[test]
    fn the_symbols_of_a_real_library_are_all_found() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .find(|path| path.contains("/libc"));
        let Some(path) = path else { return };
        let elf = ElfFile::read(File::open(path).unwrap()).unwrap();
        let expected = elf.section(".dynsym").unwrap();
        let found = exported_symbols(&elf, 0x7f00_0000_0000).unwrap();
        assert_eq!((found[0].offset, found[0].size), (expected.offset, expected.size));
        let strings = elf.section(".dynstr").unwrap();
        assert_eq!((found[1].offset, found[1].size), (strings.offset, strings.size));
    }
}
