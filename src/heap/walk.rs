//! From an image to every object and every reference: sweep the pools, follow the references, number
//! what was found in order of address.
//!
//! All passes are linear and parallel over chunks of objects; results do not depend on the number of
//! threads.

use crate::address::Address;
use crate::address::AddressRange;
use crate::descriptions::Bound;
use crate::graph::adjacency::Adjacency;
use crate::graph::id::ObjectId;
use crate::graph::marks::Marks;
use crate::graph::object_index::ObjectIndex;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::extras::Extras;
use crate::heap::finish::Found;
use crate::heap::finish::finish;
use crate::heap::loose::Loose;
use crate::heap::objects::Objects;
use crate::heap::pass::Pass;
use crate::heap::plan::Plan;
use crate::heap::plan::Planner;
use crate::heap::plans::Plans;
use crate::heap::references::Places;
use crate::heap::roots;
use crate::heap::roots::Root;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::sweep;
use crate::heap::sweep::PoolPages;
use crate::heap::sweep::Swept;
use crate::heap::sweep_tagged;
use crate::heap::types::TypeRegistry;
use crate::heap::types::TypeTable;
use crate::layout::features::ArenaTable;
use crate::layout::table::Table;
use crate::runtime::collector;
use crate::runtime::collector::CollectorList;
use crate::runtime::mimalloc::Mimalloc;
use crate::runtime::pymalloc::Pool;
use std::sync::OnceLock;

/// What a walk needs to know.
pub struct WalkRequest<'a> {
    /// Memory and layouts.
    pub space: &'a Space<'a>,
    /// The raw table of offsets.
    pub table: &'a Table,
    /// What description files say.
    pub descriptions: &'a Bound,
    /// `PyType_Type`.
    pub type_type: Address,
    /// `types.FrameType`, if it is known.
    pub frame_type: Option<Address>,
    /// References from outside.
    pub roots: &'a [Root],
    /// Lists of the collectors.
    pub lists: &'a [CollectorList],
    /// Writable data of the binaries, sorted.
    pub static_ranges: &'a [AddressRange],
    /// Whose references are followed.
    pub view: Seen,
    /// Whether the references are wanted at once, as always in heapy's view. If not, they are read when somebody
    /// asks.
    pub keeps_references: bool,
    /// Python frames that heapy would make frame objects of, newest first (empty in the complete view).
    pub frames: &'a [Address],
    /// The pools of pymalloc; none in builds that have mimalloc.
    pub pools: &'a [Pool],
    /// The pages of mimalloc; none in builds that have pymalloc.
    pub mimalloc: &'a Mimalloc,
    /// The frames of other threads, of each newest first: heapy looks at them when it asks who refers to what
    /// (empty in the complete view).
    pub other_frames: &'a [Vec<Address>],
}

/// Everything a walk finds.
pub struct Walk {
    /// The objects.
    pub objects: Objects,
    /// Who refers to whom, in the view that was asked for; see [`crate::heap::model::Heap::references`].
    pub references: OnceLock<Adjacency>,
    /// Where objects are, by address.
    pub places: Places,
    /// The types.
    pub types: TypeTable,
    /// How each type is treated, by type id.
    pub plans: Vec<Option<Plan>>,
    /// (dict, owner) for every object that has its own dict.
    pub owned_dicts: Vec<(ObjectId, ObjectId)>,
    /// The roots that are objects.
    pub roots: Vec<ObjectId>,
    /// The newest frames of other threads, which are roots when heapy looks for referrers.
    pub thread_roots: Vec<ObjectId>,
    /// What was wrong.
    pub anomalies: Anomalies,
}

/// Walks the heap. Cost: a few passes over all objects and references.
pub fn walk(request: &WalkRequest<'_>) -> Walk {
    let space = request.space;
    let pool_size = space.features.pool_size as u32;
    let registry = TypeRegistry::new(space, request.type_type);
    let planner = |subtype_dealloc| Planner {
        space,
        table: request.table,
        descriptions: request.descriptions,
        subtype_dealloc,
        frame_type: request.frame_type,
    };
    let mut anomalies = Anomalies::default();
    let (pool_pages, swept) = if space.features.arena_table == ArenaTable::Mimalloc {
        anomalies.add_many(AnomalyKind::PoolCount, request.mimalloc.damaged, request.mimalloc.first_damaged);
        let pages = sweep_tagged::pages(space, request.mimalloc);
        let swept = sweep_tagged::sweep(space, &registry, &pages, request.mimalloc);
        (pages, swept)
    } else {
        let pages = PoolPages::new(space, request.pools, pool_size);
        let early = Plans::new(planner(Address::NULL), &registry);
        let swept = sweep::sweep(space, &early, &pages, request.pools);
        (pages, swept)
    };
    anomalies.add_many(AnomalyKind::PoolCount, swept.count_mismatches, swept.first_mismatch);
    let Swept { addresses, types: numbers, sizes, bits, .. } = swept;
    let index = ObjectIndex::new(&bits, space.image.pages().map(|(_, page)| page));
    drop(bits);
    let extras =
        Extras::new((&registry, space), &pool_pages, (&index, addresses.len()), request.static_ranges);
    if addresses.is_empty() {
        meet_types(request, &registry);
    }
    let plans = Plans::new(planner(registry.common_dealloc()), &registry);
    let backs = roots::frame_backs(space, request.frames, request.other_frames);
    let heads = request.lists.iter().map(|list| list.head.get()).collect();
    let is_heapys = request.view == Seen::HEAPY;
    let keeps_references = request.keeps_references || is_heapys;
    let marks = (!is_heapys).then(|| Marks::new(addresses.len()));
    let pass = Pass {
        request,
        extras: &extras,
        plans: &plans,
        backs: &backs,
        heads: &heads,
        marks: marks.as_ref(),
        keeps_references,
    };
    let (roots, thread_roots) = pass.roots(&mut anomalies);
    let (facts, columns) = pass.swept(&addresses, &numbers, sizes);
    let (extra_facts, extra_columns) = pass.extras();
    if let Some(marks) = &marks {
        for &root in &roots {
            marks.set(root);
        }
        Loose::new((&facts, &columns), (&extra_facts, &extra_columns), keeps_references).follow(marks);
    }
    let found_extras = extras.into_found();
    let places = Places { index, pool_pages };
    let found = Found {
        addresses,
        numbers,
        facts,
        columns,
        extra_facts,
        extra_columns,
        roots,
        thread_roots,
        marks,
        keeps_references,
        places,
    };
    finish(&found_extras, &plans, found, anomalies)
}

/// Meets the types of all collected objects: without pymalloc (`PYTHONMALLOC=malloc`) no sweep has met any.
fn meet_types(request: &WalkRequest<'_>, registry: &TypeRegistry<'_>) {
    let space = request.space;
    // No object with a collector header is smaller than this.
    let most = space.image.page_count() * (4096 / 32);
    for &list in request.lists {
        for object in collector::walk(space.image, space.layouts, list, most).objects {
            space.type_of(object).and_then(|address| registry.number(address));
        }
    }
}
