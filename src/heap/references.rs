//! Who refers to whom, for a heap whose walk has not kept it: most reports do not ask, and for those that do one
//! more pass over the objects is enough, since their ids are known.

use crate::address::Address;
use crate::graph::adjacency::Adjacency;
use crate::graph::adjacency::Chunk;
use crate::graph::adjacency::chunk_ranges;
use crate::graph::id::ObjectId;
use crate::graph::object_index::ObjectIndex;
use crate::heap::kind;
use crate::heap::objects::Flags;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::sweep::PoolPages;
use crate::heap::walk::Walk;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Where the objects of a heap are, by address.
pub struct Places {
    /// Those that the sweep found.
    pub index: ObjectIndex,
    /// The pages of the allocator's small blocks.
    pub pool_pages: PoolPages,
}

struct Pass<'a> {
    space: &'a Space<'a>,
    walk: &'a Walk,
    /// Objects that the sweep did not find.
    extras: FxHashMap<u64, u32>,
    view: Seen,
}

/// The references of all objects that a view sees. Cost: one pass over the objects, in parallel.
pub(super) fn read(space: &Space<'_>, walk: &Walk, view: Seen) -> Adjacency {
    let (swept, addresses) = (walk.objects.swept, &walk.objects.addresses);
    let extras = addresses.iter().enumerate().skip(swept);
    let extras = extras.map(|(id, &address)| (address, id as u32)).collect();
    let pass = Pass { space, walk, extras, view };
    Adjacency::new(chunk_ranges(addresses.len()).into_par_iter().map(|range| pass.chunk(range)).collect())
}

impl Pass<'_> {
    fn chunk(&self, range: Range<usize>) -> Chunk {
        let mut chunk = Chunk::with_capacity(range.len());
        for index in range {
            let before = chunk.targets() as u64;
            self.object(ObjectId::from_index(index), &mut chunk);
            self.space.work.take(chunk.targets() as u64 - before);
            chunk.end_row();
        }
        chunk
    }

    fn object(&self, object: ObjectId, chunk: &mut Chunk) {
        let objects = &self.walk.objects;
        let plan = self.walk.plans.get(objects.types[object.index()].index());
        let Some(Some(plan)) = plan.filter(|_| !objects.flags[object.index()].has(Flags::SYNTHETIC)) else {
            return;
        };
        if plan.is_leaf || self.space.work.is_exhausted() {
            return;
        }
        let address = Address::new(objects.addresses[object.index()]);
        kind::references(self.space, plan, address, &mut |target, seen| {
            if seen.meets(self.view) {
                chunk.push_some(self.find(target, seen));
            }
        });
    }

    /// The object at an address, as the walk found it: a scanned word is no proof of an object in a block in which
    /// the sweep saw none.
    #[inline]
    fn find(&self, target: Address, seen: Seen) -> Option<ObjectId> {
        let page = self.space.image.page_of(target)?;
        let places = &self.walk.places;
        places.index.find(page, target).or_else(|| {
            let is_doubtful = seen.meets(Seen::SCANNED) && places.pool_pages.contains(page);
            self.extras.get(&target.get()).filter(|_| !is_doubtful).map(|&id| ObjectId(id))
        })
    }
}
