//! What reports ask of an inspected heap.

use crate::address::Address;
use crate::address::AddressRange;
use crate::analysis::partition::Partition;
use crate::analysis::referrers::ReferrerSets;
use crate::analysis::referrers::referrer_sets;
use crate::buffers::Buffers;
use crate::descriptions::Bound;
use crate::graph::adjacency::Adjacency;
use crate::graph::id::ObjectId;
use crate::graph::reach::reach_more;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::kind;
use crate::heap::model::ByAddress;
use crate::heap::model::Clodo;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::work::Work;
use crate::inspection::AnomalyRow;
use crate::inspection::Answers;
use crate::inspection::BufferProblem;
use crate::inspection::BufferRow;
use crate::inspection::FoundBy;
use crate::inspection::HeapTotals;
use crate::inspection::InterpreterDescription;
use crate::inspection::InterpreterRow;
use crate::inspection::NestedRow;
use crate::inspection::ObjectRow;
use crate::inspection::ReferenceKind;
use crate::inspection::ReferenceRow;
use crate::inspection::Relation;
use crate::inspection::Unreachable;
use crate::inspection::View;
use crate::inspection::belonging;
use crate::inspection::groups;
use crate::inspection::kinds::Referrers;
use crate::inspection::memory;
use crate::inspection::region_map;
use crate::inspection::summary::Summary;
use crate::inspection::unreachable;
use crate::layout::Resolved;
use crate::memory_map::Bands;
use crate::memory_map::regions::RegionMap;
use crate::runtime::interpreters::Collector;
use crate::runtime::mimalloc::Mimalloc;
use crate::target::Capture;
use crate::target::CaptureStatistics;
use crate::target::Mapping;
use crate::target::TargetDescription;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pieces of the heap that threads share, so that nobody waits long for the last one.
const CHUNKS: usize = 32;

/// One inspected process, in one view.
pub struct Inspection {
    /// What was taken from it.
    pub capture: Capture,
    /// Which interpreter it runs.
    pub interpreter: InterpreterDescription,
    /// Its heap.
    pub heap: Heap,
    /// The view that was walked.
    pub view: View,
    /// What was wrong.
    pub anomalies: Anomalies,
    /// Counts and bytes, computed when first asked for.
    pub summary: OnceLock<Summary>,
    /// Sets of referrers, computed when first asked for.
    pub referrers: OnceLock<ReferrerSets>,
    /// Whether an answer given after the walk had to leave something out.
    pub was_cut: AtomicBool,
    /// When the process was copied, since the epoch.
    pub captured_at: Duration,
    /// The lists of the collectors.
    pub collectors: Vec<Collector>,
    /// Where fields are and what they mean.
    pub resolved: Resolved,
    /// References that threads count on their own; see [`crate::heap::thread_counts`].
    pub thread_counts: FxHashMap<Address, i64>,
    /// The pages of mimalloc; none in builds that have pymalloc.
    pub mimalloc: Mimalloc,
    /// Every `PyInterpreterState`.
    pub interpreters: Vec<Address>,
    /// See [`Space::general_lookup`].
    pub general_lookup: Option<Address>,
    /// Words of long parts and references that the walk read.
    pub work: u64,
    /// Where types of libraries keep memory outside their objects.
    pub descriptions: Bound,
    /// Variables of binaries with their files, by address.
    pub binaries: Vec<(AddressRange, String)>,
    /// That memory, found when first asked for.
    pub buffers: OnceLock<Buffers>,
}

