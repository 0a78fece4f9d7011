//! Tables, dumps and maps as heapy and the recipe print them, character for character.
//!
//! `testdata/vectors` holds a small part; a directory with more of the same files can be named by
//! `HEAPATTACH_VECTORS`.

use heapattach::memory_map::Bands;
use heapattach::memory_map::recipe_text;
use heapattach::render::heapy_table::HeapyTable;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The vectors in every file of that name (of several that is known to be one).
fn vectors(names: [&str; 2]) -> Vec<Value> {
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    let directories =
        std::iter::once(committed).chain(std::env::var_os("HEAPATTACH_VECTORS").map(PathBuf::from));
    let mut all = Vec::new();
    for directory in directories {
        for name in names {
            let Ok(text) = std::fs::read(directory.join(name)) else { continue };
            let Value::Array(vectors) = serde_json::from_slice(&text).unwrap() else { panic!("no array") };
            all.extend(vectors);
        }
    }
    assert!(!all.is_empty());
    all
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

#[test]
fn tables_are_heapys() {
    for vector in vectors(["heapy_tables.json", "table_vectors.json"]) {
        let rows = vector["rows"].as_array().unwrap().iter();
        let rows =
            rows.map(|row| (row[2].as_str().unwrap(), row[0].as_u64().unwrap(), row[1].as_u64().unwrap()));
        let table = HeapyTable::new(text(&vector, "kindheader"), rows);
        for (index, page) in vector["pages"].as_array().unwrap().iter().enumerate() {
            assert_eq!(table.page(index), page.as_str().unwrap(), "page {index}");
        }
        assert_eq!(table.stat_dump(Duration::from_millis(1_700_000_000_250)), text(&vector, "statdump"));
        assert_eq!(table.by_count().page(0), text(&vector, "refs"));
    }
}

#[test]
fn maps_are_the_recipes() {
    for vector in vectors(["memory_maps.json", "memmap_vectors.json"]) {
        let spans = vector["mm"].as_array().unwrap().iter();
        let spans: Vec<_> =
            spans.map(|span| (span[0].as_u64().unwrap(), span[1].as_u64().unwrap())).collect();
        for (name, band) in Bands::of(&spans).named() {
            assert_eq!(recipe_text(band), text(&vector, name), "{name}");
        }
    }
}
