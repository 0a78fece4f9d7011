//! The types of the target: what an `ob_type` word must point at to be believed, and what each says.
//!
//! Types are met in no particular order by several threads at once, so a type gets a number when it
//! is first met; `TypeTable` renumbers them by address at the end, which makes results the same every time.

use crate::address::Address;
use crate::graph::id::TypeId;
use crate::heap::space::Space;
use crate::target::Memory;
use rustc_hash::FxHashMap;
use std::sync::RwLock;

/// `Py_TPFLAGS_HEAPTYPE`, `Include/object.h`.
pub const FLAG_HEAP: u64 = 1 << 9;
/// `Py_TPFLAGS_READY`, `Include/object.h`.
const FLAG_READY: u64 = 1 << 12;
/// `Py_TPFLAGS_HAVE_GC`, `Include/object.h`.
pub const FLAG_GC: u64 = 1 << 14;
const FLAG_LONG: u64 = 1 << 24;
const FLAG_TUPLE: u64 = 1 << 26;
const FLAG_BYTES: u64 = 1 << 27;
const FLAG_UNICODE: u64 = 1 << 28;
const FLAG_DICT: u64 = 1 << 29;
/// `Py_TPFLAGS_BASE_EXC_SUBCLASS`, `Include/object.h`.
pub const FLAG_EXCEPTION: u64 = 1 << 30;
const FLAG_TYPE: u64 = 1 << 31;
/// No type object is larger, in its instances' fixed part, than this; larger is damage. Unit: bytes.
const LARGEST_BASIC_SIZE: u64 = 1 << 24;
const LONGEST_NAME: usize = 1000;
/// More types than this are damage: those that are met later are none.
const MOST_TYPES: usize = 1 << 20;
/// Types whose names are longer than this on average are damage as well. Unit: bytes.
const MOST_NAME_BYTES: usize = 1 << 28;
/// Addresses that are no type are remembered up to this many.
const MOST_REMEMBERED: usize = 1 << 20;
const DEEPEST_CHAIN: usize = 64;

/// The builtin that a type descends from, by its `tp_flags`: it fixes how instances are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestor {
    /// None of the following.
    Other,
    /// `int`.
    Long,
    /// `tuple`.
    Tuple,
    /// `bytes`.
    Bytes,
    /// `str`.
    Unicode,
    /// `dict`.
    Dict,
    /// `type`.
    Type,
}

/// What a type object says about its instances.
#[derive(Clone, Debug)]
pub struct TypeRecord {
    /// Where the type object is.
    pub address: Address,
    /// Its own type.
    pub metatype: Address,
    /// `tp_name`, bytes that are not UTF-8 replaced.
    pub name: String,
    /// `tp_basicsize`, in bytes.
    pub basic_size: u64,
    /// `tp_itemsize`, in bytes.
    pub item_size: u64,
    /// `tp_flags`.
    pub flags: u64,
    /// `tp_base`.
    pub base: Address,
    /// `tp_dictoffset`.
    pub dict_offset: i64,
    /// `tp_weaklistoffset`.
    pub weaklist_offset: i64,
    /// `tp_traverse`.
    pub traverse: Address,
    /// `tp_dealloc`.
    pub dealloc: Address,
    /// Bytes that lie before an instance in its block.
    pub pre_header: u64,
    /// The builtin it descends from.
    pub ancestor: Ancestor,
}

impl TypeRecord {
    /// Whether the type was made at run time rather than being a C variable.
    pub const fn is_heap(&self) -> bool {
        self.flags & FLAG_HEAP != 0
    }

    /// Whether instances have a collector header.
    pub const fn is_gc(&self) -> bool {
        self.flags & FLAG_GC != 0
    }
}

/// The types met so far, shared by the threads of the walk.
pub struct TypeRegistry<'a> {
    space: &'a Space<'a>,
    /// `PyType_Type`.
    type_type: Address,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    numbers: FxHashMap<u64, Option<u32>>,
    records: Vec<TypeRecord>,
    name_bytes: usize,
}

