//! Lists of very many items. A heap is often one such list: one thread would still follow it when all others are
//! done, and wait for memory at each item that is not where the last one was.

use crate::address::Address;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::extras::Resolver;
use crate::heap::kind::Kind;
use crate::heap::pass::Pass;
use crate::heap::plan::DictPlace;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::target::image::PAGE;
use rayon::prelude::*;

/// Items that are worth sharing, and that one task takes.
const LONG: u64 = 1 << 16;
const TASK: u64 = 1 << 14;
/// So many items before one is looked up, what is known of its place is fetched.
const AHEAD: usize = 16;

/// The items of a list, in captured memory without a hole.
#[derive(Clone, Copy)]
pub(super) struct LongList {
    start: Address,
    count: u64,
}

/// What became of the items.
#[derive(Default)]
pub(super) struct Followed {
    /// The objects found; none if they were marked and references are not kept.
    pub(super) ids: Vec<u32>,
    /// How many of them there are.
    pub(super) count: u64,
    /// Whether the last item was an object; none without an item.
    last: Option<bool>,
    pub(super) anomalies: Anomalies,
}

impl Followed {
    fn found(&mut self, id: Option<u32>, pass: &Pass<'_>, marks: bool) {
        self.last = Some(id.is_some());
        let Some(id) = id else { return };
        self.count += 1;
        let marks = pass.marks.filter(|_| marks);
        if let Some(marks) = marks {
            marks.set(id);
        }
        if marks.is_none() || pass.keeps_references {
            self.ids.push(id);
        }
    }

    /// Adds what came of the items behind.
    fn join(mut self, next: Self) -> Self {
        self.ids.extend(next.ids);
        self.count += next.count;
        self.last = next.last.or(self.last);
        self.anomalies.join(&next.anomalies);
        self
    }
}

impl Pass<'_> {
    /// The items of an object, if it is a list that refers to very many, and to nothing else.
    pub(super) fn long_list(&self, plan: &Plan, object: Address) -> Option<LongList> {
        let is_plain = plan.kind == Kind::List
            && plan.type_seen == Seen::NOBODY
            && plan.fields.is_empty()
            && plan.slots.is_empty()
            && plan.scan.is_none()
            && plan.dict == DictPlace::None
            && plan.record.dict_offset == 0;
        if !is_plain || self.marks.is_none() {
            return None;
        }
        let space = self.request.space;
        let allocated = space.image.word(object.plus(space.layouts.list.allocated))?;
        let count = space.size(object)?.min(allocated);
        if count < LONG || space.work.is_exhausted() {
            return None;
        }
        let start = space.image.pointer(object.plus(space.layouts.list.items))?;
        let mut readable = 0;
        while readable < count {
            let at = start.plus(8 * readable);
            if space.image.page_of(at).is_none() {
                break;
            }
            readable += (PAGE - at.get() % PAGE).div_ceil(8);
        }
        let count = count.min(readable);
        (start.is_aligned(8) && count >= LONG).then_some(LongList { start, count })
    }

    /// Finds the items of a list, in parallel, and marks them if that is wanted.
    pub(super) fn follow(&self, object: Address, list: LongList, marks: bool) -> Followed {
        let tasks: Vec<u64> = (0..list.count).step_by(TASK as usize).collect();
        let parts: Vec<Followed> = tasks
            .into_par_iter()
            .map_init(
                || Resolver::new(self.extras),
                |resolver, first| {
                    let piece =
                        LongList { start: list.start.plus(8 * first), count: TASK.min(list.count - first) };
                    self.follow_piece(resolver, piece, marks)
                },
            )
            .collect();
        let mut all = parts.into_iter().fold(Followed::default(), Followed::join);
        // As for any list: see `Pass::object`.
        let unmarked = Anomalies::default().mark(AnomalyKind::DanglingReference);
        let is_unfilled = all.last == Some(false);
        if is_unfilled && all.anomalies.take_back(AnomalyKind::DanglingReference, unmarked) {
            all.anomalies.add(AnomalyKind::UnfilledList, Some(object));
        }
        all
    }

    fn follow_piece(&self, resolver: &mut Resolver<'_>, piece: LongList, marks: bool) -> Followed {
        let mut followed = Followed::default();
        let mut coming = [0; AHEAD];
        let mut at = 0;
        self.request.space.for_each_word(piece.start, piece.count, |word| {
            if word == 0 {
                return;
            }
            self.fetch_place(Address::new(word));
            let word = std::mem::replace(&mut coming[at % AHEAD], word);
            at += 1;
            if word != 0 {
                let id = resolver.resolve(Address::new(word), Seen::ALL).map(|id| id.0);
                followed.found(id, self, marks);
            }
        });
        // The oldest first.
        for index in at..at + AHEAD {
            let word = coming[index % AHEAD];
            if word != 0 {
                let id = resolver.resolve(Address::new(word), Seen::ALL).map(|id| id.0);
                followed.found(id, self, marks);
            }
        }
        followed.anomalies = std::mem::take(&mut resolver.anomalies);
        followed
    }
}
