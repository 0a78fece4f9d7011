//! A process that was never there, for reports to speak about.

use crate::report::fake_memory;
use heapattach::address::Address;
use heapattach::analysis::partition::Partition;
use heapattach::analysis::partition::Row;
use heapattach::inspection::AnomalyRow;
use heapattach::inspection::Answers;
use heapattach::inspection::BufferProblem;
use heapattach::inspection::BufferRow;
use heapattach::inspection::FoundBy;
use heapattach::inspection::HeapTotals;
use heapattach::inspection::InterpreterDescription;
use heapattach::inspection::InterpreterRow;
use heapattach::inspection::NestedRow;
use heapattach::inspection::ObjectRow;
use heapattach::inspection::ReferenceRow;
use heapattach::inspection::Relation;
use heapattach::inspection::Total;
use heapattach::inspection::Unreachable;
use heapattach::inspection::View;
use heapattach::memory_map::Bands;
use heapattach::memory_map::regions::RegionMap;
use heapattach::target::CaptureStatistics;
use heapattach::target::Mapping;
use heapattach::target::TargetDescription;
use std::time::Duration;

/// An object of the fake heap.
#[derive(Clone, Copy)]
pub(crate) struct FakeObject {
    pub(crate) address: u64,
    pub(crate) kind: &'static str,
    pub(crate) bytes: u64,
    pub(crate) clodo: &'static str,
    pub(crate) found_by: FoundBy,
}

impl FakeObject {
    fn label(&self, relation: Relation) -> String {
        match relation {
            Relation::Clodo => self.clodo.to_owned(),
            Relation::Type => self.kind.to_owned(),
            Relation::Module => {
                self.kind.rsplit_once('.').map_or("builtins", |(module, _)| module).to_owned()
            }
            Relation::Size => self.bytes.to_string(),
            Relation::Referrers if self.kind == "str" => "<Nothing>".to_owned(),
            Relation::Referrers => {
                format!("dict (no owner), dict of shop.orders.Order, function, list, {}", self.kind)
            }
            Relation::Interpreter => "interpreter 0".to_owned(),
            Relation::Generation => format!("generation {}", self.address / 16 % 3),
        }
    }
}

fn add(rows: &mut Vec<Row>, label: String, bytes: u64) {
    match rows.iter_mut().find(|row| row.label == label) {
        Some(row) => {
            row.objects += 1;
            row.bytes += bytes;
        }
        None => rows.push(Row { label, objects: 1, bytes }),
    }
}

/// A process with the given objects.
pub(crate) struct Fake {
    target: TargetDescription,
    capture: CaptureStatistics,
    interpreter: InterpreterDescription,
    objects: Vec<FakeObject>,
    anomalies: Vec<AnomalyRow>,
    complete: bool,
}

impl Fake {
    /// A process without a single object.
    pub(crate) fn empty() -> Self {
        Self {
            target: TargetDescription::default(),
            capture: CaptureStatistics::default(),
            interpreter: InterpreterDescription::default(),
            objects: Vec::new(),
            anomalies: Vec::new(),
            complete: true,
        }
    }

    /// A position-independent web server with all that a report may have to say.
    pub(crate) fn service() -> Self {
        let command = [
            "/srv/shop/venv/bin/python",
            "-m",
            "shop.server",
            "--workers",
            "1",
            "--config",
            "/srv/shop/etc/production-frankfurt-2.toml",
            "--name",
            "a\u{1b}[31mb",
        ];
        Self {
            target: TargetDescription {
                pid: 4242,
                command: command.map(str::to_owned).to_vec(),
                name: "python".to_owned(),
                executable: Some("/usr/local/bin/python3.11".into()),
                threads: 12,
                ..TargetDescription::default()
            },
            capture: CaptureStatistics {
                strategy: "copy",
                pause_ns: 81_437_000,
                longest_pause_ns: 92_000_000,
                bytes_copied: 641_728_512,
                pages_skipped: 0,
                threads: 12,
                retries: 8,
                collecting: true,
                ..CaptureStatistics::default()
            },
            interpreter: InterpreterDescription {
                version: "3.11.7".to_owned(),
                build: "release".to_owned(),
                image_path: "/usr/local/lib/libpython3.11.so.1.0".to_owned(),
                build_id: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
                layout_source: "table 3.11".to_owned(),
                breaks_after_hyphen: true,
                notes: Vec::new(),
                interpreters: 1,
                threads: 9,
                ..InterpreterDescription::default()
            },
            objects: service_objects(),
            anomalies: vec![
                anomaly("bad-type", 1, Some(0x7f00_0001_0010)),
                anomaly("broken-gc-list", 2, None),
            ],
            complete: true,
        }
    }