/// The types by number, at the end.
pub struct TypeTable {
    /// By [`TypeId`], sorted by address.
    pub records: Vec<TypeRecord>,
    /// From the number a type got when it was met to its id.
    pub ids: Vec<TypeId>,
}

impl TypeTable {
    /// The id of the type at `address`. O(log types).
    pub fn find(&self, address: Address) -> Option<TypeId> {
        self.records.binary_search_by_key(&address, |record| record.address).ok().map(TypeId::from_index)
    }

    /// A type's record.
    pub fn record(&self, id: TypeId) -> Option<&TypeRecord> {
        self.records.get(id.index())
    }
}

impl<'a> TypeRegistry<'a> {
    /// An empty registry that believes in `type_type` as the type of types.
    pub fn new(space: &'a Space<'a>, type_type: Address) -> Self {
        Self { space, type_type, state: RwLock::default() }
    }

    /// The number of the type at `address`, if there is one there.
    pub fn number(&self, address: Address) -> Option<u32> {
        if let Ok(state) = self.state.read()
            && let Some(&number) = state.numbers.get(&address.get())
        {
            return number;
        }
        let record = self.read_type(address, 0);
        let mut state = self.state.write().ok()?;
        if let Some(&number) = state.numbers.get(&address.get()) {
            return number;
        }
        let is_full = state.records.len() >= MOST_TYPES || state.name_bytes >= MOST_NAME_BYTES;
        let record = record.filter(|_| !is_full);
        let number = record.is_some().then_some(state.records.len() as u32);
        if number.is_some() || state.numbers.len() < MOST_REMEMBERED + state.records.len() {
            state.numbers.insert(address.get(), number);
        }
        state.name_bytes += record.as_ref().map_or(0, |record| record.name.len());
        state.records.extend(record);
        number
    }

    /// A copy of the record with this number.
    pub fn record(&self, number: u32) -> Option<TypeRecord> {
        self.state.read().ok()?.records.get(number as usize).cloned()
    }

    /// The most common `tp_dealloc` of heap types: `subtype_dealloc` (Objects/typeobject.c), which every
    /// class made by a class statement has and which no symbol of a stripped binary names.
    pub fn common_dealloc(&self) -> Address {
        let Ok(state) = self.state.read() else { return Address::NULL };
        let mut counts: std::collections::BTreeMap<Address, u32> = std::collections::BTreeMap::new();
        for record in state.records.iter().filter(|record| record.is_heap()) {
            *counts.entry(record.dealloc).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|&(address, count)| (count, address))
            .map_or(Address::NULL, |(address, _)| address)
    }

    /// How many types were met.
    pub fn count(&self) -> usize {
        self.state.read().map_or(0, |state| state.records.len())
    }

    /// All types, sorted by address.
    pub fn table(&self) -> TypeTable {
        let records = self.state.read().map(|state| state.records.clone()).unwrap_or_default();
        let mut order: Vec<u32> = (0..records.len() as u32).collect();
        order.sort_by_key(|&number| records[number as usize].address);
        let mut ids = vec![TypeId(0); records.len()];
        for (id, &number) in order.iter().enumerate() {
            ids[number as usize] = TypeId::from_index(id);
        }
        let mut sorted = records;
        sorted.sort_by_key(|record| record.address);
        TypeTable { records: sorted, ids }
    }

