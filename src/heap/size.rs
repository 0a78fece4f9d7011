//! `sys.getsizeof`, by layout.
//!
//! Each rule is what the type's `__sizeof__` computes, in the C file named; `getsizeof` adds the headers
//! before the object (`_PySys_GetSizeOf`, Python/sysmodule.c).

use crate::address::Address;
use crate::descriptions::Described;
use crate::heap::kind::container::DEQUE_BLOCK_ITEMS;
use crate::heap::library_size::library_size;
use crate::heap::plan::Plan;
use crate::heap::space::FLAG_MANAGED_DICT;
use crate::heap::space::FLAG_MANAGED_WEAKREF;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::types::TypeRecord;
use crate::layout::features::HeaderSize;

/// `sizeof(_PyOpcache)` from 3.8 to 3.10: three words and a byte, `Include/internal/pycore_code.h`.
const OPCODE_CACHE_ENTRY: u64 = 32;
/// No object is larger than the address space of a process. Unit: bytes.
pub(super) const LARGEST_SIZE: u64 = 1 << 47;

/// Which `__sizeof__` a type inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    /// `object.__sizeof__`: basic size and items.
    Default,
    /// longobject.c.
    Int,
    /// unicodeobject.c.
    Text,
    /// bytearrayobject.c.
    ByteArray,
    /// listobject.c.
    List,
    /// dictobject.c.
    Dict,
    /// setobject.c.
    Set,
    /// typeobject.c.
    Type,
    /// codeobject.c.
    Code,
    /// frameobject.c.
    Frame,
    /// genobject.c.
    Generator,
    /// odictobject.c.
    OrderedDict,
    /// _collectionsmodule.c.
    Deque,
    /// arraymodule.c.
    Array,
    /// _struct.c.
    StructFormat,
    /// _decimal.c.
    Decimal,
    /// _io/bufferedio.c.
    Buffered,
    /// _io/bytesio.c.
    BytesIo,
    /// _elementtree.c.
    Element,
    /// itertoolsmodule.c: an index per pool.
    Product,
    /// itertoolsmodule.c: an index per item of the pool and a cycle per item of the result.
    Permutations,
    /// itertoolsmodule.c: an index per item of the result.
    Combinations,
    /// _ctypes/stgdict.c (up to 3.12).
    StorageDict,
    /// _ctypes/_ctypes.c (3.13 on): a type that carries a `StgInfo`.
    CtypesType,
    /// _pickle.c.
    Pickler,
    /// _pickle.c.
    Unpickler,
    /// _queuemodule.c (3.15).
    SimpleQueue,
    /// As a description file says: numpy's arrays.
    Described,
}

/// `tp_name` of the C types that define `__sizeof__`.
const RULES: &[(&str, SizeRule)] = &[
    ("int", SizeRule::Int),
    ("str", SizeRule::Text),
    ("bytearray", SizeRule::ByteArray),
    ("list", SizeRule::List),
    ("dict", SizeRule::Dict),
    ("frozendict", SizeRule::Dict),
    ("set", SizeRule::Set),
    ("frozenset", SizeRule::Set),
    ("type", SizeRule::Type),
    ("code", SizeRule::Code),
    ("frame", SizeRule::Frame),
    ("generator", SizeRule::Generator),
    ("coroutine", SizeRule::Generator),
    ("async_generator", SizeRule::Generator),
    ("collections.OrderedDict", SizeRule::OrderedDict),
    ("collections.deque", SizeRule::Deque),
    ("array.array", SizeRule::Array),
    ("_struct.Struct", SizeRule::StructFormat),
    ("Struct", SizeRule::StructFormat),
    ("decimal.Decimal", SizeRule::Decimal),
    ("_io.BufferedReader", SizeRule::Buffered),
    ("_io.BufferedWriter", SizeRule::Buffered),
    ("_io.BufferedRandom", SizeRule::Buffered),
    ("_io.BytesIO", SizeRule::BytesIo),
    ("xml.etree.ElementTree.Element", SizeRule::Element),
    ("itertools.product", SizeRule::Product),
    ("itertools.permutations", SizeRule::Permutations),
    ("itertools.combinations", SizeRule::Combinations),
    ("itertools.combinations_with_replacement", SizeRule::Combinations),
    ("StgDict", SizeRule::StorageDict),
    ("_ctypes.CType_Type", SizeRule::CtypesType),
    ("_pickle.Pickler", SizeRule::Pickler),
    ("_pickle.Unpickler", SizeRule::Unpickler),
    ("_queue.SimpleQueue", SizeRule::SimpleQueue),
];

