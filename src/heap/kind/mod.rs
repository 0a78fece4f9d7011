//! Object families whose references need more than a list of fields.
//!
//! `references` is the one place that says what an object refers to, and who sees each reference: the
//! collector's `tp_traverse`, heapy, or only the complete view.

pub mod callable;
pub mod class;
pub mod container;
pub mod execution;
pub mod families;
pub mod instance;
pub mod library;
pub mod module_state;

use crate::address::Address;
use crate::heap::plan::Plan;
use crate::heap::plan::Scan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::types::TypeRecord;

/// The families with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fields and scanned words only.
    Plain,
    /// `tuple`.
    Tuple,
    /// A struct sequence: a tuple with more items than its length.
    StructSequence,
    /// `list`.
    List,
    /// `dict`.
    Dict,
    /// `set`, `frozenset`.
    Set,
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `collections.deque`.
    Deque,
    /// `type` and metaclasses.
    Type,
    /// `builtin_function_or_method`.
    BuiltinFunction,
    /// `code`.
    Code,
    /// `frame`.
    Frame,
    /// `generator`, `coroutine`, `async_generator`.
    Generator,
    /// `module`.
    Module,
    /// `functools._lru_cache_wrapper`.
    LruCache,
    /// `itertools._tee_dataobject`.
    TeeData,
    /// `xml.etree.ElementTree.Element`.
    Element,
    /// `_io.BytesIO`.
    BytesIo,
    /// `datetime.datetime` and `datetime.time`: the time zone is there only if a byte says so.
    TimeWithZone,
    /// A type whose references a description file tells: `numpy.ndarray`.
    Described,
    /// `_io.BufferedRWPair`.
    BufferedPair,
    /// `pyexpat.xmlparser`.
    XmlParser,
    /// `_json.Scanner`.
    JsonScanner,
    /// `PyCapsule`.
    Capsule,
    /// `_queue.SimpleQueue`.
    SimpleQueue,
    /// `_io.StringIO`.
    StringIo,
    /// `_pickle.Pickler`.
    Pickler,
    /// `_pickle.Unpickler`.
    Unpickler,
    /// `operator.methodcaller`.
    MethodCaller,
    /// `sqlite3.Connection`.
    SqliteConnection,
    /// `sqlite3.Cache` (up to 3.10).
    SqliteCache,
    /// `StgDict`: the dict of a ctypes type (up to 3.12).
    StorageDict,
}

/// `tp_name` to family; several names are several versions' spellings.
const NAMES: &[(&str, Kind)] = &[
    ("tuple", Kind::Tuple),
    ("list", Kind::List),
    ("dict", Kind::Dict),
    ("frozendict", Kind::Dict),
    ("set", Kind::Set),
    ("frozenset", Kind::Set),
    ("collections.OrderedDict", Kind::OrderedDict),
    ("collections.deque", Kind::Deque),
    ("type", Kind::Type),
    ("builtin_function_or_method", Kind::BuiltinFunction),
    ("builtin_method", Kind::BuiltinFunction),
    ("code", Kind::Code),
    ("frame", Kind::Frame),
    ("generator", Kind::Generator),
    ("coroutine", Kind::Generator),
    ("async_generator", Kind::Generator),
    ("module", Kind::Module),
    ("functools._lru_cache_wrapper", Kind::LruCache),
    ("itertools._tee_dataobject", Kind::TeeData),
    ("xml.etree.ElementTree.Element", Kind::Element),
    ("_io.BytesIO", Kind::BytesIo),
    ("datetime.datetime", Kind::TimeWithZone),
    ("datetime.time", Kind::TimeWithZone),
    ("StgDict", Kind::StorageDict),
    ("operator.methodcaller", Kind::MethodCaller),
    ("sqlite3.Connection", Kind::SqliteConnection),
    ("sqlite3.Cache", Kind::SqliteCache),
    ("_io.StringIO", Kind::StringIo),
    ("_io.BufferedRWPair", Kind::BufferedPair),
    ("pyexpat.xmlparser", Kind::XmlParser),
    ("_json.Scanner", Kind::JsonScanner),
    ("PyCapsule", Kind::Capsule),
    ("_queue.SimpleQueue", Kind::SimpleQueue),
    ("_pickle.Pickler", Kind::Pickler),
    ("_pickle.Unpickler", Kind::Unpickler),
];

impl Kind {
    /// The family of a C type by its own name; `None` for a type without code of its own.
    pub fn find(record: &TypeRecord) -> Option<Self> {
        let named = NAMES.iter().find(|(name, _)| *name == record.name).map(|&(_, kind)| kind);
        // Every other C type that descends from tuple is a struct sequence (Objects/structseq.c).
        named.or((record.ancestor == Ancestor::Tuple).then_some(Self::StructSequence))
    }
}

