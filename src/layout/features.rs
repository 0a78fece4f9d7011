//! Named differences of meaning between CPython versions: the only place that tests versions.
//!
//! Where a field is, is a number in a table; what it means, is here. Each item cites the CPython
//! file that defines it. Nothing outside `layout/` compares version numbers.

use crate::layout::code_size_features::CodeSizeFeatures;
use crate::layout::free_threading::FreeThreading;
use crate::layout::heapy_features::HeapyFeatures;
use crate::layout::module_features::ModuleFeatures;
use crate::layout::version::Build;
use crate::layout::version::Level;
use crate::layout::version::Version;
use crate::layout::visit_features::VisitFeatures;

/// Which structure holds the collector's state and its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorOwner {
    /// `_PyRuntime.gc`, up to 3.8 (`Include/internal/pycore_pystate.h`), and what was there of it before 3.7.
    Runtime,
    /// `PyInterpreterState.gc`, 3.9 on (`Include/internal/pycore_interp.h`).
    Interpreter,
}

/// Which lists the collector keeps (`Include/internal/pycore_gc.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorLists {
    /// `generations[3]` and, from 3.7 on, `permanent_generation`.
    Generations,
    /// `young`, `old[2]` and `permanent_generation`; bit 0 of `_gc_next` tells the old space (3.14.0-3.14.4).
    Incremental,
    /// None: tracked objects are found in the allocator's pages (free-threaded builds).
    None,
}

/// Where an instance of a `Py_TPFLAGS_MANAGED_DICT` type keeps its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedDict {
    /// There are no such types (up to 3.10).
    None,
    /// 3.11 (`Include/internal/pycore_object.h`): `PyDictValues *` at -32, dict at -24, before the object.
    TwoPointers,
    /// 3.12: one word at -24: odd is `PyDictValues *` plus one, even is the dict; weakrefs at -32.
    TaggedWord,
    /// 3.13 on: the dict at -24 (free-threaded: -8), weakrefs at -32 (free-threaded: -16); values inside the
    /// object from `tp_basicsize` on, if the type has `Py_TPFLAGS_INLINE_VALUES` and `valid` is set.
    InlineValues,
}

/// What `sys.getsizeof` adds to `__sizeof__` (`Python/sysmodule.c`, `_PySys_GetSizeOf`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderSize {
    /// A collector head if `PyObject_IS_GC`, which asks `tp_is_gc`: none for static types (up to 3.10).
    IfCollected,
    /// By the type's flags alone: a head for `HAVE_GC`, two words for a managed dict (3.11).
    ByFlagsManagedDict,
    /// By flags: a head for `HAVE_GC`, two words for a managed dict or weakref list (3.12).
    ByFlagsPreheader,
    /// As before, and nothing for static types (3.13 on).
    ByFlagsNotStatic,
    /// Two words for a managed dict or weakref list; there are no heads (free-threaded).
    PreheaderOnly,
}

/// How the words of a frame's stack and locals are tagged (`Include/internal/pycore_stackref.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackRefTags {
    /// Plain pointers.
    None,
    /// Bit 0 set: a deferred reference; the pointer is the rest (free-threaded 3.13).
    Deferred,
    /// 3.14 on: both low bits set: an integer; bit 0 set: a borrowed reference; the word 1 is null.
    Tagged,
}

/// How `gi_frame_state` is encoded (`Include/internal/pycore_frame.h`, `enum _framestate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorStates {
    /// A generator points to a frame object (up to 3.10).
    FrameObject,
    /// Signed: -3 to -1 created or suspended, 0 executing, 1 completed, 4 cleared (3.11-3.14).
    Signed,
    /// Unsigned: 0 to 3 created or suspended, 4 executing, 5 cleared (3.15).
    Unsigned,
}

/// Which of an instance's values and dict its traverse visits (`Objects/typeobject.c`,
/// `subtype_traverse`; `Objects/dictobject.c`, `PyObject_VisitManagedDict`; gh-130327). See
/// [`crate::layout::code_evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineVisit {
    /// The values while they are valid, else the dict.
    ValuesFirst,
    /// The dict if there is one, else the values while they are valid.
    DictFirst,
}

