//! One pass over all objects for everything that the one-screen report counts.

use crate::graph::id::ObjectId;
use crate::heap::objects::Flags;
use crate::inspection::FoundBy;
use crate::inspection::HeapTotals;
use crate::inspection::Inspection;
use crate::inspection::Total;
use crate::inspection::kinds::Kinds;
use rayon::prelude::*;

/// Objects that one task counts.
const TASK_OBJECTS: usize = 1 << 16;

/// Counts and bytes of a view.
pub struct Summary {
    /// Objects and bytes by the number of their kind, class or dict owner.
    pub kinds: Vec<(u64, u64)>,
    /// By the way in which objects were found.
    pub totals: HeapTotals,
}

impl Summary {
    /// Counts the objects of the view. Parallel; the result does not depend on the threads.
    pub(super) fn of(inspection: &Inspection) -> Self {
        let kinds = Kinds::of(&inspection.heap);
        let empty = || Self { kinds: vec![(0, 0); kinds.count()], totals: HeapTotals::default() };
        let count = inspection.heap.count();
        // A task at a time: handed from object to object, a summary would be copied for each.
        (0..count.div_ceil(TASK_OBJECTS))
            .into_par_iter()
            .map(|task| {
                let mut summary = empty();
                let end = ((task + 1) * TASK_OBJECTS).min(count);
                (task * TASK_OBJECTS..end)
                    .for_each(|index| summary.add(inspection, kinds, ObjectId::from_index(index)));
                summary
            })
            .reduce(empty, Self::join)
    }

    fn add(&mut self, inspection: &Inspection, kinds: Kinds, object: ObjectId) {
        if !inspection.is_in_view(object) {
            return;
        }
        let heap = &inspection.heap;
        let bytes = heap.objects().sizes[object.index()];
        self.count_kind(kinds.number(heap.clodo(object)), bytes);
        let totals = &mut self.totals;
        let place = match inspection.found_by(object) {
            FoundBy::Reference => &mut totals.by_reference,
            FoundBy::Allocator => &mut totals.by_allocator_only,
            FoundBy::Static => &mut totals.r#static,
            FoundBy::Synthetic => &mut totals.synthetic,
        };
        count(place, bytes);
        count(&mut totals.all, bytes);
        if heap.objects().flags[object.index()].has(Flags::UNMADE_DICT) && inspection.has_unmade_dict(object)
        {
            let bytes = heap.unmade_dict_size(object);
            count(&mut totals.synthetic, bytes);
            count(&mut totals.all, bytes);
            self.count_kind(kinds.number(heap.unmade_dict_clodo(object)), bytes);
        }
    }

    fn count_kind(&mut self, kind: u32, bytes: u64) {
        if let Some(place) = self.kinds.get_mut(kind as usize) {
            *place = (place.0 + 1, place.1.saturating_add(bytes));
        }
    }

    fn join(mut self, other: Self) -> Self {
        let join = |left: Total, right: Total| Total {
            objects: left.objects + right.objects,
            bytes: left.bytes.saturating_add(right.bytes),
        };
        let (left, right) = (self.totals, other.totals);
        let totals = HeapTotals {
            all: join(left.all, right.all),
            by_reference: join(left.by_reference, right.by_reference),
            by_allocator_only: join(left.by_allocator_only, right.by_allocator_only),
            r#static: join(left.r#static, right.r#static),
            synthetic: join(left.synthetic, right.synthetic),
        };
        for (left, right) in self.kinds.iter_mut().zip(other.kinds) {
            *left = (left.0 + right.0, left.1.saturating_add(right.1));
        }
        Self { kinds: self.kinds, totals }
    }
}

fn count(total: &mut Total, bytes: u64) {
    total.objects += 1;
    total.bytes = total.bytes.saturating_add(bytes);
}
