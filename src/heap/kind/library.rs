//! Objects of modules and extension modules whose references lie in blocks of their own.

use crate::address::Address;
use crate::descriptions::Described;
use crate::descriptions::Reference;
use crate::heap::kind::Visit;
use crate::heap::kind::array;
use crate::heap::kind::field;
use crate::heap::kind::module_state;
use crate::heap::kind::optional_field;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::work::FREE_WORDS;

/// The longest list of cached calls that is believed.
const MOST_LINKS: u64 = 1 << 32;

/// `module_traverse`, Objects/moduleobject.c: the dict, and what the module's own `m_traverse` visits
/// in its state, which is scanned.
pub fn module(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.module;
    field(space, object.plus(layout.dict), Seen::ALL, visit);
    field(space, object.plus(layout.name), Seen::HELD, visit);
    module_state::static_variables(space, object, visit);
    let Some(state) = module_state::find(space, object) else { return };
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.as_bytes() == state.name);
    if is_one_of(&space.features.modules.visit_own_type) {
        field(space, object.plus(space.layouts.object.type_pointer), Seen::ALL, visit);
    }
    let not_visited: Vec<u64> = space.features.modules.not_visited_of(&state.name).collect();
    let visits_atoms = is_one_of(&space.features.modules.visit_atoms);
    let seen = if state.is_traversed { Seen::ALL } else { Seen::HELD };
    module_state::beyond_words(space, &state.name, (state.address, state.words), visit);
    let mut state_offset = 0;
    space.for_each_word(state.address, state.words, |word| {
        let target = Address::new(word);
        let at = state_offset;
        state_offset += 8;
        if word % 8 != 0 || word <= 4096 || (space.features.asyncio_free_list_bug && space.is_dead(target)) {
            return;
        }
        if not_visited.contains(&at) {
            visit(target, Seen::HELD.with(Seen::SCANNED));
            return;
        }
        // What cannot refer to anything (names, numbers) is left out by almost every traversal.
        let seen = if !visits_atoms && space.is_atom(target) { Seen::HELD } else { seen };
        visit(target, seen.with(Seen::SCANNED));
    });
}

/// `Pickler_traverse`, Modules/_pickle.c: the memo is a table of (key, number) apart.
pub fn pickler(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.pickler else { return };
    let seen = if space.features.pickler_visits_memo { Seen::ALL } else { Seen::HELD };
    for offset in [layout.persistent_id, layout.dispatch_table, layout.write, layout.fast_memo] {
        field(space, object.plus(offset), Seen::ALL, visit);
    }
    for offset in [layout.reducer_override, layout.buffer_callback, layout.persistent_id_attr] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    field(space, object.plus(layout.output_buffer), Seen::HELD, visit);
    let Some(memo) = space.image.pointer(object.plus(layout.memo)).filter(|memo| !memo.is_null()) else {
        return;
    };
    // PyMemoTable { mt_mask, mt_used, mt_allocated, mt_table }, PyMemoEntry { me_key, me_value }.
    let count = space.image.word(memo.plus(16)).unwrap_or(0);
    let Some(table) = space.image.pointer(memo.plus(24)) else { return };
    let mut is_key = true;
    space.for_each_word(table, count.saturating_mul(2), |word| {
        if is_key && word != 0 {
            visit(Address::new(word), seen);
        }
        is_key = !is_key;
    });
}

/// `Unpickler_traverse`, Modules/_pickle.c: the memo is an array apart.
pub fn unpickler(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.unpickler else { return };
    for offset in [layout.stack, layout.persistent_load, layout.read, layout.readline, layout.peek] {
        field(space, object.plus(offset), Seen::ALL, visit);
    }
    for offset in [layout.readinto, layout.buffers, layout.persistent_load_attr] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    let seen = if space.features.pickler_visits_memo { Seen::ALL } else { Seen::HELD };
    let count = space.image.word(object.plus(layout.memo_size)).unwrap_or(0);
    if let Some(memo) = space.image.pointer(object.plus(layout.memo)).filter(|memo| !memo.is_null()) {
        array(space, memo, count, seen, visit);
    }
}