/// How the members of a free list are linked (`Include/internal/pycore_freelist.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeListLink {
    /// Arrays, or through a field of the object; the reference count is zero (up to 3.13).
    ZeroRefcount,
    /// Through the first word, where the reference count was: a member looks alive (3.14 on).
    FirstWord,
}

/// Where the free lists are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeListOwner {
    /// Static variables of many C files (up to 3.9).
    Static,
    /// Fields of the interpreter (3.10-3.12).
    InterpreterFields,
    /// `PyInterpreterState.object_state.freelists` (3.13 on).
    Interpreter,
    /// `_PyThreadStateImpl.freelists` (free-threaded).
    Thread,
}

/// How an immortal object is told by its reference count (`Include/refcount.h`, `_Py_IsImmortal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImmortalRule {
    /// There are none (up to 3.11).
    None,
    /// The low 32 bits are negative as a signed number (3.12, 3.13, 3.14 on).
    LowWordNegative,
    /// `ob_ref_local` is all ones (free-threaded).
    LocalAllOnes,
}

/// Where the tables of pymalloc are (`Objects/obmalloc.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaTable {
    /// Static variables `arenas` and `maxarenas` (up to 3.11).
    Static,
    /// Inside the interpreter (3.12).
    Embedded,
    /// The interpreter points to it (3.13 on).
    Pointer,
    /// There is no pymalloc: mimalloc's pages hold everything (free-threaded).
    Mimalloc,
}

/// How a running frame says that its stack depth is unknown (`Include/internal/pycore_frame.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameDepth {
    /// `f_stacktop` (a pointer; null while running), up to 3.9.
    StackTopPointer,
    /// `f_stackdepth` (a number; -1 while running), 3.10.
    StackDepth,
    /// `stacktop` counts from `localsplus`; -1 while running (3.11-3.13).
    StackTop,
    /// `stackpointer`; null while running (3.14 on).
    StackPointer,
}

