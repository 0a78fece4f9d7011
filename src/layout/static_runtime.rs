//! The runtime state before there was a structure for it: 3.6 has its parts in static variables.
//!
//! `interp_head` (Python/pystate.c), `_Py_Finalizing` (Python/pylifecycle.c), `_PyThreadState_Current`
//! (Python/pystate.c), `generations` and `collecting` (Modules/gcmodule.c) are what later became members of
//! `_PyRuntimeState`. Where a binary has them is the layout of a structure that begins at the first of them: one
//! more source of the table, like debug information, after which nobody needs to know.
//!
//! Each is found by its name; where a stripped binary has lost it, by the code of an exported function that reads
//! it; where there is no code or no name at all, by what it must look like. Whatever is found is checked.

use crate::address::Address;
use crate::binary::ElfFile;
use crate::binary::InterpreterImage;
use crate::binary::Module;
use crate::binary::machine_code::variables_read;
use crate::binary::symbols::Symbols;
use crate::layout::static_scan;
use crate::layout::table::Entry;
use crate::layout::table::Table;
use crate::target::Memory;

/// The structures that are put together here: no table of these versions has them.
pub const STRUCTURES: &[&str] = &["_PyRuntimeState", "_gc_runtime_state"];

/// The part of a function that is looked at: it reads the variable before it does anything. Unit: bytes.
const LOOKED_AT: u64 = 64;
/// Lists that change while they are looked at are looked at once more.
const TRIES: usize = 4;
/// `PyGC_Head` of a release and of one that is aligned as `long double` (bpo-27987), as some distributions have
/// it: the heads tell which, as it changes nothing else. Unit: bytes.
const HEAD_SIZES: [u64; 2] = [24, 32];

/// Where the variables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRuntime {
    /// The first of them, as it were `_PyRuntime`.
    pub address: Address,
    /// The offsets of all from there on, and what they show of the collector's structures.
    pub table: Table,
}

/// Finds the variables; `None` if any of those is missing without which nothing is found. `separate` is the
/// binary's debug file. Cost: reads symbols, and all variables of a binary that has none.
pub fn find(
    memory: &dyn Memory,
    image: &InterpreterImage,
    separate: Option<&ElfFile>,
    table: &Table,
) -> Option<StaticRuntime> {
    let separate = separate.map(|elf| (elf, Symbols::read(elf)));
    let offsets = Offsets::of(table)?;
    let finder = Finder { memory, module: &image.module, separate, offsets };
    let head = finder.interpreters()?;
    let generations = finder.generations()?;
    let optional = [
        ("_PyRuntimeState._finalizing", finder.pointer("_Py_Finalizing")),
        ("_PyRuntimeState.gilstate.tstate_current", finder.pointer("_PyThreadState_Current")),
        ("_gc_runtime_state.collecting", finder.collecting()),
    ];
    let mut places = vec![
        ("_PyRuntimeState.interpreters.head", head),
        ("_gc_runtime_state.generations", generations.first),
    ];
    places.extend(optional.into_iter().filter_map(|(key, place)| Some((key, place?))));
    Some(put_together(&places, generations.head_size))
}

fn put_together(places: &[(&str, Address)], head_size: u64) -> StaticRuntime {
    let address = places.iter().map(|&(_, place)| place).min().unwrap_or(Address::NULL);
    let mut table = Table::default();
    let mut size = 0;
    for &(key, place) in places {
        let offset = place.get() - address.get();
        size = size.max(offset + 8);
        table.insert(key, Entry::at(offset));
    }
    // The collector's part is not apart from the rest.
    table.insert("_PyRuntimeState.gc", Entry::at(0));
    for structure in STRUCTURES {
        table.insert(format!("sizeof({structure})"), Entry::at(size));
    }
    table.insert("sizeof(PyGC_Head)", Entry::at(head_size));
    table.insert("sizeof(gc_generation)", Entry::at(generation_size(head_size)));
    table.insert("gc_generation.threshold", Entry::at(head_size));
    table.insert("gc_generation.count", Entry::at(head_size + 4));
    StaticRuntime { address, table }
}

/// `struct gc_generation`, Modules/gcmodule.c: a head and two `int`, aligned as the head is.
fn generation_size(head_size: u64) -> u64 {
    (head_size + 8).next_multiple_of(if head_size.is_multiple_of(16) { 16 } else { 8 })
}

/// What tells an interpreter from anything else: its newest thread belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    /// `PyInterpreterState.next`.
    pub(super) next: u64,
    threads: u64,
    interpreter: u64,
}

impl Offsets {
    pub(super) fn of(table: &Table) -> Option<Self> {
        let offset = |key| table.get(key).map(|entry| entry.offset);
        Some(Self {
            next: offset("PyInterpreterState.next")?,
            threads: offset("PyInterpreterState.threads.head")?,
            interpreter: offset("PyThreadState.interp")?,
        })
    }

    /// Whether an interpreter is at this address.
    pub(super) fn is_interpreter(self, memory: &dyn Memory, at: Address) -> bool {
        if at.is_null() || !at.is_aligned(8) {
            return false;
        }
        let thread = memory.read_address(at.plus(self.threads)).ok().filter(|thread| !thread.is_null());
        thread.and_then(|thread| memory.read_address(thread.plus(self.interpreter)).ok()) == Some(at)
    }
}