/// Receives the references of an object.
pub trait Visit: FnMut(Address, Seen) {}
impl<F: FnMut(Address, Seen)> Visit for F {}

/// Calls `visit` for each reference of `object`, an instance of the planned type. Null pointers are
/// left out; nothing else is checked. Cost: one step per reference.
pub fn references(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    if plan.type_seen != Seen::NOBODY {
        visit(plan.type_address, plan.type_seen);
    }
    for &(offset, seen) in &plan.fields {
        field(space, object.plus(offset), seen, visit);
    }
    if !space.work.take_long(plan.slots.len() as u64) {
        return;
    }
    for &offset in &plan.slots {
        field(space, object.plus(offset), Seen::ALL, visit);
    }
    instance::dict_references(space, plan, object, visit);
    if let Some(scan) = &plan.scan {
        scan_references(space, scan, object, plan, visit);
    }
    match plan.kind {
        Kind::Plain => {}
        Kind::Tuple => container::tuple(space, object, visit),
        Kind::StructSequence => container::struct_sequence(space, plan, object, visit),
        Kind::List => container::list(space, object, visit),
        Kind::Dict => container::dict(space, object, visit),
        Kind::Set => container::set(space, object, visit),
        Kind::OrderedDict => container::ordered_dict(space, object, visit),
        Kind::Deque => container::deque(space, object, visit),
        Kind::Type => {
            class::class(space, object, visit);
            if plan.is_ctypes_metatype {
                library::ctypes_prototype(space, object, visit);
            }
        }
        Kind::BuiltinFunction => callable::builtin_function(space, object, visit),
        Kind::Code => callable::code(space, object, visit),
        Kind::Frame => execution::frame(space, object, visit),
        Kind::Generator => execution::generator(space, plan, object, visit),
        Kind::Module => library::module(space, object, visit),
        Kind::LruCache => library::lru_cache(space, object, visit),
        Kind::TeeData => library::tee_data(space, object, visit),
        Kind::Element => library::element(space, object, visit),
        Kind::BytesIo => library::bytes_io(space, object, visit),
        Kind::TimeWithZone => library::time_with_zone(space, plan, object, visit),
        Kind::BufferedPair => library::buffered_pair(space, object, visit),
        Kind::XmlParser => library::xml_parser(space, plan, object, visit),
        Kind::JsonScanner => library::json_scanner(space, plan, object, visit),
        Kind::Capsule => library::capsule(space, object, visit),
        Kind::SimpleQueue => library::simple_queue(space, object, visit),
        Kind::MethodCaller => library::method_caller(space, object, visit),
        Kind::SqliteConnection => library::sqlite_connection(space, object, visit),
        Kind::SqliteCache => library::sqlite_cache(space, plan, object, visit),
        Kind::StringIo => library::string_io(space, object, visit),
        Kind::Pickler => library::pickler(space, object, visit),
        Kind::Unpickler => library::unpickler(space, object, visit),
        Kind::StorageDict => library::storage_dict(space, object, visit),
        Kind::Described => library::described(space, plan, object, visit),
    }
}

/// One pointer field.
#[inline]
pub fn field(space: &Space<'_>, at: Address, seen: Seen, visit: &mut impl Visit) {
    if let Some(target) = space.image.pointer(at).filter(|target| !target.is_null()) {
        visit(target, seen);
    }
}

/// A field that only some versions have.
#[inline]
pub fn optional_field(
    space: &Space<'_>,
    object: Address,
    offset: Option<u64>,
    seen: Seen,
    visit: &mut impl Visit,
) {
    if let Some(offset) = offset {
        field(space, object.plus(offset), seen, visit);
    }
}

/// An array of pointers.
#[inline]
pub fn array(space: &Space<'_>, start: Address, count: u64, seen: Seen, visit: &mut impl Visit) {
    space.for_each_word(start, count, |word| {
        if word != 0 {
            visit(Address::new(word), seen);
        }
    });
}

/// The most items that are scanned in the variable part of one object of unknown layout.
const MOST_SCANNED_ITEMS: u64 = 1 << 20;

fn scan_references(space: &Space<'_>, scan: &Scan, object: Address, plan: &Plan, visit: &mut impl Visit) {
    let items = if scan.items { space.signed_size(object).unwrap_or(0).unsigned_abs() } else { 0 };
    let items = if items > MOST_SCANNED_ITEMS { 0 } else { items * plan.record.item_size.min(1 << 12) };
    let words = (scan.end + items).saturating_sub(scan.start) / 8;
    let mut offset = scan.start;
    space.for_each_word(object.plus(scan.start), words, |word| {
        if word % 8 == 0 && word > 4096 && !scan.skipped.contains(&offset) {
            visit(Address::new(word), scan.seen);
        }
        offset += 8;
    });
}
