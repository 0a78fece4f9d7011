//! The assembled result: everything a report may ask about one inspected process.

pub mod answers;
pub mod assemble;
mod belonging;
pub mod error;
mod gil;
mod groups;
mod kinds;
pub mod locate;
mod memory;
mod pieces;
pub mod post_mortem;
mod redact;
mod region_map;
pub mod save;
mod sparse;
pub mod summary;
mod symbolless;
mod torn_lists;
mod type_names;
mod unreachable;

use crate::address::Address;
use crate::analysis::partition::Partition;
use crate::analysis::partition::Row;
use crate::memory_map::Bands;
use crate::memory_map::regions::RegionMap;
use crate::target::CaptureStatistics;
use crate::target::Mapping;
use crate::target::TargetDescription;
use std::time::Duration;

pub use answers::Inspection;
pub use assemble::Request;
pub use assemble::inspect;
pub use error::InspectionError;
pub use post_mortem::CoreRequest;
pub use post_mortem::inspect_core;
pub use save::inspect_and_save;

/// Which set of objects and references a report shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum View {
    /// Every object that is in memory, found by reference or by the allocator.
    #[default]
    Complete,
    /// Exactly what heapy's `heap()` has, objects that it would have made included.
    Heapy,
}

/// What an inspection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Purpose {
    /// Which set of objects and references a report shows.
    pub view: View,
    /// Whether it asks who refers to whom. If not, answers that need it are the same but come later, since the
    /// references of all objects are read once more.
    pub needs_references: bool,
}

impl From<View> for Purpose {
    fn from(view: View) -> Self {
        Self { view, needs_references: false }
    }
}

/// How objects are put into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Class or dict owner, heapy's `byclodo`.
    Clodo,
    /// Type, heapy's `bytype`.
    Type,
    /// Module of the class or dict owner.
    Module,
    /// Size of the single object, heapy's `bysize`.
    Size,
    /// The set of clodos of all that refers to an object, heapy's `byrcs`.
    Referrers,
    /// The interpreter whose collector tracks the object.
    Interpreter,
    /// The collector's generation.
    Generation,
}

impl Relation {
    /// Every relation, the usual one first.
    pub const ALL: [Self; 7] = [
        Self::Clodo,
        Self::Type,
        Self::Module,
        Self::Size,
        Self::Referrers,
        Self::Interpreter,
        Self::Generation,
    ];

    /// The word used on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clodo => "clodo",
            Self::Type => "type",
            Self::Module => "module",
            Self::Size => "size",
            Self::Referrers => "rcs",
            Self::Interpreter => "interpreter",
            Self::Generation => "generation",
        }
    }

    /// The relation of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|relation| relation.name() == name)
    }

    /// What stands above the labels; heapy's words where it has the relation.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Clodo => "Kind (class / dict of class)",
            Self::Type => "Type",
            Self::Module => "Module of class / dict of class",
            Self::Size => "Individual Size",
            Self::Referrers => "Referrers by Kind (class / dict of class)",
            Self::Interpreter => "Interpreter",
            Self::Generation => "Generation of the collector",
        }
    }
}

/// A row inside another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedRow {
    /// Label of the row that it is inside of.
    pub outer: String,
    /// The row.
    pub row: Row,
}

/// Objects that no root reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// By type: in the heapy view what heapy's `heapu()` has, in the complete view all of them.
    pub partition: Partition,
    /// Those that the collector would free, or whose last reference is from one of these. heapy's view
    /// leaves them out.
    pub garbage: Total,
}

/// How an object was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundBy {
    /// By a reference and in an allocator's live block (or in a large block).
    Reference,
    /// Only in an allocator's live block: held by C code that we do not know, or leaked.
    Allocator,
    /// In the data of a binary.
    Static,
    /// Not in memory: heapy would have made it, and its view has it.
    Synthetic,
}

impl FoundBy {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Allocator => "allocator",
            Self::Static => "static",
            Self::Synthetic => "synthetic",
        }
    }
}

/// A number of objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of objects.
    pub objects: u64,
    /// Bytes, by `sys.getsizeof`.
    pub bytes: u64,
}

/// The totals of one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapTotals {
    /// Everything in the view.
    pub all: Total,
    /// Found by reference.
    pub by_reference: Total,
    /// Found only by the allocator.
    pub by_allocator_only: Total,
    /// In the data of binaries.
    pub r#static: Total,
    /// Synthetic rows (heapy view only).
    pub synthetic: Total,
}

