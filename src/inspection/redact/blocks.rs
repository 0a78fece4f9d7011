//! What an allocator's live blocks still have of what they held before: behind the end of their object, and in
//! blocks that hold no object at all.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::ObjectId;
use crate::heap::kind::Kind;
use crate::heap::kind::instance::managed_state;
use crate::heap::own_bytes::own_bytes;
use crate::heap::plan::DictPlace;
use crate::heap::plan::Plan;
use crate::heap::space::Space;
use crate::inspection::Inspection;
use crate::layout::schema::Unpickler;
use crate::runtime::mimalloc::BlockPage;
use crate::runtime::mimalloc::blocks::FreeBlocks;
use crate::runtime::pymalloc::Pool;
use crate::target::Memory;
use rayon::prelude::*;

/// No name of a type and no format is longer. Unit: bytes.
const LONGEST_TEXT: usize = 4096;
/// Numbers up to this are no text of more than four characters.
const LARGEST_NUMBER: u64 = u32::MAX as u64;
/// Two numbers up to this may share a word; two characters of two bytes each make more.
const LARGEST_HALF: u32 = 1 << 20;

/// Memory that belongs to objects, that the analysis reads, and that is not made of addresses and small
/// numbers: tables of dicts and sets, names and formats that C code made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Table {
    start: u64,
    end: u64,
    /// Whether nothing in its block is in use behind its end.
    ends_there: bool,
}

impl Table {
    fn new(start: Address, bytes: u64) -> Option<Self> {
        let end = start.get().checked_add(bytes)?;
        (!start.is_null()).then_some(Self { start: start.get(), end, ends_there: true })
    }
}

/// Looks at every live block of pymalloc, and at those of mimalloc that have objects.
pub(super) fn leftovers(inspection: &Inspection, space: &Space<'_>) -> Vec<AddressRange> {
    let blocks = Blocks { inspection, space, tables: tables(inspection, space) };
    let in_pool = |pool: &Pool| {
        let mut ranges = Vec::new();
        if let Some(live) = pool.read(space.image, space.features.pool_size as u32) {
            for (block, bytes) in live.live() {
                blocks.in_block(block, bytes, &mut ranges);
            }
        }
        ranges
    };
    let mut ranges: Vec<AddressRange> = inspection.pools().par_iter().flat_map_iter(in_pool).collect();
    let in_page = |free: &mut FreeBlocks, page: &BlockPage| {
        let mut ranges = Vec::new();
        page.for_each_live(space.image, (free, &inspection.mimalloc), |block, _| {
            let end = block.plus(page.block_size);
            if let Some(object) = blocks.object(block, end) {
                ranges.extend(blocks.behind(object, end));
            }
        });
        ranges
    };
    let pages = inspection.mimalloc.pages.par_iter();
    ranges.par_extend(pages.map_init(FreeBlocks::default, in_page).flatten_iter());
    ranges
}

/// Every table that the analysis reads, by address.
fn tables(inspection: &Inspection, space: &Space<'_>) -> Vec<Table> {
    let walk = &inspection.heap.walk;
    let objects = inspection.heap.objects();
    let all = objects.addresses.par_iter().zip(&objects.types);
    let mut tables: Vec<Table> = all
        .flat_map_iter(|(&address, kind)| {
            let plan = walk.plans.get(kind.index()).and_then(Option::as_ref);
            plan.map(|plan| tables_of(space, plan, Address::new(address))).into_iter().flatten().flatten()
        })
        .collect();
    let pointer = |at: Address| space.image.pointer(at).filter(|found| !found.is_null());
    let text = |at: Address| text(space, at);
    for record in &walk.types.records {
        tables.extend(pointer(record.address.plus(space.layouts.type_object.name)).and_then(text));
        if record.is_heap() {
            let keys = pointer(record.address.plus(space.layouts.heap_type.cached_keys));
            let keys = keys.and_then(|keys| space.dict_keys(keys));
            tables.extend(keys.and_then(|keys| Table::new(keys.address, keys.size)));
        }
        if let Some(layout) = &space.layouts.storage_info {
            // The StgInfo of a ctypes type is behind it; see `ctypes_type_size` in `heap`.
            let info = record.address.plus(space.layouts.heap_type.sizeof.next_multiple_of(16));
            tables.extend(pointer(info.plus(layout.format)).and_then(text));
        }
    }
    tables.par_sort_unstable();
    tables
}

