//! heapy's kinds as numbers, and for each kind the objects of that kind that refer to others.

use crate::address::Address;
use crate::analysis::referrers::KindSources;
use crate::graph::adjacency::Adjacency;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::graph::reach::ObjectSet;
use crate::heap::kind::instance;
use crate::heap::model::Clodo;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::space::Space;
use crate::inspection::Inspection;
use rayon::prelude::*;
use std::ops::Range;

/// Numbers for kinds: types, dicts of instances of types, dicts without an owner, and the roots.
#[derive(Clone, Copy)]
pub(super) struct Kinds {
    /// Number of types.
    pub(super) types: usize,
}

impl Kinds {
    pub(super) fn of(heap: &Heap) -> Self {
        Self { types: heap.walk.types.records.len() }
    }

    /// Number of kinds.
    pub(super) const fn count(self) -> usize {
        2 * self.types + 2
    }

    pub(super) const fn number(self, clodo: Clodo) -> u32 {
        match clodo {
            Clodo::Instance(kind) => kind.0,
            Clodo::DictOf(kind) => self.types as u32 + kind.0,
            Clodo::DictNoOwner => 2 * self.types as u32,
        }
    }

    /// The kind of what refers from outside the heap.
    const fn root(self) -> u32 {
        2 * self.types as u32 + 1
    }

    /// The kind with a number; none for the roots.
    pub(super) fn clodo(self, number: u32) -> Option<Clodo> {
        let types = self.types as u32;
        match number {
            number if number < types => Some(Clodo::Instance(TypeId(number))),
            number if number < 2 * types => Some(Clodo::DictOf(TypeId(number - types))),
            number if number == 2 * types => Some(Clodo::DictNoOwner),
            _ => None,
        }
    }
}

/// Ids sorted by a number each has, with where each number begins.
struct Sorted {
    starts: Vec<usize>,
    ids: Vec<u32>,
}

impl Sorted {
    /// Sorts `ids` by `number_of` into `count` numbers, in order of id within one. Linear.
    fn new(ids: impl Iterator<Item = u32> + Clone, count: usize, number_of: impl Fn(u32) -> u32) -> Self {
        let mut starts = vec![0; count + 1];
        for id in ids.clone() {
            starts[number_of(id) as usize + 1] += 1;
        }
        for number in 0..count {
            starts[number + 1] += starts[number];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; starts[count]];
        for id in ids {
            let place = &mut next[number_of(id) as usize];
            sorted[*place] = id;
            *place += 1;
        }
        Self { starts, ids: sorted }
    }

    fn of(&self, number: u32) -> &[u32] {
        let range = self.starts.get(number as usize).zip(self.starts.get(number as usize + 1));
        range.and_then(|(&start, &end)| self.ids.get(start..end)).unwrap_or(&[])
    }
}

/// Who refers, by kind: objects, the dicts that heapy would make for instances, and the roots.
pub(super) struct Referrers<'a> {
    inspection: &'a Inspection,
    space: Space<'a>,
    references: &'a Adjacency,
    kinds: Kinds,
    objects: Sorted,
    /// Owners of dicts that heapy would make, by the kind of the dict.
    dicts: Sorted,
    /// Kinds of their owners.
    has_owners: Vec<bool>,
    roots: Vec<u32>,
}

