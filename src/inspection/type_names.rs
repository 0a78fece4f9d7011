//! Names of C types whose binary is missing: the strings are in its constants, which the core leaves out, but
//! the modules say what they call their types.
//!
//! What is found is put where the name should be; the copy has nothing there. A type that no module names
//! gets its address for a name.

use crate::address::Address;
use crate::address::AddressRange;
use crate::heap::space::Space;
use crate::heap::work::Work;
use crate::inspection::locate::Located;
use crate::runtime::interpreters;
use crate::target::Capture;
use crate::target::Image;
use crate::target::image::FileOverlay;
use crate::target::image::PAGE;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// `Py_TPFLAGS_READY`, `Include/object.h`.
const READY: u64 = 1 << 12;
/// `Py_TPFLAGS_HEAPTYPE`, `Include/object.h`.
const HEAP: u64 = 1 << 9;
/// Types that call themselves after the module that users import them from (`Modules/_collectionsmodule.c`,
/// `Modules/_functoolsmodule.c`, `Objects/odictobject.c`).
const PUBLIC: [&str; 4] = ["deque", "defaultdict", "OrderedDict", "partial"];
/// Bytes of a word.
const WORD: u64 = 8;
const LONGEST_NAME: u64 = 256;
const MOST_MODULES: usize = 1 << 16;

/// Gives names to the types that have none; says how many had to do with an address. Cost: reads the variables
/// of all binaries, and the namespaces of all modules if a name is missing.
pub(super) fn complete(capture: &mut Capture, located: &Located) -> u64 {
    let missing = nameless_types(capture, located);
    if missing.is_empty() {
        return 0;
    }
    let known = names_in_modules(capture, located, &missing);
    let mut unnamed = 0;
    let mut names: BTreeMap<Address, Vec<u8>> = BTreeMap::new();
    for (&kind, &name_at) in &missing {
        let name = known.get(&kind).cloned().unwrap_or_else(|| {
            unnamed += 1;
            format!("unnamed.C_type_at_{kind}")
        });
        names.entry(name_at).or_insert_with(|| [name.as_bytes(), b"\0"].concat());
    }
    if let Some(overlays) = overlays(&names) {
        capture.image.add_overlays(overlays);
    }
    unnamed
}

/// Static types whose names are not there: the type, and where its name should be.
fn nameless_types(capture: &Capture, located: &Located) -> BTreeMap<Address, Address> {
    let image = &capture.image;
    let (object, fields) = (&located.resolved.layouts.object, &located.resolved.layouts.type_object);
    let mut found = BTreeMap::new();
    // A type that is ready was written to, so its page was captured. A damaged binary may claim any size, and several
    // the same addresses: not more words than there are.
    let most = image.page_count() * (PAGE / WORD) as usize;
    let ranges = located.modules.modules.iter().flat_map(|module| module.data_ranges());
    for at in ranges.flat_map(|range| words_in(image, range)).take(most) {
        if image.word(at.plus(object.type_pointer)) != Some(located.type_type.get()) {
            continue;
        }
        let flags = image.word(at.plus(fields.flags)).unwrap_or(0);
        let name = image.pointer(at.plus(fields.name)).filter(|name| !name.is_null());
        if flags & READY != 0
            && flags & HEAP == 0
            && let Some(name) = name.filter(|name| image.byte(*name).is_none())
        {
            found.insert(at, name);
        }
    }
    found
}

/// The words of a range that were captured.
fn words_in(image: &Image, range: AddressRange) -> impl Iterator<Item = Address> + '_ {
    let pages = image.pages_in(range);
    let words = pages.flat_map(|(page, _)| (0..PAGE / WORD).map(move |index| page.plus(index * WORD)));
    words.filter(move |word| range.contains(*word))
}

