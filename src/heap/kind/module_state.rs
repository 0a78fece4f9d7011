//! References that the state of an extension module keeps in blocks of its own.

use crate::address::Address;
use crate::heap::kind::Visit;
use crate::heap::kind::array;
use crate::heap::kind::field;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::target::Memory;

/// Time zones that the C cache of `zoneinfo` keeps (`ZONEINFO_STRONG_CACHE_MAX_SIZE`, Modules/_zoneinfo.c).
const MOST_ZONES: usize = 8;
/// The word of its state that leads to the first of them. Up to 3.11 the state has no words: it is a block of
/// nothing, and what follows it is another's.
const FIRST_ZONE: u64 = 6;
/// More signals and conditions than decimal has.
const MOST_CONDITIONS: u64 = 64;

/// The most bytes of a module's state that are scanned.
const MOST_STATE_BYTES: u64 = 1 << 16;
/// The longest name of a module that is of interest. Unit: bytes.
const LONGEST_NAME: usize = 64;

/// The state of a module (`md_state`).
pub struct ModuleState {
    /// Where it is.
    pub address: Address,
    /// Its size. Unit: words.
    pub words: u64,
    /// Whether the module has an `m_traverse`.
    pub is_traversed: bool,
    /// The module's name: that of its definition, from 3.15 on its own.
    pub name: Vec<u8>,
}

/// The state of the module at `object`, if it has any. Its size and its traversal are in the module itself
/// from 3.15 on (`PyModuleObject`, Include/internal/pycore_moduleobject.h), before in its definition.
pub fn find(space: &Space<'_>, object: Address) -> Option<ModuleState> {
    let layout = &space.layouts.module;
    let pointer = |at: Address| space.image.pointer(at).filter(|target| !target.is_null());
    let address = pointer(object.plus(layout.state))?;
    let own = layout.state_size.zip(layout.state_traverse);
    let (size, traverse) = if let Some((size, traverse)) = own {
        (object.plus(size), object.plus(traverse))
    } else {
        let definition = pointer(object.plus(layout.definition))?;
        let fields = &space.layouts.module_def;
        (definition.plus(fields.size), definition.plus(fields.traverse))
    };
    let size = u64::try_from(space.image.signed(size)?).ok()?;
    Some(ModuleState {
        address,
        words: size.min(MOST_STATE_BYTES) / 8,
        is_traversed: space.image.word(traverse).is_some_and(|function| function != 0),
        name: name(space, object).unwrap_or_default(),
    })
}

/// What the module at `object` is called: by its definition, from 3.15 on by itself.
fn name(space: &Space<'_>, object: Address) -> Option<Vec<u8>> {
    let layout = &space.layouts.module;
    let pointer = |at: Address| space.image.pointer(at).filter(|target| !target.is_null());
    if layout.state_size.is_some() {
        let name = pointer(object.plus(layout.name))?;
        return space.read_text(name, LONGEST_NAME as u64).map(String::into_bytes);
    }
    let definition = pointer(object.plus(layout.definition))?;
    let name = pointer(definition.plus(space.layouts.module_def.name))?;
    space.image.read_c_string(name, LONGEST_NAME).ok()
}

/// What the module's `m_traverse` visits that is in static variables, where it has no state: the same objects
/// are in its dict.
pub fn static_variables(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let Some(name) = name(space, object) else { return };
    let Some(dict) = space.image.pointer(object.plus(space.layouts.module.dict)) else { return };
    for variable in space.features.modules.static_variables_of(&name) {
        if let Some(target) = space.find_in_dict(dict, variable) {
            visit(target, Seen::ALL);
        }
    }
}

/// The references of the module called `name` beyond the words of its state.
pub fn beyond_words(space: &Space<'_>, name: &[u8], (state, words): (Address, u64), visit: &mut impl Visit) {
    match name {
        b"atexit" if space.features.atexit_callbacks_in_module && words > 0 => {
            atexit_callbacks(space, state, visit);
        }
        b"_zoneinfo" if words > FIRST_ZONE => zone_cache(space, state, visit),
        b"decimal" | b"_decimal" => {
            space.for_each_word(state, words, |word| condition_map(space, Address::new(word), visit));
        }
        _ => {}
    }
}

/// `atexit_m_traverse`, Modules/atexitmodule.c up to 3.9: `atexitmodule_state` { atexit_callback
/// **atexit_callbacks; int ncallbacks; int callback_len }, each callback a function, its arguments and keywords.
fn atexit_callbacks(space: &Space<'_>, state: Address, visit: &mut impl Visit) {
    let count = space.image.word32(state.plus(8)).unwrap_or(0);
    let Some(callbacks) = space.image.pointer(state) else { return };
    space.for_each_word(callbacks, u64::from(count), |callback| {
        if callback != 0 {
            array(space, Address::new(callback), 3, Seen::ALL, visit);
        }
    });
}

/// `zoneinfo_traverse`, Modules/_zoneinfo.c (3.12 on): `zoneinfo_state.ZONEINFO_STRONG_CACHE` after six
/// pointers is a list of `StrongCacheNode` { next; prev; key; zone }.
fn zone_cache(space: &Space<'_>, state: Address, visit: &mut impl Visit) {
    let mut node = space.image.pointer(state.plus(FIRST_ZONE * 8));
    for _ in 0..MOST_ZONES {
        let Some(at) = node.filter(|node| !node.is_null()) else { return };
        field(space, at.plus(16), Seen::ALL, visit);
        field(space, at.plus(24), Seen::ALL, visit);
        node = space.image.pointer(at);
    }
}

/// `decimal_traverse`, Modules/_decimal/_decimal.c (3.13 on): `signal_map` and `cond_map` are arrays of
/// `DecCondMap` { name; fqname; flag; ex } up to one without a name.
fn condition_map(space: &Space<'_>, map: Address, visit: &mut impl Visit) {
    const ENTRY: u64 = 32;
    for index in 0..MOST_CONDITIONS {
        let entry = map.plus(index * ENTRY);
        let full_name = space.image.pointer(entry.plus(8)).filter(|name| !name.is_null());
        let full_name = full_name.and_then(|name| space.image.read_c_string(name, 64).ok());
        if !full_name.is_some_and(|name| name.starts_with(b"decimal.")) {
            return;
        }
        field(space, entry.plus(24), Seen::ALL, visit);
    }
}
