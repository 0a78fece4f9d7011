//! Heaps that ask for more work than they are worth.

use crate::builder::Builder;
use heapattach::inspection::Answers;
use heapattach::inspection::Inspection;
use heapattach::inspection::View;
use std::time::Duration;
use std::time::Instant;

/// Far more than any of these takes, and far less than the work that they claim.
const PATIENCE: Duration = Duration::from_secs(20);

/// Analyses, asks everything, and holds the work against what was captured.
fn survive(builder: Builder, view: View) -> Inspection {
    let start = Instant::now();
    let inspection = builder.analyse(view);
    let words = inspection.capture.image.page_count() as u64 * 512;
    assert!(inspection.work <= 6 * words + (1 << 23), "{} for {words} words", inspection.work);
    let references = inspection.heap.references(&inspection.space()).reference_count();
    assert!(references <= 6 * words + (1 << 23), "{references} references for {words} words");
    assert!(inspection.totals(view).all.objects > 0);
    let mut count = 0_u64;
    inspection.for_each_reference(&mut |_| {
        count += 1;
        true
    });
    assert!(count <= 6 * words + (1 << 23));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    inspection
}

fn is_limited(inspection: &Inspection) -> bool {
    inspection.anomalies().iter().any(|row| row.kind == "work-limit")
}

#[test]
fn lists_that_claim_the_same_array() {
    let mut builder = Builder::new(4 << 20);
    let (one, count) = (builder.int(1), 20_000);
    let array = builder.array(&vec![one; 50_000]);
    let lists: Vec<u64> = (0..count).map(|_| builder.list_of(array, 50_000)).collect();
    let hold = builder.list(&lists);
    builder.hold("lists", hold);
    let inspection = survive(builder, View::Complete);
    assert!(is_limited(&inspection));
    assert!(inspection.totals(View::Complete).all.objects >= count, "the objects are counted all the same");
}

#[test]
fn lists_that_claim_more_than_there_is() {
    let mut builder = Builder::new(4 << 20);
    let one = builder.int(1);
    let array = builder.array(&vec![one; 1000]);
    let lists: Vec<u64> = (0..20_000).map(|index| builder.list_of(array, u64::MAX >> (index % 40))).collect();
    let hold = builder.list(&lists);
    builder.hold("lists", hold);
    survive(builder, View::Complete);
}

#[test]
fn deques_that_share_a_ring_of_blocks() {
    let mut builder = Builder::new(8 << 20);
    // block { leftlink, data[64], rightlink }.
    let blocks: Vec<u64> = (0..200).map(|_| builder.reserve(528)).collect();
    for (index, &block) in blocks.iter().enumerate() {
        builder.put(block + 520, blocks[(index + 1) % blocks.len()]);
    }
    let deques: Vec<u64> = (0..10_000)
        .map(|_| {
            // dequeobject: ob_size@16, leftblock@24, rightblock@32, leftindex@40, rightindex@48.
            let object = builder.reserve(248) + 16;
            builder.put(object, 1);
            builder.put(object + 8, builder.types.deque);
            builder.put(object + 16, 1 << 50);
            builder.put(object + 24, blocks[0]);
            builder.link(object);
            object
        })
        .collect();
    let hold = builder.list(&deques);
    builder.hold("deques", hold);
    assert!(is_limited(&survive(builder, View::Complete)));
}

#[test]
fn ordered_dicts_with_a_ring_of_nodes() {
    let mut builder = Builder::new(4 << 20);
    let (one, keys) = (builder.int(1), builder.keys(&[]));
    // _odictnode { key, hash, next, prev }; the node is its own successor.
    let node = builder.reserve(32);
    builder.put(node, one);
    builder.put(node + 16, node);
    let dicts: Vec<u64> = (0..10_000)
        .map(|_| {
            // ma_used@16, ma_keys@32, od_first@48, od_last@56.
            let object = builder.reserve(128) + 16;
            builder.put(object, 1);
            builder.put(object + 8, builder.types.ordered_dict);
            builder.put(object + 16, 1 << 60);
            builder.put(object + 32, keys);
            for offset in [48, 56] {
                builder.put(object + offset, node);
            }
            builder.link(object);
            object
        })
        .collect();
    let hold = builder.list(&dicts);
    builder.hold("dicts", hold);
    assert!(is_limited(&survive(builder, View::Complete)));
}