/// `simplequeue_traverse`, Modules/_queuemodule.c: a list, from 3.13 on a ring of items.
pub fn simple_queue(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.simple_queue else { return };
    optional_field(space, object, layout.list, Seen::ALL, visit);
    let read = |offset: Option<u64>| offset.and_then(|offset| space.image.word(object.plus(offset)));
    let ring = (
        read(layout.ring_items),
        read(layout.ring_capacity),
        read(layout.ring_first),
        read(layout.ring_length),
    );
    let (Some(items), Some(capacity), Some(first), Some(length)) = ring else { return };
    if first >= capacity || length > capacity {
        return;
    }
    let until_end = length.min(capacity - first);
    array(space, Address::new(items).plus(8 * first), until_end, Seen::ALL, visit);
    array(space, Address::new(items), length - until_end, Seen::ALL, visit);
}

/// `bufferedrwpair_traverse`, Modules/_io/bufferedio.c.
pub fn buffered_pair(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.buffered_pair;
    field(space, object.plus(layout.dict), Seen::ALL, visit);
    let seen = if space.features.buffered_pair_visits_streams { Seen::ALL } else { Seen::HELD };
    field(space, object.plus(layout.reader), seen, visit);
    field(space, object.plus(layout.writer), seen, visit);
}

/// `xmlparse_traverse`, Modules/pyexpat.c: an array of handlers, one for each entry of `handler_info`, to
/// which the last field points; the texts that it interned are before it. What is before that grew by
/// security fixes, which distributions have backported: the size tells whether this is the layout of the table.
pub fn xml_parser(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    const HANDLERS: u64 = 22;
    let layout = space.layouts.expat_parser.as_ref();
    if let Some(layout) = layout.filter(|layout| layout.sizeof == plan.owner_basic_size) {
        optional_field(space, object, layout.parent, Seen::ALL, visit);
    }
    field(space, object.plus(plan.owner_basic_size.saturating_sub(16)), Seen::HELD, visit);
    let at = object.plus(plan.owner_basic_size.saturating_sub(8));
    if let Some(handlers) = space.image.pointer(at).filter(|handlers| !handlers.is_null()) {
        array(space, handlers, HANDLERS, Seen::ALL.with(Seen::SCANNED), visit);
    }
}

/// `scanner_traverse`, Modules/_json.c: everything from the hooks on, and a memo where there is one.
pub fn json_scanner(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.json_scanner else { return };
    let hooks = (layout.parse_constant + 8).saturating_sub(layout.object_hook) / 8;
    array(space, object.plus(layout.object_hook), hooks, Seen::ALL, visit);
    if space.features.json_scanner_strict_is_object {
        field(space, object.plus(layout.object_hook.saturating_sub(8)), Seen::ALL, visit);
    }
    if plan.owner_basic_size > layout.parse_constant + 8 {
        let seen = if space.features.json_scanner_visits_memo { Seen::ALL } else { Seen::HELD };
        field(space, object.plus(layout.parse_constant + 8), seen, visit);
    }
}

/// `capsule_traverse`, Objects/capsule.c (3.13 on): calls back into the module that made it. Those that have
/// anything to visit are `sock_capi_traverse`, Modules/socketmodule.c, and `curses_capi_capsule_traverse`,
/// Modules/_cursesmodule.c (3.14 on): the first word is a type.
pub fn capsule(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.capsule;
    let name = space.image.pointer(object.plus(layout.name)).filter(|name| !name.is_null());
    let name = name.and_then(|name| crate::target::Memory::read_c_string(space.image, name, 64).ok());
    let traverse = layout.traverse_func.and_then(|offset| space.image.word(object.plus(offset)));
    let is_traversed = traverse.is_some_and(|function| function != 0);
    let seen = match name.as_deref() {
        Some(b"_socket.CAPI" | b"_curses._C_API") if is_traversed => Seen::ALL,
        Some(b"_socket.CAPI") => Seen::HELD,
        _ => return,
    };
    if let Some(first) = space.image.pointer(object.plus(layout.pointer)) {
        field(space, first, seen, visit);
    }
}

