//! What heapy hides from itself in a process that has loaded it (`hv_is_obj_hidden` in guppy3's hv.c,
//! `dict_traverse`, `nodegraph_traverse` and `nodeset_traverse` in its stdtypes.c, nodegraph.c, nodeset.c).
//!
//! Its own objects are marked with one list, the hiding tag. In a process without heapy nothing is hidden.

use crate::address::Address;
use crate::graph::id::ObjectId;
use crate::graph::reach::ObjectSet;
use crate::heap::kind::instance;
use crate::heap::plan::DictPlace;
use crate::heap::plan::Plan;
use crate::heap::space::Space;
use crate::heap::walk::Walk;
use rustc_hash::FxHashMap;

const TAG: &str = "_hiding_tag_";
/// Types whose instances are hidden whatever they carry.
const HIDDEN_EXACTLY: &[&str] = &["guppy.heapy.heapyc.Gchook_type", "guppy.heapy.heapyc.RootStateType"];
/// Types whose instances, and those of subtypes, are hidden if a slot holds the tag.
const HIDDEN_BY_SLOT: &[&str] = &["Kind", "IdentitySetMulti", "IdentitySetSingleton"];
/// Types whose instances are not walked through if they hold the tag.
const OPAQUE: &[&str] =
    &["guppy.heapy.heapyc.NodeGraph", "guppy.sets.setsc.ImmNodeSet", "guppy.sets.setsc.MutNodeSet"];

/// Objects that heapy treats specially.
#[derive(Default)]
pub struct Hidden {
    /// Neither counted nor walked through.
    pub hidden: ObjectSet,
    /// Counted, but not walked through.
    pub opaque: ObjectSet,
}

/// The objects that heapy hides: none unless it is loaded. Cost: one look at each object if it is.
pub fn find(space: &Space<'_>, interpreter: Option<Address>, walk: &Walk) -> Hidden {
    let mut found = Hidden::default();
    let modules = interpreter.and_then(|at| space.image.pointer(at.plus(space.layouts.interpreter.modules)));
    let is_loaded =
        modules.filter(|modules| !modules.is_null()).and_then(|modules| space.find_in_dict(modules, "guppy"));
    if is_loaded.is_none() {
        return found;
    }
    let Some(tag) = find_tag(space, walk) else { return found };
    let count = walk.objects.addresses.len();
    found = Hidden { hidden: ObjectSet::new(count), opaque: ObjectSet::new(count) };
    for index in 0..count {
        let object = ObjectId::from_index(index);
        let address = Address::new(walk.objects.addresses[index]);
        let Some(plan) = plan_of(walk, object) else { continue };
        if is_hidden(space, walk, plan, address, tag) {
            found.hidden.insert(object);
        } else if is_opaque(space, plan, address, tag) {
            found.opaque.insert(object);
        }
    }
    found
}

fn plan_of(walk: &Walk, object: ObjectId) -> Option<&Plan> {
    walk.plans.get(walk.objects.types.get(object.index())?.index())?.as_ref()
}

/// The list that most dicts have under the tag's name.
fn find_tag(space: &Space<'_>, walk: &Walk) -> Option<Address> {
    let mut votes: FxHashMap<Address, u32> = FxHashMap::default();
    for index in 0..walk.objects.addresses.len() {
        let Some(plan) = plan_of(walk, ObjectId::from_index(index)) else { continue };
        if plan.record.name != "dict" || plan.record.is_heap() {
            continue;
        }
        let value = space.find_in_dict(Address::new(walk.objects.addresses[index]), TAG);
        if let Some(value) = value.filter(|&value| is_list(space, value)) {
            *votes.entry(value).or_default() += 1;
        }
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_unstable_by_key(|&(address, count)| (count, address));
    votes.last().map(|&(address, _)| address)
}

fn is_list(space: &Space<'_>, object: Address) -> bool {
    let name = || {
        let name = space.image.pointer(space.type_of(object)?.plus(space.layouts.type_object.name))?;
        space.image.bytes(name, 5)
    };
    name() == Some(b"list\0")
}

fn is_hidden(space: &Space<'_>, walk: &Walk, plan: &Plan, object: Address, tag: Address) -> bool {
    if HIDDEN_EXACTLY.contains(&plan.record.name.as_str()) {
        return true;
    }
    let holds_tag = |offset: &u64| space.image.pointer(object.plus(*offset)) == Some(tag);
    if plan.slots.iter().any(holds_tag) && descends_from(walk, plan, HIDDEN_BY_SLOT) {
        return true;
    }
    attribute(space, plan, object, TAG) == Some(tag)
}

fn descends_from(walk: &Walk, plan: &Plan, names: &[&str]) -> bool {
    let mut record = Some(&plan.record);
    for _ in 0..32 {
        let Some(current) = record else { return false };
        let short = current.name.rsplit('.').next().unwrap_or_default();
        if names.contains(&short) {
            return true;
        }
        record = walk.types.find(current.base).and_then(|base| walk.types.record(base));
    }
    false
}

/// The attribute of an instance, in its dict or in its values.
fn attribute(space: &Space<'_>, plan: &Plan, object: Address, name: &str) -> Option<Address> {
    if let Some(dict) = instance::owned_dict(space, plan, object) {
        return space.find_in_dict(dict, name);
    }
    if plan.dict != DictPlace::Managed {
        return None;
    }
    let values = instance::managed_state(space, plan, object).values?;
    let keys = space.image.pointer(plan.type_address.plus(space.layouts.heap_type.cached_keys))?;
    let index = space.find_key(&space.dict_keys(keys)?, name)?;
    space.value_at(values, index).filter(|value| !value.is_null())
}

fn is_opaque(space: &Space<'_>, plan: &Plan, object: Address, tag: Address) -> bool {
    if plan.record.name == "dict" && !plan.record.is_heap() {
        return space.find_in_dict(object, TAG) == Some(tag);
    }
    if !OPAQUE.contains(&plan.record.name.as_str()) {
        return false;
    }
    let words = plan.record.basic_size / 8;
    let mut holds = false;
    space.for_each_word(object, words, |word| holds |= word == tag.get());
    holds
}
