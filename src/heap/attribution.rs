//! Which interpreter of a process an object belongs to.
//!
//! Certain is what an interpreter's own allocator holds, and what its collector lists. The rest goes to the
//! one interpreter whose certain objects, frames and fields lead to it; what several of them lead to, or none,
//! or what is in the data of a binary, belongs to none: it is shared, or nobody knows.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::ObjectId;
use crate::graph::reach::ObjectSet;
use crate::heap::kind::Kind;
use crate::heap::kind::class::static_type_state;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::roots;
use crate::heap::space::Space;
use crate::layout::features::CollectorOwner;
use crate::runtime::collector;
use crate::runtime::interpreters::Runtime;

/// Nothing is known (yet).
const UNKNOWN: u16 = u16::MAX;
/// More than one interpreter leads to it.
const SHARED: u16 = u16::MAX - 1;

/// The interpreter of each object.
///
/// For a partition by interpreter use [`Heap::interpreter_of`] as the key and [`Attribution::label`] for its
/// label; `None` is a key of its own.
#[derive(Debug, Default)]
pub struct Attribution {
    /// The number (`PyInterpreterState.id`) of each interpreter; the main one, 0, is first.
    pub ids: Vec<u64>,
    /// By object: a place in `ids`, [`SHARED`] or [`UNKNOWN`]. Empty if there is but one interpreter.
    owners: Vec<u16>,
}

impl Attribution {
    /// How a row for the interpreter at this place of `ids` is called.
    pub fn label(&self, interpreter: Option<usize>) -> String {
        match interpreter.and_then(|index| self.ids.get(index)) {
            Some(0) => "interpreter 0 (main)".to_owned(),
            Some(id) => format!("interpreter {id}"),
            None => "shared/unattributed".to_owned(),
        }
    }
}

impl Heap {
    /// The interpreter that an object belongs to, as a place in [`Attribution::ids`]; `None` for what is in
    /// the data of a binary, what several interpreters lead to, and what nothing leads to in memory that
    /// they share. O(1).
    pub fn interpreter_of(&self, object: ObjectId) -> Option<usize> {
        if let Some(&owner) = self.attribution.owners.get(object.index()) {
            return (owner < SHARED).then_some(usize::from(owner));
        }
        let flags = self.objects().flags.get(object.index());
        let is_static = flags.is_none_or(|flags| flags.has(Flags::STATIC));
        (!is_static && self.attribution.ids.len() == 1).then_some(0)
    }
}

/// Attributes every object. `ranges` are the memory that one interpreter alone allocates from, sorted, each
/// with the interpreter's place in the runtime's list. Cost: a few passes over objects and references if
/// there is more than one interpreter, and a look at each object on the lists of all but the main one.
pub fn attribute(
    space: &Space<'_>,
    heap: &Heap,
    runtime: &Runtime,
    ranges: &[(AddressRange, usize)],
) -> Attribution {
    // The runtime's list is newest first.
    let ids: Vec<u64> = runtime.interpreters.iter().rev().map(|interpreter| interpreter.id).collect();
    if ids.len() < 2 || ids.len() >= usize::from(SHARED) {
        return Attribution { ids, owners: Vec::new() };
    }
    let count = heap.count();
    let mut work = Attributing {
        space,
        heap,
        runtime,
        owners: vec![UNKNOWN; count],
        certain: ObjectSet::new(count),
        passed_over: ObjectSet::new(count),
        pending: Vec::new(),
        is_last_resort: false,
    };
    work.mark_static();
    work.mark_ranges(ranges);
    work.mark_listed();
    let tables = work.interned_tables();
    for &(table, _) in &tables {
        work.passed_over.insert(table);
    }
    work.mark_roots();
    work.follow_certain(false);
    // The rest: what only a table of interned strings or the data of binaries leads to, which hold things of
    // one interpreter for all (the copied dict of a C module, the namespaces of types up to 3.11).
    work.passed_over = ObjectSet::default();
    work.is_last_resort = true;
    for (table, owner) in tables {
        work.meet(table, owner);
        work.expand(table);
    }
    work.follow();
    work.follow_certain(true);
    Attribution { ids, owners: work.owners }
}

struct Attributing<'a> {
    space: &'a Space<'a>,
    heap: &'a Heap,
    runtime: &'a Runtime,
    owners: Vec<u16>,
    /// Objects whose owner is not to be changed by who refers to them.
    certain: ObjectSet,
    /// Objects that are not followed.
    passed_over: ObjectSet,
    /// Objects whose owner changed since they were followed.
    pending: Vec<ObjectId>,
    /// Whether only objects of which nothing is known are given an owner.
    is_last_resort: bool,
}

