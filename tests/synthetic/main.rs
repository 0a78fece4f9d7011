//! Heaps written by hand: a wrong offset in a table shows here, and so does a heap that was made to cost
//! time and memory without end.

#[expect(dead_code, reason = "the measured heap has more kinds of objects than these tests")]
mod builder;
mod hostile;
mod segments;

use builder::Builder;
use heapattach::inspection::Answers;
use heapattach::inspection::Inspection;
use heapattach::inspection::View;
use std::collections::BTreeMap;

/// Type, size and kind of every object, by address.
fn objects(inspection: &Inspection) -> BTreeMap<u64, (String, u64, String)> {
    let mut objects = BTreeMap::new();
    inspection.for_each_object(inspection.view, &mut |row| {
        let facts = (row.type_label.to_owned(), row.bytes, row.clodo.to_owned());
        objects.insert(row.address.get(), facts);
        true
    });
    objects
}

fn references(inspection: &Inspection) -> Vec<(u64, u64)> {
    let mut references = Vec::new();
    inspection.for_each_reference(&mut |row| {
        references.push((row.source.get(), row.target.get()));
        true
    });
    references
}

/// What `sys.getsizeof` and heapy say of the same objects in CPython 3.11.
#[test]
fn sizes_kinds_and_references_of_a_heap_written_by_hand() {
    let mut builder = Builder::new(1 << 16);
    let (seven, name) = (builder.int(7), builder.text("abc"));
    let list = builder.list(&[seven, name]);
    let dict = builder.dict(&[(name, seven)]);
    let class = builder.class("shop", "Point");
    let attributes = builder.dict(&[(name, list)]);
    let instance = builder.instance(class, attributes);
    builder.hold("held", list);
    builder.hold("dict held", dict);
    builder.hold("instance held", instance);
    let inspection = builder.analyse(View::Complete);
    let found = objects(&inspection);
    let expect = |address: u64, kind: &str, bytes: u64, clodo: &str| {
        let expected = (kind.to_owned(), bytes, clodo.to_owned());
        assert_eq!(found.get(&address), Some(&expected), "at {address:#x}");
    };
    expect(seven, "int", 28, "int");
    expect(name, "str", 52, "str");
    expect(list, "list", 72, "list");
    expect(dict, "dict", 184, "dict (no owner)");
    expect(attributes, "dict", 184, "dict of shop.Point");
    expect(instance, "shop.Point", 56, "shop.Point");
    expect(class, "type", 920, "type");
    let references = references(&inspection);
    for edge in [
        (list, seven),
        (list, name),
        (dict, name),
        (dict, seven),
        (attributes, list),
        (instance, attributes),
        (instance, class),
    ] {
        assert!(references.contains(&edge), "{edge:#x?}");
    }
    assert!(!references.contains(&(seven, name)));
    assert_eq!(inspection.anomalies().iter().map(|row| row.kind).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// What nothing refers to is found in its pool, and not in heapy's view.
#[test]
fn an_object_that_only_the_allocator_knows() {
    for view in [View::Complete, View::Heapy] {
        let mut builder = Builder::new(1 << 16);
        let (lost, held) = (builder.int(7), builder.int(8));
        builder.hold("held", held);
        let found = objects(&builder.analyse(view));
        assert!(found.contains_key(&held));
        assert_eq!(found.contains_key(&lost), view == View::Complete);
    }
}