impl Inspection {
    /// The memory with its layouts.
    pub fn space(&self) -> Space<'_> {
        Space {
            image: &self.capture.image,
            layouts: &self.resolved.layouts,
            features: &self.resolved.features,
            interpreters: &self.interpreters,
            general_lookup: self.general_lookup,
            work: Work::of(&self.capture.image),
        }
    }

    pub(super) fn summary(&self) -> &Summary {
        self.summary.get_or_init(|| Summary::of(self))
    }

    /// Who refers to whom, by kind; computed once.
    pub(super) fn referrer_sets(&self) -> &ReferrerSets {
        self.referrers.get_or_init(|| {
            let heap = &self.heap;
            let referring = (self.view == View::Heapy).then(|| {
                let space = self.space();
                let mut reached = heap.reached(&space).clone();
                let roots = heap.walk.thread_roots.iter().copied();
                let (hidden, opaque) = (&heap.hidden.hidden, &heap.hidden.opaque);
                reach_more(heap.references(&space), &mut reached, roots, hidden, opaque);
                reached
            });
            let referrers = Referrers::new(self, referring.as_ref());
            let sets = referrer_sets(heap.count(), &referrers);
            self.note_cut(sets.is_cut || referrers.is_cut());
            sets
        })
    }

    /// Notes that an answer is incomplete, if it is.
    pub(super) fn note_cut(&self, is_cut: bool) {
        self.was_cut.fetch_or(is_cut, Ordering::Relaxed);
    }

    /// Address and size of what is in memory, by address.
    fn spans(&self) -> impl Iterator<Item = (u64, u64)> + Clone {
        self.spans_of(self.heap.by_address())
    }

    fn spans_of<'a>(
        &'a self,
        ids: ByAddress<'a>,
    ) -> impl Iterator<Item = (u64, u64)> + Clone + Send + Sync + 'a {
        let objects = self.heap.objects();
        let in_memory =
            |object: &ObjectId| self.is_in_view(*object) && !self.flags(*object).has(Flags::SYNTHETIC);
        let span = |object: ObjectId| (objects.addresses[object.index()], objects.sizes[object.index()]);
        ids.filter(in_memory).map(span)
    }

    /// Who refers to whom, in the view that was walked.
    pub(super) fn references(&self) -> &Adjacency {
        if let Some(references) = self.heap.walk.references.get() {
            return references;
        }
        let space = self.space();
        let references = self.heap.references(&space);
        self.note_cut(space.work.is_exhausted());
        references
    }

    pub(super) fn is_in_view(&self, object: ObjectId) -> bool {
        match self.view {
            View::Complete => true,
            View::Heapy => self.heap.is_reached(object),
        }
    }

    fn flags(&self, object: ObjectId) -> Flags {
        self.heap.objects().flags[object.index()]
    }

    pub(super) fn found_by(&self, object: ObjectId) -> FoundBy {
        let flags = self.flags(object);
        if flags.has(Flags::SYNTHETIC) {
            FoundBy::Synthetic
        } else if flags.has(Flags::STATIC) {
            FoundBy::Static
        } else if flags.has(Flags::TRACKED) || self.heap.is_led_to(object) {
            FoundBy::Reference
        } else {
            FoundBy::Allocator
        }
    }

    pub(super) fn has_unmade_dict(&self, object: ObjectId) -> bool {
        self.view == View::Heapy && self.flags(object).has(Flags::UNMADE_DICT)
    }

    fn clodo_label<'a>(&'a self, clodo: Clodo, dict_labels: &'a [String]) -> &'a str {
        match clodo {
            Clodo::Instance(kind) => self.heap.label(kind),
            Clodo::DictOf(kind) => dict_labels.get(kind.index()).map_or("", String::as_str),
            Clodo::DictNoOwner => "dict (no owner)",
        }
    }

    fn dict_labels(&self) -> Vec<String> {
        self.heap.labels.iter().map(|label| format!("dict of {label}")).collect()
    }

    fn object_row<'a>(&'a self, object: ObjectId, dict_labels: &'a [String]) -> ObjectRow<'a> {
        let objects = self.heap.objects();
        let address = Address::new(objects.addresses[object.index()]);
        let found_by = self.found_by(object);
        let is_real = found_by != FoundBy::Synthetic;
        let refcount = if is_real { self.space().reference_count(address) } else { None };
        let by_threads = self.thread_counts.get(&address).copied().unwrap_or(0);
        let refcount = refcount.map(|count| count.saturating_add_signed(by_threads));
        ObjectRow {
            address,
            type_label: self.heap.label(objects.types[object.index()]),
            bytes: objects.sizes[object.index()],
            clodo: self.clodo_label(self.heap.clodo(object), dict_labels),
            refcount,
            gc_tracked: self.flags(object).has(Flags::TRACKED),
            found_by,
            interpreter: self.interpreter_id(object),
        }
    }

    /// The row of the dict that heapy would make for an instance.
    fn unmade_dict_row<'a>(&'a self, object: ObjectId, dict_labels: &'a [String]) -> ObjectRow<'a> {
        let objects = self.heap.objects();
        ObjectRow {
            address: Address::new(objects.addresses[object.index()]),
            type_label: "dict",
            bytes: self.heap.unmade_dict_size(object),
            clodo: self.clodo_label(self.heap.unmade_dict_clodo(object), dict_labels),
            refcount: None,
            gc_tracked: true,
            found_by: FoundBy::Synthetic,
            interpreter: self.interpreter_id(object),
        }
    }

    fn interpreter_id(&self, object: ObjectId) -> Option<u64> {
        self.heap.interpreter_of(object).and_then(|index| self.heap.attribution.ids.get(index)).copied()
    }
}

impl Answers for Inspection {
    fn target(&self) -> &TargetDescription {
        &self.capture.description
    }

    fn capture(&self) -> &CaptureStatistics {
        &self.capture.statistics
    }