/// Every difference of meaning, for one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// No GIL: objects have thread ids, split counts and no collector head (`Include/object.h`).
    pub free_threading: Option<FreeThreading>,
    /// The structure that holds the collector's lists.
    pub collector_owner: CollectorOwner,
    /// Which lists there are.
    pub collector_lists: CollectorLists,
    /// Bits of `_gc_next` and `_gc_prev` that are no address. `Include/internal/pycore_gc.h`.
    pub gc_link_mask: u64,
    /// Whether a static `gc_refs` field is in the head and the links are plain (up to 3.7).
    pub gc_head_has_refs: bool,
    /// An int's length and sign are in `lv_tag` (3.12 on, `Include/cpython/longintrepr.h`).
    pub compact_int_tag: bool,
    /// `int.__sizeof__` counts at least one digit (3.11.2 on, `Objects/longobject.c`).
    pub int_zero_has_digit: bool,
    /// First and last small int that is a static or shared object (`pycore_runtime_structs.h`).
    pub small_ints: (i64, i64),
    /// A str can carry a `wchar_t` copy (up to 3.11, `Include/cpython/unicodeobject.h`).
    pub unicode_wstr: bool,
    /// The data of a bytearray are in a bytes object (3.15, `Objects/bytearrayobject.c`).
    pub bytearray_holds_bytes: bool,
    /// A dict's table of keys is `dk_size` with `dk_lookup`; sizes follow from it (up to 3.10).
    pub dict_keys_by_lookup: bool,
    /// `dict.__sizeof__` of a split table counts `dk_usable + dk_nentries` values (3.11 on), else
    /// `USABLE_FRACTION(dk_size)` (`Objects/dictobject.c`).
    pub split_dict_counts_entries: bool,
    /// A dict whose values are embedded in an instance visits them itself (`dict_traverse`,
    /// `Objects/dictobject.c`: from 3.13.13 and 3.14.4 on; 3.13 and 3.14 left them to the owner).
    pub dict_visits_embedded_values: bool,
    /// What an instance with inline values visits.
    pub inline_visit: InlineVisit,
    /// Builds of this release differ in it, since a distribution has backported the fix.
    pub inline_visit_is_in_code: bool,
    /// Where managed attributes are.
    pub managed_dict: ManagedDict,
    /// What `getsizeof` adds.
    pub header_size: HeaderSize,
    /// `tp_dict`, `tp_subclasses` and `tp_weaklist` of static builtin types are in the interpreter
    /// (3.12 on, `Objects/typeobject.c`, `_PyStaticType_GetState`).
    pub static_types_in_interpreter: bool,
    /// The interpreter's entry of a static type may be in a second array (3.13 on).
    pub static_types_for_extensions: bool,
    /// `type.__sizeof__` of a ctypes metatype adds its `StgInfo` (3.13 on, `Modules/_ctypes/_ctypes.c`).
    pub ctypes_type_info_in_type: bool,
    /// Frames are C structures of their own; frame objects are made on demand (3.11 on).
    pub interpreter_frames: bool,
    /// The thread's current frame is reached through `cframe` (3.11, 3.12).
    pub frame_through_c_frame: bool,
    /// `f_executable` may be another object than code (3.13 on: `None` in shims, `Python/ceval.c`).
    pub executable_may_be_none: bool,
    /// How a running frame hides its stack depth.
    pub frame_depth: FrameDepth,
    /// How frame words are tagged.
    pub stack_ref_tags: StackRefTags,
    /// How a generator's state is encoded.
    pub generator_states: GeneratorStates,
    /// A cleared generator still visits the code of its frame (3.14 on, `Objects/genobject.c`, `gen_traverse`); up
    /// to 3.11 it visits `gi_code` in any state.
    pub cleared_generator_visits_code: bool,
    /// An exception state is three objects (up to 3.10; one object since, `Include/cpython/pystate.h`).
    pub exception_state_has_type: bool,
    /// Code objects are tracked by the collector and visit `co_consts` (free-threaded, `Objects/codeobject.c`).
    pub code_visits_consts: bool,
    /// What `code.__sizeof__` counts.
    pub code_size: CodeSizeFeatures,
    /// A function holds its builtins (3.10 on, `Objects/funcobject.c`, `func_traverse`).
    pub function_visits_builtins: bool,
    /// A struct sequence visits the fields behind its length, too (3.8 on, `Objects/structseq.c`,
    /// `structseq_traverse`).
    pub struct_sequence_visits_hidden: bool,
    /// A heap type visits `ht_module` (3.9 on, `Objects/typeobject.c`, `type_traverse`).
    pub type_visits_module: bool,
    /// Instances of heap types of C visit their type (3.9 on).
    pub instance_visits_type: bool,
    /// `StringIO` visits its newline texts and its decoder, a pair its reader and its writer (3.12 on,
    /// `Modules/_io/stringio.c`, `stringio_traverse`; `bufferedio.c`, `bufferedrwpair_traverse`).
    pub io_visits_parts: bool,
    /// `Pickler` and `Unpickler` visit their memo (3.11.7 and 3.12.1 on, `Modules/_pickle.c`,
    /// `Pickler_traverse`).
    pub pickler_visits_memo: bool,
    /// `operator.methodcaller` keeps an array of arguments, and names of keywords if there is one (3.13,
    /// `Modules/_operator.c`, `_methodcaller_initialize_vectorcall`).
    pub method_caller_has_array: bool,
    /// What objects visit, field by field.
    pub visits: VisitFeatures,
    /// What modules visit.
    pub modules: ModuleFeatures,
    /// The callbacks of `atexit` are an array that the state of its module points to (up to 3.9,
    /// `Modules/atexitmodule.c`; in the interpreter since).
    pub atexit_callbacks_in_module: bool,
    /// `BufferedRWPair` visits its two streams (3.12 on, `Modules/_io/bufferedio.c`, `bufferedrwpair_traverse`).
    pub buffered_pair_visits_streams: bool,
    /// The C scanner of `json` visits its memo (3.9-3.12, `Modules/_json.c`, `scanner_traverse`; gone since).
    pub json_scanner_visits_memo: bool,
    /// The dict of a ctypes type has a `__sizeof__` of its own (3.7-3.12, `Modules/_ctypes/stgdict.c`).
    pub storage_dict_has_size: bool,
    /// `strict` of the C scanner of `json` is an object, and visited (up to 3.6, `Modules/_json.c`).
    pub json_scanner_strict_is_object: bool,
    /// `lru_cache` visits its links, which visit what is in them; else it visits that itself (3.7 on,
    /// `Modules/_functoolsmodule.c`, `lru_cache_tp_traverse`).
    pub lru_cache_visits_links: bool,
    /// `SimpleQueue.__sizeof__` counts its ring (3.15, `Modules/_queuemodule.c`).
    pub simple_queue_counts_ring: bool,
    /// `OrderedDict` visits the weak reference to it that is first in its list, a borrowed one (up to 3.7.6 and
    /// 3.8.2, `Objects/odictobject.c`, `odict_traverse`).
    pub ordered_dict_visits_weak_references: bool,
    /// `OrderedDict.__sizeof__` takes the length of its table of nodes from that of the dict's (up to 3.6.7 and 3.7.1,
    /// `Objects/odictobject.c`, `odict_sizeof`).
    pub ordered_dict_counts_slots: bool,
    /// `BytesIO` visits its buffer (3.12 on, `Modules/_io/bytesio.c`, `bytesio_traverse`).
    pub bytes_io_visits_buffer: bool,
    /// Bytes of a pymalloc pool (`Include/internal/pycore_obmalloc.h`): 4 KiB, 16 KiB from 3.10.
    pub pool_size: u64,
    /// Bytes of a pymalloc arena: 256 KiB, 1 MiB from 3.10.
    pub arena_size: u64,
    /// Where the arenas are listed.
    pub arena_table: ArenaTable,
    /// How free list members are linked.
    pub free_list_link: FreeListLink,
    /// Where free lists are.
    pub free_list_owner: FreeListOwner,
    /// Floats on the free list are linked by their `ob_type` (up to 3.13, `Objects/floatobject.c`).
    pub free_float_linked_by_type: bool,
    /// How an immortal object is told.
    pub immortal: ImmortalRule,
    /// Bytes of code objects, tuples and strings of frozen modules are in the binary (3.11, 3.12,
    /// `Tools/scripts/deepfreeze.py`).
    pub deep_frozen_modules: bool,
    /// The two references of the interned table are not counted (up to 3.11, and 3.12.2 on).
    pub interned_references_uncounted: bool,
    /// The state of `_asyncio` links dead objects that must not be followed (3.12.0-3.12.5, gh-122695).
    pub asyncio_free_list_bug: bool,
    /// 3.14 on a dict is tracked from its creation (`Objects/dictobject.c`, `new_dict`).
    pub dicts_always_tracked: bool,
    /// The type of built-in functions is called `builtin_method` for bound ones (3.15).
    pub builtin_method_type: bool,
    /// What heapy does differently.
    pub heapy: HeapyFeatures,
}

