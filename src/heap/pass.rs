//! The pass over all objects: what each refers to, its size and its flags.
//!
//! Objects that no sweep found are met on the way and passed over in turn until none is new.

use crate::address::Address;
use crate::graph::adjacency::CHUNK_ROWS;
use crate::graph::adjacency::Chunk;
use crate::graph::id::ObjectId;
use crate::graph::marks::Marks;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::extras::Extras;
use crate::heap::extras::Resolver;
use crate::heap::fetch::LeafTypes;
use crate::heap::finish::Columns;
use crate::heap::finish::Facts;
use crate::heap::kind;
use crate::heap::kind::execution;
use crate::heap::kind::instance;
use crate::heap::objects::Flags;
use crate::heap::plan::DictPlace;
use crate::heap::plan::Plan;
use crate::heap::plans::Plans;
use crate::heap::seen::Seen;
use crate::heap::size;
use crate::heap::space::Space;
use crate::heap::walk::WalkRequest;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use rustc_hash::FxHashSet;

/// References of a chunk that are counted as work at once.
const WORK_BATCH: u64 = 1 << 12;
/// So many objects before one is looked at, its own memory is fetched.
const AHEAD: usize = 16;

/// Where the facts of the objects of one task go.
struct Output<'a> {
    facts: &'a mut Facts,
    /// Sizes of the objects of the task.
    sizes: &'a mut [u64],
    flags: &'a mut [Flags],
    /// Id of the first object.
    first: usize,
    /// Number of the object at hand.
    row: usize,
    /// References of it that are marked already: none of them, or all.
    marked: u64,
}

impl Output<'_> {
    fn id(&self) -> u32 {
        (self.first + self.row) as u32
    }

    fn set(&mut self, size: u64, flags: u8) {
        if let (Some(place), Some(flag_place)) = (self.sizes.get_mut(self.row), self.flags.get_mut(self.row))
        {
            *place = size;
            *flag_place = Flags(flags);
        }
    }
}

/// What the pass needs to know.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) request: &'a WalkRequest<'a>,
    pub(super) extras: &'a Extras<'a>,
    pub(super) plans: &'a Plans<'a>,
    /// From a frame that heapy would make an object of to the next older one.
    pub(super) backs: &'a FxHashMap<Address, Address>,
    pub(super) heads: &'a FxHashSet<u64>,
    /// What references lead to; none in heapy's view, which is what the roots reach.
    pub(super) marks: Option<&'a Marks>,
    /// Whether the references are kept; if not, only those are whose source must first be led to.
    pub(super) keeps_references: bool,
}