/// The heads of the three lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generations {
    /// The youngest.
    pub(super) first: Address,
    /// `sizeof(PyGC_Head)`.
    pub(super) head_size: u64,
}

impl Generations {
    /// What is at this address if it is `generations`: three heads of lists, of which the two older ones change
    /// only when the collector runs, and so can be seen to be rings while the process goes on.
    pub(super) fn at(memory: &dyn Memory, first: Address) -> Option<Self> {
        let is_array = |head_size: u64| {
            let head = |index| first.plus(index * generation_size(head_size));
            [2, 1].into_iter().all(|index| is_ring(memory, head(index)))
        };
        neighbours(memory, first)?;
        let head_size = HEAD_SIZES.into_iter().find(|&size| is_array(size))?;
        Some(Self { first, head_size })
    }
}

/// What follows a head and what is before it.
fn neighbours(memory: &dyn Memory, head: Address) -> Option<(Address, Address)> {
    let read = |at: Address| memory.read_address(at).ok();
    let pair = (read(head)?, read(head.plus(8))?);
    [pair.0, pair.1].iter().all(|at| !at.is_null() && at.is_aligned(8)).then_some(pair)
}

/// Whether the neighbours of a head lead back to it.
fn is_ring(memory: &dyn Memory, head: Address) -> bool {
    neighbours(memory, head).is_some_and(|(next, previous)| {
        memory.read_address(next.plus(8)) == Ok(head) && memory.read_address(previous) == Ok(head)
    })
}

struct Finder<'a> {
    memory: &'a dyn Memory,
    module: &'a Module,
    separate: Option<(&'a ElfFile, Symbols)>,
    offsets: Offsets,
}

impl Finder<'_> {
    /// Variables of that name and size, by the symbols of the binary and of its debug file.
    fn named(&self, name: &str, size: u64) -> Vec<Address> {
        let own = self.module.find_symbols(name).into_iter();
        let others = self.separate.iter().flat_map(|(elf, symbols)| symbols.find_all(elf, name));
        let others = others.map(|symbol| (self.module.address_of(symbol.address), symbol));
        let mut found: Vec<Address> = own
            .chain(others)
            .filter(|(address, symbol)| symbol.size == size && self.is_variable(*address))
            .map(|(address, _)| address)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn is_variable(&self, address: Address) -> bool {
        self.module.data_ranges().iter().any(|range| range.contains(address))
    }

    /// The variable of that name that is what it should be: several C files may have one.
    fn only(&self, name: &str, size: u64, is_it: impl Fn(Address) -> bool) -> Option<Address> {
        let mut found = self.named(name, size).into_iter().filter(|&address| is_it(address));
        found.next().filter(|_| found.next().is_none())
    }

    /// An exported pointer.
    fn pointer(&self, name: &str) -> Option<Address> {
        self.only(name, 8, |address| self.memory.read_address(address).is_ok())
    }

    /// The first variable that a function reads and that is what it should be.
    fn read_by(&self, function: &str, is_it: impl Fn(Address) -> bool) -> Option<Address> {
        let (_, symbol) = self.module.find_symbol(function)?;
        let length = if symbol.size == 0 { LOOKED_AT } else { symbol.size.min(LOOKED_AT) };
        let code = self.module.elf.bytes_at_address(symbol.address, length).ok()?;
        let read = variables_read(&code, symbol.address).into_iter();
        read.map(|variable| self.module.address_of(variable))
            .find(|&variable| self.is_variable(variable) && is_it(variable))
    }

    /// `interp_head`.
    fn interpreters(&self) -> Option<Address> {
        let is_head = |at: Address| {
            let first = self.memory.read_address(at);
            // Null before the interpreter is initialised.
            at.is_aligned(8)
                && first.is_ok_and(|first| first.is_null() || self.offsets.is_interpreter(self.memory, first))
        };
        self.only("interp_head", 8, is_head)
            .or_else(|| self.read_by("PyInterpreterState_Head", is_head))
            .or_else(|| static_scan::interpreters(self.memory, &self.module.data_ranges(), self.offsets))
    }

    /// `generations`, to the first of which an exported variable points.
    fn generations(&self) -> Option<Generations> {
        let ranges = self.module.data_ranges();
        let find = || {
            let pointer = self.pointer("_PyGC_generation0").and_then(|at| self.memory.read_address(at).ok());
            let sizes = HEAD_SIZES.into_iter().map(|size| 3 * generation_size(size));
            let named = sizes.flat_map(|size| self.named("generations", size));
            let mut places = pointer.into_iter().chain(named).filter(|&at| self.is_variable(at));
            places
                .find_map(|at| Generations::at(self.memory, at))
                .or_else(|| static_scan::generations(self.memory, &ranges))
        };
        (0..TRIES).find_map(|_| find())
    }

    /// `collecting`, an `int` that is 1 while the collector runs.
    fn collecting(&self) -> Option<Address> {
        let is_flag =
            |at: Address| at.is_aligned(4) && self.memory.read_u32(at).is_ok_and(|value| value <= 1);
        self.only("collecting", 4, is_flag).or_else(|| self.read_by("PyGC_Collect", is_flag))
    }
}

#[cfg(test)]
mod tests;