/// One object, as `heapattach objects` lists it.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRow<'a> {
    /// Where it is; of a synthetic dict the address of its owner.
    pub address: Address,
    /// heapy's label of its type.
    pub type_label: &'a str,
    /// `sys.getsizeof`.
    pub bytes: u64,
    /// heapy's label of its class or dict owner.
    pub clodo: &'a str,
    /// Reference count; `None` for a synthetic object. Immortal objects show the count they carry.
    pub refcount: Option<u64>,
    /// Whether the garbage collector tracks it.
    pub gc_tracked: bool,
    /// How it was found.
    pub found_by: FoundBy,
    /// The number of the interpreter that it belongs to, if it is one alone.
    pub interpreter: Option<u64>,
}

/// Who can see a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `gc.get_referents` lists it.
    Traversed,
    /// heapy lists it, `gc.get_referents` does not.
    Heapy,
    /// Only the layout tells.
    Hidden,
    /// Found by scanning an object whose layout is unknown.
    Conservative,
}

impl ReferenceKind {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traversed => "traversed",
            Self::Heapy => "heapy",
            Self::Hidden => "hidden",
            Self::Conservative => "conservative",
        }
    }
}

/// One reference, as `heapattach references` lists it.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceRow {
    /// The object that refers.
    pub source: Address,
    /// Who can see it.
    pub kind: ReferenceKind,
    /// The object referred to.
    pub target: Address,
}

/// One interpreter of the process and what belongs to it, or what belongs to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterpreterRow {
    /// Its number, 0 for the main one; `None` for what several interpreters share or nobody is known to have.
    pub id: Option<u64>,
    /// What a row for it is called.
    pub label: String,
    /// Number of its thread states.
    pub threads: usize,
    /// Whose lock its threads take: `own`, `shared`, `off`.
    pub lock: Option<&'static str>,
    /// Whether no other interpreter allocates from its memory, but those that have none of their own.
    pub own_allocator: Option<bool>,
    /// Its objects in the view.
    pub total: Total,
}

/// What an interpreter is, apart from its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterpreterFacts {
    /// Its number; 0 is the main one.
    pub id: u64,
    /// Number of its thread states.
    pub threads: usize,
    /// Whose lock its threads take: `own`, `shared`, `off`.
    pub lock: &'static str,
    /// Whether it has an allocator of its own.
    pub own_allocator: bool,
}

/// What was found out about the interpreter.
#[derive(Clone, Debug, Default)]
pub struct InterpreterDescription {
    /// `3.11.7`, `3.14.0rc1`.
    pub version: String,
    /// `release`, `debug`, `free-threaded`.
    pub build: String,
    /// Path of the image that holds the interpreter, as the target sees it.
    pub image_path: String,
    /// Its build id in hexadecimal.
    pub build_id: Option<String>,
    /// Where the layout came from: `table 3.11`, `debug file ...`, ...
    pub layout_source: String,
    /// Whether its `textwrap` cuts long words after hyphens.
    pub breaks_after_hyphen: bool,
    /// Number of interpreters in the process.
    pub interpreters: usize,
    /// Number of Python thread states.
    pub threads: usize,
    /// Each interpreter, the main one first.
    pub each: Vec<InterpreterFacts>,
    /// Of a core file: where the first thread was, in words.
    pub crash_place: Option<String>,
    /// Of a core file: which thread held the interpreter's lock, in words.
    pub gil_holder: Option<String>,
    /// What a reader of the numbers must know about this process, a sentence each; mostly nothing.
    pub notes: Vec<String>,
}

/// Something wrong or odd in the target, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyRow {
    /// What: one of a documented list of words (`broken-gc-list`, ...).
    pub kind: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// How often.
    pub count: u64,
    /// Where it was met first.
    pub first: Option<Address>,
}