impl Features {
    /// Whether instances can keep their attributes inside themselves.
    pub fn has_inline_values(&self) -> bool {
        self.managed_dict == ManagedDict::InlineValues
    }

    /// The features of a version. Cost: constant.
    #[expect(clippy::too_many_lines, reason = "a table: one line a feature")]
    pub fn of(version: Version, build: Build) -> Self {
        let minor = version.minor;
        let release = (minor, version.micro);
        let free_threaded = build.free_threaded;
        let (owner, lists) = collector(version, free_threaded);
        Self {
            free_threading: FreeThreading::of(version, build),
            collector_owner: owner,
            collector_lists: lists,
            gc_link_mask: if minor <= 7 { u64::MAX } else { !3 },
            gc_head_has_refs: minor <= 7,
            compact_int_tag: minor >= 12,
            int_zero_has_digit: minor >= 12 || (minor == 11 && version.micro >= 2),
            small_ints: if minor >= 15 { (-5, 1024) } else { (-5, 256) },
            unicode_wstr: minor <= 11,
            bytearray_holds_bytes: minor >= 15,
            dict_keys_by_lookup: minor <= 10,
            split_dict_counts_entries: minor >= 11,
            dict_visits_embedded_values: minor <= 12 || inline_visit(version) == InlineVisit::DictFirst,
            inline_visit: inline_visit(version),
            inline_visit_is_in_code: (minor, version.micro) == (13, 5),
            managed_dict: managed_dict(minor),
            header_size: header_size(minor, free_threaded),
            static_types_in_interpreter: minor >= 12,
            static_types_for_extensions: minor >= 13,
            ctypes_type_info_in_type: minor >= 13,
            interpreter_frames: minor >= 11,
            frame_through_c_frame: matches!(minor, 11 | 12),
            executable_may_be_none: minor >= 13,
            frame_depth: frame_depth(minor),
            stack_ref_tags: match (minor, free_threaded) {
                (14.., _) => StackRefTags::Tagged,
                (13, true) => StackRefTags::Deferred,
                _ => StackRefTags::None,
            },
            generator_states: match minor {
                ..=10 => GeneratorStates::FrameObject,
                11..=14 => GeneratorStates::Signed,
                _ => GeneratorStates::Unsigned,
            },
            cleared_generator_visits_code: minor >= 14,
            exception_state_has_type: minor <= 10,
            code_visits_consts: free_threaded,
            code_size: CodeSizeFeatures::of(version),
            function_visits_builtins: minor >= 10,
            struct_sequence_visits_hidden: minor >= 8,
            type_visits_module: minor >= 9,
            instance_visits_type: minor >= 9,
            atexit_callbacks_in_module: minor <= 9,
            buffered_pair_visits_streams: minor >= 12,
            json_scanner_visits_memo: (9..=12).contains(&minor),
            storage_dict_has_size: minor >= 7,
            json_scanner_strict_is_object: minor <= 6,
            lru_cache_visits_links: minor <= 6,
            simple_queue_counts_ring: minor >= 15,
            ordered_dict_visits_weak_references: matches!(release, (..=6, _) | (7, ..=6) | (8, ..=2)),
            ordered_dict_counts_slots: matches!(release, (6, ..=7) | (7, ..=1)),
            bytes_io_visits_buffer: minor >= 12,
            io_visits_parts: minor >= 12,
            pickler_visits_memo: (minor, version.micro) >= (12, 1) || (minor == 11 && version.micro >= 7),
            method_caller_has_array: minor == 13,
            visits: VisitFeatures::of(version),
            modules: ModuleFeatures::of(version),
            pool_size: if minor >= 10 { 16 << 10 } else { 4 << 10 },
            arena_size: if minor >= 10 { 1 << 20 } else { 256 << 10 },
            arena_table: match (minor, free_threaded) {
                (_, true) => ArenaTable::Mimalloc,
                (..=11, _) => ArenaTable::Static,
                (12, _) => ArenaTable::Embedded,
                _ => ArenaTable::Pointer,
            },
            free_list_link: if minor >= 14 { FreeListLink::FirstWord } else { FreeListLink::ZeroRefcount },
            free_list_owner: match (minor, free_threaded) {
                (_, true) => FreeListOwner::Thread,
                (..=9, _) => FreeListOwner::Static,
                (10..=12, _) => FreeListOwner::InterpreterFields,
                _ => FreeListOwner::Interpreter,
            },
            free_float_linked_by_type: minor <= 13,
            immortal: match (minor, free_threaded) {
                (_, true) => ImmortalRule::LocalAllOnes,
                (..=11, _) => ImmortalRule::None,
                _ => ImmortalRule::LowWordNegative,
            },
            deep_frozen_modules: matches!(minor, 11 | 12),
            interned_references_uncounted: minor != 12 || version.micro >= 2,
            asyncio_free_list_bug: minor == 12 && version.micro <= 5,
            dicts_always_tracked: minor >= 14,
            builtin_method_type: minor >= 15,
            heapy: HeapyFeatures::of(minor),
        }
    }
}