    /// Reads a type object; `None` unless it is believable: its own type is a type, all the way up
    /// to `PyType_Type`, it was made ready, and its sizes and name make sense.
    fn read_type(&self, address: Address, depth: usize) -> Option<TypeRecord> {
        let space = self.space;
        let fields = &space.layouts.type_object;
        if !address.is_aligned(8) || depth > 8 || space.is_dead(address) {
            return None;
        }
        let metatype = space.type_of(address)?;
        let flags = space.image.word(address.plus(fields.flags))?;
        let ready = flags & FLAG_READY != 0;
        if !ready && !self.is_type_in_waiting(address, metatype, flags) {
            return None;
        }
        if address != self.type_type && ready {
            if metatype == address {
                return None;
            }
            if metatype != self.type_type {
                let metaflags = self.read_type(metatype, depth + 1)?.flags;
                if metaflags & FLAG_TYPE == 0 {
                    return None;
                }
            }
        }
        let basic_size = space.image.word(address.plus(fields.basicsize))?;
        let item_size = space.image.word(address.plus(fields.itemsize))?;
        if !(16..LARGEST_BASIC_SIZE).contains(&basic_size) || item_size >= LARGEST_BASIC_SIZE {
            return None;
        }
        let name = space.image.pointer(address.plus(fields.name))?;
        let name = space.image.read_c_string(name, LONGEST_NAME).ok().filter(|name| !name.is_empty())?;
        Some(TypeRecord {
            address,
            metatype,
            name: String::from_utf8_lossy(&name).into_owned(),
            basic_size,
            item_size,
            flags,
            base: space.image.pointer(address.plus(fields.base))?,
            dict_offset: space.image.signed(address.plus(fields.dictoffset))?,
            weaklist_offset: space.image.signed(address.plus(fields.weaklistoffset))?,
            traverse: space.image.pointer(address.plus(fields.traverse))?,
            dealloc: space.image.pointer(address.plus(fields.dealloc))?,
            pre_header: space.pre_header(flags),
            ancestor: ancestor(flags),
        })
    }

    /// Whether it is a C type that nobody made ready although it has instances: private types are used
    /// without that until somebody asks for an attribute (`_PyMemoryIter_Type`, Objects/memoryobject.c in
    /// 3.10; `PyArrayIter_Type`, Modules/arraymodule.c up to 3.9). All that it has was written by a compiler.
    fn is_type_in_waiting(&self, address: Address, metatype: Address, flags: u64) -> bool {
        let space = self.space;
        let fields = &space.layouts.type_object;
        let is_null = |offset: u64| space.image.word(address.plus(offset)) == Some(0);
        let count = space.layouts.object.refcount;
        let is_first_count = count.is_none_or(|offset| space.image.word(address.plus(offset)) == Some(1));
        let name = || {
            let name = space.image.pointer(address.plus(fields.name))?;
            space.image.read_c_string(name, LONGEST_NAME).ok()
        };
        let is_name = |name: Vec<u8>| {
            !name.is_empty()
                && name.iter().all(|&byte| byte == b'.' || byte == b'_' || byte.is_ascii_alphanumeric())
        };
        (metatype == self.type_type || metatype.is_null())
            && flags & FLAG_HEAP == 0
            && is_first_count
            && [fields.dict, fields.mro, fields.subclasses].into_iter().all(is_null)
            && !is_null(fields.dealloc)
            && name().is_some_and(is_name)
    }

    /// The type and its bases (`tp_base`), from itself up to `object`; cut where a base is no type
    /// and after as many steps as no real program has.
    pub fn chain(&self, number: u32) -> Vec<TypeRecord> {
        let mut chain = Vec::new();
        let mut next = Some(number);
        while let Some(record) = next.and_then(|number| self.record(number)) {
            next = if record.base.is_null() || chain.len() >= DEEPEST_CHAIN {
                None
            } else {
                self.number(record.base)
            };
            chain.push(record);
        }
        chain
    }
}

fn ancestor(flags: u64) -> Ancestor {
    [
        (FLAG_LONG, Ancestor::Long),
        (FLAG_TUPLE, Ancestor::Tuple),
        (FLAG_BYTES, Ancestor::Bytes),
        (FLAG_UNICODE, Ancestor::Unicode),
        (FLAG_DICT, Ancestor::Dict),
        (FLAG_TYPE, Ancestor::Type),
    ]
    .into_iter()
    .find(|&(flag, _)| flags & flag != 0)
    .map_or(Ancestor::Other, |(_, ancestor)| ancestor)
}