impl<'a> Referrers<'a> {
    /// Sorts the objects in `referring` by kind. Linear.
    pub(super) fn new(inspection: &'a Inspection, referring: Option<&ObjectSet>) -> Self {
        let heap = &inspection.heap;
        let kinds = Kinds::of(heap);
        let refers = |id: &u32| {
            let object = ObjectId(*id);
            referring.is_none_or(|set| set.contains(object)) && !heap.hidden.opaque.contains(object)
        };
        let all = (0..heap.count() as u32).filter(refers);
        let numbers: Vec<u32> = (0..heap.count())
            .into_par_iter()
            .with_min_len(1 << 16)
            .map(|index| kinds.number(heap.clodo(ObjectId::from_index(index))))
            .collect();
        let objects = Sorted::new(all.clone(), kinds.count(), |id| numbers[id as usize]);
        let has_dict = |id: &u32| heap.objects().flags[*id as usize].has(Flags::UNMADE_DICT);
        let owners = all.filter(has_dict);
        let mut has_owners = vec![false; kinds.count()];
        for id in owners.clone() {
            has_owners[numbers[id as usize] as usize] = true;
        }
        drop(numbers);
        let dicts =
            Sorted::new(owners, kinds.count(), |id| kinds.number(heap.unmade_dict_clodo(ObjectId(id))));
        let roots = heap.walk.roots.iter().chain(&heap.walk.thread_roots).map(|id| id.0).collect();
        let (space, references) = (inspection.space(), inspection.references());
        Self { inspection, space, references, kinds, objects, dicts, has_owners, roots }
    }

    /// Whether attributes of some instances were left out, since they claim too much memory together.
    pub(super) fn is_cut(&self) -> bool {
        self.space.work.is_exhausted()
    }

    /// What an object refers to itself, without what it refers to through the dict that heapy would make.
    fn visit_object(&self, id: u32, values: &mut Vec<Address>, visit: &mut impl FnMut(u32)) {
        let heap = &self.inspection.heap;
        let row = self.references.row(ObjectId(id));
        let moves = heap.objects().flags[id as usize].has(Flags::UNMADE_DICT)
            && self.inspection.resolved.features.made_dict_takes_values();
        if !moves {
            for &target in row {
                visit(target);
            }
            return;
        }
        self.read_values(id, values);
        for &target in row {
            let address = heap.objects().addresses.get(target as usize);
            match values.iter().position(|value| Some(&value.get()) == address) {
                Some(at) => drop(values.swap_remove(at)),
                None => visit(target),
            }
        }
    }

    /// What the dict that heapy would make for an instance would refer to.
    fn visit_dict(&self, id: u32, values: &mut Vec<Address>, visit: &mut impl FnMut(u32)) {
        let heap = &self.inspection.heap;
        self.read_values(id, values);
        for &target in self.references.row(ObjectId(id)) {
            let address = heap.objects().addresses.get(target as usize);
            if values.iter().any(|value| Some(&value.get()) == address) {
                visit(target);
            }
        }
    }

    /// The values of the attributes of an instance without a dict.
    fn read_values(&self, id: u32, values: &mut Vec<Address>) {
        values.clear();
        let heap = &self.inspection.heap;
        let kind = heap.objects().types[id as usize];
        let Some(Some(plan)) = heap.walk.plans.get(kind.index()) else { return };
        let object = Address::new(heap.objects().addresses[id as usize]);
        instance::dict_references(&self.space, plan, object, &mut |value, _| values.push(value));
    }
}

impl KindSources for Referrers<'_> {
    fn kinds(&self) -> u32 {
        self.kinds.count() as u32
    }

    fn sources(&self, kind: u32) -> usize {
        self.objects.of(kind).len() + self.dicts.of(kind).len() + usize::from(kind == self.kinds.root())
    }

    fn needs_single(&self, kind: u32) -> bool {
        self.has_owners.get(kind as usize) == Some(&true)
    }

    fn for_each_target(&self, kind: u32, range: Range<usize>, visit: &mut impl FnMut(u32)) {
        if kind == self.kinds.root() {
            self.roots.iter().for_each(|&target| visit(target));
            return;
        }
        let mut values = Vec::new();
        let (objects, dicts) = (self.objects.of(kind), self.dicts.of(kind));
        let middle = objects.len();
        for &id in objects.get(range.start.min(middle)..range.end.min(middle)).unwrap_or(&[]) {
            self.visit_object(id, &mut values, visit);
        }
        let range = range.start.saturating_sub(middle)..range.end.saturating_sub(middle);
        for &id in dicts.get(range).unwrap_or(&[]) {
            self.visit_dict(id, &mut values, visit);
        }
    }
}
