//! Which bytes of a copy are the contents of `str`, `bytes` and `bytearray`, so that it can leave the building.
//!
//! Kept are the strings that say what a thing is, not what it holds: names of types and of modules, and the
//! keys of their namespaces. Memory still holds what was in it last: blanked as well are blocks of the allocator
//! that are free, and room in live ones that nothing uses.

mod arguments;
mod blocks;
mod unused;

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::TypeId;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::types::TypeTable;
use crate::inspection::Inspection;
use crate::runtime::pymalloc::POOL_OVERHEAD;
use crate::runtime::pymalloc::Pool;
use rayon::prelude::*;
use rustc_hash::FxHashSet;

/// No chain of base types is longer.
const DEEPEST: usize = 64;
/// The most pieces that one object has.
const MOST_PIECES: usize = 5;
/// Modules whose namespaces the labels of types are read from.
const NAMESPACES: [&str; 2] = ["types", "builtins"];

/// What an object has that is to be blanked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Text,
    Bytes,
    ByteArray,
    StringIo,
}

/// The ranges to blank, sorted and apart from each other. Cost: one pass over the objects and one over the
/// allocator's pools.
pub(super) fn ranges(inspection: &Inspection) -> Vec<AddressRange> {
    let space = inspection.space();
    let types = &inspection.heap.walk.types;
    let contents: Vec<Option<Content>> =
        (0..types.records.len()).map(|index| content_of(types, TypeId::from_index(index))).collect();
    let kept = kept_strings(&space, inspection, types);
    let objects = inspection.heap.objects();
    let all = objects.addresses.par_iter().zip(&objects.types);
    let mut ranges: Vec<AddressRange> = all
        .flat_map_iter(|(&address, &kind)| {
            let content = contents.get(kind.index()).copied().flatten();
            let content = content.filter(|_| !kept.contains(&address));
            pieces(&space, Address::new(address), content).into_iter().flatten()
        })
        .collect();
    let plans = &inspection.heap.walk.plans;
    let all = objects.addresses.par_iter().zip(&objects.types);
    ranges.par_extend(all.flat_map_iter(|(&address, kind)| {
        let plan = plans.get(kind.index()).and_then(Option::as_ref);
        let unused = |plan| unused::unused(&space, &inspection.heap, plan, Address::new(address));
        plan.map(unused).into_iter().flatten()
    }));
    ranges.extend(blocks::leftovers(inspection, &space));
    ranges.extend(free_blocks(inspection));
    ranges.extend(command_and_environment(inspection));
    ranges.extend(arguments::copies(inspection));
    ranges.par_sort_unstable();
    merge(ranges)
}

fn content_of(types: &TypeTable, kind: TypeId) -> Option<Content> {
    let mut record = types.record(kind)?;
    match record.ancestor {
        Ancestor::Unicode => return Some(Content::Text),
        Ancestor::Bytes => return Some(Content::Bytes),
        _ => {}
    }
    for _ in 0..DEEPEST {
        if !record.is_heap() && record.name == "bytearray" {
            return Some(Content::ByteArray);
        }
        if record.name == "_io.StringIO" {
            return Some(Content::StringIo);
        }
        record = types.record(types.find(record.base)?)?;
    }
    None
}

fn pieces(
    space: &Space<'_>,
    object: Address,
    content: Option<Content>,
) -> [Option<AddressRange>; MOST_PIECES] {
    let range = |start: Address, length: u64| {
        let end = start.get().checked_add(length)?;
        Some(AddressRange::new(start, Address::new(end)))
    };
    let hash = |offset: u64| range(object.plus(offset), 8);
    let found = match content {
        Some(Content::Text) => text_pieces(space, object),
        Some(Content::Bytes) => {
            let layout = &space.layouts.bytes;
            let length = space.signed_size(object).and_then(|length| u64::try_from(length).ok());
            let data = length.and_then(|length| range(object.plus(layout.data), length));
            Some([data, hash(layout.hash), None, None, None])
        }
        Some(Content::ByteArray) => {
            let layout = &space.layouts.byte_array;
            let start = space.image.pointer(object.plus(layout.bytes)).filter(|start| !start.is_null());
            let length = space.image.word(object.plus(layout.allocated));
            let data = start.zip(length).and_then(|(start, length)| range(start, length));
            Some([data, None, None, None, None])
        }
        Some(Content::StringIo) => {
            // Characters of four bytes (`stringio.buf`, Modules/_io/stringio.c).
            let layout = &space.layouts.string_io;
            let start = space.image.pointer(object.plus(layout.buffer)).filter(|start| !start.is_null());
            let length = space.image.word(object.plus(layout.buffer_size));
            let data = start.zip(length).and_then(|(start, length)| range(start, length.checked_mul(4)?));
            Some([data, None, None, None, None])
        }
        None => None,
    };
    found.unwrap_or_default()
}

