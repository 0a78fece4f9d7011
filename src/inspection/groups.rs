//! Every way to put objects into rows: a number for each object, and words for each number.

use crate::address::Address;
use crate::analysis::partition::Partition;
use crate::analysis::partition::Row;
use crate::analysis::referrers::ReferrerSets;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::graph::reach::ObjectSet;
use crate::heap::labels;
use crate::heap::model::Clodo;
use crate::heap::objects::Flags;
use crate::inspection::Inspection;
use crate::inspection::NestedRow;
use crate::inspection::Relation;
use crate::inspection::View;
use crate::inspection::kinds::Kinds;
use crate::runtime::collector;
use crate::runtime::collector::CollectorList;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use rustc_hash::FxHashSet;

/// Objects that a thread goes through at a time, at least.
const TASK: usize = 1 << 16;
/// With more groups than this one thread counts, so that there is one table of counts.
const MOST_SHARED: usize = 1 << 20;
/// Longer than this are not all labels of sets together: then a label says how many kinds it has. Unit: bytes.
const MOST_CHARACTERS: usize = 1 << 28;

/// Objects and bytes.
type Count = (u64, u64);

/// The groups of one relation.
pub(super) struct Groups<'a> {
    inspection: &'a Inspection,
    kinds: Kinds,
    data: Data<'a>,
}

