//! Every table satisfies the schema, and agrees with offsets that were copied by hand.

use crate::address::Address;
use crate::layout;
use crate::layout::Build;
use crate::layout::LayoutError;
use crate::layout::ResolveRequest;
use crate::layout::Resolved;
use crate::layout::Version;
use crate::layout::schema;
use crate::layout::schema::first;
use crate::layout::static_runtime;
use crate::layout::static_runtime::StaticRuntime;
use crate::layout::table::Entry;
use crate::layout::table::Series;
use crate::layout::table::Table;
use crate::layout::tables;

fn request(version: Version, free_threaded: bool) -> ResolveRequest {
    let build = Build { free_threaded, ..Build::default() };
    ResolveRequest { version, build, runtime_size: None, dwarf: None, published: None, best_effort: false }
}

/// Resolves a version that has a `_PyRuntime`, or an older one with its variables in some order.
fn resolve(request: &ResolveRequest) -> Result<Resolved, LayoutError> {
    let variables = |_: &Table| {
        let mut table = Table::default();
        for key in static_runtime::STRUCTURES {
            table.insert(format!("sizeof({key})"), Entry::at(64));
        }
        table.insert("_PyRuntimeState.interpreters.head", Entry::at(8));
        Some(StaticRuntime { address: Address::new(0x1000), table })
    };
    layout::resolve_with_variables(request, &variables)
}

fn resolved(text: &str) -> Resolved {
    let free_threaded = text.ends_with('t');
    resolve(&request(Version::parse(text.trim_end_matches('t')).unwrap(), free_threaded)).unwrap()
}

#[test]
fn every_release_resolves() {
    for file in tables::TABLES {
        let series = Series::parse(file.text).unwrap();
        assert!(!series.releases.is_empty(), "{}.{} names no release", file.major, file.minor);
        for &version in &series.releases {
            if let Err(error) = resolve(&request(version, file.free_threaded)) {
                panic!("{version}: {error}");
            }
        }
    }
}

#[test]
fn tables_hold_nothing_that_is_not_wanted() {
    for file in tables::TABLES {
        let series = Series::parse(file.text).unwrap();
        let keys = series.base.iter().map(|(key, _)| key);
        let changed =
            series.changes.iter().flat_map(|change| change.entries.iter().map(|(key, _)| key.as_str()));
        for key in keys.chain(changed) {
            let known = schema::wanted().iter().any(|structure| {
                key == format!("sizeof({})", structure.name())
                    || structure.places().any(|place| key == format!("{}.{}", structure.name(), first(place)))
            });
            assert!(known, "{}.{}: {key} is not in the schema", file.major, file.minor);
        }
    }
}

#[test]
fn a_structure_that_a_table_has_is_complete() {
    for file in tables::TABLES {
        let series = Series::parse(file.text).unwrap();
        for &version in &series.releases {
            let table = series.at(version);
            for structure in schema::wanted() {
                if table.get(&format!("sizeof({})", structure.name())).is_none() {
                    let is_static =
                        !version.has_runtime() && static_runtime::STRUCTURES.contains(&structure.name());
                    assert!(structure.optional || is_static, "{version} lacks {}", structure.name());
                    continue;
                }
                for field in structure.fields.iter().filter(|field| field.required) {
                    let key = format!("{}.{}", structure.name(), first(field.places));
                    assert!(table.get(&key).is_some(), "{version} (t: {}) lacks {key}", file.free_threaded);
                }
            }
        }
    }
}

#[test]
fn structure_and_field_names_are_unique() {
    let names: std::collections::BTreeSet<_> =
        schema::wanted().iter().map(schema::WantedStructure::name).collect();
    assert_eq!(names.len(), schema::wanted().len());
}

#[test]
fn offsets_copied_from_headers_by_hand() {
    let old = resolved("3.11.7").layouts;
    assert_eq!(old.type_object.dict, 264);
    assert_eq!(old.runtime.interpreters_head, 40);
    assert_eq!(old.interpreter.gc, Some(648));
    assert_eq!(old.gc_state.generations, Some(24));
    assert_eq!(old.interpreter.modules, 888);
    assert_eq!(old.interpreter_frame.unwrap().locals_plus, 72);
    assert_eq!(old.ascii_string.sizeof, 48);

    let middle = resolved("3.12.1").layouts;
    assert_eq!(middle.runtime.sizeof, 459_944);
    assert_eq!(middle.runtime.main_interpreter, Some(76392));
    assert_eq!(middle.interpreter.types_builtins, Some(373_704));
    assert!(middle.thread_state.current_exception.is_some());

    let new = resolved("3.13.18").layouts;
    assert_eq!(new.gc_state.generations, Some(24));
    assert_eq!(new.runtime.main_interpreter, Some(88424));
    assert_eq!(new.interpreter_frame.unwrap().instruction_pointer, 56);
}