/// Characters, hash, copies, and the four bytes between `state` and what is aligned to eight behind it
/// (`PyASCIIObject`, Include/cpython/unicodeobject.h).
fn text_pieces(space: &Space<'_>, object: Address) -> Option<[Option<AddressRange>; MOST_PIECES]> {
    let header = space.text_header(object)?;
    let layouts = space.layouts;
    let range = |start: Address, length: u64| {
        Some(AddressRange::new(start, Address::new(start.get().checked_add(length)?)))
    };
    let pointer = |offset: u64| space.image.pointer(object.plus(offset)).filter(|pointer| !pointer.is_null());
    let characters = header.length.checked_mul(header.kind.max(1))?;
    let data = if header.is_compact {
        range(object.plus(header.data_offset), characters)
    } else {
        pointer(layouts.legacy_string.data).and_then(|start| range(start, characters))
    };
    let hash = range(object.plus(layouts.ascii_string.hash), 8);
    let utf8 = (!header.is_ascii || !header.is_compact).then(|| {
        let length = space.image.word(object.plus(layouts.compact_string.utf8_length))?;
        range(pointer(layouts.compact_string.utf8)?, length)
    });
    // wchar_t has four bytes; the length is that of the text or more, if it is kept at all.
    let wide =
        layouts.ascii_string.wstr.and_then(|offset| range(pointer(offset)?, header.length.checked_mul(4)?));
    Some([data, hash, utf8.flatten(), wide, range(object.plus(layouts.ascii_string.state + 4), 4)])
}

/// Strings that name types and modules.
fn kept_strings(space: &Space<'_>, inspection: &Inspection, types: &TypeTable) -> FxHashSet<u64> {
    let mut kept = FxHashSet::default();
    let pointer = |at: Address| space.image.pointer(at).filter(|found| !found.is_null());
    for record in &types.records {
        if let Some(dict) = pointer(record.address.plus(space.layouts.type_object.dict)) {
            keep_keys(space, dict, &mut kept);
            kept.extend(space.find_in_dict(dict, "__module__").map(Address::get));
        }
        if record.is_heap() {
            kept.extend(pointer(record.address.plus(space.layouts.heap_type.name)).map(Address::get));
            kept.extend(pointer(record.address.plus(space.layouts.heap_type.qualname)).map(Address::get));
        }
    }
    for &interpreter in &inspection.interpreters {
        let Some(modules) = pointer(interpreter.plus(space.layouts.interpreter.modules)) else { continue };
        keep_keys(space, modules, &mut kept);
        for name in NAMESPACES {
            let module = space.find_in_dict(modules, name);
            let dict = module.and_then(|module| pointer(module.plus(space.layouts.module.dict)));
            if let Some(dict) = dict {
                keep_keys(space, dict, &mut kept);
            }
        }
        if let Some(builtins) = pointer(interpreter.plus(space.layouts.interpreter.builtins)) {
            keep_keys(space, builtins, &mut kept);
        }
    }
    kept
}

fn keep_keys(space: &Space<'_>, dict: Address, kept: &mut FxHashSet<u64>) {
    let keys = space.image.pointer(dict.plus(space.layouts.dict.keys)).and_then(|keys| space.dict_keys(keys));
    if let Some(keys) = keys {
        space.for_each_entry(&keys, |key, _| {
            kept.insert(key.get());
        });
    }
}

/// What is free in the allocator's memory, without the links between free blocks: in pools that are in use,
/// in those that are not, and in the pages of free-threaded builds.
fn free_blocks(inspection: &Inspection) -> Vec<AddressRange> {
    let image = &inspection.capture.image;
    let features = &inspection.resolved.features;
    let pools = inspection.pools();
    let in_pool = |pool: &Pool| Some(pool.read(image, features.pool_size as u32)?.free_ranges());
    let mut free: Vec<AddressRange> = pools.par_iter().filter_map(in_pool).flatten_iter().collect();
    for arena in inspection.arenas(&pools) {
        let start = arena.address.get().next_multiple_of(features.pool_size);
        let end = arena.address.plus(features.arena_size);
        let places = (start..end.get()).step_by(features.pool_size as usize).map(Address::new);
        let is_free = |place: &Address| pools.binary_search_by_key(place, |pool| pool.address).is_err();
        free.extend(places.filter(is_free).map(|place| {
            let end = place.plus(features.pool_size).min(end);
            AddressRange::new(place.plus(POOL_OVERHEAD as u64), end)
        }));
    }
    free.extend(inspection.mimalloc.free_ranges(image));
    free
}

/// The arguments after the first and the environment, as the kernel handed them over.
fn command_and_environment(inspection: &Inspection) -> Vec<AddressRange> {
    let Some(state) = inspection.capture.description.state.as_deref() else { return Vec::new() };
    let first = state.command.iter().position(|&byte| byte == 0).map_or(0, |at| at as u64 + 1);
    let arguments = AddressRange::new(state.arguments.start.plus(first), state.arguments.end);
    [arguments, state.environment].into_iter().filter(|range| !range.is_empty()).collect()
}

/// Joins what overlaps or touches.
fn merge(sorted: Vec<AddressRange>) -> Vec<AddressRange> {
    let mut merged: Vec<AddressRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_become_one() {
        let range = |start, end| AddressRange::new(Address::new(start), Address::new(end));
        let merged = merge(vec![range(1, 3), range(2, 5), range(5, 6), range(8, 9), range(8, 12)]);
        assert_eq!(merged, [range(1, 6), range(8, 12)]);
    }
}