fn collector(version: Version, free_threaded: bool) -> (CollectorOwner, CollectorLists) {
    let owner = if version.minor <= 8 { CollectorOwner::Runtime } else { CollectorOwner::Interpreter };
    // 3.14.5 and 3.15.0b1 went back to three generations.
    let incremental = (version.minor == 14 && version.micro <= 4)
        || (version.minor == 15 && version.micro == 0 && version.level == Level::Alpha);
    let lists = match (free_threaded, incremental) {
        (true, _) => CollectorLists::None,
        (false, true) => CollectorLists::Incremental,
        (false, false) => CollectorLists::Generations,
    };
    (owner, lists)
}

fn inline_visit(version: Version) -> InlineVisit {
    match (version.minor, version.micro) {
        (15.., _) | (14, 4..) | (13, 13..) => InlineVisit::DictFirst,
        _ => InlineVisit::ValuesFirst,
    }
}

fn managed_dict(minor: u8) -> ManagedDict {
    match minor {
        ..=10 => ManagedDict::None,
        11 => ManagedDict::TwoPointers,
        12 => ManagedDict::TaggedWord,
        _ => ManagedDict::InlineValues,
    }
}

fn frame_depth(minor: u8) -> FrameDepth {
    match minor {
        ..=9 => FrameDepth::StackTopPointer,
        10 => FrameDepth::StackDepth,
        11..=13 => FrameDepth::StackTop,
        _ => FrameDepth::StackPointer,
    }
}