impl SizeRule {
    /// The rule of the first type in the chain that has one of its own.
    pub fn of(chain: &[TypeRecord]) -> Self {
        let find =
            |record: &TypeRecord| RULES.iter().find(|(name, _)| *name == record.name).map(|&(_, rule)| rule);
        chain
            .iter()
            // A class of the program may have the same name as a builtin.
            .filter(|record| !record.is_heap() || record.name.contains('.'))
            .find_map(find)
            .unwrap_or(Self::Default)
    }
}

/// `sys.getsizeof(object)` in bytes; `None` where the object cannot be read or says the impossible.
pub fn size_of(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let size = own_size(space, plan, object)?.checked_add(header(space, plan, object))?;
    (size <= LARGEST_SIZE).then_some(size)
}

/// The size of every instance of a type without items whose header does not depend on the instance.
pub fn fixed_size(space: &Space<'_>, plan: &Plan) -> Option<u64> {
    let record = &plan.record;
    let is_fixed =
        plan.size_rule == SizeRule::Default && record.item_size == 0 && record.ancestor != Ancestor::Type;
    is_fixed.then(|| size_of(space, plan, Address::NULL)).flatten()
}

/// What is before every instance of a type that is no metatype.
pub(super) fn leaf_header(space: &Space<'_>, plan: &Plan) -> u64 {
    header(space, plan, Address::NULL)
}

fn header(space: &Space<'_>, plan: &Plan, object: Address) -> u64 {
    let flags = plan.record.flags;
    let is_static_type = || {
        plan.record.ancestor == Ancestor::Type
            && type_flags(space, object) & crate::heap::types::FLAG_HEAP == 0
    };
    let collector = if plan.record.is_gc() { space.gc_head() } else { 0 };
    let managed = |mask: u64| if flags & mask != 0 { 16 } else { 0 };
    let both = FLAG_MANAGED_DICT | FLAG_MANAGED_WEAKREF;
    match space.features.header_size {
        HeaderSize::IfCollected => {
            if is_static_type() {
                0
            } else {
                collector
            }
        }
        HeaderSize::ByFlagsManagedDict => collector + managed(FLAG_MANAGED_DICT),
        HeaderSize::ByFlagsPreheader => collector + managed(both),
        HeaderSize::ByFlagsNotStatic => {
            if is_static_type() {
                0
            } else {
                collector + managed(both)
            }
        }
        HeaderSize::PreheaderOnly => {
            if is_static_type() {
                0
            } else {
                managed(both)
            }
        }
    }
}

fn type_flags(space: &Space<'_>, object: Address) -> u64 {
    space.image.word(object.plus(space.layouts.type_object.flags)).unwrap_or(0)
}

pub(super) fn own_size(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let basic = plan.record.basic_size;
    let read = |offset: u64| space.image.word(object.plus(offset));
    let layouts = space.layouts;
    match plan.size_rule {
        SizeRule::Default => {
            let items =
                if plan.record.item_size == 0 { 0 } else { space.signed_size(object)?.unsigned_abs() };
            basic.checked_add(items.checked_mul(plan.record.item_size)?)
        }
        SizeRule::Int => int_size(space, basic, space.digit_count(object)?),
        SizeRule::Text => text_size(space, object),
        SizeRule::ByteArray => byte_array_size(space, basic, read(layouts.byte_array.allocated)?),
        SizeRule::List => list_size(space, basic, object),
        SizeRule::Dict => dict_size(space, basic, object),
        SizeRule::Set => {
            let is_small = read(layouts.set.table)? == object.plus(layouts.set.smalltable).get();
            let slots = if is_small { 0 } else { read(layouts.set.mask)?.checked_add(1)? };
            basic.checked_add(slots.checked_mul(layouts.set_entry.sizeof)?)
        }
        SizeRule::Type => type_size(space, object),
        SizeRule::Code => code_size(space, plan, object),
        SizeRule::Frame => frame_size(space, basic, object),
        SizeRule::Generator => generator_size(space, basic, object),
        SizeRule::OrderedDict => {
            let layout = &layouts.ordered_dict;
            let used = if read(layout.first)? == 0 { 0 } else { read(layouts.dict.used)? };
            let nodes = if space.features.ordered_dict_counts_slots {
                space.dict_keys(space.image.pointer(object.plus(layouts.dict.keys))?)?.slots
            } else {
                read(layout.fast_nodes_size)?
            };
            dict_size(space, basic, object)?
                .checked_add(nodes.checked_mul(8)?)?
                .checked_add(used.checked_mul(layouts.ordered_dict_node.sizeof)?)
        }
        SizeRule::Deque => {
            let items = read(layouts.deque.leftindex)?.checked_add(space.size(object)?)?;
            let blocks = items.checked_add(DEQUE_BLOCK_ITEMS - 1)? / DEQUE_BLOCK_ITEMS;
            basic.checked_add(blocks.checked_mul(layouts.deque_block.sizeof)?)
        }
        SizeRule::Described => {
            let entries = &plan.described;
            Described { entries, image: space.image, layouts, object }.own_size(basic)
        }
        _ => library_size(space, plan, object),
    }
}