    /// The same, but not all of it could be read.
    pub(crate) fn incomplete() -> Self {
        Self { complete: false, ..Self::service() }
    }

    /// The same with more objects than any buffer holds.
    pub(crate) fn large() -> Self {
        let mut fake = Self::service();
        fake.objects = fake.objects.repeat(10);
        fake
    }

    fn kept(&self, view: View) -> impl Iterator<Item = &FakeObject> {
        self.objects.iter().filter(move |object| match view {
            View::Complete => object.found_by != FoundBy::Synthetic,
            View::Heapy => object.found_by != FoundBy::Allocator,
        })
    }
}

fn anomaly(kind: &'static str, count: u64, first: Option<u64>) -> AnomalyRow {
    AnomalyRow { kind, description: "something is wrong", count, first: first.map(Address::new) }
}

fn service_objects() -> Vec<FakeObject> {
    const KINDS: [(&str, &str); 14] = [
        ("str", "str"),
        ("dict", "dict of shop.models.catalogue.ProductVariantAvailability"),
        ("dict", "dict (no owner)"),
        ("tuple", "tuple"),
        ("shop.orders.Order", "shop.orders.Order"),
        ("bytes", "bytes"),
        ("types.CodeType", "types.CodeType"),
        ("function", "function"),
        ("list", "list"),
        ("type", "type"),
        ("set", "set"),
        ("int", "int"),
        ("a,b\"c", "a,b\"c"),
        ("esc\u{1b}[31m\nape", "esc\u{1b}[31m\nape"),
    ];
    let mut objects = Vec::new();
    let mut address = 0x5555_5555_0010;
    for index in 0..2000_u64 {
        let (kind, clodo) = KINDS[(index * index % 97 % 14) as usize];
        let bytes = 48 + index % 13 * 16 + if index % 100 == 0 { 1_000_000 } else { 0 };
        let found_by = match index % 50 {
            7 => FoundBy::Static,
            8 => FoundBy::Allocator,
            9 => FoundBy::Synthetic,
            _ => FoundBy::Reference,
        };
        objects.push(FakeObject { address, kind, bytes, clodo, found_by });
        address += (bytes + 31) / 16 * 16;
        if index == 500 {
            address = 0x7f00_0000_0010;
        }
    }
    objects
}

impl Answers for Fake {
    fn for_each_reference(&self, _visit: &mut dyn FnMut(&ReferenceRow) -> bool) {}

    fn target(&self) -> &TargetDescription {
        &self.target
    }

    fn capture(&self) -> &CaptureStatistics {
        &self.capture
    }

    fn interpreter(&self) -> &InterpreterDescription {
        &self.interpreter
    }

    fn mappings(&self) -> &[Mapping] {
        &[]
    }