/// `methodcaller_clear`, Modules/_operator.c: in 3.13 the names of keywords are set together with an array of
/// arguments, and before that the field holds whatever was in the memory.
pub fn method_caller(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.method_caller else { return };
    if !space.features.method_caller_has_array {
        return;
    }
    let array = layout.vectorcall_args.and_then(|offset| space.image.word(object.plus(offset)));
    if array.is_some_and(|array| array != 0) {
        optional_field(space, object, layout.vectorcall_names, Seen::HELD, visit);
    }
}

/// `connection_traverse`, Modules/_sqlite/connection.c: from 3.11 on what was given to `set_trace_callback` and
/// the like is in a block of its own, with the module.
pub fn sqlite_connection(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let (Some(layout), Some(callback)) = (&space.layouts.sqlite_connection, &space.layouts.sqlite_callback)
    else {
        return;
    };
    let offsets = [layout.trace_context, layout.progress_context, layout.authorizer_context];
    for offset in offsets.into_iter().flatten() {
        let context = space.image.pointer(object.plus(offset)).filter(|context| !context.is_null());
        if let Some(context) = context {
            field(space, context.plus(callback.callable), Seen::ALL, visit);
            field(space, context.plus(callback.module), Seen::ALL, visit);
        }
    }
}

/// `cache_traverse`, Modules/_sqlite/cache.c (3.10): the nodes of a linked list; before, nothing is visited.
pub fn sqlite_cache(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let (Some(layout), Some(node_layout)) = (&space.layouts.sqlite_cache, &space.layouts.sqlite_node) else {
        return;
    };
    let seen = if plan.record.traverse.is_null() { Seen::HELD } else { Seen::ALL };
    let mut node = space.image.pointer(object.plus(layout.first)).unwrap_or(Address::NULL);
    let mut left = MOST_LINKS.min(space.image.page_count() as u64 * 512);
    while !node.is_null() && left > 0 {
        if left.is_multiple_of(FREE_WORDS) && !space.work.take(FREE_WORDS) {
            break;
        }
        visit(node, seen);
        node = space.image.pointer(node.plus(node_layout.next)).unwrap_or(Address::NULL);
        left -= 1;
    }
}

/// `stringio_traverse`, Modules/_io/stringio.c.
pub fn string_io(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.string_io;
    field(space, object.plus(layout.dict), Seen::ALL, visit);
    let seen = if space.features.io_visits_parts { Seen::ALL } else { Seen::HELD };
    for offset in [layout.readnl, layout.writenl, layout.decoder] {
        field(space, object.plus(offset), seen, visit);
    }
}

/// The dict of a ctypes type holds more than a dict, which its traversal does not visit
/// (`StgDictObject`, Modules/_ctypes/ctypes.h, up to 3.12).
pub fn storage_dict(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    crate::heap::kind::container::dict(space, object, visit);
    let Some(layout) = &space.layouts.storage_dict else { return };
    for offset in [layout.proto, layout.argtypes, layout.converters, layout.restype, layout.checker] {
        field(space, object.plus(offset), Seen::HELD, visit);
    }
}

/// A ctypes type visits one of them in its dict's place (`CDataType_traverse`, Modules/_ctypes/_ctypes.c).
pub fn ctypes_prototype(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.storage_dict else { return };
    let dict =
        space.image.pointer(object.plus(space.layouts.type_object.dict)).filter(|dict| !dict.is_null());
    let is_storage = |dict: &Address| {
        let name = space
            .type_of(*dict)
            .and_then(|kind| space.image.pointer(kind.plus(space.layouts.type_object.name)));
        name.and_then(|name| space.image.bytes(name, 8)) == Some(b"StgDict\0")
    };
    if let Some(dict) = dict.filter(is_storage) {
        field(space, dict.plus(layout.proto), Seen::COLLECTOR, visit);
    }
}

