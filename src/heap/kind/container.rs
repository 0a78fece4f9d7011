//! Containers: tuples, lists, dicts, sets, deques.

use crate::address::Address;
use crate::heap::dict_table::KeysKind;
use crate::heap::kind::Visit;
use crate::heap::kind::array;
use crate::heap::kind::field;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::work::FREE_WORDS;

/// Items in a block of a deque (`BLOCKLEN`, Modules/_collectionsmodule.c).
pub const DEQUE_BLOCK_ITEMS: u64 = 64;

/// `tupletraverse`, Objects/tupleobject.c.
pub fn tuple(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    array(space, object.plus(space.layouts.tuple.items), space.size(object).unwrap_or(0), Seen::ALL, visit);
}

/// `structseq_traverse`, Objects/structseq.c: all fields, of which the type's dict tells the number.
pub fn struct_sequence(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let visible = space.size(object).unwrap_or(0);
    let fields = struct_sequence_fields(space, plan, visible);
    let items = object.plus(space.layouts.tuple.items);
    let hidden = fields.unwrap_or(visible).saturating_sub(visible);
    let seen = if space.features.struct_sequence_visits_hidden { Seen::ALL } else { Seen::HELD };
    array(space, items, visible, Seen::ALL, visit);
    array(space, items.plus(visible.saturating_mul(8)), hidden, seen, visit);
}

/// How many fields a struct sequence has of which so many are visible; `None` if its type does not say.
pub fn struct_sequence_fields(space: &Space<'_>, plan: &Plan, visible: u64) -> Option<u64> {
    let dict = space.dict_of_type(plan.type_address)?;
    let fields = space.read_small_int(space.find_in_dict(dict, "n_fields")?)?;
    (fields >= visible && fields < 1000).then_some(fields)
}

/// `list_traverse`, Objects/listobject.c.
pub fn list(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.list;
    let allocated = space.image.word(object.plus(layout.allocated)).unwrap_or(0);
    let count = space.size(object).unwrap_or(0).min(allocated);
    if let Some(items) = space.image.pointer(object.plus(layout.items)) {
        array(space, items, count, Seen::ALL, visit);
    }
}

/// `dict_traverse`, Objects/dictobject.c: values, and keys only when they need not be strings.
/// heapy visits the same (`dict_traverse` in guppy3's stdtypes.c); what is left out is held all the same.
pub fn dict(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.dict;
    let Some(keys) = space.image.pointer(object.plus(layout.keys)).and_then(|keys| space.dict_keys(keys))
    else {
        return;
    };
    let values = space.image.pointer(object.plus(layout.values)).unwrap_or(Address::NULL);
    let key_seen = if space.is_general_table(&keys) { Seen::ALL } else { Seen::HELD };
    if values.is_null() {
        space.for_each_entry(&keys, |key, value| {
            if !value.is_null() {
                visit(key, key_seen);
                visit(value, Seen::ALL);
            }
        });
        return;
    }
    let value_seen = match space.is_embedded(values) {
        true if space.features.dict_visits_embedded_values => Seen::ALL,
        true if space.features.heapy.visits_dict_values => Seen::HEAPY_AND_HELD,
        true => Seen::HELD,
        false => Seen::ALL,
    };
    let mut index = 0;
    space.for_each_entry(&keys, |key, _| {
        visit(key, Seen::HELD);
        if let Some(value) = space.value_at(values, index).filter(|value| !value.is_null()) {
            visit(value, value_seen);
        }
        index += 1;
    });
}

impl Space<'_> {
    /// Whether the collector's traversal of a dict visits the keys of this table.
    pub fn is_general_table(&self, keys: &crate::heap::dict_table::DictKeys) -> bool {
        if self.layouts.dict_keys.kind.is_some() {
            return keys.kind == KeysKind::General;
        }
        self.general_lookup.is_none_or(|general| keys.lookup == general)
    }

    /// Whether a `PyDictValues` lies inside the instance that owns it (3.13+).
    pub fn is_embedded(&self, values: Address) -> bool {
        let embedded = self.layouts.dict_values.as_ref().and_then(|layout| layout.embedded);
        embedded.is_some_and(|offset| self.image.byte(values.plus(offset)).is_some_and(|byte| byte != 0))
    }
}

/// `set_traverse`, Objects/setobject.c. A deleted entry has hash -1 and the dummy as its key.
pub fn set(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.set;
    let Some(table) = space.image.pointer(object.plus(layout.table)) else { return };
    let Some(mask) = space.image.word(object.plus(layout.mask)) else { return };
    let entry = &space.layouts.set_entry;
    let (key_word, hash_word) = ((entry.key / 8) as usize, (entry.hash / 8) as usize);
    let mut pair = [0_u64; 2];
    let mut index = 0;
    space.for_each_word(table, mask.saturating_add(1).saturating_mul(2), |word| {
        pair[index & 1] = word;
        index += 1;
        if index & 1 == 0 && pair[key_word & 1] != 0 && pair[hash_word & 1] != u64::MAX {
            visit(Address::new(pair[key_word & 1]), Seen::ALL);
        }
    });
}

/// `odict_traverse`, Objects/odictobject.c: the nodes' keys, the instance dict, then as a dict.
pub fn ordered_dict(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.ordered_dict;
    let node_layout = &space.layouts.ordered_dict_node;
    field(space, object.plus(layout.inst_dict), Seen::ALL, visit);
    if space.features.ordered_dict_visits_weak_references {
        field(space, object.plus(layout.weakreflist), Seen::TRAVERSED, visit);
    }
    let used = space.image.word(object.plus(space.layouts.dict.used)).unwrap_or(0);
    let mut node = space.image.pointer(object.plus(layout.first)).unwrap_or(Address::NULL);
    let mut left = used.saturating_add(1);
    while !node.is_null() && left > 0 {
        if left.is_multiple_of(FREE_WORDS) && !space.work.take(FREE_WORDS) {
            break;
        }
        field(space, node.plus(node_layout.key), Seen::ALL, visit);
        node = space.image.pointer(node.plus(node_layout.next)).unwrap_or(Address::NULL);
        left -= 1;
    }
    dict(space, object, visit);
}

/// `deque_traverse`, Modules/_collectionsmodule.c.
pub fn deque(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.deque;
    let block_layout = &space.layouts.deque_block;
    let read = |offset: u64| space.image.word(object.plus(offset)).unwrap_or(0);
    let mut left = space.size(object).unwrap_or(0);
    let mut block = Address::new(read(layout.leftblock));
    let mut index = read(layout.leftindex);
    while left > 0 && index < DEQUE_BLOCK_ITEMS && !block.is_null() {
        let count = (DEQUE_BLOCK_ITEMS - index).min(left);
        if left > DEQUE_BLOCK_ITEMS && !space.work.take(count) {
            return;
        }
        array(space, block.plus(block_layout.data).plus(8 * index), count, Seen::ALL, visit);
        left -= count;
        index = 0;
        // A block that cannot be read ends the walk: what it links to is unknown.
        let Some(next) = space.image.pointer(block.plus(block_layout.right)) else { return };
        block = next;
    }
}
