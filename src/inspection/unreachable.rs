//! What no root reaches: heapy's `heapu()`, and the same for everything that is in memory.

use crate::address::Address;
use crate::analysis::partition::Partition;
use crate::analysis::partition::Row;
use crate::analysis::unreachable::Candidate;
use crate::analysis::unreachable::garbage;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::graph::reach::ObjectSet;
use crate::graph::reach::reach_more;
use crate::heap::kind;
use crate::heap::objects::Flags;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::inspection::Inspection;
use crate::inspection::Total;
use crate::inspection::Unreachable;
use crate::inspection::View;
use crate::inspection::groups::find_target;
use crate::inspection::groups::of_other_interpreters;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// `gchook_type` and `ClearCallback`, which heapy leaves out (its View.py).
const HEAPYS_OWN: &[&str] = &["guppy.heapy.heapyc.Gchook_type", "ClearCallback"];
/// Collections that untrack containers one inside another before heapy looks: one in `heap()`, two in `heapu()`.
const COLLECTIONS: usize = 3;

/// Objects that no root reaches. Cost: a pass over all objects, a few over those.
pub(super) fn unreachable(inspection: &Inspection) -> Unreachable {
    let heap = &inspection.heap;
    let space = inspection.space();
    let reached = reached_by_all(inspection);
    let others: Vec<u32> = (0..heap.count() as u32)
        .into_par_iter()
        .filter(|&id| !reached.contains(ObjectId(id)) && !is_made(inspection, ObjectId(id)))
        .collect();
    let search = Search { inspection, space: &space, reached: &reached };
    let candidates: Vec<Candidate> = search.candidates(&others);
    inspection.note_cut(space.work.is_exhausted());
    let freed = garbage(&candidates);
    let mut set = ObjectSet::new(heap.count());
    let mut garbage = Total::default();
    for (&id, &is_freed) in others.iter().zip(&freed) {
        if is_freed {
            garbage.objects += 1;
            garbage.bytes = garbage.bytes.saturating_add(heap.objects().sizes[id as usize]);
        }
    }
    match inspection.view {
        View::Complete => {
            for &id in &others {
                set.insert(ObjectId(id));
            }
        }
        View::Heapy => search.heapys(&others, &freed, &mut set),
    }
    Unreachable { partition: by_type(inspection, &set), garbage }
}

/// What all roots reach; heapy's second look hides nothing, and begins in all threads.
fn reached_by_all(inspection: &Inspection) -> ObjectSet {
    let heap = &inspection.heap;
    let hidden = &heap.hidden.hidden;
    let nothing = ObjectSet::default();
    // First of all, so that it is noted should some be missing.
    let references = inspection.references();
    let is_plain = hidden.is_empty() && heap.hidden.opaque.is_empty();
    let mut reached =
        if is_plain { heap.reached(&inspection.space()).clone() } else { ObjectSet::new(heap.count()) };
    let old_roots = if is_plain { &[][..] } else { &heap.walk.roots };
    let roots = old_roots.iter().chain(&heap.walk.thread_roots).copied();
    reach_more(references, &mut reached, roots, &nothing, &nothing);
    reached
}

fn is_made(inspection: &Inspection, object: ObjectId) -> bool {
    inspection.heap.objects().flags[object.index()].has(Flags::SYNTHETIC)
}

fn by_type(inspection: &Inspection, set: &ObjectSet) -> Partition {
    let heap = &inspection.heap;
    let types = heap.labels.len();
    let dict = heap.dict_type().map_or(types, TypeId::index);
    let mut counts = vec![(0_u64, 0_u64); types + 1];
    let mut add = |kind: usize, bytes: u64| {
        if let Some((objects, total)) = counts.get_mut(kind) {
            *objects += 1;
            *total = total.saturating_add(bytes);
        }
    };
    for index in (0..heap.count()).filter(|&index| set.contains(ObjectId::from_index(index))) {
        add(heap.objects().types[index].index(), heap.objects().sizes[index]);
        if inspection.has_unmade_dict(ObjectId::from_index(index)) {
            add(dict, heap.unmade_dict_size(ObjectId::from_index(index)));
        }
    }
    let labels = heap.labels.iter().map(String::as_str).chain(["dict"]);
    let rows = labels.zip(counts).filter(|(_, (objects, _))| *objects > 0);
    let rows = rows.map(|(label, (objects, bytes))| Row { label: label.to_owned(), objects, bytes });
    Partition::new("Type", rows.collect())
}

struct Search<'a> {
    inspection: &'a Inspection,
    space: &'a Space<'a>,
    reached: &'a ObjectSet,
}