enum Data<'a> {
    Clodo,
    Type,
    /// The module of each type, and the name of each module.
    Module(Vec<u32>, Vec<String>),
    /// Sizes in order.
    Size(Vec<u64>, FxHashMap<u64, u32>),
    Referrers(&'a ReferrerSets),
    /// The interpreter that an object belongs to; none comes last.
    Interpreter,
    /// Sets of objects, the first that has one counts; labels, one more for the rest that are tracked and one
    /// for those that are not.
    Lists(Vec<(ObjectSet, String)>, [&'static str; 2]),
}

impl<'a> Groups<'a> {
    /// Prepares a relation. Cost: nothing to a few passes over the objects.
    pub(super) fn new(inspection: &'a Inspection, relation: Relation) -> Self {
        let kinds = Kinds::of(&inspection.heap);
        let data = match relation {
            Relation::Clodo => Data::Clodo,
            Relation::Type => Data::Type,
            Relation::Module => modules(inspection),
            Relation::Size => sizes(inspection),
            Relation::Referrers => Data::Referrers(inspection.referrer_sets()),
            Relation::Interpreter => Data::Interpreter,
            Relation::Generation => generations(inspection),
        };
        Self { inspection, kinds, data }
    }

    fn count(&self) -> usize {
        match &self.data {
            Data::Clodo => self.kinds.count(),
            Data::Type => self.kinds.types + 1,
            Data::Module(_, names) => names.len(),
            Data::Size(sizes, _) => sizes.len(),
            Data::Referrers(sets) => sets.count(),
            Data::Interpreter => self.inspection.heap.attribution.ids.len() + 1,
            Data::Lists(lists, _) => lists.len() + 2,
        }
    }

    fn of(&self, object: ObjectId) -> u32 {
        let heap = &self.inspection.heap;
        match &self.data {
            Data::Clodo => self.kinds.number(heap.clodo(object)),
            Data::Type => heap.objects().types[object.index()].0,
            Data::Module(of, _) => self.module(of, heap.clodo(object)),
            Data::Size(_, ranks) => rank(ranks, heap.objects().sizes[object.index()]),
            Data::Referrers(sets) => sets.of(object.index()),
            Data::Interpreter => self.interpreter(object),
            Data::Lists(lists, _) => {
                let of = lists.iter().position(|(members, _)| members.contains(object));
                let is_tracked = heap.objects().flags[object.index()].has(Flags::TRACKED);
                of.unwrap_or(lists.len() + usize::from(!is_tracked)) as u32
            }
        }
    }

    /// The same for the dict that heapy would make for an instance.
    fn of_unmade_dict(&self, owner: ObjectId) -> u32 {
        let heap = &self.inspection.heap;
        match &self.data {
            Data::Clodo => self.kinds.number(heap.unmade_dict_clodo(owner)),
            Data::Type => heap.dict_type().map_or(self.kinds.types as u32, |dict| dict.0),
            Data::Module(of, _) => self.module(of, heap.unmade_dict_clodo(owner)),
            Data::Size(_, ranks) => rank(ranks, heap.unmade_dict_size(owner)),
            // Nothing but its owner refers to it.
            Data::Referrers(sets) => sets.single(self.kinds.number(heap.clodo(owner))).unwrap_or(0),
            Data::Interpreter => self.interpreter(owner),
            // It would be new.
            Data::Lists(lists, _) => lists.len() as u32 + 1,
        }
    }

    fn interpreter(&self, object: ObjectId) -> u32 {
        let heap = &self.inspection.heap;
        heap.interpreter_of(object).unwrap_or(heap.attribution.ids.len()) as u32
    }

    fn module(&self, of: &[u32], clodo: Clodo) -> u32 {
        let kind = match clodo {
            Clodo::Instance(kind) | Clodo::DictOf(kind) => Some(kind),
            Clodo::DictNoOwner => self.inspection.heap.dict_type(),
        };
        kind.and_then(|kind| of.get(kind.index()).copied()).unwrap_or(0)
    }

    /// The words for groups; asked for in order, so that what is too much is the same each time.
    fn labels(&self, groups: impl Iterator<Item = u32>) -> FxHashMap<u32, String> {
        let mut characters = 0;
        let label = |group: u32| {
            let label = self.label(group, characters > MOST_CHARACTERS);
            characters += label.len();
            (group, label)
        };
        groups.map(label).collect()
    }

    fn label(&self, group: u32, is_short: bool) -> String {
        let heap = &self.inspection.heap;
        match &self.data {
            Data::Clodo => self.kind_label(group),
            Data::Type if group as usize >= self.kinds.types => "dict".to_owned(),
            Data::Type => heap.label(TypeId(group)).to_owned(),
            Data::Module(_, names) => names.get(group as usize).cloned().unwrap_or_default(),
            Data::Size(sizes, _) => sizes.get(group as usize).map(u64::to_string).unwrap_or_default(),
            Data::Referrers(sets) if is_short => format!("<{} kinds>", sets.kinds(group).count()),
            Data::Referrers(sets) => {
                let mut labels: Vec<String> = sets.kinds(group).map(|kind| self.kind_label(kind)).collect();
                labels.sort_unstable();
                if labels.is_empty() { "<Nothing>".to_owned() } else { labels.join(", ") }
            }
            Data::Interpreter => {
                let place = group as usize;
                heap.attribution.label((place < heap.attribution.ids.len()).then_some(place))
            }
            Data::Lists(lists, rest) => match lists.get(group as usize) {
                Some((_, label)) => label.clone(),
                None => rest[usize::from(group as usize > lists.len())].to_owned(),
            },
        }
    }

    fn kind_label(&self, kind: u32) -> String {
        let heap = &self.inspection.heap;
        match self.kinds.clodo(kind) {
            Some(Clodo::Instance(kind)) => heap.label(kind).to_owned(),
            Some(Clodo::DictOf(kind)) => format!("dict of {}", heap.label(kind)),
            Some(Clodo::DictNoOwner) => "dict (no owner)".to_owned(),
            None if self.inspection.view == View::Heapy => "guppy.heapy.heapyc.RootStateType".to_owned(),
            None => "(root)".to_owned(),
        }
    }

    /// Objects and bytes of each group. Parallel; the result does not depend on the threads.
    fn tally(&self) -> Vec<Count> {
        match self.data {
            Data::Clodo => self.inspection.summary().kinds.clone(),
            Data::Type => self.types(&self.inspection.summary().kinds),
            _ => self.count_objects(),
        }
    }

    /// Types are sums of kinds: all kinds of dicts are of one type.
    fn types(&self, kinds: &[Count]) -> Vec<Count> {
        let dict = self.inspection.heap.dict_type().map_or(self.kinds.types, TypeId::index);
        let mut counts = vec![(0, 0); self.count()];
        for (kind, &count) in (0..).zip(kinds) {
            let place = match self.kinds.clodo(kind) {
                Some(Clodo::Instance(kind)) => kind.index(),
                Some(Clodo::DictOf(_) | Clodo::DictNoOwner) => dict,
                None => continue,
            };
            if let Some(place) = counts.get_mut(place) {
                join(place, count);
            }
        }
        counts
    }

    fn count_objects(&self) -> Vec<Count> {
        let groups = self.count();
        let count = self.inspection.heap.count();
        let task = if groups > MOST_SHARED { count.max(1) } else { TASK };
        let add = |mut counts: Vec<Count>, index: usize| {
            self.for_each_group(index, |group, bytes| {
                if let Some(count) = counts.get_mut(group as usize) {
                    add(count, bytes);
                }
            });
            counts
        };
        let empty = || vec![(0, 0); groups];
        (0..count).into_par_iter().with_min_len(task).fold(empty, add).reduce(empty, |mut left, right| {
            left.iter_mut().zip(right).for_each(|(left, right)| join(left, right));
            left
        })
    }

    /// The group of an object in the view, and that of the dict that would be made for it.
    fn for_each_group(&self, index: usize, mut visit: impl FnMut(u32, u64)) {
        let object = ObjectId::from_index(index);
        if self.inspection.is_in_view(object) {
            visit(self.of(object), self.inspection.heap.objects().sizes[index]);
            if self.inspection.has_unmade_dict(object) {
                visit(self.of_unmade_dict(object), self.inspection.heap.unmade_dict_size(object));
            }
        }
    }
}

/// The rows of a relation.
pub(super) fn partition(inspection: &Inspection, relation: Relation) -> Partition {
    let groups = Groups::new(inspection, relation);
    let counts = groups.tally();
    let used: Vec<u32> = (0..counts.len() as u32).filter(|&group| counts[group as usize].0 > 0).collect();
    let mut labels = groups.labels(used.iter().copied());
    let row = |&group: &u32| {
        let (objects, bytes) = counts[group as usize];
        Row { label: labels.remove(&group).unwrap_or_default(), objects, bytes }
    };
    Partition::new(relation.header(), used.iter().map(row).collect())
}

/// The rows of one relation inside the rows of another: of all of these, or of those with one label.
pub(super) fn nested(
    inspection: &Inspection,
    outer: Relation,
    inner: Relation,
    only: Option<&str>,
) -> Vec<NestedRow> {
    let (outer, inner) = (Groups::new(inspection, outer), Groups::new(inspection, inner));
    let used = outer.tally();
    let used = (0..used.len() as u32).filter(|&group| used[group as usize].0 > 0);
    let outer_labels = outer.labels(used);
    let is_wanted: Vec<bool> = (0..outer.count() as u32)
        .map(|group| outer_labels.get(&group).is_some_and(|label| only.is_none_or(|only| label == only)))
        .collect();
    let add_object = |mut counts: FxHashMap<(u32, u32), Count>, index: usize| {
        let mut inner_groups = [(0, 0); 2];
        let mut known = 0;
        inner.for_each_group(index, |group, bytes| {
            inner_groups[known] = (group, bytes);
            known += 1;
        });
        let mut inner_groups = inner_groups.into_iter();
        outer.for_each_group(index, |group, _| {
            if let Some((inner, bytes)) = inner_groups.next()
                && is_wanted.get(group as usize) == Some(&true)
            {
                add(counts.entry((group, inner)).or_default(), bytes);
            }
        });
        counts
    };
    let counts = (0..inspection.heap.count())
        .into_par_iter()
        .with_min_len(TASK)
        .fold(FxHashMap::default, add_object)
        .reduce(FxHashMap::default, |mut left, right| {
            let mut right: Vec<_> = right.into_iter().collect();
            right.sort_unstable();
            for (key, count) in right {
                join(left.entry(key).or_default(), count);
            }
            left
        });
    let mut counts: Vec<((u32, u32), Count)> = counts.into_iter().collect();
    counts.sort_unstable();
    nested_rows(&counts, &outer_labels, &inner)
}

/// By bytes of the outer row, then by bytes of the inner one, each with its label as the tie-breaker.
fn nested_rows(
    counts: &[((u32, u32), Count)],
    outer_labels: &FxHashMap<u32, String>,
    inner: &Groups<'_>,
) -> Vec<NestedRow> {
    let mut used: Vec<u32> = counts.iter().map(|&((_, inner), _)| inner).collect();
    used.sort_unstable();
    used.dedup();
    let inner_labels = inner.labels(used.into_iter());
    let label = |labels: &FxHashMap<u32, String>, group| labels.get(&group).cloned().unwrap_or_default();
    let mut blocks: Vec<(Count, String, Vec<NestedRow>)> = Vec::new();
    for block in counts.chunk_by(|((left, _), _), ((right, _), _)| left == right) {
        let Some(&((outer, _), _)) = block.first() else { continue };
        let outer = label(outer_labels, outer);
        let mut total = (0, 0);
        let mut rows: Vec<NestedRow> = Vec::with_capacity(block.len());
        for &((_, group), (objects, bytes)) in block {
            join(&mut total, (objects, bytes));
            let label = label(&inner_labels, group);
            rows.push(NestedRow { outer: outer.clone(), row: Row { label, objects, bytes } });
        }
        rows.sort_by(|left, right| left.row.order(&right.row));
        blocks.push((total, outer, rows));
    }
    blocks.sort_by(|(left, left_label, _), (right, right_label, _)| {
        right.1.cmp(&left.1).then_with(|| left_label.cmp(right_label)).then(right.0.cmp(&left.0))
    });
    blocks.into_iter().flat_map(|(_, _, rows)| rows).collect()
}

fn add(count: &mut Count, bytes: u64) {
    join(count, (1, bytes));
}

fn join(left: &mut Count, right: Count) {
    left.0 += right.0;
    left.1 = left.1.saturating_add(right.1);
}

fn rank(ranks: &FxHashMap<u64, u32>, size: u64) -> u32 {
    ranks.get(&size).copied().unwrap_or(0)
}

/// The module of the class, or of the class that owns the dict.
fn modules<'a>(inspection: &Inspection) -> Data<'a> {
    let of_types = labels::modules(&inspection.space(), &inspection.heap.walk.types);
    let mut names = of_types.clone();
    names.sort_unstable();
    names.dedup();
    let of = of_types.iter().map(|name| names.binary_search(name).map_or(0, |at| at as u32)).collect();
    Data::Module(of, names)
}

fn sizes<'a>(inspection: &Inspection) -> Data<'a> {
    let heap = &inspection.heap;
    let add = |mut sizes: FxHashSet<u64>, index: usize| {
        sizes.insert(heap.objects().sizes[index]);
        if inspection.has_unmade_dict(ObjectId::from_index(index)) {
            sizes.insert(heap.unmade_dict_size(ObjectId::from_index(index)));
        }
        sizes
    };
    let join = |mut left: FxHashSet<u64>, right: FxHashSet<u64>| {
        left.extend(right.into_iter().collect::<Vec<_>>());
        left
    };
    let all = (0..heap.count()).into_par_iter().with_min_len(TASK);
    let sizes = all.fold(FxHashSet::default, add).reduce(FxHashSet::default, join);
    let mut sizes: Vec<u64> = sizes.into_iter().collect();
    sizes.sort_unstable();
    let ranks = sizes.iter().enumerate().map(|(rank, &size)| (size, rank as u32)).collect();
    Data::Size(sizes, ranks)
}

fn members(inspection: &Inspection, lists: &[CollectorList]) -> ObjectSet {
    let heap = &inspection.heap;
    let mut members = ObjectSet::new(heap.count());
    let layouts = &inspection.resolved.layouts;
    for &list in lists {
        for object in collector::walk(&inspection.capture.image, layouts, list, heap.count()).objects {
            if let Some(object) = heap.find(object) {
                members.insert(object);
            }
        }
    }
    members
}

/// The lists of all generations but the last are gone through; the rest of what is tracked is in the last one.
fn generations<'a>(inspection: &Inspection) -> Data<'a> {
    let lists = |is_wanted: &dyn Fn(&CollectorList) -> bool| -> Vec<CollectorList> {
        let all = inspection.collectors.iter().flat_map(|lists| &lists.lists);
        all.copied().filter(is_wanted).collect()
    };
    let mut sets = vec![(members(inspection, &lists(&|list| list.is_permanent)), "permanent".to_owned())];
    for number in [0, 1] {
        let young = lists(&|list| !list.is_permanent && list.number == number);
        sets.push((members(inspection, &young), format!("generation {number}")));
    }
    Data::Lists(sets, ["generation 2", "not tracked"])
}

/// Every object on the list of another interpreter than the main one.
pub(super) fn of_other_interpreters(inspection: &Inspection) -> ObjectSet {
    let others = inspection.collectors.iter().filter(|lists| lists.interpreter != 0);
    let lists: Vec<CollectorList> = others.flat_map(|lists| lists.lists.iter().copied()).collect();
    members(inspection, &lists)
}

/// The id of an object by its address, found among what another object refers to if it is there.
pub(super) fn find_target(inspection: &Inspection, row: &[u32], target: Address) -> Option<ObjectId> {
    let addresses = &inspection.heap.objects().addresses;
    let in_row = row.iter().copied().take(64).find(|&id| addresses.get(id as usize) == Some(&target.get()));
    in_row.map(ObjectId).or_else(|| inspection.heap.find(target))
}