impl Pass<'_> {
    /// Resolves the roots, those in other threads, and what only the collector's lists lead to.
    pub(super) fn roots(&self, anomalies: &mut Anomalies) -> (Vec<u32>, Vec<u32>) {
        let mut resolver = Resolver::new(self.extras);
        // heapy's traversal starts at the newest frame and follows f_back.
        let newest = self.request.frames.first();
        let mut roots: Vec<_> =
            newest.and_then(|&frame| self.frame_root(&mut resolver, frame)).into_iter().collect();
        let others = self.request.other_frames.iter().filter_map(|frames| frames.first());
        let thread_roots: Vec<_> =
            others.filter_map(|&frame| self.frame_root(&mut resolver, frame)).map(|id| id.0).collect();
        for root in self.request.roots {
            if root.seen.meets(self.request.view) {
                roots.extend(resolver.resolve(root.target, root.seen));
            }
        }
        let layout = &self.request.space.layouts.gc_head;
        for list in self.request.lists {
            for link in [layout.next, layout.previous] {
                let neighbour = self.request.space.image.word(list.head.plus(link)).map(|word| word & !3);
                if let Some(neighbour) = neighbour.filter(|&word| word != 0 && word != list.head.get()) {
                    resolver.resolve(Address::new(neighbour).plus(layout.sizeof), Seen::ALL);
                }
            }
        }
        anomalies.join(&resolver.anomalies);
        (roots.into_iter().map(|id| id.0).collect(), thread_roots)
    }

    /// The frame object of a running frame: the one that is there, or the one that heapy would make.
    fn frame_root(&self, resolver: &mut Resolver<'_>, frame: Address) -> Option<ObjectId> {
        if !self.request.space.features.interpreter_frames {
            return resolver.resolve(frame, Seen::ALL);
        }
        match self.frame_object(frame) {
            Some(object) => resolver.resolve(object, Seen::ALL),
            None => resolver.register_synthetic(frame, self.frame_type()?),
        }
    }

    fn frame_object(&self, frame: Address) -> Option<Address> {
        let layout = self.request.space.layouts.interpreter_frame.as_ref()?;
        self.request.space.image.pointer(frame.plus(layout.frame_object)).filter(|object| !object.is_null())
    }

    /// The number of `types.FrameType`: a type that any traceback or generator leads to, found through
    /// the symbol or not at all.
    fn frame_type(&self) -> Option<u32> {
        self.plans.planner.frame_type.and_then(|address| self.plans.registry.number(address))
    }

    /// The objects that a sweep found; `sizes` are those that it could tell, the others are 0.
    pub(super) fn swept(&self, addresses: &[u64], numbers: &[u32], sizes: Vec<u64>) -> (Vec<Facts>, Columns) {
        let mut columns = Columns::of(addresses.len(), sizes);
        let places = columns.sizes.chunks_mut(CHUNK_ROWS).zip(columns.flags.chunks_mut(CHUNK_ROWS));
        let chunks: Vec<_> =
            addresses.chunks(CHUNK_ROWS).zip(numbers.chunks(CHUNK_ROWS)).zip(places).enumerate().collect();
        let facts = chunks
            .into_par_iter()
            .map_init(
                || (Resolver::new(self.extras), LeafTypes::default()),
                |(resolver, leaves), (index, ((addresses, numbers), (sizes, flags)))| {
                    let objects = addresses.iter().zip(numbers);
                    let mut coming = objects.clone().skip(AHEAD);
                    let objects = objects.map(|(&address, &number)| {
                        if let Some((&address, &number)) = coming.next() {
                            self.fetch(leaves, Address::new(address), number);
                        }
                        (Address::new(address), number)
                    });
                    let mut facts = Facts::from(index * CHUNK_ROWS);
                    if self.keeps_references {
                        facts.chunk = Chunk::with_capacity(addresses.len());
                    }
                    let output = Output {
                        facts: &mut facts,
                        sizes,
                        flags,
                        first: index * CHUNK_ROWS,
                        row: 0,
                        marked: 0,
                    };
                    self.add_facts(resolver, output, objects);
                    facts
                },
            )
            .collect();
        (facts, columns)
    }

    /// Follows the extras until none is new. Their facts come in the order in which they were found.
    pub(super) fn extras(&self) -> (Vec<Facts>, Columns) {
        const TASK: usize = 512;
        let mut facts = Vec::new();
        let mut columns = Columns::default();
        let mut resolver = Resolver::new(self.extras);
        loop {
            let done = columns.sizes.len();
            let count = self.extras.count();
            if done == count {
                return (facts, columns);
            }
            if count - done < TASK {
                // A long chain of extras has few at a time: one thread follows it.
                facts.push(self.few_extras(&mut resolver, &mut columns));
                continue;
            }
            let batch: Vec<_> = self.extras.slice(done..count);
            columns.sizes.resize(count, 0);
            columns.flags.resize(count, Flags::default());
            let places = columns.sizes[done..].chunks_mut(TASK).zip(columns.flags[done..].chunks_mut(TASK));
            let tasks: Vec<_> = batch.chunks(TASK).zip(places).enumerate().collect();
            let mut batch_facts: Vec<Facts> = tasks
                .into_par_iter()
                .map_init(
                    || Resolver::new(self.extras),
                    |resolver, (index, (objects, (sizes, flags)))| {
                        let first = self.extras.swept + done + index * TASK;
                        let mut facts = Facts::from(first);
                        let output = Output { facts: &mut facts, sizes, flags, first, row: 0, marked: 0 };
                        self.add_facts(resolver, output, objects.iter().copied());
                        facts
                    },
                )
                .collect();
            facts.append(&mut batch_facts);
        }
    }

    /// Follows extras as long as few are new at a time.
    fn few_extras(&self, resolver: &mut Resolver<'_>, columns: &mut Columns) -> Facts {
        const FEW: usize = 512;
        let mut facts = Facts::from(self.extras.swept + columns.sizes.len());
        loop {
            let done = columns.sizes.len();
            let batch = self.extras.slice(done..self.extras.count());
            if batch.is_empty() || batch.len() > FEW || facts.chunk.targets() > 1 << 24 {
                return facts;
            }
            columns.sizes.resize(done + batch.len(), 0);
            columns.flags.resize(done + batch.len(), Flags::default());
            let output = Output {
                facts: &mut facts,
                sizes: &mut columns.sizes[done..],
                flags: &mut columns.flags[done..],
                first: self.extras.swept + done,
                row: 0,
                marked: 0,
            };
            self.add_facts(resolver, output, batch.iter().copied());
        }
    }

    fn add_facts(
        &self,
        resolver: &mut Resolver<'_>,
        mut output: Output<'_>,
        objects: impl Iterator<Item = (Address, u32)>,
    ) {
        let mut references = 0;
        for (address, number) in objects {
            if references > WORK_BATCH {
                self.request.space.work.take(references);
                references = 0;
            }
            let is_done = output.sizes.get(output.row).is_some_and(|&size| size > 0);
            if is_done && (self.backs.is_empty() || !self.backs.contains_key(&address)) {
                // The sweep has seen all of it.
            } else if let Some(plan) = self.plans.get(number) {
                self.object(resolver, &mut output, (address, plan));
            } else {
                output.facts.anomalies.add(AnomalyKind::UnknownSize, Some(address));
            }
            references += self.end_row(&mut output);
            output.row += 1;
        }
        let facts = output.facts;
        self.request.space.work.take(references);
        facts.anomalies.join(&resolver.anomalies);
        resolver.anomalies = Anomalies::default();
    }

    /// Keeps what the object at hand refers to, or marks it; how many references there are.
    #[inline]
    fn end_row(&self, output: &mut Output<'_>) -> u64 {
        let id = output.id();
        let facts = &mut *output.facts;
        let row = facts.chunk.open_row();
        let marked = std::mem::take(&mut output.marked);
        let references = marked.max(row.len() as u64);
        let flags = output.flags.get_mut(output.row).filter(|_| !row.is_empty() && marked == 0);
        let mut keeps = self.keeps_references;
        if let (Some(marks), Some(flags)) = (self.marks, flags) {
            if flags.has(Flags::TRACKED) {
                for &target in row {
                    marks.set(target);
                }
            } else {
                flags.0 |= Flags::LOOSE;
                facts.loose.push(id);
                keeps = true;
            }
        }
        if keeps {
            facts.chunk.end_row();
        } else {
            facts.chunk.drop_row();
        }
        references
    }

    #[inline]
    fn object(
        &self,
        resolver: &mut Resolver<'_>,
        output: &mut Output<'_>,
        (address, plan): (Address, &Plan),
    ) {
        let space = self.request.space;
        if self.backs.contains_key(&address) {
            self.synthetic_frame(resolver, output, address);
            return;
        }
        let id = output.id();
        let is_static = id as usize >= self.extras.swept && self.extras.is_static(address);
        let size = plan.fixed_size.or_else(|| size::size_of(space, plan, address));
        let facts = &mut *output.facts;
        if size.is_none() {
            facts.anomalies.add(AnomalyKind::UnknownSize, Some(address));
        }
        if plan.overrides_size {
            facts.anomalies.add(AnomalyKind::OverriddenSize, Some(address));
        }
        let static_flag = if is_static { Flags::STATIC } else { 0 };
        if plan.is_leaf {
            output.set(size.unwrap_or(0), static_flag);
            return;
        }
        if let Some(list) = self.long_list(plan, address) {
            let is_tracked = plan.record.is_gc() && !is_static && self.is_tracked(resolver, facts, address);
            let followed = self.follow(address, list, is_tracked);
            facts.anomalies.join(&followed.anomalies);
            followed.ids.iter().for_each(|&id| facts.chunk.push(id));
            output.marked = if is_tracked { followed.count } else { 0 };
            output.set(size.unwrap_or(0), static_flag | if is_tracked { Flags::TRACKED } else { 0 });
            return;
        }
        let view = self.request.view;
        let chunk = &mut facts.chunk;
        let may_refer = !space.work.is_exhausted();
        let mark = resolver.anomalies.mark(AnomalyKind::DanglingReference);
        let mut ends_well = true;
        kind::references(space, plan, address, &mut |target, seen| {
            if may_refer && seen.meets(view) {
                let found = resolver.resolve(target, seen);
                ends_well = found.is_some();
                chunk.push_some(found);
            }
        });
        // The items come last.
        let is_unfilled = plan.kind == kind::Kind::List && !ends_well;
        if is_unfilled && resolver.anomalies.take_back(AnomalyKind::DanglingReference, mark) {
            facts.anomalies.add(AnomalyKind::UnfilledList, Some(address));
        }
        if view == Seen::HEAPY {
            self.back_frame(resolver, facts, address, plan);
        }
        let mut flags = static_flag;
        if plan.record.is_gc() && !is_static && self.is_tracked(resolver, facts, address) {
            flags |= Flags::TRACKED;
        }
        if view == Seen::HEAPY && plan.dict == DictPlace::Managed && is_dict_unmade(space, plan, address) {
            flags |= Flags::UNMADE_DICT;
        }
        if (plan.record.dict_offset != 0 || plan.dict == DictPlace::Managed)
            && let Some(dict) = instance::owned_dict(space, plan, address)
            && let Some(dict) = resolver.resolve(dict, Seen::HELD.with(Seen::SCANNED))
        {
            facts.owned.push((dict.0, id));
        }
        output.set(size.unwrap_or(0), flags);
    }

    /// Whether the collector tracks the object; the neighbour on its list must be an object, too, which
    /// is how objects are found that nothing else leads to.
    fn is_tracked(&self, resolver: &mut Resolver<'_>, facts: &mut Facts, object: Address) -> bool {
        if self.request.space.features.free_threading.is_some() {
            return self.request.space.is_tracked(object);
        }
        let layout = &self.request.space.layouts.gc_head;
        let head = object.minus(layout.sizeof);
        let Some(next) = self.request.space.image.word(head.plus(layout.next)).map(|word| word & !3) else {
            return false;
        };
        if next == 0 || self.request.space.is_untracked_by_count(head) {
            return false;
        }
        let is_head = || self.heads.contains(&next);
        let neighbour = Address::new(next).plus(layout.sizeof);
        if resolver.resolve(neighbour, Seen::SCANNED).is_none()
            && !is_head()
            && resolver.resolve(neighbour, Seen::ALL).is_none()
        {
            facts.anomalies.add(AnomalyKind::BrokenCollectorList, Some(object));
        }
        true
    }

    /// A frame object that heapy would make: its size, and what it would refer to.
    fn synthetic_frame(&self, resolver: &mut Resolver<'_>, output: &mut Output<'_>, frame: Address) {
        let space = self.request.space;
        let size = size::frame_object_size(space, frame).map(|size| size + space.gc_head());
        output.set(size.unwrap_or(0), Flags::SYNTHETIC | Flags::TRACKED);
        let facts = &mut *output.facts;
        let chunk = &mut facts.chunk;
        execution::frame_as_heapy_sees_it(space, frame, &mut |target, seen| {
            chunk.push_some(resolver.resolve(target, seen));
        });
        self.push_back_frame(resolver, facts, frame);
    }

    /// heapy asks a frame object for `f_back`, which makes the next one.
    fn back_frame(&self, resolver: &mut Resolver<'_>, facts: &mut Facts, object: Address, plan: &Plan) {
        if plan.kind == kind::Kind::Frame
            && let Some(pointer) = self.request.space.layouts.frame.frame
            && let Some(frame) = self.request.space.image.pointer(object.plus(pointer))
        {
            self.push_back_frame(resolver, facts, frame);
        }
    }

    fn push_back_frame(&self, resolver: &mut Resolver<'_>, facts: &mut Facts, frame: Address) {
        let Some(&back) = self.backs.get(&frame).filter(|back| !back.is_null()) else { return };
        facts.chunk.push_some(self.frame_root(resolver, back));
    }
}

/// Whether heapy would make the instance's dict: it has values, or (3.13) could have, and no dict.
fn is_dict_unmade(space: &Space<'_>, plan: &Plan, object: Address) -> bool {
    let state = instance::managed_state(space, plan, object);
    state.dict.is_none() && (state.values.is_some() || state.has_inline_values)
}
