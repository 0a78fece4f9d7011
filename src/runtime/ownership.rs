//! What each interpreter of a process has of its own: a lock, an allocator, a collector.

use crate::address::Address;
use crate::address::AddressRange;
use crate::layout::features::ArenaTable;
use crate::layout::features::Features;
use crate::layout::schema::Layouts;
use crate::runtime::interpreters::Interpreter;
use crate::runtime::interpreters::Runtime;
use crate::runtime::mimalloc::Mimalloc;
use crate::target::Image;

/// More arenas than this in one table are damage: 16 TiB of small objects.
const MOST_ARENAS: u64 = 1 << 24;

/// The lock that the threads of an interpreter take in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// One of its own (3.12 on, `Include/internal/pycore_ceval_state.h`, `own_gil`).
    Own,
    /// The main interpreter's.
    Shared,
    /// None: a free-threaded build that has not turned the lock on again.
    Off,
}

impl Lock {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
            Self::Off => "off",
        }
    }
}

/// The lock of an interpreter. `PyInterpreterState.ceval.gil` points into the interpreter whose lock it is;
/// before 3.12 there is one for the whole process.
pub fn lock(image: &Image, layouts: &Layouts, features: &Features, interpreter: &Interpreter) -> Lock {
    let gil = layouts.interpreter.gil.and_then(|offset| image.pointer(interpreter.address.plus(offset)));
    let Some(gil) = gil.filter(|gil| !gil.is_null()) else {
        return if interpreter.id == 0 { Lock::Own } else { Lock::Shared };
    };
    // `_gil_runtime_state.enabled` is the first member in free-threaded builds (Include/internal/pycore_gil.h).
    if features.free_threading.is_some() && image.word32(gil) == Some(0) {
        return Lock::Off;
    }
    let inside = interpreter.address.distance_to(gil).is_some_and(|at| at < layouts.interpreter.sizeof);
    if inside { Lock::Own } else { Lock::Shared }
}

/// Where an interpreter's allocator keeps its tables (`_obmalloc_state`), or null where the build has one for
/// the process.
fn allocator(image: &Image, layouts: &Layouts, features: &Features, interpreter: &Interpreter) -> Address {
    let Some(offset) = layouts.interpreter.obmalloc else { return Address::NULL };
    let place = interpreter.address.plus(offset);
    match features.arena_table {
        // Without arenas of its own it uses the main interpreter's (`use_main_obmalloc`, Python/pylifecycle.c).
        ArenaTable::Embedded => {
            let arenas = layouts.obmalloc.as_ref().and_then(|layout| image.word(place.plus(layout.arenas)));
            if arenas.is_some_and(|arenas| arenas != 0) { place } else { Address::NULL }
        }
        ArenaTable::Pointer => image.pointer(place).unwrap_or(Address::NULL),
        ArenaTable::Static | ArenaTable::Mimalloc => Address::NULL,
    }
}

/// Whether each interpreter has an allocator that no other one uses, in the order of the runtime's list. In
/// free-threaded builds every one has: the heaps of its threads. The main interpreter of a process always has.
pub fn own_allocators(image: &Image, layouts: &Layouts, features: &Features, runtime: &Runtime) -> Vec<bool> {
    let tables: Vec<Address> = runtime
        .interpreters
        .iter()
        .map(|interpreter| allocator(image, layouts, features, interpreter))
        .collect();
    let main = runtime.interpreters.iter().position(|interpreter| interpreter.id == 0);
    let main_table = main.and_then(|main| tables.get(main)).copied().unwrap_or(Address::NULL);
    let own = |(index, &table): (usize, &Address)| {
        Some(index) == main
            || features.arena_table == ArenaTable::Mimalloc
            || (!table.is_null() && table != main_table)
    };
    tables.iter().enumerate().map(own).collect()
}

/// The memory of which one interpreter alone uses the allocator, sorted by address, each range with the
/// interpreter's place in the runtime's list. Cost: a few reads for each arena, or nothing for each page.
pub fn ranges(
    image: &Image,
    layouts: &Layouts,
    features: &Features,
    (runtime, mimalloc): (&Runtime, &Mimalloc),
) -> Vec<(AddressRange, usize)> {
    let mut ranges = Vec::new();
    if features.arena_table == ArenaTable::Mimalloc {
        let owner = |page: &crate::runtime::mimalloc::BlockPage| {
            mimalloc.heaps.get(&page.heap).or_else(|| mimalloc.abandoned.get(&page.segment)).copied()
        };
        ranges.extend(mimalloc.pages.iter().filter_map(|page| Some((page.span, owner(page)?))));
        return ranges;
    }
    let own = own_allocators(image, layouts, features, runtime);
    let is_main_alone = own.iter().all(|&own| own);
    for (index, interpreter) in runtime.interpreters.iter().enumerate() {
        let is_alone = own.get(index) == Some(&true) && (interpreter.id != 0 || is_main_alone);
        let table = allocator(image, layouts, features, interpreter);
        if is_alone && !table.is_null() {
            arenas(image, layouts, features, table, &mut |arena| ranges.push((arena, index)));
        }
    }
    ranges.sort_unstable_by_key(|&(range, index)| (range.start, index));
    ranges
}

/// The arenas of one allocator (`arena_object`, Objects/obmalloc.c; in `Include/internal/pycore_obmalloc.h`
/// since 3.12).
fn arenas(
    image: &Image,
    layouts: &Layouts,
    features: &Features,
    table: Address,
    visit: &mut impl FnMut(AddressRange),
) {
    let Some(layout) = &layouts.obmalloc else { return };
    let arena = &layouts.arena;
    let count = image.word32(table.plus(layout.max_arenas)).map_or(0, u64::from);
    let Some(first) = image.pointer(table.plus(layout.arenas)) else { return };
    for index in 0..count.min(MOST_ARENAS) {
        let Some(address) = image.pointer(first.plus(index * arena.sizeof + arena.address)) else { return };
        if !address.is_null() {
            visit(AddressRange::new(address, address.plus(features.arena_size)));
        }
    }
}