    fn anomalies(&self) -> Vec<AnomalyRow> {
        self.anomalies.clone()
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn interpreters(&self, view: View) -> Vec<InterpreterRow> {
        let main = InterpreterRow {
            id: Some(0),
            label: "interpreter 0 (main)".to_owned(),
            threads: self.interpreter.threads,
            lock: Some("own"),
            own_allocator: Some(true),
            total: self.totals(view).all,
        };
        (0..self.interpreter.interpreters).map(|_| main.clone()).collect()
    }

    fn totals(&self, view: View) -> HeapTotals {
        let total = |found_by: Option<FoundBy>| {
            let of_group =
                self.kept(view).filter(|object| found_by.is_none_or(|group| group == object.found_by));
            of_group.fold(Total::default(), |total, object| Total {
                objects: total.objects + 1,
                bytes: total.bytes + object.bytes,
            })
        };
        HeapTotals {
            all: total(None),
            by_reference: total(Some(FoundBy::Reference)),
            by_allocator_only: total(Some(FoundBy::Allocator)),
            r#static: total(Some(FoundBy::Static)),
            synthetic: total(Some(FoundBy::Synthetic)),
        }
    }

    fn partition(&self, view: View, relation: Relation) -> Partition {
        let mut rows: Vec<Row> = Vec::new();
        for object in self.kept(view) {
            add(&mut rows, object.label(relation), object.bytes);
        }
        Partition::new(relation.header(), rows)
    }

    fn nested(&self, view: View, outer: Relation, inner: Relation, only: Option<&str>) -> Vec<NestedRow> {
        let mut nested = Vec::new();
        for outer_row in self.partition(view, outer).rows {
            if only.is_some_and(|only| only != outer_row.label) {
                continue;
            }
            let mut rows = Vec::new();
            for object in self.kept(view).filter(|object| object.label(outer) == outer_row.label) {
                add(&mut rows, object.label(inner), object.bytes);
            }
            let rows = Partition::new("", rows).rows;
            nested.extend(rows.into_iter().map(|row| NestedRow { outer: outer_row.label.clone(), row }));
        }
        nested
    }

    fn unreachable(&self, _view: View) -> Unreachable {
        let mut rows = Vec::new();
        for object in self.objects.iter().filter(|object| object.found_by == FoundBy::Allocator) {
            add(&mut rows, object.label(Relation::Type), object.bytes);
        }
        Unreachable { partition: Partition::new("Type", rows), garbage: Total { objects: 2, bytes: 128 } }
    }

    fn captured_at(&self) -> Duration {
        Duration::from_millis(1_700_000_000_250)
    }

    fn for_each_span(&self, view: View, visit: &mut dyn FnMut(u64, u64) -> bool) {
        for object in self.kept(view).filter(|object| object.found_by != FoundBy::Synthetic) {
            if !visit(object.address, object.bytes) {
                return;
            }
        }
    }

    fn bands(&self, view: View) -> Bands {
        let real = self.kept(view).filter(|object| object.found_by != FoundBy::Synthetic);
        Bands::of(&real.map(|object| (object.address, object.bytes)).collect::<Vec<_>>())
    }

    fn region_map(&self, view: View) -> RegionMap {
        let mut spans = Vec::new();
        self.for_each_span(view, &mut |address, bytes| {
            spans.push((address, bytes));
            true
        });
        if spans.is_empty() { RegionMap::default() } else { fake_memory::region_map(&spans) }
    }

    fn for_each_buffer(&self, _view: View, visit: &mut dyn FnMut(&BufferRow<'_>) -> bool) {
        if !self.objects.is_empty() {
            fake_memory::for_each_buffer(visit);
        }
    }

    fn uncounted_buffers(&self, _view: View) -> &[(u64, u64)] {
        if self.objects.is_empty() { &[] } else { &fake_memory::UNCOUNTED }
    }

    fn bands_with_buffers(&self, view: View) -> Bands {
        let mut spans = self.uncounted_buffers(view).to_vec();
        self.for_each_span(view, &mut |address, bytes| {
            spans.push((address, bytes));
            true
        });
        spans.sort_unstable();
        Bands::of(&spans)
    }

    fn buffer_problems(&self, _view: View) -> Vec<BufferProblem> {
        if self.objects.is_empty() { Vec::new() } else { fake_memory::buffer_problems() }
    }

    fn for_each_object(&self, view: View, visit: &mut dyn FnMut(&ObjectRow<'_>) -> bool) {
        for object in self.kept(view) {
            let row = ObjectRow {
                address: Address::new(object.address),
                type_label: object.kind,
                bytes: object.bytes,
                clodo: object.clodo,
                refcount: (object.found_by != FoundBy::Synthetic).then_some(object.bytes % 7),
                gc_tracked: object.kind == "dict",
                found_by: object.found_by,
                interpreter: (object.found_by != FoundBy::Static).then_some(0),
            };
            if !visit(&row) {
                return;
            }
        }
    }
}
