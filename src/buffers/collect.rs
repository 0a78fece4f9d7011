//! From the descriptions to every buffer: one pass over the objects, in parallel.

use crate::address::Address;
use crate::address::AddressRange;
use crate::buffers::Buffers;
use crate::buffers::RefusedType;
use crate::buffers::Troubles;
use crate::buffers::settle::settle;
use crate::descriptions::Bound;
use crate::descriptions::Claim;
use crate::descriptions::Described;
use crate::descriptions::Trouble;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::plan::Plan;
use crate::heap::space::Space;
use crate::target::Mapping;
use rayon::prelude::*;

/// Objects that one task looks at.
const TASK: usize = 1 << 16;
/// Structures that one object may consist of.
const MOST_STRUCTURES: u64 = 1 << 20;

/// What one object says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) object: ObjectId,
    pub(super) claim: Claim,
}

#[derive(Default)]
struct Task {
    said: Vec<Said>,
    troubles: Troubles,
}

/// Finds the buffers of all objects that `is_in` accepts. Cost: a look at the type of every object, and
/// one evaluation for each object of a described type.
pub fn collect(
    space: &Space<'_>,
    descriptions: &Bound,
    heap: &Heap,
    mappings: &[Mapping],
    is_in: impl Fn(ObjectId) -> bool + Sync,
) -> Buffers {
    let plans: Vec<Option<&Plan>> =
        heap.walk.plans.iter().map(|plan| plan.as_ref().filter(|plan| !plan.described.is_empty())).collect();
    let search = Search { space, descriptions, heap, plans: &plans };
    let types = &heap.objects().types;
    let tasks: Vec<Task> = types
        .par_chunks(TASK)
        .enumerate()
        .map(|(index, types)| search.task(index * TASK, types, &is_in))
        .collect();
    let mut said = Vec::with_capacity(tasks.iter().map(|task| task.said.len()).sum());
    let mut troubles = Troubles::default();
    for task in tasks {
        said.extend(task.said);
        troubles.unreadable += task.troubles.unreadable;
        troubles.none_fits += task.troubles.none_fits;
        troubles.too_many += task.troubles.too_many;
    }
    let refused = refused(heap, &is_in);
    settle(space, heap, &joined(mappings), said, Buffers { refused, troubles, ..Buffers::default() })
}

struct Search<'a> {
    space: &'a Space<'a>,
    descriptions: &'a Bound,
    heap: &'a Heap,
    plans: &'a [Option<&'a Plan>],
}

impl Search<'_> {
    fn task(&self, first: usize, types: &[TypeId], is_in: &impl Fn(ObjectId) -> bool) -> Task {
        let mut task = Task::default();
        for (index, kind) in types.iter().enumerate() {
            let Some(Some(plan)) = self.plans.get(kind.index()) else { continue };
            let object = ObjectId::from_index(first + index);
            if is_in(object) {
                self.object(object, plan, &mut task);
            }
        }
        task
    }

    fn object(&self, object: ObjectId, plan: &Plan, task: &mut Task) {
        let objects = self.heap.objects();
        let (Some(&address), Some(flags)) =
            (objects.addresses.get(object.index()), objects.flags.get(object.index()))
        else {
            return;
        };
        if flags.has(Flags::SYNTHETIC) {
            return;
        }
        if self.space.work.is_exhausted() {
            task.troubles.too_many += 1;
            return;
        }
        let address = Address::new(address);
        let mut budget = MOST_STRUCTURES;
        let (image, layouts) = (self.space.image, self.space.layouts);
        let described = Described { entries: &plan.described, image, layouts, object: address };
        let said = &mut task.said;
        let result = described.claims(self.descriptions, &mut budget, &mut |claim| {
            // Small values lie in the object itself.
            let inside = address.distance_to(claim.address).is_some_and(|at| at < plan.record.basic_size);
            if claim.bytes > 0 && !inside {
                said.push(Said { object, claim });
            }
        });
        self.space.work.take_long(MOST_STRUCTURES - budget);
        match result {
            Ok(()) => {}
            Err(Trouble::Unreadable) => task.troubles.unreadable += 1,
            Err(Trouble::NoneFits) => task.troubles.none_fits += 1,
            Err(Trouble::TooMany) => task.troubles.too_many += 1,
        }
    }
}

/// The types that have a description which does not fit them.
fn refused(heap: &Heap, is_in: &(impl Fn(ObjectId) -> bool + Sync)) -> Vec<RefusedType> {
    let reason = |plan: &Option<Plan>| plan.as_ref()?.refusal.as_ref().map(ToString::to_string);
    let reasons: Vec<Option<String>> = heap.walk.plans.iter().map(reason).collect();
    if reasons.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut counts = vec![0_u64; reasons.len()];
    for (index, kind) in heap.objects().types.iter().enumerate() {
        if reasons.get(kind.index()).is_some_and(Option::is_some) && is_in(ObjectId::from_index(index)) {
            counts[kind.index()] += 1;
        }
    }
    let types = reasons.into_iter().zip(counts).enumerate();
    types
        .filter_map(|(index, (reason, objects))| {
            Some(RefusedType { kind: TypeId::from_index(index), objects, reason: reason? })
        })
        .filter(|refused| refused.objects > 0)
        .collect()
}

/// The address space as stretches without a gap.
fn joined(mappings: &[Mapping]) -> Vec<AddressRange> {
    let mut ranges: Vec<AddressRange> = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        match ranges.last_mut() {
            Some(last) if last.end >= mapping.range.start => last.end = last.end.max(mapping.range.end),
            _ => ranges.push(mapping.range),
        }
    }
    ranges
}