/// `lru_cache_tp_traverse`, Modules/_functoolsmodule.c: the ring of links, then the fields.
pub fn lru_cache(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.lru_cache;
    let link_layout = &space.layouts.lru_link;
    let root = object.plus(layout.root);
    let mut link = space.image.pointer(object.plus(layout.root_next)).unwrap_or(Address::NULL);
    let mut left = MOST_LINKS.min(space.image.page_count() as u64 * 512);
    while !link.is_null() && link != root && left > 0 {
        if left.is_multiple_of(FREE_WORDS) && !space.work.take(FREE_WORDS) {
            break;
        }
        if space.features.lru_cache_visits_links {
            visit(link, Seen::ALL);
        } else {
            visit(link, Seen::HELD);
            field(space, link.plus(link_layout.key), Seen::ALL, visit);
            field(space, link.plus(link_layout.result), Seen::ALL, visit);
        }
        link = space.image.pointer(link.plus(link_layout.next)).unwrap_or(Address::NULL);
        left -= 1;
    }
    for offset in [layout.cache, layout.function, layout.cache_info_type, layout.dict] {
        field(space, object.plus(offset), Seen::ALL, visit);
    }
    for offset in [layout.kwd_mark, layout.element_type, layout.max_size_object] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
}

/// `teedataobject_traverse`, Modules/itertoolsmodule.c.
pub fn tee_data(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.tee_data;
    field(space, object.plus(layout.it), Seen::ALL, visit);
    field(space, object.plus(layout.nextlink), Seen::ALL, visit);
    let read = u64::from(space.image.word32(object.plus(layout.numread)).unwrap_or(0)).min(64);
    array(space, object.plus(layout.values), read, Seen::ALL, visit);
}

/// `element_gc_traverse`, Modules/_elementtree.c. The lowest bit of text and tail says that a list is
/// to be joined (`JOIN_OBJ`).
pub fn element(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let (Some(layout), Some(extra_layout)) = (&space.layouts.element, &space.layouts.element_extra) else {
        return;
    };
    field(space, object.plus(layout.tag), Seen::ALL, visit);
    for offset in [layout.text, layout.tail] {
        let word = space.image.word(object.plus(offset)).unwrap_or(0) & !1;
        if word != 0 {
            visit(Address::new(word), Seen::ALL);
        }
    }
    let Some(extra) = space.image.pointer(object.plus(layout.extra)).filter(|extra| !extra.is_null()) else {
        return;
    };
    field(space, extra.plus(extra_layout.attributes), Seen::ALL, visit);
    let length = space.image.word(extra.plus(extra_layout.length)).unwrap_or(0);
    if let Some(children) = space.image.pointer(extra.plus(extra_layout.children)) {
        array(space, children, length, Seen::ALL, visit);
    }
}

/// `bytesio_traverse`, Modules/_io/bytesio.c: before 3.13 the buffer is held but not visited.
pub fn bytes_io(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.bytes_io;
    field(space, object.plus(layout.dict), Seen::ALL, visit);
    let seen = if space.features.bytes_io_visits_buffer { Seen::ALL } else { Seen::HELD };
    field(space, object.plus(layout.buf), seen, visit);
}

/// `datetime.datetime` and `datetime.time`: `tzinfo` exists only where `hastzinfo` says so
/// (Modules/_datetimemodule.c); neither type is collected.
pub fn time_with_zone(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let is_date_time = plan.owner_basic_size >= space.layouts.date_time.sizeof;
    let (flag, zone) = if is_date_time {
        (space.layouts.date_time.has_tzinfo, space.layouts.date_time.tzinfo)
    } else {
        (space.layouts.time.has_tzinfo, space.layouts.time.tzinfo)
    };
    if space.image.byte(object.plus(flag)).is_some_and(|flag| flag == 1) {
        field(space, object.plus(zone), Seen::HELD, visit);
    }
}

/// A type that description files describe: it is not collected, or hides what it refers to.
pub fn described(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let (image, layouts) = (space.image, space.layouts);
    let described = Described { entries: &plan.described, image, layouts, object };
    described.references(&mut |found| match found {
        Reference::Certain(target) => visit(target, Seen::HELD),
        Reference::Scanned(target) => visit(target, Seen::HELD.with(Seen::SCANNED)),
        // A view with gaps is covered by the object that owns the data.
        Reference::Array(start, count) => array(space, start, count, Seen::HELD, visit),
    });
}