    fn interpreter(&self) -> &InterpreterDescription {
        &self.interpreter
    }

    fn mappings(&self) -> &[Mapping] {
        &self.capture.mappings
    }

    fn anomalies(&self) -> Vec<AnomalyRow> {
        let row = |(kind, count, first): (AnomalyKind, u64, Option<Address>)| AnomalyRow {
            kind: kind.name(),
            description: kind.description(),
            count,
            first,
        };
        self.anomalies.iter().map(row).collect()
    }

    fn is_complete(&self) -> bool {
        let is_cut = |kind| matches!(kind, AnomalyKind::CutRuntime | AnomalyKind::WorkLimit);
        // A running interpreter has thousands of objects: to see none is to have misread it.
        let is_empty = self.heap.count() == 0;
        let is_truncated = self.capture.description.core.as_ref().is_some_and(|core| core.truncated);
        !self.was_cut.load(Ordering::Relaxed)
            && self.capture.statistics.pages_skipped == 0
            && self.capture.image.missed() == 0
            && !is_truncated
            && !is_empty
            && !self.anomalies.iter().any(|(kind, ..)| is_cut(kind))
    }

    fn totals(&self, _view: View) -> HeapTotals {
        self.summary().totals
    }

    fn interpreters(&self, _view: View) -> Vec<InterpreterRow> {
        belonging::interpreters(self)
    }

    fn partition(&self, _view: View, relation: Relation) -> Partition {
        groups::partition(self, relation)
    }

    fn nested(&self, _view: View, outer: Relation, inner: Relation, only: Option<&str>) -> Vec<NestedRow> {
        groups::nested(self, outer, inner, only)
    }

    fn unreachable(&self, _view: View) -> Unreachable {
        unreachable::unreachable(self)
    }

    fn captured_at(&self) -> Duration {
        self.captured_at
    }

    fn for_each_span(&self, _view: View, visit: &mut dyn FnMut(u64, u64) -> bool) {
        for (address, bytes) in self.spans() {
            if !visit(address, bytes) {
                return;
            }
        }
    }

    fn bands(&self, _view: View) -> Bands {
        let chunks = self.heap.by_address_in_chunks(CHUNKS);
        Bands::of_chunks(chunks.into_iter().map(|ids| self.spans_of(ids)).collect())
    }

    fn region_map(&self, _view: View) -> RegionMap {
        region_map::region_map(self, &|object| self.is_in_view(object))
    }

    fn for_each_object(&self, _view: View, visit: &mut dyn FnMut(&ObjectRow<'_>) -> bool) {
        let dict_labels = self.dict_labels();
        self.heap.for_each_by_address(|object| {
            if !self.is_in_view(object) {
                return true;
            }
            let go_on = visit(&self.object_row(object, &dict_labels));
            if !go_on || !self.has_unmade_dict(object) {
                return go_on;
            }
            visit(&self.unmade_dict_row(object, &dict_labels))
        });
    }

    fn for_each_buffer(&self, _view: View, visit: &mut dyn FnMut(&BufferRow<'_>) -> bool) {
        memory::for_each_buffer(self, visit);
    }

    fn uncounted_buffers(&self, _view: View) -> &[(u64, u64)] {
        &self.buffers().uncounted
    }

    fn buffer_problems(&self, _view: View) -> Vec<BufferProblem> {
        memory::buffer_problems(self)
    }

    fn bands_with_buffers(&self, _view: View) -> Bands {
        Bands::of_spans(memory::with_buffers(self.spans(), &self.buffers().uncounted))
    }

    fn for_each_reference(&self, visit: &mut dyn FnMut(&ReferenceRow) -> bool) {
        let space = self.space();
        self.heap.for_each_by_address(|object| {
            let objects = self.heap.objects();
            let plan = self.heap.walk.plans.get(objects.types[object.index()].index());
            let Some(Some(plan)) = plan.filter(|_| !self.flags(object).has(Flags::SYNTHETIC)) else {
                return true;
            };
            let source = Address::new(objects.addresses[object.index()]);
            let mut go_on = true;
            kind::references(&space, plan, source, &mut |target, seen| {
                if go_on && self.heap.find(target).is_some() {
                    go_on = visit(&ReferenceRow { source, kind: reference_kind(plan, seen), target });
                }
            });
            go_on
        });
    }
}

fn reference_kind(plan: &Plan, seen: Seen) -> ReferenceKind {
    if seen.meets(Seen::SCANNED) {
        ReferenceKind::Conservative
    } else if seen.meets(Seen::COLLECTOR) && plan.record.is_gc() {
        ReferenceKind::Traversed
    } else if seen.meets(Seen::HEAPY) {
        ReferenceKind::Heapy
    } else {
        ReferenceKind::Hidden
    }
}
