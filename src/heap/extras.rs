//! Objects outside the recognised pool blocks: large ones, static ones, and those in blocks that only
//! a reference shows to be an object. Found while references are followed, by several threads at once.

use crate::address::Address;
use crate::address::AddressRange;
use crate::graph::id::ObjectId;
use crate::graph::object_index::ObjectIndex;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::recent::Recent;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::sweep::PoolPages;
use crate::heap::sweep::TypeCache;
use crate::heap::types::TypeRegistry;
use rustc_hash::FxHashMap;
use std::sync::RwLock;

const NOT_AN_OBJECT: u32 = u32::MAX;
/// Addresses that are no object are remembered up to this many.
const MOST_REMEMBERED: usize = 1 << 18;
/// The most objects of all: ids are 32 bits, and one value says that there is none.
const MOST_OBJECTS: u64 = u32::MAX as u64 - 1;

/// The extras found so far, in the order in which they were found.
#[derive(Default)]
struct State {
    numbers: FxHashMap<u64, u32>,
    addresses: Vec<u64>,
    types: Vec<u32>,
}

/// Shared by all threads of a walk.
pub struct Extras<'a> {
    /// Memory and layouts.
    pub space: &'a Space<'a>,
    /// Types met.
    pub registry: &'a TypeRegistry<'a>,
    /// Which pages are pools.
    pub pool_pages: &'a PoolPages,
    /// Objects that the sweep found.
    pub index: &'a ObjectIndex,
    /// How many.
    pub swept: usize,
    /// Writable data of the binaries, sorted.
    pub static_ranges: &'a [AddressRange],
    state: RwLock<State>,
}

impl<'a> Extras<'a> {
    /// None found yet.
    pub fn new(
        types: (&'a TypeRegistry<'a>, &'a Space<'a>),
        pool_pages: &'a PoolPages,
        swept: (&'a ObjectIndex, usize),
        static_ranges: &'a [AddressRange],
    ) -> Self {
        let ((registry, space), (index, swept)) = (types, swept);
        Self { space, registry, pool_pages, index, swept, static_ranges, state: RwLock::default() }
    }

    /// How many were found.
    pub fn count(&self) -> usize {
        self.state.read().map_or(0, |state| state.addresses.len())
    }

    /// Address and type number of the extras in `range`, in the order in which they were found.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Vec<(Address, u32)> {
        let Ok(state) = self.state.read() else { return Vec::new() };
        let pairs = state.addresses.iter().zip(&state.types);
        pairs
            .skip(range.start)
            .take(range.len())
            .map(|(&address, &number)| (Address::new(address), number))
            .collect()
    }

    /// All of them, in the order in which they were found.
    pub fn into_found(self) -> Vec<(Address, u32)> {
        self.slice(0..self.count())
    }

    /// Whether the address lies in the data of a binary.
    pub fn is_static(&self, address: Address) -> bool {
        let after = self.static_ranges.partition_point(|range| range.start <= address);
        after
            .checked_sub(1)
            .and_then(|index| self.static_ranges.get(index))
            .is_some_and(|range| range.contains(address))
    }

    /// Registers an object whose type is known; its id, counted from the swept ones on.
    fn register(&self, address: Address, number: Option<u32>) -> Option<u32> {
        let mut state = self.state.write().ok()?;
        if let Some(&known) = state.numbers.get(&address.get()) {
            return (known != NOT_AN_OBJECT).then_some(known);
        }
        let next = (self.swept + state.addresses.len()) as u64;
        if let Some(number) = number.filter(|_| next < MOST_OBJECTS) {
            state.numbers.insert(address.get(), next as u32);
            state.addresses.push(address.get());
            state.types.push(number);
            Some(next as u32)
        } else {
            if state.numbers.len() < MOST_REMEMBERED + state.addresses.len() {
                state.numbers.insert(address.get(), NOT_AN_OBJECT);
            }
            None
        }
    }
}

/// A thread's way from addresses to ids.
pub struct Resolver<'a> {
    extras: &'a Extras<'a>,
    types: TypeCache<'a>,
    recent: Recent,
    known: FxHashMap<u64, u32>,
    /// What this thread met.
    pub anomalies: Anomalies,
}

impl<'a> Resolver<'a> {
    /// A resolver that shares `extras` with others.
    pub fn new(extras: &'a Extras<'a>) -> Self {
        let types = TypeCache::new(extras.space, extras.registry, extras.pool_pages);
        Self {
            extras,
            types,
            recent: Recent::default(),
            known: FxHashMap::default(),
            anomalies: Anomalies::default(),
        }
    }

    /// The object at `target`, if there is one: a swept one, or an extra, which is registered when it
    /// is met first. A reference that is not a scanned word and leads to no object is an anomaly.
    #[inline]
    pub fn resolve(&mut self, target: Address, seen: Seen) -> Option<ObjectId> {
        let page = self.extras.space.image.page_of(target);
        if let Some(page) = page
            && let Some(id) = self.extras.index.find(page, target)
        {
            return Some(id);
        }
        self.resolve_extra(target, page, seen)
    }

    fn resolve_extra(&mut self, target: Address, page: Option<u32>, seen: Seen) -> Option<ObjectId> {
        if let Some(id) = self.recent.get(target) {
            return Some(ObjectId(id));
        }
        let is_scanned = seen.meets(Seen::SCANNED);
        let in_pool = page.is_some_and(|page| self.extras.pool_pages.contains(page));
        if is_scanned && (in_pool || page.is_none()) {
            return None;
        }
        if let Some(&id) = self.known.get(&target.get()) {
            if id == NOT_AN_OBJECT && !is_scanned {
                self.anomalies.add(AnomalyKind::DanglingReference, Some(target));
            }
            let id = (id != NOT_AN_OBJECT).then_some(id)?;
            self.recent.set(target, id);
            return Some(ObjectId(id));
        }
        if page.is_none() {
            self.extras.space.image.note_missing(target);
        }
        let number = page.and_then(|_| self.validate(target, is_scanned));
        if number.is_none() && is_scanned {
            // More is asked of a scanned word: a field may still say that an object is here.
            return None;
        }
        let id = self.extras.register(target, number);
        if id.is_none() && !is_scanned {
            self.anomalies.add(AnomalyKind::DanglingReference, Some(target));
        }
        if id.is_some() || self.known.len() < MOST_REMEMBERED {
            self.known.insert(target.get(), id.unwrap_or(NOT_AN_OBJECT));
        }
        id.map(ObjectId)
    }

    /// The number of the type of the living object at `target`, if there is one.
    fn validate(&mut self, target: Address, is_scanned: bool) -> Option<u32> {
        let space = self.extras.space;
        if !target.is_aligned(8) || space.is_dead(target) {
            return None;
        }
        let number = self.types.number(space.type_of(target)?.get())?;
        let shape = self.types.shape(number)?;
        let is_static = self.extras.is_static(target);
        if is_scanned && !is_static {
            // malloc gives 16-byte aligned blocks; a word that points elsewhere is no reference.
            if !target.minus(u64::from(shape.pre_header)).is_aligned(16) {
                return None;
            }
            if shape.is_gc && !space.has_collector_header(target) {
                return None;
            }
        }
        Some(number)
    }

    /// Registers a synthetic object (a frame that heapy would make) at an address where no object is.
    pub fn register_synthetic(&mut self, address: Address, number: u32) -> Option<ObjectId> {
        self.extras.register(address, Some(number)).map(ObjectId)
    }
}
