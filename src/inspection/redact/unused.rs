//! Room in objects that nothing uses and that was never written: what the memory held before is still there.

use crate::address::Address;
use crate::address::AddressRange;
use crate::heap::kind::Kind;
use crate::heap::kind::container::DEQUE_BLOCK_ITEMS;
use crate::heap::kind::execution::StackCells;
use crate::heap::model::Heap;
use crate::heap::plan::Plan;
use crate::heap::size::SizeRule;
use crate::heap::space::Space;

/// Words of a decimal's coefficient inside it (`_Py_DEC_MINALLOC`, Modules/_decimal/_decimal.c).
const DECIMAL_WORDS: u64 = 4;

/// Between two addresses, as far as that is a stretch.
fn between(start: Address, end: Address) -> Option<AddressRange> {
    (start < end).then(|| AddressRange::new(start, end))
}

/// Cells `from..to` of an array of words.
fn cells(first: Address, from: u64, to: u64) -> Option<AddressRange> {
    let at = |index: u64| Some(Address::new(first.get().checked_add(index.checked_mul(8)?)?));
    between(at(from)?, at(to)?)
}

/// The unused room of an object: items of a list behind its length, cells of a deque's blocks before the first
/// and behind the last item, cells of `itertools.tee` not read yet, words behind a decimal's number, the stack of
/// blocks of a frame, and what its stack of values holds that is no object.
pub(super) fn unused(space: &Space<'_>, heap: &Heap, plan: &Plan, object: Address) -> Vec<AddressRange> {
    match plan.kind {
        Kind::List => list(space, object).into_iter().collect(),
        Kind::Deque => deque(space, object).unwrap_or_default().into_iter().flatten().collect(),
        Kind::TeeData => tee_data(space, plan, object).into_iter().collect(),
        Kind::Frame => frame(space, heap, plan, object),
        Kind::Generator => generator(space, heap, plan, object),
        _ if plan.size_rule == SizeRule::Decimal => decimal(space, object).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn list(space: &Space<'_>, object: Address) -> Option<AddressRange> {
    let layout = &space.layouts.list;
    let items = space.image.pointer(object.plus(layout.items)).filter(|items| !items.is_null())?;
    // While a list is sorted its capacity is -1.
    let allocated = u64::try_from(space.image.signed(object.plus(layout.allocated))?).ok()?;
    let range = cells(items, space.size(object)?, allocated)?;
    space.image.is_readable(range.end.minus(1)).then_some(range)
}

/// `dequeobject` (Modules/_collectionsmodule.c): `rightindex` is the last item's place in the right block, one
/// less than `leftindex` if there is none.
fn deque(space: &Space<'_>, object: Address) -> Option<[Option<AddressRange>; 2]> {
    let layout = &space.layouts.deque;
    let data = |offset: u64| {
        let block = space.image.pointer(object.plus(offset)).filter(|block| !block.is_null())?;
        Some(block.plus(space.layouts.deque_block.data))
    };
    let left = space.image.word(object.plus(layout.leftindex)).filter(|&at| at <= DEQUE_BLOCK_ITEMS)?;
    let behind = space.image.word(object.plus(layout.rightindex))?.wrapping_add(1);
    let right = (behind <= DEQUE_BLOCK_ITEMS).then_some(behind)?;
    Some([cells(data(layout.leftblock)?, 0, left), cells(data(layout.rightblock)?, right, DEQUE_BLOCK_ITEMS)])
}

/// `teedataobject` (Modules/itertoolsmodule.c): `values` is the last field.
fn tee_data(space: &Space<'_>, plan: &Plan, object: Address) -> Option<AddressRange> {
    let layout = &space.layouts.tee_data;
    let read = u64::from(space.image.word32(object.plus(layout.numread))?);
    let first = object.plus(layout.values.checked_add(read.checked_mul(8)?)?);
    between(first, object.plus(plan.record.basic_size))
}

fn frame(space: &Space<'_>, heap: &Heap, plan: &Plan, object: Address) -> Vec<AddressRange> {
    let layout = &space.layouts.frame;
    let mut ranges = Vec::new();
    // Up to 3.10: `f_blockstack[CO_MAXBLOCKS]`, right before the variables and never cleared
    // (Include/frameobject.h, Objects/frameobject.c).
    if let (Some(blocks), Some(locals)) = (layout.blockstack, layout.localsplus) {
        ranges.extend(between(object.plus(blocks), object.plus(locals)));
    }
    // From 3.11 on: room for the frame once it has returned, never written before (`_PyFrame_New_NoTrack`).
    if let (Some(pointer), Some(data)) = (layout.frame, layout.frame_data)
        && space.image.pointer(object.plus(pointer)).is_some_and(|frame| frame != object.plus(data))
    {
        let end = crate::heap::own_bytes::own_bytes(space, plan, object);
        ranges.extend(end.and_then(|end| between(object.plus(data), object.plus(end))));
        return ranges;
    }
    if let Some(cells) = space.frame_stack(object) {
        ranges.extend(not_objects(space, heap, &cells));
    }
    ranges
}

/// The stack of a generator, and `gi_origin_or_finalizer`, which is set for coroutines and for asynchronous
/// generators that were iterated (Objects/genobject.c, from 3.11 on).
fn generator(space: &Space<'_>, heap: &Heap, plan: &Plan, object: Address) -> Vec<AddressRange> {
    let mut ranges =
        space.generator_stack(object).map_or_else(Vec::new, |cells| not_objects(space, heap, &cells));
    let origin = space.layouts.generator.origin_or_finalizer.filter(|_| plan.record.name == "generator");
    ranges.extend(origin.and_then(|offset| cells(object.plus(offset), 0, 1)));
    ranges
}

/// `PyDecObject.data` behind the coefficient, or all of it if that is elsewhere; `len` is the field before
/// `alloc` in `mpd_t` (Modules/_decimal/libmpdec/mpdecimal.h).
fn decimal(space: &Space<'_>, object: Address) -> Option<AddressRange> {
    let layout = space.layouts.decimal.as_ref()?;
    let data = object.plus(layout.data);
    let is_inline = space.image.pointer(object.plus(layout.pointer))? == data;
    let length = space.image.word(object.plus(layout.allocated.checked_sub(8)?))?;
    cells(data, if is_inline { length } else { 0 }, DECIMAL_WORDS)
}

/// Cells of a stack of values that are not in use for sure and hold no address of an object.
fn not_objects(space: &Space<'_>, heap: &Heap, stack: &StackCells) -> Vec<AddressRange> {
    let mut ranges = Vec::new();
    let mut index = stack.used;
    let first = stack.first.plus(8 * stack.used);
    space.for_each_word(first, stack.count.saturating_sub(stack.used), |word| {
        let target = space.stack_reference(word);
        if word != 0 && target.is_none_or(|target| heap.find(target).is_none()) {
            ranges.extend(cells(stack.first, index, index + 1));
        }
        index += 1;
    });
    ranges
}
