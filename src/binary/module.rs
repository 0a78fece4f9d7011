//! The files that are mapped as programs and libraries.

use crate::address::Address;
use crate::address::AddressRange;
use crate::binary::BinaryError;
use crate::binary::elf_file::ElfFile;
use crate::binary::symbols::Symbol;
use crate::binary::symbols::Symbols;
use crate::target::Mapping;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;

const PAGE: u64 = 4096;

/// One loaded ELF file.
#[derive(Debug)]
pub struct Module {
    /// Its path, as the target sees it.
    pub path: String,
    /// Where its pieces are mapped, in order of address.
    pub mappings: Vec<Mapping>,
    /// What to add to a link-time address; wraps.
    pub bias: u64,
    /// The file.
    pub elf: ElfFile,
    symbols: OnceLock<Symbols>,
}

impl Module {
    /// Reads the file behind a group of mappings.
    pub fn new(mappings: Vec<Mapping>, file: File) -> Result<Self, BinaryError> {
        let mut elf = ElfFile::read(file)?;
        let bias = find_bias(&elf, &mappings).ok_or(BinaryError::Damaged("no segment is mapped"))?;
        elf.find_dynamic_sections(bias);
        let path = mappings.first().map(|mapping| mapping.name.clone()).unwrap_or_default();
        Ok(Self { path, mappings, bias, elf, symbols: OnceLock::new() })
    }

    /// The file's name without its folder.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| Symbols::read(&self.elf))
    }

    /// A link-time address as one of the process.
    pub fn address_of(&self, link_address: u64) -> Address {
        Address::new(link_address.wrapping_add(self.bias))
    }

    /// An address of the process as a link-time address.
    pub fn link_address_of(&self, address: Address) -> u64 {
        address.get().wrapping_sub(self.bias)
    }

    /// A symbol's address in the process, and what the file says of it. Cost: the tables are read at
    /// the first call, then a linear search.
    pub fn find_symbol(&self, name: &str) -> Option<(Address, Symbol)> {
        let symbol = self.symbols().find(&self.elf, name)?;
        Some((self.address_of(symbol.address), symbol))
    }

    /// Every symbol of that name, with its address in the process.
    pub fn find_symbols(&self, name: &str) -> Vec<(Address, Symbol)> {
        let found = self.symbols().find_all(&self.elf, name).into_iter();
        found.map(|symbol| (self.address_of(symbol.address), symbol)).collect()
    }

    /// Whether the file says of any function of its own what it is called.
    pub fn has_symbols(&self) -> bool {
        self.symbols().has_functions()
    }

    /// Whether the file exports that name.
    pub fn exports(&self, name: &str) -> bool {
        self.symbols().find_exported(name).is_some()
    }

    /// The name of the function or variable at an address of the process, if the file says.
    pub fn symbol_at(&self, address: Address) -> Option<String> {
        self.symbols().name_at(&self.elf, self.link_address_of(address))
    }

    /// Where a section is in the process.
    pub fn section_range(&self, name: &str) -> Option<AddressRange> {
        let section = self.elf.section(name).filter(|section| section.address != 0)?;
        let start = self.address_of(section.address);
        Some(AddressRange::new(start, start.plus(section.size)))
    }

    /// Where its variables are: the writable segments, with what is zero at the start (`.bss`).
    pub fn data_ranges(&self) -> Vec<AddressRange> {
        let writable = self.elf.segments().iter().filter(|segment| segment.writable);
        writable
            .map(|segment| {
                let start = self.address_of(segment.address);
                AddressRange::new(start, start.plus(segment.memory_size))
            })
            .collect()
    }

    /// Every loaded range, page-aligned.
    pub fn ranges(&self) -> Vec<AddressRange> {
        let segments = self.elf.segments().iter();
        segments
            .map(|segment| {
                let start = self.address_of(segment.address - segment.address % PAGE);
                let end = self.address_of(segment.address).plus(segment.memory_size);
                AddressRange::new(start, end)
            })
            .collect()
    }

    /// The build id in hexadecimal.
    pub fn build_id(&self) -> Option<String> {
        self.elf.build_id().map(|id| hexadecimal(&id))
    }
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}

