//! heapy's name for a type (`Summary_str` in guppy3's UniSet.py): its name in the module `types`, else its
//! bare name if it is a builtin, else module and name.

use crate::address::Address;
use crate::graph::id::TypeId;
use crate::heap::space::Space;
use crate::heap::types::TypeRecord;
use crate::heap::types::TypeTable;
use rustc_hash::FxHashMap;

/// Longest name that is read. Unit: characters.
const LONGEST_NAME: u64 = 4096;
/// Longer than this are not all the names of a namespace, or all labels, together. Unit: bytes.
const MOST_CHARACTERS: usize = 1 << 26;

/// The label of every type.
pub fn labels(space: &Space<'_>, interpreter: Option<Address>, types: &TypeTable) -> Vec<String> {
    let named = interpreter.map(|interpreter| named_types(space, interpreter, types)).unwrap_or_default();
    let mut characters = 0;
    let labels = types.records.iter().map(|record| {
        let label =
            if characters < MOST_CHARACTERS { label(space, &named, record) } else { record.name.clone() };
        characters += label.len();
        label
    });
    labels.collect()
}

/// The module that each type says it is from, by [`TypeId`].
pub fn modules(space: &Space<'_>, types: &TypeTable) -> Vec<String> {
    types.records.iter().map(|record| module_of(space, record)).collect()
}

fn label(space: &Space<'_>, named: &FxHashMap<Address, String>, record: &TypeRecord) -> String {
    if !record.is_heap() && matches!(record.name.as_str(), "module" | "function") {
        return record.name.clone();
    }
    match named.get(&record.address) {
        Some(label) => label.clone(),
        None => format!("{}.{}", module_of(space, record), name_of(space, record)),
    }
}

/// The types in the namespaces of `types` and `builtins`: a later name (in order of code points)
/// overrides an earlier one, and `builtins` overrides `types`.
fn named_types(space: &Space<'_>, interpreter: Address, types: &TypeTable) -> FxHashMap<Address, String> {
    let mut named = FxHashMap::default();
    let is_type = |address: Address| types.find(address).is_some() || is_type_object(space, types, address);
    let mut add = |dict: Address, prefix: &str| {
        let mut entries = entries(space, dict, &is_type);
        entries.sort();
        for (name, value) in entries {
            named.insert(value, format!("{prefix}{name}"));
        }
    };
    let modules = space.image.pointer(interpreter.plus(space.layouts.interpreter.modules));
    let types_module =
        modules.filter(|modules| !modules.is_null()).and_then(|modules| space.find_in_dict(modules, "types"));
    match types_module.and_then(|module| space.image.pointer(module.plus(space.layouts.module.dict))) {
        Some(dict) if !dict.is_null() => add(dict, "types."),
        // heapy would import the module; its names for C types are known.
        _ => {
            for record in types.records.iter().filter(|record| !record.is_heap()) {
                let names = &space.features.heapy.types_module_names;
                if let Some((_, name)) = names.iter().find(|(type_name, _)| *type_name == record.name) {
                    named.insert(record.address, format!("types.{name}"));
                }
            }
        }
    }
    let mut add = |dict: Address| {
        let mut entries = entries(space, dict, &is_type);
        entries.sort();
        for (name, value) in entries {
            named.insert(value, name);
        }
    };
    if let Some(builtins) = space.image.pointer(interpreter.plus(space.layouts.interpreter.builtins)) {
        add(builtins);
    }
    named
}

fn is_type_object(space: &Space<'_>, types: &TypeTable, address: Address) -> bool {
    let metatype = space.type_of(address).and_then(|metatype| types.find(metatype));
    let record = metatype.and_then(|metatype: TypeId| types.record(metatype));
    record.is_some_and(|record| record.ancestor == crate::heap::types::Ancestor::Type)
}

/// Names and values of a namespace, of those that are wanted.
fn entries(space: &Space<'_>, dict: Address, is_wanted: &dyn Fn(Address) -> bool) -> Vec<(String, Address)> {
    let mut entries = Vec::new();
    let keys = space.image.pointer(dict.plus(space.layouts.dict.keys)).and_then(|keys| space.dict_keys(keys));
    if let Some(keys) = keys {
        let mut characters = 0;
        space.for_each_entry(&keys, |key, value| {
            if !value.is_null()
                && is_wanted(value)
                && let Some(name) = space.read_text(key, LONGEST_NAME)
                && characters < MOST_CHARACTERS
            {
                characters += name.len();
                entries.push((name, value));
            }
        });
    }
    entries
}

/// `type.__module__` as `str()` would show it (`type_module`, Objects/typeobject.c).
fn module_of(space: &Space<'_>, record: &TypeRecord) -> String {
    if !record.is_heap() {
        return record.name.rsplit_once('.').map_or("builtins", |(module, _)| module).to_owned();
    }
    let dict = space.image.pointer(record.address.plus(space.layouts.type_object.dict));
    let module = dict.filter(|dict| !dict.is_null()).and_then(|dict| space.find_in_dict(dict, "__module__"));
    match module {
        Some(module) => display(space, module),
        None => "<unknown module>".to_owned(),
    }
}

/// `type.__name__` (`type_name`, Objects/typeobject.c).
fn name_of(space: &Space<'_>, record: &TypeRecord) -> String {
    let heap_name = || {
        let name = space.image.pointer(record.address.plus(space.layouts.heap_type.name))?;
        space.read_text(name, LONGEST_NAME)
    };
    let own = record.is_heap().then(heap_name).flatten();
    own.unwrap_or_else(|| {
        record.name.rsplit_once('.').map_or(record.name.as_str(), |(_, name)| name).to_owned()
    })
}

/// What `str()` gives for the few kinds of object that programs put into `__module__`.
fn display(space: &Space<'_>, object: Address) -> String {
    let type_name = space
        .type_of(object)
        .and_then(|kind| space.image.pointer(kind.plus(space.layouts.type_object.name)))
        .and_then(|name| crate::target::Memory::read_c_string(space.image, name, 64).ok());
    match type_name.as_deref() {
        Some(b"str") => space.read_text(object, LONGEST_NAME),
        Some(b"NoneType") => Some("None".to_owned()),
        Some(b"int") => space.read_small_int(object).map(|value| value.to_string()),
        Some(other) => Some(format!("<{} object>", String::from_utf8_lossy(other))),
        None => None,
    }
    .unwrap_or_else(|| "<unreadable module>".to_owned())
}