impl Attributing<'_> {
    /// The place in `ids` of the interpreter at a place in the runtime's list.
    fn place(&self, index: usize) -> u16 {
        (self.runtime.interpreters.len() - 1).saturating_sub(index) as u16
    }

    fn mark(&mut self, object: ObjectId, owner: u16) {
        if self.certain.insert(object)
            && let Some(place) = self.owners.get_mut(object.index())
        {
            *place = owner;
        }
    }

    fn mark_static(&mut self) {
        for index in 0..self.heap.count() {
            if self.heap.objects().flags[index].has(Flags::STATIC) {
                self.mark(ObjectId::from_index(index), SHARED);
            }
        }
    }

    /// The objects in memory that one interpreter alone allocates from: both in order of address. Where damaged
    /// ranges overlap the first counts.
    fn mark_ranges(&mut self, ranges: &[(AddressRange, usize)]) {
        let objects = self.heap.objects();
        let swept = objects.addresses.get(..objects.swept).unwrap_or(&[]);
        let mut done = Address::NULL;
        for &(range, interpreter) in ranges {
            let start = range.start.max(done);
            done = done.max(range.end);
            let first = swept.partition_point(|&address| address < start.get());
            let inside = swept.iter().skip(first).take_while(|&&address| address < range.end.get());
            for index in first..first + inside.count() {
                self.mark(ObjectId::from_index(index), self.place(interpreter));
            }
        }
    }

    /// What is on the lists of each collector. Those of the main one are not walked: it has the rest.
    fn mark_listed(&mut self) {
        let space = self.space;
        if space.features.collector_owner != CollectorOwner::Interpreter
            || space.features.free_threading.is_some()
        {
            return;
        }
        let Some(gc) = space.layouts.interpreter.gc else { return };
        let mut is_whole = true;
        let limit = self.heap.count();
        for (index, interpreter) in self.runtime.interpreters.iter().enumerate() {
            if interpreter.id == 0 {
                continue;
            }
            for list in
                collector::lists(space.image, space.layouts, space.features, interpreter.address.plus(gc))
            {
                let members = collector::walk(space.image, space.layouts, list, limit);
                is_whole &= members.broken_at.is_none() && space.work.take(members.objects.len() as u64);
                for object in members.objects {
                    if let Some(object) = self.heap.find(object) {
                        self.mark(object, self.place(index));
                    }
                }
            }
        }
        for index in (0..limit).filter(|_| is_whole) {
            if self.heap.objects().flags[index].has(Flags::TRACKED) {
                self.mark(ObjectId::from_index(index), 0);
            }
        }
    }

    /// The tables of interned strings: what they hold is not theirs (`_PyUnicode_InternMortal`,
    /// Objects/unicodeobject.c), and interpreters may share one.
    fn interned_tables(&self) -> Vec<(ObjectId, u16)> {
        let Some(offset) = self.space.layouts.interpreter.interned_strings else { return Vec::new() };
        let mut tables: Vec<(ObjectId, u16)> = Vec::new();
        for (index, interpreter) in self.runtime.interpreters.iter().enumerate() {
            let table = self.space.image.pointer(interpreter.address.plus(offset));
            let Some(table) = table.and_then(|table| self.heap.find(table)) else { continue };
            match tables.iter_mut().find(|known| known.0 == table) {
                Some(known) => known.1 = SHARED,
                None => tables.push((table, self.place(index))),
            }
        }
        tables
    }

    /// Fields of interpreters, frames of their threads, and their parts of static types.
    fn mark_roots(&mut self) {
        for index in 0..self.runtime.interpreters.len() {
            let mut found = Vec::new();
            if let Some(interpreter) = self.runtime.interpreters.get(index) {
                roots::of_interpreter(self.space, interpreter, &mut found);
            }
            let targets = found.into_iter().map(|root| root.target).chain(self.static_type_parts(index));
            let targets: Vec<Address> = targets.collect();
            for target in targets {
                if let Some(object) = self.heap.find(target) {
                    self.meet(object, self.place(index));
                }
            }
        }
    }

    /// Namespaces and subclasses that an interpreter keeps for static types (3.12 on).
    fn static_type_parts(&self, index: usize) -> Vec<Address> {
        let space = self.space;
        let (Some(interpreter), Some(layout)) =
            (self.runtime.interpreters.get(index), &space.layouts.static_type_state)
        else {
            return Vec::new();
        };
        let types =
            self.heap.walk.types.records.iter().filter(|record| space.is_managed_static_type(record.flags));
        types
            .filter_map(|record| static_type_state(space, interpreter.address, record.address))
            .filter(|_| space.work.take(1))
            .flat_map(|state| {
                [layout.dict, layout.subclasses].map(|field| space.image.pointer(state.plus(field)))
            })
            .flatten()
            .collect()
    }

    /// An object is met on the way from what belongs to `owner`.
    fn meet(&mut self, object: ObjectId, owner: u16) {
        if self.certain.contains(object) {
            return;
        }
        let Some(place) = self.owners.get_mut(object.index()) else { return };
        let joined = match *place {
            UNKNOWN => owner,
            known if known == owner || self.is_last_resort => return,
            _ => SHARED,
        };
        if *place != joined {
            *place = joined;
            self.pending.push(object);
        }
    }

    /// Meets what an object refers to.
    fn expand(&mut self, object: ObjectId) {
        let Some(&owner) = self.owners.get(object.index()) else { return };
        if owner == UNKNOWN || self.passed_over.contains(object) {
            return;
        }
        let heap = self.heap;
        let is_function = self.kind(object) == Some(Kind::BuiltinFunction);
        for &target in heap.references(self.space).row(object) {
            let target = ObjectId(target);
            // Interpreters share the functions of C modules, which know the module that was made first.
            if !(is_function && self.kind(target) == Some(Kind::Module)) {
                self.meet(target, owner);
            }
        }
    }

    /// Follows everything that is certain, static objects or the others, and then what that leads to. An
    /// object's owner changes at most twice: O(objects + references).
    fn follow_certain(&mut self, is_static: bool) {
        for index in 0..self.heap.count() {
            let object = ObjectId::from_index(index);
            if self.certain.contains(object) && self.is_static(object) == is_static {
                self.expand(object);
            }
        }
        self.follow();
    }

    fn kind(&self, object: ObjectId) -> Option<Kind> {
        let kind = self.heap.objects().types.get(object.index())?;
        self.heap.walk.plans.get(kind.index())?.as_ref().map(|plan| plan.kind)
    }

    fn is_static(&self, object: ObjectId) -> bool {
        self.heap.objects().flags.get(object.index()).is_some_and(|flags| flags.has(Flags::STATIC))
    }

    fn follow(&mut self) {
        while let Some(object) = self.pending.pop() {
            self.expand(object);
        }
    }
}
