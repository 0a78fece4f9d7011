//! Type objects.

use crate::address::Address;
use crate::heap::kind::Visit;
use crate::heap::kind::field;
use crate::heap::kind::optional_field;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::types::FLAG_HEAP;

/// `type_traverse`, Objects/typeobject.c (heap types only); heapy traverses static types as well and
/// adds subclasses, name, slots and qualified name (`type_traverse` in guppy3's stdtypes.c).
pub fn class(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.type_object;
    let flags = space.image.word(object.plus(layout.flags)).unwrap_or(0);
    let is_heap = flags & FLAG_HEAP != 0;
    let traversed = if is_heap { Seen::ALL } else { Seen::HEAPY_AND_HELD };
    for offset in [layout.cache, layout.mro, layout.bases, layout.base] {
        field(space, object.plus(offset), traversed, visit);
    }
    if space.is_managed_static_type(flags) {
        managed_static_type(space, object, visit);
    } else {
        field(space, object.plus(layout.dict), traversed, visit);
        field(space, object.plus(layout.subclasses), Seen::HEAPY_AND_HELD, visit);
    }
    if is_heap {
        heap_type(space, object, visit);
    }
}

fn heap_type(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.heap_type;
    let names = if space.features.heapy.visits_class_names { Seen::HEAPY_AND_HELD } else { Seen::HELD };
    for (offset, seen) in
        [(layout.name, names), (layout.slots, Seen::HEAPY_AND_HELD), (layout.qualname, names)]
    {
        field(space, object.plus(offset), seen, visit);
    }
    optional_field(space, object, layout.module, Seen::ALL, visit);
    optional_field(space, object, layout.specialization_getitem, Seen::HELD, visit);
    optional_field(space, object, layout.specialization_init, Seen::HELD, visit);
    let keys = space.image.pointer(object.plus(layout.cached_keys)).filter(|keys| !keys.is_null());
    if let Some(keys) = keys.and_then(|keys| space.dict_keys(keys)) {
        space.for_each_entry(&keys, |key, _| visit(key, Seen::HELD));
    }
}

/// A static builtin type keeps its dict and its subclasses in each interpreter
/// (`_PyStaticType_GetState`, Objects/typeobject.c, 3.12+).
fn managed_static_type(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    if !space.work.take_long(space.interpreters.len() as u64) {
        return;
    }
    // heapy sees the interpreter it runs in, taken to be the main one.
    for (index, interpreter) in space.interpreters.iter().enumerate() {
        let seen = if index == 0 { Seen::HEAPY_AND_HELD } else { Seen::HELD };
        let Some(state) = static_type_state(space, *interpreter, object) else { continue };
        let Some(layout) = &space.layouts.static_type_state else { return };
        field(space, state.plus(layout.dict), seen, visit);
        field(space, state.plus(layout.subclasses), seen, visit);
    }
}

/// Where an interpreter keeps its part of a static builtin type.
pub fn static_type_state(space: &Space<'_>, interpreter: Address, object: Address) -> Option<Address> {
    let layout = space.layouts.static_type_state.as_ref()?;
    // tp_subclasses holds the index plus one.
    let index = space.image.word(object.plus(space.layouts.type_object.subclasses))?.checked_sub(1)?;
    if index > 1000 {
        return None;
    }
    let arrays = [space.layouts.interpreter.types_builtins, space.layouts.interpreter.types_for_extensions];
    arrays
        .into_iter()
        .flatten()
        .map(|array| interpreter.plus(array + index * layout.sizeof))
        .find(|&state| space.image.pointer(state.plus(layout.type_pointer)) == Some(object))
}

/// `_Py_TPFLAGS_STATIC_BUILTIN`, `Include/object.h` (3.12+).
const FLAG_STATIC_BUILTIN: u64 = 1 << 1;

impl Space<'_> {
    /// The namespace of a type; that of a static builtin type as the first interpreter sees it.
    pub fn dict_of_type(&self, address: Address) -> Option<Address> {
        let layout = &self.layouts.type_object;
        let flags = self.image.word(address.plus(layout.flags))?;
        let at = if self.is_managed_static_type(flags) {
            static_type_state(self, *self.interpreters.first()?, address)?
                .plus(self.layouts.static_type_state.as_ref()?.dict)
        } else {
            address.plus(layout.dict)
        };
        self.image.pointer(at).filter(|dict| !dict.is_null())
    }

    /// Whether a type with these flags keeps its dict in the interpreter.
    pub fn is_managed_static_type(&self, flags: u64) -> bool {
        self.features.static_types_in_interpreter && flags & FLAG_STATIC_BUILTIN != 0
    }
}
