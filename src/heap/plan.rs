//! What is done with the instances of a type, decided once per type: where their references are, who
//! sees them, and how their size is computed.

use crate::address::Address;
use crate::descriptions::Bound;
use crate::descriptions::Entry;
use crate::descriptions::Refusal;
use crate::heap::kind::Kind;
use crate::heap::kind::families;
use crate::heap::kind::families::Family;
use crate::heap::kind::instance;
use crate::heap::seen::Seen;
use crate::heap::size;
use crate::heap::size::SizeRule;
use crate::heap::space::FLAG_MANAGED_DICT;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::types::TypeRecord;
use crate::heap::types::TypeRegistry;
use crate::layout::table::Table;
use std::sync::Arc;

/// `Py_T_OBJECT_EX`, `Include/descrobject.h` (`T_OBJECT_EX` in structmember.h before 3.12): the member
/// kind of a name in `__slots__`, and the only one that `traverse_slots` visits.
const MEMBER_OBJECT_EX: u32 = 16;
/// `METH_METHOD` is the kind's business; a class has at most this many slots, more is damage.
const MOST_SLOTS: u64 = 10_000;

/// Where the `__dict__` of an instance is, as far as the class statement put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictPlace {
    /// It has none, or the C layout has it as an ordinary field.
    None,
    /// So many bytes after the start.
    At(u64),
    /// So many bytes before the end of the variable part.
    BeforeEnd(u64),
    /// In the words before the object, or inline values (`Py_TPFLAGS_MANAGED_DICT`).
    Managed,
}

/// A part of an object whose layout is unknown: its words are looked at one by one.
#[derive(Clone, Debug)]
pub struct Scan {
    /// First byte.
    pub start: u64,
    /// First byte after it, without items.
    pub end: u64,
    /// Whether the variable part belongs to it.
    pub items: bool,
    /// Offsets of words that are no reference: weak reference lists, fields handled otherwise.
    pub skipped: Vec<u64>,
    /// Who sees what is found.
    pub seen: Seen,
}

/// What is done with the instances of one type.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the type object is.
    pub type_address: Address,
    /// The layout that needs code of its own, if any.
    pub kind: Kind,
    /// Fields that refer, by offset.
    pub fields: Vec<(u64, Seen)>,
    /// What must be scanned.
    pub scan: Option<Scan>,
    /// `__slots__` of all classes, by offset.
    pub slots: Vec<u64>,
    /// The instance's dict.
    pub dict: DictPlace,
    /// Who sees that an instance refers to its type.
    pub type_seen: Seen,
    /// `tp_dictoffset`, flags and sizes of the type itself.
    pub record: TypeRecord,
    /// How the size is computed.
    pub size_rule: SizeRule,
    /// Whether a class or a C type defines a `__sizeof__` that is not known, so that the size is not what it
    /// would say.
    pub overrides_size: bool,
    /// `tp_basicsize` of the type that owns the C layout.
    pub owner_basic_size: u64,
    /// Whether instances are types of ctypes.
    pub is_ctypes_metatype: bool,
    /// What description files say of the type, for its objects to choose from.
    pub described: Vec<Arc<Entry>>,
    /// Why what they say is not used.
    pub refusal: Option<Refusal>,
    /// Whether instances refer to nothing and no collector has them: numbers and text, most of all objects.
    pub is_leaf: bool,
    /// Where an instance has the pointer to memory of its own that is read with it, from its start on.
    pub own_memory: Option<i64>,
    /// `sys.getsizeof` of every instance, if all are of one size. Unit: bytes.
    pub fixed_size: Option<u64>,
}

impl Plan {
    fn refers_to_nothing(&self) -> bool {
        self.kind == Kind::Plain
            && self.type_seen == Seen::NOBODY
            && self.fields.is_empty()
            && self.slots.is_empty()
            && self.scan.is_none()
            && self.dict == DictPlace::None
            && self.record.dict_offset == 0
            && !self.record.is_gc()
    }
}

/// Everything that planning a type needs.
pub struct Planner<'a> {
    /// Memory and layouts.
    pub space: &'a Space<'a>,
    /// The raw table, for fields that are named in data.
    pub table: &'a Table,
    /// Memory outside the objects, and types that are known by description only.
    pub descriptions: &'a Bound,
    /// `tp_dealloc` of every class made by a class statement.
    pub subtype_dealloc: Address,
    /// `types.FrameType`, if it is known.
    pub frame_type: Option<Address>,
}

