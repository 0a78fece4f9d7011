//! How much belongs to each interpreter.

use crate::graph::id::ObjectId;
use crate::inspection::Inspection;
use crate::inspection::InterpreterRow;
use crate::inspection::Total;
use crate::inspection::View;
use rayon::prelude::*;

/// Objects that one task counts.
const TASK_OBJECTS: usize = 1 << 16;

/// Each interpreter with its objects in the view, and what belongs to none. Parallel; the result does not
/// depend on the threads.
pub(super) fn interpreters(inspection: &Inspection) -> Vec<InterpreterRow> {
    let attribution = &inspection.heap.attribution;
    let none = attribution.ids.len();
    let totals = if none == 1 && inspection.view == View::Complete {
        of_one_interpreter(inspection)
    } else {
        count(inspection, none)
    };
    let row = |(index, total): (usize, Total)| {
        let facts = inspection.interpreter.each.get(index);
        InterpreterRow {
            id: attribution.ids.get(index).copied(),
            label: attribution.label((index < none).then_some(index)),
            threads: facts.map_or(0, |facts| facts.threads),
            lock: facts.map(|facts| facts.lock),
            own_allocator: facts.map(|facts| facts.own_allocator),
            total,
        }
    };
    totals.into_iter().enumerate().map(row).collect()
}

/// Where there is one interpreter, everything is its own but what is in the data of binaries.
fn of_one_interpreter(inspection: &Inspection) -> Vec<Total> {
    let totals = inspection.summary().totals;
    let own = [totals.by_reference, totals.by_allocator_only, totals.synthetic]
        .into_iter()
        .fold(Total::default(), join);
    vec![own, totals.r#static]
}

/// Counts for each interpreter, and for none.
fn count(inspection: &Inspection, interpreters: usize) -> Vec<Total> {
    let empty = || vec![Total::default(); interpreters + 1];
    let objects = inspection.heap.count();
    (0..objects.div_ceil(TASK_OBJECTS))
        .into_par_iter()
        .map(|task| {
            let mut totals = empty();
            let end = ((task + 1) * TASK_OBJECTS).min(objects);
            (task * TASK_OBJECTS..end)
                .for_each(|index| add(inspection, &mut totals, ObjectId::from_index(index)));
            totals
        })
        .reduce(empty, |left, right| {
            left.into_iter().zip(right).map(|(left, right)| join(left, right)).collect()
        })
}

fn add(inspection: &Inspection, totals: &mut [Total], object: ObjectId) {
    if !inspection.is_in_view(object) {
        return;
    }
    let heap = &inspection.heap;
    let place = heap.interpreter_of(object).unwrap_or(heap.attribution.ids.len());
    let Some(total) = totals.get_mut(place) else { return };
    let made = inspection.has_unmade_dict(object).then(|| heap.unmade_dict_size(object));
    for bytes in [Some(heap.objects().sizes[object.index()]), made].into_iter().flatten() {
        *total = join(*total, Total { objects: 1, bytes });
    }
}

fn join(left: Total, right: Total) -> Total {
    Total { objects: left.objects + right.objects, bytes: left.bytes.saturating_add(right.bytes) }
}