fn tables_of(space: &Space<'_>, plan: &Plan, object: Address) -> [Option<Table>; 3] {
    let layouts = space.layouts;
    let pointer = |offset: u64| space.image.pointer(object.plus(offset)).filter(|found| !found.is_null());
    let open = |start: Address| Some(Table { ends_there: false, ..Table::new(start, 8)? });
    let managed = (plan.dict == DictPlace::Managed && !space.features.has_inline_values())
        .then(|| managed_state(space, plan, object).values.and_then(open))
        .flatten();
    match plan.kind {
        Kind::Dict | Kind::OrderedDict | Kind::StorageDict => {
            let keys = pointer(layouts.dict.keys).and_then(|keys| space.dict_keys(keys));
            let format = layouts.storage_dict.as_ref().filter(|_| plan.kind == Kind::StorageDict);
            let format = format.and_then(|layout| text(space, pointer(layout.format)?));
            let keys = keys.and_then(|keys| Table::new(keys.address, keys.size));
            [keys, pointer(layouts.dict.values).and_then(open), format.or(managed)]
        }
        Kind::Set => {
            let mask = space.image.word(object.plus(layouts.set.mask));
            let bytes = mask
                .and_then(|mask| mask.checked_add(1))
                .and_then(|slots| slots.checked_mul(layouts.set_entry.sizeof));
            let table =
                pointer(layouts.set.table).filter(|&table| table != object.plus(layouts.set.smalltable));
            [table.zip(bytes).and_then(|(table, bytes)| Table::new(table, bytes)), managed, None]
        }
        Kind::Unpickler => {
            // `__sizeof__` counts them. It counts the line just read as well, but that is contents: the size is
            // without it afterwards.
            let field = |offset: fn(&Unpickler) -> u64| {
                layouts.unpickler.as_ref().and_then(|layout| text(space, pointer(offset(layout))?))
            };
            [field(|layout| layout.encoding), field(|layout| layout.errors), managed]
        }
        _ => [managed, None, None],
    }
}

/// A text of C with its NUL.
fn text(space: &Space<'_>, start: Address) -> Option<Table> {
    let text = space.image.read_c_string(start, LONGEST_TEXT).ok()?;
    Table::new(start, text.len() as u64 + 1)
}

struct Blocks<'a> {
    inspection: &'a Inspection,
    space: &'a Space<'a>,
    tables: Vec<Table>,
}

impl Blocks<'_> {
    /// The object in a block.
    fn object(&self, block: Address, end: Address) -> Option<(ObjectId, Address)> {
        let object = self.inspection.heap.find_at_or_before(end.minus(1))?;
        let address = Address::new(*self.inspection.heap.objects().addresses.get(object.index())?);
        (address >= block).then_some((object, address))
    }

    /// What is behind an object in its block.
    fn behind(&self, (object, address): (ObjectId, Address), end: Address) -> Option<AddressRange> {
        let heap = &self.inspection.heap;
        let kind = heap.objects().types.get(object.index())?;
        let plan = heap.walk.plans.get(kind.index())?.as_ref()?;
        let object_end = address.get().checked_add(own_bytes(self.space, plan, address)?)?;
        (object_end < end.get()).then(|| AddressRange::new(Address::new(object_end), end))
    }

    fn in_block(&self, block: Address, bytes: &[u8], ranges: &mut Vec<AddressRange>) {
        let end = block.plus(bytes.len() as u64);
        if let Some(object) = self.object(block, end) {
            ranges.extend(self.behind(object, end));
            return;
        }
        let at = self.tables.partition_point(|table| table.start < block.get());
        let table = self.tables.get(at).filter(|table| table.start < end.get());
        if let Some(table) = table {
            // Several may share a name's or a table's memory: the longest says where it ends.
            let here = self.tables[at..].iter().take_while(|table| table.start < end.get());
            let last = here.map(|table| (table.end, table.ends_there)).max().unwrap_or((table.end, false));
            if last.1 && last.0 < end.get() {
                ranges.push(AddressRange::new(Address::new(last.0), end));
            }
            return;
        }
        for (index, word) in (0_u64..).zip(bytes.chunks_exact(8)) {
            let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            if !self.may_be_read(word) {
                let start = block.plus(8 * index);
                ranges.push(AddressRange::new(start, start.plus(8)));
            }
        }
    }

    /// Whether a word can be what the analysis reads in memory that belongs to objects: an address or a number.
    fn may_be_read(&self, word: u64) -> bool {
        is_number(word) || self.is_address(word)
    }

    fn is_address(&self, word: u64) -> bool {
        let mappings = &self.inspection.capture.mappings;
        let after = mappings.partition_point(|mapping| mapping.range.start.get() <= word);
        let before = after.checked_sub(1).and_then(|index| mappings.get(index));
        before.is_some_and(|mapping| word < mapping.range.end.get())
    }
}

/// Whether a word is a number, or two small ones. More than four characters of text are neither.
fn is_number(word: u64) -> bool {
    let [low, high] = [word as u32, (word >> 32) as u32];
    let is_small = |half: u32| half <= LARGEST_HALF || half >= LARGEST_HALF.wrapping_neg();
    word <= LARGEST_NUMBER || (is_small(low) && is_small(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_number() {
        for text in [b"TOPSECRE", b"T\0O\0P\0S\0", b"ECRET\0\0\0", b"\0\0\0\0cret"] {
            assert!(!is_number(u64::from_le_bytes(*text)), "{text:?}");
        }
        for number in [0, 1, 4096, u64::MAX, 5_u64.wrapping_neg(), 0x40_0000_002a] {
            assert!(is_number(number), "{number:#x}");
        }
    }
}
