//! Symbols of one file, by name.

use crate::binary::elf_file::CONTEXT;
use crate::binary::elf_file::ElfFile;
use goblin::elf::Sym;
use std::sync::OnceLock;

/// One defined symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Link-time address.
    pub address: u64,
    /// Its size; 0 if the file does not say. Unit: bytes.
    pub size: u64,
}

/// The symbols of one section. Few are ever asked for, so that they are not sorted.
#[derive(Debug, Default)]
struct SymbolTable {
    strings: Vec<u8>,
    symbols: Vec<(usize, Symbol)>,
    has_functions: bool,
}

impl SymbolTable {
    fn read(elf: &ElfFile, section: &str) -> Option<Self> {
        let section = elf.section(section)?;
        let strings = elf.section_data(elf.sections().get(section.link)?).ok()?;
        Self::parse(&elf.section_data(section).ok()?, strings)
    }

    fn parse(bytes: &[u8], strings: Vec<u8>) -> Option<Self> {
        let count = bytes.len() / Sym::size(CONTEXT.container);
        let symbols = Sym::parse(bytes, 0, count, CONTEXT).ok()?;
        let defined = || symbols.iter().filter(|symbol| symbol.st_shndx != 0);
        let symbols = defined()
            .map(|symbol| (symbol.st_name, Symbol { address: symbol.st_value, size: symbol.st_size }));
        Some(Self { symbols: symbols.collect(), strings, has_functions: defined().any(Sym::is_function) })
    }

    fn name(&self, at: usize) -> &[u8] {
        self.strings.get(at..).and_then(|rest| rest.split(|&byte| byte == 0).next()).unwrap_or(&[])
    }

    fn find_all<'t>(&'t self, name: &'t str) -> impl Iterator<Item = Symbol> + 't {
        let has_name = move |at: usize| {
            let rest = self.strings.get(at..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
            rest.and_then(|rest| rest.first()) == Some(&0)
        };
        self.symbols.iter().filter(move |symbol| has_name(symbol.0)).map(|symbol| symbol.1)
    }
}

/// The defined symbols of a file: the exported ones, and the others if it is not stripped.
#[derive(Debug, Default)]
pub struct Symbols {
    exported: SymbolTable,
    all: OnceLock<SymbolTable>,
}

impl Symbols {
    /// Reads the exported symbols. Cost: linear in their number (a CPython has some 2500).
    pub fn read(elf: &ElfFile) -> Self {
        Self { exported: SymbolTable::read(elf, ".dynsym").unwrap_or_default(), all: OnceLock::new() }
    }

    /// Whether the file exports a function. A program has variables of libraries (`stdout`) in its own memory, and
    /// names them, though it exports nothing of its own.
    pub fn has_functions(&self) -> bool {
        self.exported.has_functions
    }

    /// The other symbols. Cost: read at the first call (a CPython has some 25 000).
    fn all(&self, elf: &ElfFile) -> &SymbolTable {
        self.all.get_or_init(|| SymbolTable::read(elf, ".symtab").unwrap_or_default())
    }

    /// The exported symbol of that name. Cost: linear, some 10 µs.
    pub fn find_exported(&self, name: &str) -> Option<Symbol> {
        self.exported.find_all(name).next()
    }

    /// The symbol of that name. Cost: linear, some 100 µs.
    pub fn find(&self, elf: &ElfFile, name: &str) -> Option<Symbol> {
        self.find_exported(name).or_else(|| self.all(elf).find_all(name).next())
    }

    /// Every symbol of that name: static variables of several C files may share one.
    pub fn find_all(&self, elf: &ElfFile, name: &str) -> Vec<Symbol> {
        let all = self.exported.find_all(name).chain(self.all(elf).find_all(name));
        let mut found: Vec<_> = all.collect();
        found.sort_unstable_by_key(|symbol| (symbol.address, symbol.size));
        found.dedup();
        found
    }

    /// The name of the symbol that covers a link-time address. Cost: linear.
    pub fn name_at(&self, elf: &ElfFile, address: u64) -> Option<String> {
        [self.all(elf), &self.exported].into_iter().find_map(|table| {
            let covers = |symbol: &Symbol| {
                address.checked_sub(symbol.address).is_some_and(|into| into < symbol.size.max(1))
            };
            let (name, _) = table.symbols.iter().find(|(_, symbol)| covers(symbol))?;
            Some(String::from_utf8_lossy(table.name(*name)).into_owned())
        })
    }
}