/// While a list is sorted its capacity is -1, which `__sizeof__` does not know either; where it asks the array,
/// there is none then.
fn list_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let layout = &space.layouts.list;
    if space.features.free_threading.is_some_and(|rules| rules.list_array_has_capacity) {
        let items = space.image.pointer(object.plus(layout.items))?;
        let capacity = if items.is_null() { 0 } else { space.image.word(items.minus(8))? };
        return basic.checked_add(capacity.checked_mul(8)?);
    }
    let allocated = space.image.signed(object.plus(layout.allocated))?;
    basic.checked_add_signed(allocated.max(-1).checked_mul(8)?)
}

pub(super) fn int_size(space: &Space<'_>, basic: u64, digits: u64) -> Option<u64> {
    if space.features.compact_int_tag {
        return basic.checked_add(digits.max(1).checked_mul(4)?);
    }
    let digits = if space.features.int_zero_has_digit { digits.max(1) } else { digits };
    space.layouts.int.digits.checked_add(digits.checked_mul(4)?)
}

fn text_size(space: &Space<'_>, object: Address) -> Option<u64> {
    let text = space.text_header(object)?;
    let characters = text.length.checked_add(1)?.checked_mul(text.kind)?;
    let (mut size, data) = if text.is_compact {
        (text.data_offset.checked_add(characters)?, object.plus(text.data_offset))
    } else {
        let data = space.image.pointer(object.plus(space.layouts.legacy_string.data))?;
        let own = if data.is_null() { 0 } else { characters };
        (space.layouts.legacy_string.sizeof.checked_add(own)?, data)
    };
    if !(text.is_compact && text.is_ascii) {
        // The UTF-8 form counts when it is a copy of its own (_PyUnicode_HAS_UTF8_MEMORY).
        let layout = &space.layouts.compact_string;
        let utf8 = space.image.pointer(object.plus(layout.utf8))?;
        if !utf8.is_null() && utf8 != data {
            size = size.checked_add(space.image.word(object.plus(layout.utf8_length))?.checked_add(1)?)?;
        }
    }
    if let Some(wide) = space.layouts.ascii_string.wstr {
        let wide = space.image.pointer(object.plus(wide))?;
        if !wide.is_null() && wide != data {
            let length = match space.layouts.compact_string.wstr_length {
                Some(offset) if !(text.is_compact && text.is_ascii) => {
                    space.image.word(object.plus(offset))?
                }
                _ => text.length,
            };
            size = size.checked_add(length.checked_add(1)?.checked_mul(4)?)?;
        }
    }
    Some(size)
}

fn byte_array_size(space: &Space<'_>, basic: u64, allocated: u64) -> Option<u64> {
    // 3.15 keeps the bytes in a bytes object and counts that object's header.
    let header =
        if space.features.bytearray_holds_bytes && allocated > 0 { space.layouts.bytes.data + 1 } else { 0 };
    basic.checked_add(header)?.checked_add(allocated)
}

pub(super) fn dict_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let keys = space.dict_keys(space.image.pointer(object.plus(space.layouts.dict.keys))?)?;
    let values = space.image.pointer(object.plus(space.layouts.dict.values))?;
    let mut size = basic;
    if !values.is_null() {
        let slots = if space.features.split_dict_counts_entries {
            keys.entry_count + keys.usable
        } else {
            keys.capacity
        };
        size = size.checked_add(slots.checked_mul(8)?)?;
    }
    if keys.reference_count == 1 {
        size = size.checked_add(keys.size)?;
    }
    Some(size)
}

