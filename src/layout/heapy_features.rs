//! What heapy (guppy3) does differently from version to version, for the view that equals its `heap()`.

use crate::layout::features::Features;
use crate::layout::features::InlineVisit;

/// Where heapy (guppy3) follows the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapyFeatures {
    /// It starts from the interpreters of all of the process, not only its own (up to 3.8).
    pub sees_all_interpreters: bool,
    /// It visits the names of classes (from 3.8 on; guppy3 up to 3.1.3 does not).
    pub visits_class_names: bool,
    /// It visits the values of a dict itself, besides its traverse (3.13: CPython skips embedded ones).
    pub visits_dict_values: bool,
    /// It visits an instance's dict besides its traverse (3.13 on), so that instance and dict both hold the values.
    pub visits_instance_dict: bool,
    /// It makes the `__dict__` of instances that have only values (3.11 on).
    pub materialises_dicts: bool,
    /// It makes frame objects for the calling thread's stack (3.11 on).
    pub makes_frames: bool,
    /// Frames are visited by its own rule: no evaluation stack (3.11 on).
    pub own_frame_rule: bool,
    /// Members of the interpreter that are roots to it, by the names of `Interpreter::roots`.
    pub interpreter_roots: Vec<&'static str>,
    /// Members of a thread that are roots to it, by the names of `ThreadState::roots`.
    pub thread_roots: Vec<&'static str>,
    /// Its tables cut long words after hyphens, since `textwrap` does (3.10 on, `Lib/textwrap.py`).
    pub breaks_after_hyphen: bool,
    /// The names that the module `types` gives to C types (`Lib/types.py`), by `tp_name`: for a process that
    /// has not imported it. Of several names the last in order counts.
    pub types_module_names: Vec<(&'static str, &'static str)>,
}

impl HeapyFeatures {
    /// guppy3 3.1.7: `src/heapy/hv.c`, `stdtypes.c`, `rootstate.c`.
    pub(in crate::layout) fn of(minor: u8) -> Self {
        let mut interpreter_roots = vec![
            "imports.modules",
            "imports.importlib",
            "imports.import_func",
            "sysdict",
            "builtins",
            "codecs.search_path",
            "codecs.search_cache",
            "codecs.error_registry",
            "builtins_copy",
            "before_forkers",
            "after_forkers_parent",
            "after_forkers_child",
            "audit_hooks",
        ];
        if minor >= 8 {
            interpreter_roots.push("dict");
        }
        match minor {
            ..=9 => interpreter_roots.push("pyexitmodule"),
            12.. => interpreter_roots.push("sysdict_copy"),
            _ => {}
        }
        let mut thread_roots = vec![
            "c_profileobj",
            "c_traceobj",
            "dict",
            "async_exc",
            "async_gen_firstiter",
            "async_gen_finalizer",
            "context",
            "exc_state.exc_value",
        ];
        match minor {
            ..=11 => thread_roots.extend(["curexc_type", "curexc_value", "curexc_traceback"]),
            _ => thread_roots.push("current_exception"),
        }
        match minor {
            ..=10 => thread_roots.extend(["exc_state.exc_type", "exc_state.exc_traceback"]),
            13.. => thread_roots.extend(["previous_executor", "threading_local_key"]),
            _ => {}
        }
        if minor <= 7 {
            thread_roots.push("coroutine_wrapper");
        }
        if minor <= 6 {
            thread_roots.extend(["exc_type", "exc_value", "exc_traceback"]);
        }
        Self {
            sees_all_interpreters: minor <= 8,
            visits_class_names: minor >= 8,
            visits_dict_values: minor >= 13,
            visits_instance_dict: minor >= 13,
            materialises_dicts: minor >= 11,
            makes_frames: minor >= 11,
            own_frame_rule: minor >= 11,
            breaks_after_hyphen: minor >= 10,
            interpreter_roots,
            thread_roots,
            types_module_names: types_module_names(minor),
        }
    }
}

impl Features {
    /// Whether an instance leaves its values to the dict that heapy makes for it: the values go there (up to
    /// 3.12), or stay inside and are visited through the dict. Else heapy sees them twice.
    pub fn made_dict_takes_values(&self) -> bool {
        !self.heapy.visits_instance_dict || self.inline_visit == InlineVisit::DictFirst
    }
}

/// `Lib/types.py`; descriptors of C joined it in 3.7, the cell in 3.8, the types of the singletons in 3.10, the
/// capsule in 3.13.
fn types_module_names(minor: u8) -> Vec<(&'static str, &'static str)> {
    let mut names = vec![
        ("async_generator", "AsyncGeneratorType"),
        ("builtin_function_or_method", "BuiltinMethodType"),
        ("code", "CodeType"),
        ("coroutine", "CoroutineType"),
        ("frame", "FrameType"),
        ("generator", "GeneratorType"),
        ("getset_descriptor", "GetSetDescriptorType"),
        ("mappingproxy", "MappingProxyType"),
        ("member_descriptor", "MemberDescriptorType"),
        ("method", "MethodType"),
        ("traceback", "TracebackType"),
    ];
    if minor >= 7 {
        names.extend([
            ("classmethod_descriptor", "ClassMethodDescriptorType"),
            ("method-wrapper", "MethodWrapperType"),
            ("method_descriptor", "MethodDescriptorType"),
            ("wrapper_descriptor", "WrapperDescriptorType"),
        ]);
    }
    if minor >= 8 {
        names.push(("cell", "CellType"));
    }
    if minor >= 10 {
        names.extend([
            ("NoneType", "NoneType"),
            ("NotImplementedType", "NotImplementedType"),
            ("ellipsis", "EllipsisType"),
        ]);
    }
    if minor >= 13 {
        names.push(("PyCapsule", "CapsuleType"));
    }
    names
}
