//! Every table satisfies the schema, and agrees with offsets that were copied by hand.

use crate::layout::Build;
use crate::layout::LayoutError;
use crate::layout::ResolveRequest;
use crate::layout::Resolved;
use crate::layout::Version;
use crate::layout::resolve;
use crate::layout::schema;
use crate::layout::schema::first;
use crate::layout::table::Entry;
use crate::layout::table::Series;
use crate::layout::table::Table;
use crate::layout::tables;

fn request(version: Version, free_threaded: bool) -> ResolveRequest {
    let build = Build { free_threaded, ..Build::default() };
    ResolveRequest { version, build, runtime_size: None, dwarf: None, published: None, best_effort: false }
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
                    assert!(structure.optional, "{version} lacks {}", structure.name());
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

#[test]
fn an_old_version_says_what_stands_in_the_way() {
    for (version, obstacle) in [
        (Version::release(2, 7, 18), "old-style classes"),
        (Version::release(3, 6, 15), "they are static variables"),
    ] {
        let mut request = request(version, false);
        request.best_effort = true;
        let error = resolve(&request).unwrap_err().to_string();
        let expected = format!("CPython {version} is not supported: before 3.7 there is no `_PyRuntime`");
        assert!(error.contains(&expected) && error.contains(obstacle), "{error}");
    }
}

#[test]
fn a_newer_version_is_named_and_guessed_only_if_asked() {
    let mut request = request(Version::release(3, 16, 0), false);
    let error = resolve(&request).unwrap_err().to_string();
    assert!(
        error.starts_with("no layout is known for CPython 3.16.0 (release): the tables are of 3.7."),
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
