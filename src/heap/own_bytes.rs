//! Where an object ends in its allocator's block: what follows is what the block held before.

use crate::address::Address;
use crate::heap::kind::Kind;
use crate::heap::kind::container::struct_sequence_fields;
use crate::heap::plan::Plan;
use crate::heap::size::SizeRule;
use crate::heap::size::own_size;
use crate::heap::space::FLAG_INLINE_VALUES;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;

/// Bytes of an object from its address on, as it was asked for; never less than what is in use. `None` where
/// that is not said.
pub fn own_bytes(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let record = &plan.record;
    let items = || space.signed_size(object).map(i64::unsigned_abs);
    let with_items = |count: u64| record.basic_size.checked_add(count.checked_mul(record.item_size)?);
    match record.ancestor {
        Ancestor::Type => None,
        _ if plan.kind == Kind::TimeWithZone => time_bytes(space, plan, object),
        _ if plan.kind == Kind::StructSequence => {
            // `ob_size` counts the visible fields alone (Objects/structseq.c).
            let fields = struct_sequence_fields(space, plan, space.size(object)?)?;
            with_items(fields)
        }
        // One more than it has, as for every type of Python (`PyType_GenericAlloc`, Objects/typeobject.c).
        Ancestor::Long if record.is_heap() => {
            with_items(space.digit_count(object)?.max(1) + 1)?.checked_next_multiple_of(8)
        }
        Ancestor::Long => {
            let digits = space.digit_count(object)?.max(1).checked_mul(4)?;
            Some(space.layouts.int.digits.checked_add(digits)?.max(record.basic_size))
        }
        Ancestor::Unicode => text_bytes(space, plan, object),
        // A class may put its dict behind the contents, at the next multiple of eight (`_PyObject_VAR_SIZE`,
        // Include/cpython/objimpl.h).
        Ancestor::Bytes if record.is_heap() => with_items(items()?)?.checked_next_multiple_of(8),
        Ancestor::Bytes => space.layouts.bytes.data.checked_add(items()?)?.checked_add(1),
        _ if matches!(plan.size_rule, SizeRule::Frame | SizeRule::Generator) => own_size(space, plan, object),
        _ if record.flags & FLAG_INLINE_VALUES != 0 && space.features.has_inline_values() => {
            // PyDictValues: capacity@0, the values, a byte of insertion order each (pycore_dict.h).
            let capacity = u64::from(space.image.byte(object.plus(record.basic_size))?);
            record.basic_size.checked_add(8 + 8 * capacity + capacity.next_multiple_of(8))
        }
        _ if record.item_size == 0 => Some(record.basic_size),
        _ => with_items(items()?)?.checked_next_multiple_of(8),
    }
}

/// Without a time zone there is no room for it (`new_datetime_ex2`, Modules/_datetimemodule.c): `tzinfo` is the
/// last field. An instance of a class always has the room.
fn time_bytes(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let (date_time, time) = (&space.layouts.date_time, &space.layouts.time);
    let (has_zone, zone) = match plan.record.name.as_str() {
        _ if plan.owner_basic_size != plan.record.basic_size => return Some(plan.record.basic_size),
        "datetime.datetime" => (date_time.has_tzinfo, date_time.tzinfo),
        "datetime.time" => (time.has_tzinfo, time.tzinfo),
        _ => return Some(plan.record.basic_size),
    };
    let has_zone = space.image.byte(object.plus(has_zone))? != 0;
    Some(if has_zone { plan.record.basic_size } else { zone })
}

fn text_bytes(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let text = space.text_header(object)?;
    if !text.is_compact {
        return Some(plan.record.basic_size);
    }
    text.data_offset.checked_add(text.length.checked_add(1)?.checked_mul(text.kind)?)
}
