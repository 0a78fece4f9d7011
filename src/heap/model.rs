//! The heap of one process, ready for questions: who is in which view, who owns which dict.

use crate::address::Address;
use crate::graph::adjacency::Adjacency;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::graph::reach::ObjectSet;
use crate::graph::reach::reachable;
use crate::heap::attribution::Attribution;
use crate::heap::hidden::Hidden;
use crate::heap::objects::Flags;
use crate::heap::objects::Objects;
use crate::heap::owners::Owners;
use crate::heap::references;
use crate::heap::seen::Seen;
use crate::heap::size::unmade_dict_size;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::walk::Walk;
use std::ops::Range;
use std::sync::OnceLock;

/// What is known of a heap after the walk.
pub struct Heap {
    /// What the walk found.
    pub walk: Walk,
    /// heapy's label of each type, by [`TypeId`].
    pub labels: Vec<String>,
    /// The owner of each dict.
    owners: Owners,
    /// The objects of the permanent generation.
    frozen: ObjectSet,
    /// What the roots reach in the view that was walked: in heapy's at once, since it is the view.
    reached: OnceLock<ObjectSet>,
    /// Whose references the walk has.
    view: Seen,
    /// What heapy hides of itself.
    pub hidden: Hidden,
    /// The exact type `dict`.
    dict_type: Option<TypeId>,
    /// Size of the dict that an instance of each type would get, by [`TypeId`].
    unmade_sizes: Vec<u64>,
    /// Which interpreter each object belongs to.
    pub attribution: Attribution,
}

/// What an object counts as: heapy's class or dict owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Clodo {
    /// An instance of a type.
    Instance(TypeId),
    /// The dict of an instance of a type.
    DictOf(TypeId),
    /// A dict of its own.
    DictNoOwner,
}

impl Heap {
    /// Puts a heap together. `frozen` are the objects of the permanent generation; `hidden` is left
    /// out of the view. Cost: linear.
    pub fn new(
        space: &Space<'_>,
        (walk, view): (Walk, Seen),
        labels: Vec<String>,
        frozen: ObjectSet,
        hidden: Hidden,
    ) -> Self {
        let dict_type = walk
            .types
            .records
            .iter()
            .position(|record| !record.is_heap() && record.name == "dict")
            .map(TypeId::from_index);
        let unmade_sizes = walk
            .plans
            .iter()
            .map(|plan| plan.as_ref().and_then(|plan| unmade_dict_size(space, plan)).unwrap_or(0))
            .collect();
        let (owners, attribution) = (Owners::new(0, 0), Attribution::default());
        let mut heap = Self {
            walk,
            labels,
            owners,
            frozen,
            reached: OnceLock::new(),
            view,
            hidden,
            dict_type,
            unmade_sizes,
            attribution,
        };
        heap.owners = heap.find_owners();
        if view == Seen::HEAPY {
            heap.reached(space);
        }
        heap
    }

    /// Who refers to whom, in the view that was walked. Cost: unless the walk has kept it, a pass over the objects
    /// the first time; should that use up the work of `space`, some are missing.
    pub fn references(&self, space: &Space<'_>) -> &Adjacency {
        self.walk.references.get_or_init(|| references::read(space, &self.walk, self.view))
    }

    /// What the roots reach. Cost: the first time that of the references, and a search.
    pub fn reached(&self, space: &Space<'_>) -> &ObjectSet {
        self.reached.get_or_init(|| {
            let roots = self.walk.roots.iter().copied();
            let hidden = &self.hidden;
            reachable(self.references(space), self.count(), roots, &hidden.hidden, &hidden.opaque)
        })
    }

    /// Whether the roots reach an object; known in heapy's view only.
    #[inline]
    pub fn is_reached(&self, object: ObjectId) -> bool {
        self.reached.get().is_some_and(|reached| reached.contains(object))
    }

    /// Whether a reference leads to an object, be it from garbage that the collector has not freed
    /// yet: in heapy's view, which has what the roots reach, the same as [`Self::is_reached`]. O(1).
    pub fn is_led_to(&self, object: ObjectId) -> bool {
        match self.view {
            Seen::HEAPY => self.is_reached(object),
            _ => self.objects().flags.get(object.index()).is_some_and(|flags| flags.has(Flags::LED_TO)),
        }
    }

    /// The columns of the objects.
    pub fn objects(&self) -> &Objects {
        &self.walk.objects
    }

    /// Number of objects in all columns.
    pub fn count(&self) -> usize {
        self.walk.objects.addresses.len()
    }

    /// An owner is tracked by the collector and not frozen, or a static type; of several the one at
    /// the lowest address counts (hv_cli_dictof.c of guppy3).
    fn find_owners(&self) -> Owners {
        let objects = self.objects();
        let mut owners = Owners::new(self.count(), self.walk.owned_dicts.len());
        for &(dict, owner) in &self.walk.owned_dicts {
            if !self.can_own(owner) || objects.types.get(dict.index()).copied() != self.dict_type {
                continue;
            }
            let address = objects.addresses[owner.index()];
            if owners.of(dict).is_none_or(|known| address < objects.addresses[known.index()]) {
                owners.set(dict, owner);
            }
        }
        owners
    }

    fn can_own(&self, owner: ObjectId) -> bool {
        let flags = self.objects().flags[owner.index()];
        let is_static_type = flags.has(Flags::STATIC) && self.is_type_object(owner);
        is_static_type || (flags.has(Flags::TRACKED) && !self.frozen.contains(owner))
    }

    /// What the dict that heapy would make for an instance would count as.
    pub fn unmade_dict_clodo(&self, owner: ObjectId) -> Clodo {
        if self.can_own(owner) {
            Clodo::DictOf(self.objects().types[owner.index()])
        } else {
            Clodo::DictNoOwner
        }
    }