#[test]
fn dicts_that_share_a_table_with_endless_entries() {
    let mut builder = Builder::new(4 << 20);
    let (name, one) = (builder.text("key"), builder.int(1));
    let keys = builder.keys(&vec![(name, one); 50_000]);
    // 2^36 slots, as many entries.
    builder.put(keys + 24, 1 << 36);
    builder.put(keys + 8, 0x0001_0024);
    let dicts: Vec<u64> = (0..200)
        .map(|_| {
            let dict = builder.dict(&[]);
            builder.put(dict + 32, keys);
            dict
        })
        .collect();
    let hold = builder.list(&dicts);
    builder.hold("dicts", hold);
    survive(builder, View::Heapy);
}

/// `__module__` is looked for in a table that says to have 2^36 entries.
#[test]
fn a_name_that_is_looked_for_beyond_the_end_of_memory() {
    let mut builder = Builder::new(4 << 20);
    let (name, one) = (builder.text("key"), builder.int(1));
    let keys = builder.keys(&[(name, one); 5]);
    builder.put(keys + 24, 1 << 36);
    builder.put(keys + 16, 0);
    builder.put(keys + 8, 0x0001_0324);
    let namespace = builder.dict(&[]);
    builder.put(namespace + 32, keys);
    let class = builder.class("module", "Class");
    builder.put(class + 264, namespace);
    let empty = builder.dict(&[]);
    let instance = builder.instance(class, empty);
    builder.hold("instance", instance);
    survive(builder, View::Complete);
}

/// Any chain of pointers passes for a list of interpreters, and any word in it for a count of callbacks.
#[test]
fn a_list_of_interpreters_that_runs_through_the_heap() {
    let mut builder = Builder::new(4 << 20);
    let one = builder.int(1);
    builder.hold("one", one);
    let chain = builder.reserve(16 * 9_000);
    for index in 0..9_000 - 1 {
        builder.put(chain + 16 * index, chain + 16 * (index + 1));
        builder.put(chain + 16 * index + 8, 0xffff);
    }
    builder.next_interpreter(chain);
    survive(builder, View::Complete);
}

/// One object leads to the next, and none is in a pool.
#[test]
fn a_long_chain_of_large_objects() {
    let mut builder = Builder::new(16 << 20);
    let mut next = builder.int(1);
    for _ in 0..100_000 {
        next = builder.list(&[next]);
    }
    builder.hold("chain", next);
    let inspection = survive(builder, View::Complete);
    assert!(inspection.totals(View::Complete).all.objects > 100_000);
    assert!(!is_limited(&inspection));
}

#[test]
fn classes_without_end() {
    let mut builder = Builder::new(48 << 20);
    let module = "m".repeat(400);
    let classes: Vec<u64> = (0..200).map(|_| builder.class(&module, "C")).collect();
    // Copies of a class, each its predecessor's subclass; the first is the last one's.
    let mut chain = Vec::new();
    for index in 0..20_000 {
        let class = builder.copy(classes[index % 200], 904);
        chain.push(class);
    }
    for (index, &class) in chain.iter().enumerate() {
        builder.put(class + 256, chain[(index + 1) % chain.len()]);
    }
    let instances: Vec<u64> = chain
        .iter()
        .map(|&class| {
            let object = builder.reserve(64) + 32;
            builder.put(object, 1);
            builder.put(object + 8, class);
            builder.link(object);
            object
        })
        .collect();
    let hold = builder.list(&instances);
    builder.hold("instances", hold);
    survive(builder, View::Complete);
}
