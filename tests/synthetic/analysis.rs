//! Analyses a heap of some 10^5 objects that is written byte by byte, the same on every machine: what
//! `cargo xtask callgrind` counts the instructions of. Each step is a function that is never inlined, so that
//! the profile has a figure for it; all run on one thread.

#[expect(dead_code, reason = "the tests write more kinds of objects than this heap has")]
mod builder;

use builder::Builder;
use heapattach::inspection::Inspection;
use heapattach::inspection::View;
use heapattach::inspection::assemble;
use heapattach::inspection::locate::Located;
use heapattach::render::PageOptions;
use heapattach::render::find_format;
use heapattach::report::ReportOptions;
use heapattach::report::find_report;
use heapattach::target::Capture;
use heapattach::target::huge_pages::HugePages;
use std::io::Write;

/// Memory as the program has it.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// Records, each of 12 objects.
const RECORDS: u32 = 9_000;
/// Pools of 16 KiB; what the heap needs and some more.
const POOLS: u64 = 500;
/// Bytes for what is larger than a block of a pool, or has it beside it.
const ROOM: u64 = 10 << 20;
/// The heap is a list of lists of so many records.
const RECORDS_PER_LIST: usize = 500;

#[inline(never)]
fn step_walk_complete(capture: Capture, located: &Located) -> Inspection {
    walk(capture, located, View::Complete)
}

#[inline(never)]
fn step_walk_heapy(capture: Capture, located: &Located) -> Inspection {
    walk(capture, located, View::Heapy)
}

#[inline(never)]
fn step_report(inspection: &Inspection) -> u64 {
    write(inspection, "report", "text")
}

#[inline(never)]
fn step_objects(inspection: &Inspection) -> u64 {
    write(inspection, "objects", "csv")
}

#[inline(never)]
fn step_referrers(inspection: &Inspection) -> u64 {
    write(inspection, "referrers", "text")
}

#[inline(never)]
fn step_stats(inspection: &Inspection) -> u64 {
    write(inspection, "stats", "pickle")
}

fn walk(capture: Capture, located: &Located, view: View) -> Inspection {
    assemble::analyse(capture, located, view).expect("the runtime is sound")
}

/// How many bytes the report has.
fn write(inspection: &Inspection, report: &str, format: &str) -> u64 {
    let (report, format) = (find_report(report).expect("a report"), find_format(format).expect("a format"));
    let options = ReportOptions { view: inspection.view, ..ReportOptions::default() };
    let document = report.build(inspection, &options);
    let mut out = Counter(0);
    let page = PageOptions { width: 80, color: false };
    format.write(&document, &page, &mut out).expect("a counter takes everything");
    out.0
}

/// Takes bytes and counts them.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Records in lists: an instance with a dict, a list, a tuple, text and numbers; some text nobody refers to.
fn heap() -> Builder {
    let mut builder = Builder::with_pools(POOLS, ROOM);
    let classes = [builder.class("shop", "Order"), builder.class("shop", "Visit")];
    let keys = ["name", "weight", "items", "previous"].map(|key| builder.text(key));
    let (mut lists, mut records, mut previous) = (Vec::new(), Vec::new(), keys[0]);
    for number in 0..RECORDS {
        let name = builder.text(&format!("record {number}"));
        let weight = builder.float(f64::from(number));
        let numbers = [number, number + 1, number + 2].map(|digit| builder.int(digit));
        let pair = builder.tuple(&[name, numbers[0]]);
        let items = builder.list(&[numbers[0], numbers[1], numbers[2], pair]);
        let values = [name, weight, items, previous];
        let entries: Vec<(u64, u64)> = keys.into_iter().zip(values).collect();
        let attributes = builder.dict(&entries);
        let instance = builder.instance(classes[number as usize % 2], attributes);
        let row = builder.dict(&[(name, instance), (keys[1], weight)]);
        let note = builder.text("a note of middle length, which many records have");
        records.push(builder.tuple(&[row, note, instance]));
        // Known to the allocator alone.
        builder.text(&format!("lost {number}"));
        previous = if number % 100 == 0 { keys[0] } else { instance };
        if records.len() == RECORDS_PER_LIST {
            lists.push(builder.list(&records));
            records.clear();
        }
    }
    let all = builder.list(&lists);
    builder.hold("records", all);
    builder
}

fn main() {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    threads.expect("nothing has used the threads before");
    let (capture, located) = heap().finish();
    let inspection = step_walk_complete(capture, &located);
    let count = inspection.heap.count();
    assert!(count > 100_000, "{count} objects: the heap was not found");
    let report = step_report(&inspection);
    let objects = step_objects(&inspection);
    drop(inspection);
    let (capture, located) = heap().finish();
    let inspection = step_walk_heapy(capture, &located);
    let referrers = step_referrers(&inspection);
    let stats = step_stats(&inspection);
    assert!([report, referrers, stats, objects].iter().all(|&bytes| bytes > 500), "a report is empty");
    let mut out = std::io::stdout().lock();
    // Whoever does not listen has the exit status.
    let _ = writeln!(out, "{count} objects");
}