    /// Whether the object is in the permanent generation, which `gc.get_objects` leaves out.
    pub fn is_frozen(&self, object: ObjectId) -> bool {
        self.frozen.contains(object)
    }

    fn is_type_object(&self, object: ObjectId) -> bool {
        let kind = self.objects().types.get(object.index()).and_then(|&kind| self.walk.types.record(kind));
        kind.is_some_and(|record| record.ancestor == Ancestor::Type)
    }

    /// What an object counts as. O(1).
    pub fn clodo(&self, object: ObjectId) -> Clodo {
        let kind = self.objects().types[object.index()];
        if Some(kind) != self.dict_type {
            return Clodo::Instance(kind);
        }
        match self.owners.of(object) {
            Some(owner) => Clodo::DictOf(self.objects().types[owner.index()]),
            None => Clodo::DictNoOwner,
        }
    }

    /// The label of a type.
    pub fn label(&self, kind: TypeId) -> &str {
        self.labels.get(kind.index()).map_or("", String::as_str)
    }

    /// The exact type `dict`.
    pub fn dict_type(&self) -> Option<TypeId> {
        self.dict_type
    }

    /// What `getsizeof` would say of the dict of an instance that has none yet.
    pub fn unmade_dict_size(&self, object: ObjectId) -> u64 {
        let kind = self.objects().types[object.index()];
        self.unmade_sizes.get(kind.index()).copied().unwrap_or(0)
    }

    /// The object at an address. O(log objects).
    pub fn find(&self, address: Address) -> Option<ObjectId> {
        let objects = self.objects();
        let (swept, extras) = objects.addresses.split_at(objects.swept.min(objects.addresses.len()));
        let in_swept = swept.binary_search(&address.get()).ok();
        let index = in_swept
            .or_else(|| extras.binary_search(&address.get()).ok().map(|index| index + swept.len()))?;
        Some(ObjectId::from_index(index))
    }

    /// The object that begins at an address or is the last one before it. O(log objects).
    pub fn find_at_or_before(&self, address: Address) -> Option<ObjectId> {
        let objects = self.objects();
        let swept = objects.swept.min(objects.addresses.len());
        let last = |run: std::ops::Range<usize>| {
            let addresses = objects.addresses.get(run.clone())?;
            let after = addresses.partition_point(|&start| start <= address.get());
            Some(run.start + after.checked_sub(1)?)
        };
        let candidates = [last(0..swept), last(swept..objects.addresses.len())];
        let nearest = candidates.into_iter().flatten().max_by_key(|&index| objects.addresses[index]);
        nearest.map(ObjectId::from_index)
    }

    /// All ids in order of address: the two sorted runs merged.
    pub fn by_address(&self) -> ByAddress<'_> {
        let swept = self.objects().swept.min(self.count());
        ByAddress { addresses: &self.objects().addresses, left: 0..swept, right: swept..self.count() }
    }

    /// The same in about `count` chunks of like size, one behind the other.
    pub fn by_address_in_chunks(&self, count: usize) -> Vec<ByAddress<'_>> {
        let addresses = &self.objects().addresses;
        let mut rest = self.by_address();
        let step = (rest.left.len() / count.max(1)).max(1);
        let mut chunks = Vec::with_capacity(count + 1);
        while rest.left.len() > step {
            let middle = rest.left.start + step;
            let below = addresses[rest.right.clone()].partition_point(|address| *address < addresses[middle]);
            let right = rest.right.start + below;
            chunks.push(ByAddress {
                addresses,
                left: rest.left.start..middle,
                right: rest.right.start..right,
            });
            (rest.left.start, rest.right.start) = (middle, right);
        }
        chunks.push(rest);
        chunks
    }

    /// Calls `visit` with all ids in order of address until it says false.
    pub fn for_each_by_address(&self, mut visit: impl FnMut(ObjectId) -> bool) {
        for object in self.by_address() {
            if !visit(object) {
                return;
            }
        }
    }
}

/// Ids in order of address.
#[derive(Clone)]
pub struct ByAddress<'a> {
    addresses: &'a [u64],
    left: Range<usize>,
    right: Range<usize>,
}

impl Iterator for ByAddress<'_> {
    type Item = ObjectId;

    #[inline]
    fn next(&mut self) -> Option<ObjectId> {
        let left = self.addresses.get(self.left.start).filter(|_| !self.left.is_empty());
        let right = self.addresses.get(self.right.start).filter(|_| !self.right.is_empty());
        let run = match (left, right) {
            (Some(left), Some(right)) if left > right => &mut self.right,
            (Some(_), _) => &mut self.left,
            _ => &mut self.right,
        };
        run.next().map(ObjectId::from_index)
    }

    /// The same, a stretch of one run at a time.
    fn fold<B, F: FnMut(B, ObjectId) -> B>(mut self, start: B, mut add: F) -> B {
        let mut result = start;
        while !self.left.is_empty() && !self.right.is_empty() {
            let (Some(&left), Some(&right)) =
                (self.addresses.get(self.left.start), self.addresses.get(self.right.start))
            else {
                break;
            };
            let (run, limit) = if left > right {
                (&mut self.right, left)
            } else {
                (&mut self.left, right.saturating_add(1))
            };
            let stretch = self.addresses.get(run.clone()).unwrap_or(&[]);
            let length = stretch.iter().take_while(|&&address| address < limit).count().max(1);
            let end = run.start + length;
            result = (run.start..end).map(ObjectId::from_index).fold(result, &mut add);
            run.start = end;
        }
        self.left.chain(self.right).map(ObjectId::from_index).fold(result, add)
    }
}