/// The size that the dict of an instance would have if somebody asked for it now: it shares the
/// keys of the class, so their table does not count (`make_dict_from_instance_attributes`).
pub fn unmade_dict_size(space: &Space<'_>, plan: &Plan) -> Option<u64> {
    let keys = space.image.pointer(plan.type_address.plus(space.layouts.heap_type.cached_keys))?;
    let keys = space.dict_keys(keys)?;
    let slots = keys.entry_count.checked_add(keys.usable)?;
    (space.gc_head() + space.layouts.dict.sizeof).checked_add(slots.checked_mul(8)?)
}

fn type_size(space: &Space<'_>, object: Address) -> Option<u64> {
    if type_flags(space, object) & crate::heap::types::FLAG_HEAP == 0 {
        return Some(space.layouts.type_object.sizeof);
    }
    let layout = &space.layouts.heap_type;
    let keys = space.image.pointer(object.plus(layout.cached_keys))?;
    let keys = if keys.is_null() { 0 } else { space.dict_keys(keys)?.size };
    layout.sizeof.checked_add(keys)
}

fn code_size(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let layout = &space.layouts.code;
    let extra = space.image.pointer(object.plus(layout.extra))?;
    // _PyCodeObjectExtra { ce_size; ce_extras[] }.
    let extra = match space.features.code_size.extra.filter(|_| !extra.is_null()) {
        Some(header) => space.image.word(extra)?.checked_mul(8)?.checked_add(header)?,
        None => 0,
    };
    let size = if space.features.code_size.is_variable {
        let items = space.size(object)?.checked_mul(plan.record.item_size)?;
        plan.record.basic_size.checked_add(items)?.checked_next_multiple_of(8)?
    } else {
        old_code_size(space, plan.record.basic_size, object)?
    };
    size.checked_add(extra)
}

/// Up to 3.10 (`code_sizeof`): the map from cells to arguments and the cache of opcodes count.
fn old_code_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let layout = &space.layouts.code;
    let has = |offset: u64| space.image.word(object.plus(offset)).is_some_and(|word| word != 0);
    let mut size = basic;
    if let (Some(map), Some(cells)) = (layout.cell_to_argument, layout.cellvars)
        && has(map)
    {
        let cells = space.size(space.image.pointer(object.plus(cells))?)?;
        size = size.checked_add(cells.checked_mul(space.features.code_size.cell)?)?;
    }
    if let (Some(cache), Some(entries), Some(code)) = (layout.opcache, layout.opcache_size, layout.code_bytes)
        && has(cache)
    {
        // A byte for each code unit of two bytes, and _PyOpcache { u; optimized } (pycore_code.h).
        let units = space.size(space.image.pointer(object.plus(code))?)? / 2;
        let entries = u64::from(space.image.byte(object.plus(entries))?);
        size = size.checked_add(units)?.checked_add(entries * OPCODE_CACHE_ENTRY)?;
    }
    Some(size)
}

fn frame_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let layout = &space.layouts.frame;
    if let Some(pointer) = layout.frame {
        return frame_object_size(space, space.image.pointer(object.plus(pointer))?);
    }
    let slots = space.frame_slots(space.image.pointer(object.plus(layout.code?))?)?;
    // The structure has one slot of its own (frame_sizeof: extras of the code, minus one).
    (basic + 8 * (slots.locals + slots.stack)).checked_sub(8)
}

/// The size of the frame object of an interpreter frame (3.11+), whether there is one or not, without
/// its collector header.
pub fn frame_object_size(space: &Space<'_>, frame: Address) -> Option<u64> {
    let data = space.layouts.frame.frame_data?;
    let slots = space.frame_slots(space.frame_code(frame)?)?;
    Some(data + space.layouts.interpreter_frame.as_ref()?.locals_plus + 8 * (slots.locals + slots.stack))
}

fn generator_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let (Some(offset), Some(frame_layout)) =
        (space.layouts.generator.interpreter_frame, &space.layouts.interpreter_frame)
    else {
        return Some(basic);
    };
    let slots = space.frame_slots(space.frame_code(object.plus(offset))?)?;
    Some(offset + frame_layout.locals_plus + 8 * (slots.locals + slots.stack))
}