fn header_size(minor: u8, free_threaded: bool) -> HeaderSize {
    match (minor, free_threaded) {
        (_, true) => HeaderSize::PreheaderOnly,
        (..=10, _) => HeaderSize::IfCollected,
        (11, _) => HeaderSize::ByFlagsManagedDict,
        (12, _) => HeaderSize::ByFlagsPreheader,
        _ => HeaderSize::ByFlagsNotStatic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Features {
        Features::of(Version::parse(text).unwrap(), Build::default())
    }

    #[test]
    fn the_collector_changed_twice_in_3_14() {
        assert_eq!(features("3.14.4").collector_lists, CollectorLists::Incremental);
        assert_eq!(features("3.14.5").collector_lists, CollectorLists::Generations);
        assert_eq!(features("3.15.0a8").collector_lists, CollectorLists::Incremental);
        assert_eq!(features("3.15.0b1").collector_lists, CollectorLists::Generations);
    }

    #[test]
    fn patch_releases_change_meaning() {
        assert!(!features("3.11.1").int_zero_has_digit);
        assert!(features("3.11.2").int_zero_has_digit);
        assert_eq!(features("3.13.12").inline_visit, InlineVisit::ValuesFirst);
        assert_eq!(features("3.13.13").inline_visit, InlineVisit::DictFirst);
        for (last, next) in [("3.6.7", "3.6.8"), ("3.7.1", "3.7.2")] {
            assert!(features(last).ordered_dict_counts_slots && !features(next).ordered_dict_counts_slots);
        }
        for (last, next) in [("3.13.12", "3.13.13"), ("3.14.3", "3.14.4")] {
            assert!(
                !features(last).dict_visits_embedded_values && features(next).dict_visits_embedded_values
            );
        }
        assert!(features("3.12.14").dict_visits_embedded_values);
        for (last, next) in [("3.7.6", "3.7.7"), ("3.8.2", "3.8.3")] {
            assert!(features(last).ordered_dict_visits_weak_references);
            assert!(!features(next).ordered_dict_visits_weak_references);
            assert_eq!(features(last).modules.not_visited_of(b"_pickle").collect::<Vec<_>>(), [104]);
            assert_eq!(features(next).modules.not_visited_of(b"_pickle").count(), 0);
        }
        assert!(features("3.12.5").asyncio_free_list_bug);
        assert!(!features("3.12.6").asyncio_free_list_bug);
    }
}
