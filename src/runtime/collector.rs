//! The collector's lists: their heads, and who is on the permanent one.
//!
//! `Include/internal/pycore_gc.h`, `Modules/gcmodule.c` (`Python/gc.c` since 3.13).

use crate::address::Address;
use crate::layout::features::CollectorLists;
use crate::layout::features::Features;
use crate::layout::schema::Layouts;
use crate::target::Image;

/// One list of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorList {
    /// Address of its head, a `PyGC_Head` without an object.
    pub head: Address,
    /// Its place among the lists of its collector: 0 is the youngest.
    pub number: u8,
    /// Whether it is the permanent generation, which `gc.get_objects` leaves out.
    pub is_permanent: bool,
}

/// The lists of one collector.
pub fn lists(image: &Image, layouts: &Layouts, features: &Features, gc: Address) -> Vec<CollectorList> {
    let state = &layouts.gc_state;
    let generation = layouts.gc_generation.sizeof;
    let mut heads = Vec::new();
    match features.collector_lists {
        CollectorLists::None => return Vec::new(),
        CollectorLists::Generations => {
            if let Some(first) = first_generation(image, layouts, gc) {
                heads.extend((0..3).map(|index| first.plus(index * generation)));
            }
        }
        CollectorLists::Incremental => {
            if let (Some(young), Some(old)) = (state.young, state.old) {
                heads.extend([gc.plus(young), gc.plus(old), gc.plus(old + generation)]);
            }
        }
    }
    let mut lists: Vec<_> =
        (0..).zip(heads).map(|(number, head)| CollectorList { head, number, is_permanent: false }).collect();
    // There is none before 3.7.
    let permanent = state.permanent_generation.map(|offset| gc.plus(offset));
    lists.extend(permanent.map(|head| CollectorList { head, number: u8::MAX, is_permanent: true }));
    lists
}

/// `generation0` points at the first head: believed before any table, since patch releases moved the heads.
fn first_generation(image: &Image, layouts: &Layouts, gc: Address) -> Option<Address> {
    let state = &layouts.gc_state;
    let pointed = state.generation0.and_then(|offset| image.pointer(gc.plus(offset)));
    let inside = |first: &Address| gc.distance_to(*first).is_some_and(|at| at < state.sizeof);
    pointed.filter(inside).or_else(|| state.generations.map(|offset| gc.plus(offset)))
}

/// How a walk along a list ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListWalk {
    /// The objects on it.
    pub objects: Vec<Address>,
    /// Where a link led nowhere or back, if one did.
    pub broken_at: Option<Address>,
}

/// The objects on a list, along `_gc_next`. Serial: one dependent read per object. `limit` bounds a
/// list that loops.
pub fn walk(image: &Image, layouts: &Layouts, list: CollectorList, limit: usize) -> ListWalk {
    let layout = &layouts.gc_head;
    let mut walk = ListWalk::default();
    let next_of = |head: Address| image.word(head.plus(layout.next)).map(|word| Address::new(word & !3));
    let mut previous = list.head;
    let mut at = next_of(list.head);
    while let Some(head) = at {
        if head == list.head {
            return walk;
        }
        let back = image.word(head.plus(layout.previous)).map(|word| Address::new(word & !3));
        if back != Some(previous) || walk.objects.len() >= limit {
            break;
        }
        walk.objects.push(head.plus(layout.sizeof));
        previous = head;
        at = next_of(head);
    }
    walk.broken_at = Some(previous);
    walk
}