/// What the modules call these types: `types` by the names of the C source, `builtins` without its own name.
fn names_in_modules(
    capture: &Capture,
    located: &Located,
    missing: &BTreeMap<Address, Address>,
) -> FxHashMap<Address, String> {
    let (layouts, features) = (&located.resolved.layouts, &located.resolved.features);
    let mut names = FxHashMap::default();
    let Ok(runtime) = interpreters::read(&capture.image, layouts, features, located.runtime) else {
        return names;
    };
    let space = Space {
        image: &capture.image,
        layouts,
        features,
        interpreters: &[],
        general_lookup: None,
        work: Work::of(&capture.image),
    };
    let mut modules: Vec<(u8, String, Address)> = Vec::new();
    for interpreter in &runtime.interpreters {
        let all = space.image.pointer(interpreter.address.plus(layouts.interpreter.modules));
        for_each(&space, all, &mut |name, module| {
            if let Some(dict) = space.image.pointer(module.plus(layouts.module.dict))
                && modules.len() < MOST_MODULES
            {
                modules.push((rank(&name), name, dict));
            }
        });
    }
    // The best source first: the first name of a type counts.
    modules.sort();
    for (_, module, dict) in &modules {
        let mut members = Vec::new();
        for_each(&space, Some(*dict), &mut |name, value| {
            if missing.contains_key(&value) {
                members.push((name, value));
            }
        });
        members.sort();
        for (name, value) in members {
            let name = match module.as_str() {
                "builtins" | "_collections_abc" => Some(name),
                "types" => c_name(&space, &name),
                "_collections" | "_functools" if PUBLIC.contains(&name.as_str()) => {
                    Some(format!("{}.{name}", module.trim_start_matches('_')))
                }
                _ => Some(format!("{module}.{name}")),
            };
            if let Some(name) = name {
                names.entry(value).or_insert(name);
            }
        }
    }
    names
}

/// Which modules are asked first.
fn rank(module: &str) -> u8 {
    match module {
        "builtins" => 0,
        "types" => 1,
        "_collections_abc" => 2,
        // A module written in C has the type; others import it from there.
        name if name.starts_with('_') => 3,
        _ => 4,
    }
}

fn c_name(space: &Space<'_>, name: &str) -> Option<String> {
    // heapy has names of its own for these two.
    match name {
        "FunctionType" | "LambdaType" => return Some("function".to_owned()),
        "ModuleType" => return Some("module".to_owned()),
        _ => {}
    }
    let names = &space.features.heapy.types_module_names;
    names.iter().find(|(_, known)| *known == name).map(|(c_name, _)| (*c_name).to_owned())
}

fn for_each(space: &Space<'_>, dict: Option<Address>, visit: &mut dyn FnMut(String, Address)) {
    let keys = dict.and_then(|dict| space.image.pointer(dict.plus(space.layouts.dict.keys)));
    if let Some(keys) = keys.and_then(|keys| space.dict_keys(keys)) {
        space.for_each_entry(&keys, |key, value| {
            if !value.is_null()
                && let Some(name) = space.read_text(key, LONGEST_NAME)
            {
                visit(name, value);
            }
        });
    }
}

/// The names where they are looked for. Where two would lie over each other the first is cut, and ends there.
fn overlays(names: &BTreeMap<Address, Vec<u8>>) -> Option<Vec<FileOverlay>> {
    let file: Arc<File> = Arc::new(tempfile::tempfile().ok()?);
    let mut overlays = Vec::new();
    let mut at = 0;
    let mut following = names.keys().skip(1);
    for (&start, name) in names {
        let room = following.next().and_then(|next| start.distance_to(*next)).unwrap_or(u64::MAX);
        let length = room.min(name.len() as u64);
        let mut bytes = name[..length as usize].to_vec();
        if let Some(last) = bytes.last_mut() {
            *last = 0;
        }
        file.write_all_at(&bytes, at).ok()?;
        overlays.push(FileOverlay::new(AddressRange::new(start, start.plus(length)), Arc::clone(&file), at));
        at += length;
    }
    Some(overlays)
}
