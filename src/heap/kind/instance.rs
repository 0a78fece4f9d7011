//! The attributes of an instance: its `__dict__`, wherever the version keeps it.
//!
//! 3.11: two words before the object (values, dict); 3.12: one word that is either; 3.13: a dict pointer
//! before the object and the values behind it (`Objects/object_layout.md`, `_PyObject_ManagedDictPointer`
//! and `_PyObject_InlineValues` in `Include/internal/pycore_object.h`).

use crate::address::Address;
use crate::heap::kind::Visit;
use crate::heap::kind::array;
use crate::heap::plan::DictPlace;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::FLAG_INLINE_VALUES;
use crate::heap::space::Space;
use crate::layout::features::InlineVisit;
use crate::layout::features::ManagedDict;

/// The attributes of an instance with a managed dict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManagedState {
    /// The dict, if one was made.
    pub dict: Option<Address>,
    /// The `PyDictValues`, if the instance has values without needing a dict.
    pub values: Option<Address>,
    /// Whether the type says that values lie inside the instance (3.13+).
    pub has_inline_values: bool,
}

/// Where an instance has the pointer to values that are apart from it, from its start on.
pub const fn values_pointer(managed_dict: ManagedDict) -> Option<i64> {
    match managed_dict {
        ManagedDict::TwoPointers => Some(-32),
        ManagedDict::TaggedWord => Some(-24),
        ManagedDict::None | ManagedDict::InlineValues => None,
    }
}

/// Reads the managed words of an instance.
pub fn managed_state(space: &Space<'_>, plan: &Plan, object: Address) -> ManagedState {
    let read = |distance: u64| space.image.pointer(object.minus(distance)).unwrap_or(Address::NULL);
    let some = |address: Address| (!address.is_null()).then_some(address);
    match space.features.managed_dict {
        ManagedDict::None => ManagedState::default(),
        ManagedDict::TwoPointers => {
            ManagedState { dict: some(read(24)), values: some(read(32)), has_inline_values: false }
        }
        ManagedDict::TaggedWord => {
            let word = read(24);
            if word.get() & 1 == 1 {
                // The lowest bit marks values; the pointer is one less than their address.
                ManagedState { dict: None, values: some(word.plus(1)), has_inline_values: false }
            } else {
                ManagedState { dict: some(word), values: None, has_inline_values: false }
            }
        }
        ManagedDict::InlineValues => {
            let dict = some(read(if space.features.free_threading.is_some() { 8 } else { 24 }));
            let has_inline_values = plan.record.flags & FLAG_INLINE_VALUES != 0;
            let values = object.plus(plan.record.basic_size);
            let valid = space.layouts.dict_values.as_ref().and_then(|layout| layout.valid);
            let is_valid = valid.is_some_and(|offset| space.image.byte(values.plus(offset)) == Some(1));
            let values = (has_inline_values && is_valid).then_some(values);
            ManagedState { dict, values, has_inline_values }
        }
    }
}

/// The number of value slots that are in use for the keys a class shares with its instances.
pub fn shared_key_count(space: &Space<'_>, type_address: Address) -> Option<u64> {
    let keys = space.image.pointer(type_address.plus(space.layouts.heap_type.cached_keys))?;
    Some(space.dict_keys(keys)?.entry_count)
}

/// Where the pointer to an instance's dict is, for a type whose dict is not managed.
pub fn dict_pointer_at(space: &Space<'_>, plan: &Plan, place: DictPlace, object: Address) -> Option<Address> {
    match place {
        DictPlace::None | DictPlace::Managed => None,
        DictPlace::At(offset) => Some(object.plus(offset)),
        DictPlace::BeforeEnd(distance) => {
            let items = match plan.record.ancestor {
                crate::heap::types::Ancestor::Long => space.digit_count(object)?,
                _ => space.signed_size(object)?.unsigned_abs(),
            };
            let size = plan.record.basic_size.checked_add(items.checked_mul(plan.record.item_size)?)?;
            Some(object.plus(size.checked_next_multiple_of(8)?).minus(distance))
        }
    }
}

/// The dict that `_PyObject_GetDictPtr` finds: what makes an object the owner of a dict.
pub fn owned_dict(space: &Space<'_>, plan: &Plan, object: Address) -> Option<Address> {
    if plan.dict == DictPlace::Managed {
        return managed_state(space, plan, object).dict;
    }
    let place = DictPlace::of_offset(plan.record.dict_offset);
    let at = dict_pointer_at(space, plan, place, object)?;
    space.image.pointer(at).filter(|dict| !dict.is_null())
}

/// What an instance refers to through its attributes (`PyObject_VisitManagedDict`, `subtype_traverse`).
pub fn dict_references(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    if plan.dict != DictPlace::Managed {
        if let Some(at) = dict_pointer_at(space, plan, plan.dict, object) {
            crate::heap::kind::field(space, at, Seen::ALL, visit);
        }
        return;
    }
    let state = managed_state(space, plan, object);
    // Which of the two the collector visits where both are there changed in patch releases.
    let (dict_seen, values_seen) = match (state.dict, state.values) {
        (Some(_), Some(_)) if space.features.inline_visit == InlineVisit::DictFirst => {
            (Seen::ALL, Seen::HELD)
        }
        (Some(_), Some(_)) if space.features.heapy.visits_instance_dict => (Seen::HEAPY_AND_HELD, Seen::ALL),
        (Some(_), Some(_)) => (Seen::HELD, Seen::ALL),
        _ => (Seen::ALL, Seen::ALL),
    };
    if let Some(dict) = state.dict {
        visit(dict, dict_seen);
    }
    if let Some(values) = state.values {
        let first = space.layouts.dict_values.as_ref().map_or(0, |layout| layout.values);
        let capacity = space.layouts.dict_values.as_ref().and_then(|layout| layout.capacity);
        let count = match capacity {
            Some(offset) => space.image.byte(values.plus(offset)).map(u64::from),
            None => shared_key_count(space, plan.type_address),
        };
        array(space, values.plus(first), count.unwrap_or(0).min(1 << 16), values_seen, visit);
    }
}