impl Search<'_> {
    fn plan(&self, object: ObjectId) -> Option<&Plan> {
        let heap = &self.inspection.heap;
        heap.walk.plans.get(heap.objects().types.get(object.index())?.index())?.as_ref()
    }

    fn is_tracked(&self, object: ObjectId) -> bool {
        self.inspection.heap.objects().flags[object.index()].has(Flags::TRACKED)
    }

    /// What the collector would see of the objects that no root reaches.
    fn candidates(&self, others: &[u32]) -> Vec<Candidate> {
        let numbers: FxHashMap<u32, u32> =
            others.iter().enumerate().map(|(number, &id)| (id, number as u32)).collect();
        others.par_iter().map(|&id| self.candidate(ObjectId(id), &numbers)).collect()
    }

    fn candidate(&self, object: ObjectId, numbers: &FxHashMap<u32, u32>) -> Candidate {
        let heap = &self.inspection.heap;
        let address = Address::new(heap.objects().addresses[object.index()]);
        // Without a count nothing says that the object may be freed.
        let count = self.space.reference_count(address).unwrap_or(u64::MAX);
        let mut candidate = Candidate { count, is_tracked: self.is_tracked(object), ..Candidate::default() };
        let Some(plan) = self.plan(object) else { return candidate };
        let row = self.inspection.references().row(object);
        kind::references(self.space, plan, address, &mut |target, seen| {
            let is_certain = !seen.meets(Seen::SCANNED) || seen.meets(Seen::COLLECTOR);
            let target = find_target(self.inspection, row, target).and_then(|target| numbers.get(&target.0));
            let Some(&target) = target.filter(|_| is_certain) else { return };
            if seen.meets(Seen::COLLECTOR) && plan.record.is_gc() {
                candidate.visited.push(target);
            }
            if seen.meets(Seen::HELD) {
                candidate.held.push(target);
            }
        });
        candidate
    }

    /// heapy's `heapu()`: what the collector still lists after it has freed the garbage, and what that leads to
    /// (View.py of guppy3).
    fn heapys(&self, others: &[u32], freed: &[bool], set: &mut ObjectSet) {
        let heap = &self.inspection.heap;
        let foreign = of_other_interpreters(self.inspection);
        let alive: Vec<ObjectId> =
            others.iter().zip(freed).filter(|(_, freed)| !**freed).map(|(&id, _)| ObjectId(id)).collect();
        let untracked = self.untracked_by_collections(&alive);
        let is_listed = |object: &ObjectId| {
            self.is_tracked(*object)
                && !heap.is_frozen(*object)
                && !foreign.contains(*object)
                && !untracked.contains(*object)
        };
        let mut excluded = self.reached.clone();
        for &object in &alive {
            if self.plan(object).is_some_and(is_heapys_own) {
                excluded.insert(object);
            }
        }
        let listed = alive.iter().copied().filter(is_listed);
        reach_more(self.inspection.references(), set, listed, &excluded, &ObjectSet::default());
    }

    /// Tuples and (up to 3.13) dicts of nothing but atoms: the collector takes them off its lists
    /// (`untrack_tuples`, `untrack_dicts` of CPython's gc).
    fn untracked_by_collections(&self, alive: &[ObjectId]) -> ObjectSet {
        let mut untracked = ObjectSet::new(self.inspection.heap.count());
        let containers: Vec<ObjectId> = alive
            .iter()
            .copied()
            .filter(|&object| {
                self.is_tracked(object) && self.plan(object).is_some_and(|plan| self.can_be_untracked(plan))
            })
            .collect();
        for _ in 0..COLLECTIONS {
            for &object in &containers {
                let row = self.inspection.references().row(object);
                if row.iter().all(|&target| !self.may_be_tracked(ObjectId(target), &untracked)) {
                    untracked.insert(object);
                }
            }
        }
        untracked
    }

    fn can_be_untracked(&self, plan: &Plan) -> bool {
        let name = match plan.record.ancestor {
            Ancestor::Tuple => "tuple",
            Ancestor::Dict if !self.space.features.dicts_always_tracked => "dict",
            _ => return false,
        };
        !plan.record.is_heap() && plan.record.name == name
    }

    /// `_PyObject_GC_MAY_BE_TRACKED`, Include/internal/pycore_gc.h; a static type is not collected (`type_is_gc`,
    /// Objects/typeobject.c).
    fn may_be_tracked(&self, object: ObjectId, untracked: &ObjectSet) -> bool {
        if self.inspection.heap.objects().flags[object.index()].has(Flags::STATIC) {
            return false;
        }
        let Some(plan) = self.plan(object) else { return true };
        let is_tuple = !plan.record.is_heap() && plan.record.name == "tuple";
        let is_listed = self.is_tracked(object) && !untracked.contains(object);
        plan.record.is_gc() && (!is_tuple || is_listed)
    }
}

fn is_heapys_own(plan: &Plan) -> bool {
    HEAPYS_OWN.contains(&plan.record.name.as_str())
}