/// Memory that an object has outside of itself.
#[derive(Clone, Copy, Debug)]
pub struct BufferRow<'a> {
    /// The object.
    pub object: Address,
    /// heapy's label of its type.
    pub type_label: &'a str,
    /// What the memory is: `array data`, `memory map`.
    pub what: &'a str,
    /// Where it begins.
    pub address: Address,
    /// Its length.
    pub bytes: u64,
    /// Bytes of it that no other row has: over the rows with the same `counted` they add up to what there is.
    pub attributed: u64,
    /// `owner`, `shared` (held by several, freed by the last) or `view`.
    pub role: &'static str,
    /// The object that owns it, if it is another one and known.
    pub owner: Option<Address>,
    /// heapy's label of the owner's type, if the owner is an object of the heap.
    pub owner_label: Option<&'a str>,
    /// Whether `sys.getsizeof` of some object counts it.
    pub counted: bool,
    /// File or kind of memory that it lies in; `None` if it is not mapped, so that nothing counts it.
    pub mapping: Option<&'a str>,
}

/// Something that makes the list of buffers incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferProblem {
    /// One of a documented list of words (`description-refused`, ...).
    pub kind: &'static str,
    /// The type concerned; empty if it is not one.
    pub subject: String,
    /// What is wrong.
    pub description: String,
    /// Objects concerned.
    pub objects: u64,
}

/// Everything a report may ask.
pub trait Answers: Sync {
    /// Whose heap it is.
    fn target(&self) -> &TargetDescription;
    /// How it was copied.
    fn capture(&self) -> &CaptureStatistics;
    /// Which interpreter it is.
    fn interpreter(&self) -> &InterpreterDescription;
    /// The address space, sorted by address.
    fn mappings(&self) -> &[Mapping];
    /// What was wrong with the target, by kind.
    fn anomalies(&self) -> Vec<AnomalyRow>;
    /// Whether everything that was wanted could be read; if not, the program says so by its exit
    /// status.
    fn is_complete(&self) -> bool;
    /// Totals of a view.
    fn totals(&self, view: View) -> HeapTotals;
    /// Each interpreter with what belongs to it, the main one first, and at the end what belongs to none
    /// alone. Cost: one pass over the objects.
    fn interpreters(&self, view: View) -> Vec<InterpreterRow>;
    /// A view split into rows. Cost: one pass over the objects.
    fn partition(&self, view: View, relation: Relation) -> Partition;
    /// One partition inside another: in all rows of the outer one, or in those with the label `only`. Outer rows
    /// by their bytes, in each the inner rows by theirs. Cost: as two partitions.
    fn nested(&self, view: View, outer: Relation, inner: Relation, only: Option<&str>) -> Vec<NestedRow>;
    /// What no root reaches. Cost: one pass over the objects, a few over those.
    fn unreachable(&self, view: View) -> Unreachable;
    /// When the process was copied, since the epoch.
    fn captured_at(&self) -> Duration;
    /// Calls `visit` with address and size of every object of the view, sorted by address; stops when it returns
    /// false. Synthetic objects have no place in memory and are left out.
    fn for_each_span(&self, view: View, visit: &mut dyn FnMut(u64, u64) -> bool);
    /// The recipe's memory map of the objects of the view; synthetic ones have no place in it.
    fn bands(&self, view: View) -> Bands;
    /// The map by mapping of the view's objects and buffers. Cost: some passes over memory and objects.
    fn region_map(&self, view: View) -> RegionMap;
    /// Calls `visit` for every object of the view, sorted by address; stops when it returns false.
    fn for_each_object(&self, view: View, visit: &mut dyn FnMut(&ObjectRow<'_>) -> bool);
    /// Calls `visit` for every buffer of the view's objects, the largest first; stops when it returns false.
    /// Cost: one pass over the objects the first time.
    fn for_each_buffer(&self, view: View, visit: &mut dyn FnMut(&BufferRow<'_>) -> bool);
    /// Memory of buffers that `sys.getsizeof` counts for no object, as stretches (address, bytes) that do not
    /// touch one another, by address: what a list of (address, size) lacks that has the objects only.
    fn uncounted_buffers(&self, view: View) -> &[(u64, u64)];
    /// The recipe's memory map with the buffers that no object counts.
    fn bands_with_buffers(&self, view: View) -> Bands;
    /// Why buffers may be missing.
    fn buffer_problems(&self, view: View) -> Vec<BufferProblem>;
    /// Calls `visit` for every reference between objects, sorted by address of the object that refers;
    /// stops when it returns false. An object that refers twice to another is listed twice.
    fn for_each_reference(&self, visit: &mut dyn FnMut(&ReferenceRow) -> bool);
}