/// The bias that explains the mappings: the one of the first mapping that starts where a segment does.
fn find_bias(elf: &ElfFile, mappings: &[Mapping]) -> Option<u64> {
    mappings.iter().find_map(|mapping| {
        let segment = elf.segments().iter().find(|segment| {
            segment.offset - segment.offset % PAGE == mapping.file_offset
                && (segment.writable || !mapping.writable)
        })?;
        Some(mapping.range.start.get().wrapping_sub(segment.address - segment.address % PAGE))
    })
}

/// The programs and libraries of a process.
#[derive(Debug, Default)]
pub struct Modules {
    /// In order of address.
    pub modules: Vec<Arc<Module>>,
    /// Files that are mapped executable and could not be read, with the reason.
    pub unreadable: Vec<(String, BinaryError)>,
}

impl Modules {
    /// Groups the mappings by file and reads the headers of every file that is mapped executable.
    /// Cost: some five small reads per library.
    pub fn of(mappings: &[Mapping], open: &dyn Fn(&Mapping) -> io::Result<File>) -> Self {
        let mut modules = Self::default();
        for group in group_by_file(mappings) {
            let Some(first) = group.first().filter(|_| group.iter().any(|mapping| mapping.executable)) else {
                continue;
            };
            let name = first.name.clone();
            let opened = open(first).map_err(|source| BinaryError::Io { what: name.clone(), source });
            match opened.and_then(|file| Module::new(group, file)) {
                Ok(module) => modules.modules.push(Arc::new(module)),
                // Code that is no ELF file (a JIT's cache) is none of our business.
                Err(BinaryError::NotElf) => {}
                Err(error) => modules.unreadable.push((name, error)),
            }
        }
        modules
    }

    /// The module that is mapped at an address. Cost: linear in the number of mappings.
    pub fn find_at(&self, address: Address) -> Option<&Arc<Module>> {
        self.modules.iter().find(|module| module.ranges().iter().any(|range| range.contains(address)))
    }

    /// The module of that path.
    pub fn find_path(&self, path: &Path) -> Option<&Arc<Module>> {
        self.modules.iter().find(|module| Path::new(&module.path) == path)
    }
}

/// Groups the mappings of one file; a file that is loaded twice gives two groups. A mapping of the
/// file's start begins a group.
fn group_by_file(mappings: &[Mapping]) -> Vec<Vec<Mapping>> {
    let mut groups: Vec<Vec<Mapping>> = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.is_file()) {
        let same = |group: &&mut Vec<Mapping>| {
            group.first().is_some_and(|first| first.inode == mapping.inode && first.name == mapping.name)
        };
        match groups.iter_mut().rev().find(same).filter(|_| mapping.file_offset != 0) {
            Some(group) => group.push(mapping.clone()),
            None => groups.push(vec![mapping.clone()]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, offset: u64, inode: u64) -> Mapping {
        Mapping {
            range: AddressRange::new(Address::new(start), Address::new(start + PAGE)),
            readable: true,
            writable: false,
            executable: offset != 0,
            shared: false,
            file_offset: offset,
            inode,
            name: format!("/lib/{inode}"),
            deleted: false,
        }
    }

    #[test]
    fn a_file_that_is_loaded_twice_is_two_modules() {
        let mappings = [
            mapping(0x1000, 0, 7),
            mapping(0x2000, 0x1000, 7),
            mapping(0x5000, 0, 8),
            mapping(0x9000, 0, 7),
            mapping(0xa000, 0x1000, 7),
        ];
        let sizes: Vec<_> = group_by_file(&mappings).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 2]);
    }
}