impl Planner<'_> {
    fn is_python_class(&self, record: &TypeRecord) -> bool {
        record.is_heap() && !self.subtype_dealloc.is_null() && record.dealloc == self.subtype_dealloc
    }

    /// Plans the type with this number.
    pub fn plan(&self, registry: &TypeRegistry<'_>, number: u32) -> Option<Plan> {
        let chain = registry.chain(number);
        let record = chain.first()?.clone();
        let classes = chain.iter().take_while(|record| self.is_python_class(record)).count();
        let owner = chain.get(classes).or_else(|| chain.last())?.clone();
        let bases = chain.get(classes..).unwrap_or(&[]);
        let described = bases.iter().enumerate().find_map(|(index, base)| {
            let found = self.descriptions.find(&base.name, base.basic_size, base.item_size > 0)?;
            Some((index, found))
        });
        let (described_at, described, refusal) = match described {
            Some((_, found)) if found.entries.is_empty() => (None, Vec::new(), found.refusal),
            Some((index, found)) => (Some(index), found.entries, found.refusal),
            None => (None, Vec::new(), None),
        };
        let says_all = !described.is_empty() && described.iter().all(|entry| entry.says_references());
        let known = bases.iter().position(|base| Kind::find(base).is_some() || self.family(base).is_some());
        let known = known.into_iter().chain(described_at.filter(|_| says_all)).min();
        let mut plan = Plan {
            type_address: record.address,
            kind: Kind::Plain,
            fields: Vec::new(),
            scan: None,
            slots: Vec::new(),
            dict: DictPlace::None,
            type_seen: self.type_seen(&record, &owner, classes > 0),
            size_rule: SizeRule::of(&chain),
            overrides_size: chain.iter().take(classes).any(|class| self.defines_size(class)),
            owner_basic_size: owner.basic_size,
            // Those that visit what a plain type does not have their own tp_traverse.
            is_ctypes_metatype: owner.name.starts_with("_ctypes.")
                && bases.iter().any(|base| base.name == "type" && base.traverse != owner.traverse),
            record,
            described,
            refusal,
            is_leaf: false,
            own_memory: None,
            fixed_size: None,
        };
        if plan.size_rule == SizeRule::Default
            && !plan.described.is_empty()
            && plan.described.iter().all(|entry| entry.says_size())
        {
            plan.size_rule = SizeRule::Described;
        }
        // A C type with a __sizeof__ that we have no rule for; that of object is the default.
        let is_unknown = |base: &TypeRecord| !base.base.is_null() && self.defines_size(base);
        plan.overrides_size |= plan.size_rule == SizeRule::Default && bases.iter().any(is_unknown);
        let base = known.and_then(|index| bases.get(index));
        if let Some(base) = base {
            let by_description = says_all && known == described_at;
            let otherwise = if by_description { Kind::Described } else { Kind::Plain };
            plan.kind = Kind::find(base).unwrap_or(otherwise);
            if let Some(family) = self.family(base) {
                plan.fields = self.fields(family, base);
            }
        }
        plan.scan = self.scan(&owner, base, &plan);
        for class in chain.iter().take(classes) {
            plan.slots.extend(self.slots(class));
        }
        // In a sound class no two slots are in the same place.
        plan.slots.sort_unstable();
        plan.slots.dedup();
        plan.dict = dict_place(&plan.record, &owner, classes > 0);
        plan.is_leaf = plan.refers_to_nothing();
        plan.own_memory = self.own_memory(&plan);
        plan.fixed_size = size::fixed_size(self.space, &plan);
        Some(plan)
    }

    fn own_memory(&self, plan: &Plan) -> Option<i64> {
        let layouts = self.space.layouts;
        let offset = match plan.kind {
            Kind::List => layouts.list.items,
            Kind::Dict | Kind::OrderedDict => layouts.dict.keys,
            Kind::Set => layouts.set.table,
            Kind::Deque => layouts.deque.leftblock,
            Kind::Plain if plan.dict == DictPlace::Managed => {
                return instance::values_pointer(self.space.features.managed_dict);
            }
            _ => return None,
        };
        i64::try_from(offset).ok()
    }

    fn defines_size(&self, class: &TypeRecord) -> bool {
        let dict = self.space.image.pointer(class.address.plus(self.space.layouts.type_object.dict));
        dict.filter(|dict| !dict.is_null())
            .is_some_and(|dict| self.space.find_in_dict(dict, "__sizeof__").is_some())
    }

    fn family(&self, record: &TypeRecord) -> Option<&'static Family> {
        // A class statement may give its class any name; only a C type is known by its name.
        let family = if self.is_python_class(record) { None } else { families::find(&record.name) };
        // Of what no table has, nothing is known: it is looked through.
        let size = |family: &Family| self.table.get(&format!("sizeof({})", family.structure));
        family.filter(|family| {
            size(family).is_some_and(|size| !family.differs_by_build || size.offset == record.basic_size)
        })
    }

    fn fields(&self, family: &Family, record: &TypeRecord) -> Vec<(u64, Seen)> {
        let features = &self.space.features.visits;
        let traversed = if record.traverse.is_null() { Seen::HELD } else { Seen::ALL };
        let mut fields = Vec::new();
        let mut add = |names: &[&str], otherwise: Seen| {
            for name in names {
                let key = format!("{}.{name}", family.structure);
                let seen = if features.visited.contains(&&*key) { traversed } else { otherwise };
                let entry = self.table.get(&key).filter(|_| !features.plain.contains(&&*key));
                fields.extend(entry.map(|entry| (entry.offset, seen)));
            }
        };
        add(family.visited, traversed);
        add(family.held, Seen::HELD);
        add(family.perhaps, traversed.with(Seen::SCANNED));
        fields
    }

    fn type_seen(&self, record: &TypeRecord, owner: &TypeRecord, is_python_class: bool) -> Seen {
        if !record.is_heap() {
            return Seen::NOBODY;
        }
        // type_traverse visits no metatype of a type that is not itself an instance of a Python class,
        // and heapy replaces the traversal of types (stdtypes.c of guppy3, type_traverse).
        if Kind::find(owner) == Some(Kind::Type) {
            return if is_python_class { Seen::COLLECTOR.with(Seen::HELD) } else { Seen::HELD };
        }
        if !is_python_class && !self.space.features.instance_visits_type {
            return Seen::HELD;
        }
        // A Python class leaves the visit to its C base if that is a heap type (subtype_traverse).
        if record.traverse.is_null() || self.space.features.visits.hide_type.contains(&owner.name.as_str()) {
            return Seen::HELD;
        }
        // heapy's own traversal is that of all metatypes.
        if owner.ancestor == Ancestor::Type { Seen::COLLECTOR.with(Seen::HELD) } else { Seen::ALL }
    }

    fn scan(&self, owner: &TypeRecord, base: Option<&TypeRecord>, plan: &Plan) -> Option<Scan> {
        let header = self.space.layouts.object.sizeof;
        let start = match base {
            Some(base) if base.address == owner.address => return None,
            // Every type descends from object, which says nothing about the rest.
            Some(base) => base.basic_size.max(header),
            None => header,
        };
        if start >= owner.basic_size && owner.item_size == 0 {
            return None;
        }
        let mut skipped: Vec<u64> = plan.fields.iter().map(|&(offset, _)| offset).collect();
        skipped.extend(u64::try_from(owner.weaklist_offset).ok().filter(|&offset| offset > 0));
        // heapy has its own traversal of types, which stops at what every type has.
        let seen = match owner.ancestor {
            _ if owner.traverse.is_null() => Seen::HELD,
            _ if self.space.features.visits.only_type.contains(&owner.name.as_str()) => Seen::HELD,
            Ancestor::Type => Seen::COLLECTOR.with(Seen::HELD),
            _ => Seen::ALL,
        };
        Some(Scan {
            start: start.next_multiple_of(8),
            end: owner.basic_size,
            items: owner.item_size > 0,
            skipped,
            seen: seen.with(Seen::SCANNED),
        })
    }

    /// Offsets of the object members that a class statement made from `__slots__`: they follow the
    /// type object (`PyHeapType_GET_MEMBERS`, Objects/typeobject.c).
    fn slots(&self, class: &TypeRecord) -> Vec<u64> {
        let space = self.space;
        let read = || {
            let count = space.size(class.address)?.min(MOST_SLOTS);
            let meta_basic_size =
                space.image.word(class.metatype.plus(space.layouts.type_object.basicsize))?;
            let layout = &space.layouts.member_def;
            let first = class.address.plus(meta_basic_size);
            let mut slots = Vec::new();
            for index in 0..count {
                let member = first.plus(index * layout.sizeof);
                let kind = space.image.word32(member.plus(layout.kind))?;
                let offset = space.image.word(member.plus(layout.offset))?;
                if kind == MEMBER_OBJECT_EX && offset < class.basic_size {
                    slots.push(offset);
                }
            }
            Some(slots)
        };
        read().unwrap_or_default()
    }
}

fn dict_place(record: &TypeRecord, owner: &TypeRecord, is_python_class: bool) -> DictPlace {
    if record.flags & FLAG_MANAGED_DICT != 0 && record.is_heap() {
        return DictPlace::Managed;
    }
    if !is_python_class || record.dict_offset == owner.dict_offset {
        return DictPlace::None;
    }
    DictPlace::of_offset(record.dict_offset)
}

impl DictPlace {
    /// What a `tp_dictoffset` says.
    pub fn of_offset(offset: i64) -> Self {
        match offset {
            0 => Self::None,
            // -1 marks a managed dict in 3.11 and later.
            -1 => Self::Managed,
            1.. => Self::At(offset.unsigned_abs()),
            _ => Self::BeforeEnd(offset.unsigned_abs()),
        }
    }
}