/// Structures of extension modules, which have no headers: Modules/_asynciomodule.c, _pickle.c, mmapmodule.c.
#[test]
fn structures_of_modules_change_in_patch_releases() {
    let at = |release: &str, key: &str| resolved(release).table.get(key).map(|entry| entry.offset);
    for (last, next, key, before, after) in [
        ("3.10.5", "3.10.6", "FutureObj.fut_result", Some(56), Some(64)),
        ("3.10.5", "3.10.6", "TaskObj.task_coro", Some(152), Some(160)),
        ("3.10.5", "3.10.6", "TaskObj.task_exception_tb", None, Some(56)),
        ("3.13.0", "3.13.1", "PicklerObject.write", Some(48), Some(56)),
        ("3.13.0t", "3.13.1t", "PicklerObject.write", Some(64), Some(72)),
        ("3.13.14", "3.13.15", "UnpicklerObject.read", Some(184), Some(200)),
        ("3.13.14t", "3.13.15t", "UnpicklerObject.read", Some(200), Some(216)),
        ("3.14.6", "3.14.7", "UnpicklerObject.read", Some(184), Some(200)),
        ("3.14.6t", "3.14.7t", "UnpicklerObject.read", Some(200), Some(216)),
        ("3.13.7t", "3.13.8t", "mmap_object.weakreflist", Some(80), Some(88)),
        ("3.14.0", "3.14.1", "mmap_object.weakreflist", Some(64), Some(72)),
        ("3.14.3", "3.14.4", "PyBaseExceptionGroupObject.excs_str", None, Some(88)),
    ] {
        assert_eq!((at(last, key), at(next, key)), (before, after), "{last}, {next}: {key}");
    }
}

#[test]
fn an_old_version_says_what_stands_in_the_way() {
    for (version, obstacle) in [
        (Version::release(2, 7, 18), "old-style classes"),
        (Version::release(3, 5, 10), "its dicts are other tables"),
    ] {
        let mut request = request(version, false);
        request.best_effort = true;
        let error = resolve(&request).unwrap_err().to_string();
        let expected = format!("CPython {version} is not supported: ");
        assert!(error.contains(&expected) && error.contains(obstacle), "{error}");
    }
}

#[test]
fn without_its_variables_an_old_version_is_refused() {
    let request = request(Version::release(3, 6, 15), false);
    assert_eq!(resolve(&request).unwrap().static_runtime, Some(Address::new(0x1000)));
    let error = layout::resolve(&request).unwrap_err();
    assert_eq!(error, LayoutError::NoRuntime { version: request.version });
    // Heads of another size than the table's, in debug information and process alike.
    let mut heads = Table::default();
    for (key, offset) in [("sizeof(PyGC_Head)", 24), ("PyGC_Head._gc_next", 0), ("PyGC_Head._gc_prev", 8)] {
        heads.insert(key, Entry::at(offset));
    }
    let (mut dwarf, mut variables) = (heads.clone(), heads);
    dwarf.insert("PyListObject.allocated", Entry::at(40));
    variables.insert("_PyRuntimeState.interpreters.head", Entry::at(0));
    for key in static_runtime::STRUCTURES {
        variables.insert(format!("sizeof({key})"), Entry::at(8));
    }
    let described = ResolveRequest { dwarf: Some(dwarf), ..request.clone() };
    let found = StaticRuntime { address: Address::new(0x1000), table: variables };
    let resolved = layout::resolve_with_variables(&described, &|_| Some(found.clone())).unwrap();
    let fields: Vec<&str> = resolved.disagreements.iter().map(|found| found.field.as_str()).collect();
    assert_eq!((fields, resolved.layouts.gc_head.sizeof), (vec!["PyListObject.allocated"], 24));
    let newer = ResolveRequest { version: Version::release(3, 7, 16), ..request };
    assert_eq!(layout::resolve(&newer).unwrap().static_runtime, None);
}

#[test]
fn a_newer_version_is_named_and_guessed_only_if_asked() {
    let mut request = request(Version::release(3, 16, 0), false);
    let error = resolve(&request).unwrap_err().to_string();
    assert!(
        error.starts_with("no layout is known for CPython 3.16.0 (release): the tables are of 3.6."),
        "{error}"
    );
    request.best_effort = true;
    let mut published = Table::default();
    published.insert("PyThreadState.next", Entry::at(4711));
    request.published = Some(published);
    let guess = resolve(&request).unwrap();
    assert!(guess.is_guess && guess.source.contains("the nearest table, 3.15."), "{}", guess.source);
    assert!(guess.source.ends_with("and the runtime's own offsets"), "{}", guess.source);
    assert_eq!(guess.layouts.thread_state.next, 4711);
    assert_eq!(guess.disagreements, []);
}

#[test]
fn a_size_that_does_not_fit_is_refused_unless_asked() {
    let mut request = request(Version::release(3, 12, 1), false);
    request.runtime_size = Some(459_944);
    assert!(resolve(&request).is_ok());
    request.runtime_size = Some(459_952);
    assert!(matches!(resolve(&request), Err(LayoutError::UnknownBuild { expected: 459_944, .. })));
    request.best_effort = true;
    assert!(resolve(&request).unwrap().is_guess);
}

#[test]
fn traced_references_need_debug_information() {
    let mut request = request(Version::release(3, 7, 16), false);
    request.build = Build { debug: true, trace_refs: true, ..Build::default() };
    request.best_effort = true;
    assert!(matches!(resolve(&request), Err(LayoutError::TracedReferences { .. })));
    let newer = ResolveRequest { version: Version::release(3, 13, 0), ..request.clone() };
    assert!(resolve(&newer).is_ok(), "the links are apart");
    let mut dwarf = Table::default();
    dwarf.insert("sizeof(PyObject)", Entry::at(32));
    dwarf.insert("PyObject.ob_refcnt", Entry::at(16));
    dwarf.insert("PyObject.ob_type", Entry::at(24));
    request.dwarf = Some(dwarf);
    let found = resolve(&request).unwrap();
    assert_eq!(found.layouts.object.type_pointer, 24);
    assert_eq!((found.source.as_str(), found.disagreements.len()), ("DWARF", 0));
}
