//! Functions, code, frames, generators, modules, descriptors and typing objects.

use super::field::structures;

structures! {
    /// `PyFunctionObject`.
    Function = "PyFunctionObject" {
        code: u64 = "func_code", globals: u64 = "func_globals", defaults: u64 = "func_defaults",
        kwdefaults: u64 = "func_kwdefaults", closure: u64 = "func_closure", doc: u64 = "func_doc",
        name: u64 = "func_name", dict: u64 = "func_dict", weakreflist: u64 = "func_weakreflist",
        module: u64 = "func_module", annotations: u64 = "func_annotations", qualname: u64 = "func_qualname",
        builtins: Option<u64> = "func_builtins", version: Option<u64> = "func_version",
        typeparams: Option<u64> = "func_typeparams", annotate: Option<u64> = "func_annotate",
    }
    /// `PyCFunctionObject`.
    BuiltinFunction = "PyCFunctionObject" {
        method_def: u64 = "m_ml", self_object: u64 = "m_self", module: u64 = "m_module",
        weakreflist: u64 = "m_weakreflist",
    }
    /// `PyCMethodObject`.
    BuiltinMethod = "PyCMethodObject" {
        class: u64 = "mm_class",
    }
    /// `PyMethodObject`.
    Method = "PyMethodObject" {
        function: u64 = "im_func", self_object: u64 = "im_self", weakreflist: u64 = "im_weakreflist",
    }
    /// `PyInstanceMethodObject`.
    InstanceMethod = "PyInstanceMethodObject" {
        function: u64 = "func",
    }
    /// `PyCellObject`.
    Cell = "PyCellObject" {
        reference: u64 = "ob_ref",
    }
    /// `PyCodeObject`.
    Code = "PyCodeObject" {
        consts: u64 = "co_consts", names: u64 = "co_names", exception_table: Option<u64> = "co_exceptiontable",
        flags: u64 = "co_flags", argument_count: u64 = "co_argcount", stack_size: u64 = "co_stacksize",
        locals_count: u64 = "co_nlocals", locals_plus_count: Option<u64> = "co_nlocalsplus",
        frame_size: Option<u64> = "co_framesize", cell_count: Option<u64> = "co_ncellvars",
        free_count: Option<u64> = "co_nfreevars", first_line: u64 = "co_firstlineno",
        code_bytes: Option<u64> = "co_code", varnames: Option<u64> = "co_varnames",
        freevars: Option<u64> = "co_freevars", cellvars: Option<u64> = "co_cellvars",
        cell_to_argument: Option<u64> = "co_cell2arg", locals_plus_names: Option<u64> = "co_localsplusnames",
        locals_plus_kinds: Option<u64> = "co_localspluskinds", filename: u64 = "co_filename",
        name: u64 = "co_name", qualname: Option<u64> = "co_qualname",
        line_table: u64 = "co_linetable|co_lnotab", zombie_frame: Option<u64> = "co_zombieframe",
        weakreflist: u64 = "co_weakreflist", executors: Option<u64> = "co_executors",
        cached: Option<u64> = "_co_cached", cached_code: Option<u64> = "_co_code",
        monitoring: Option<u64> = "_co_monitoring", opcache: Option<u64> = "co_opcache",
        opcache_size: Option<u64> = "co_opcache_size", extra: u64 = "co_extra",
        code_adaptive: Option<u64> = "co_code_adaptive", thread_local_bytecode: Option<u64> = "co_tlbc",
    }
    /// `PyFrameObject`.
    Frame = "PyFrameObject|_frame" {
        back: u64 = "f_back", code: Option<u64> = "f_code", builtins: Option<u64> = "f_builtins",
        globals: Option<u64> = "f_globals", locals: Option<u64> = "f_locals",
        valuestack: Option<u64> = "f_valuestack", stacktop: Option<u64> = "f_stacktop", trace: u64 = "f_trace",
        lasti: Option<u64> = "f_lasti", lineno: u64 = "f_lineno", blockstack: Option<u64> = "f_blockstack",
        localsplus: Option<u64> = "f_localsplus", stackdepth: Option<u64> = "f_stackdepth",
        state: Option<u64> = "f_state", frame: Option<u64> = "f_frame",
        fast_as_locals: Option<u64> = "f_fast_as_locals", frame_data: Option<u64> = "_f_frame_data",
        extra_locals: Option<u64> = "f_extra_locals", locals_cache: Option<u64> = "f_locals_cache",
        overwritten_fast_locals: Option<u64> = "f_overwritten_fast_locals",
        exception_type: Option<u64> = "f_exc_type", exception_value: Option<u64> = "f_exc_value",
        exception_traceback: Option<u64> = "f_exc_traceback",
    }
    /// `_PyInterpreterFrame`.
    InterpreterFrame = "_PyInterpreterFrame" {
        executable: u64 = "f_executable|f_code", function_object: u64 = "f_funcobj|f_func",
        globals: u64 = "f_globals", builtins: u64 = "f_builtins", locals: u64 = "f_locals",
        frame_object: u64 = "frame_obj", previous: u64 = "previous",
        instruction_pointer: u64 = "instr_ptr|prev_instr", stack_top: Option<u64> = "stacktop",
        stack_pointer: Option<u64> = "stackpointer", owner: u64 = "owner",
        locals_plus: u64 = "localsplus", tlbc_index: Option<u64> = "tlbc_index",
        is_entry: Option<u64> = "is_entry", return_offset: Option<u64> = "return_offset",
    }
    /// `PyGenObject`.
    Generator = "PyGenObject" {
        frame: Option<u64> = "gi_frame", running: Option<u64> = "gi_running", code: Option<u64> = "gi_code",
        weakreflist: u64 = "gi_weakreflist", name: u64 = "gi_name", qualname: u64 = "gi_qualname",
        exception_value: Option<u64> = "gi_exc_state.exc_value", exception_type: Option<u64> = "gi_exc_state.exc_type",
        exception_traceback: Option<u64> = "gi_exc_state.exc_traceback",
        previous_exception: Option<u64> = "gi_exc_state.previous_item",
        origin_or_finalizer: Option<u64> = "gi_origin_or_finalizer",
        frame_state: Option<u64> = "gi_frame_state", interpreter_frame: Option<u64> = "gi_iframe",
    }
    /// `PyCoroObject`.
    Coroutine = "PyCoroObject" {
        frame: Option<u64> = "cr_frame", code: Option<u64> = "cr_code", weakreflist: u64 = "cr_weakreflist",
        name: u64 = "cr_name", qualname: u64 = "cr_qualname", exception_value: Option<u64> = "cr_exc_state.exc_value",
        exception_type: Option<u64> = "cr_exc_state.exc_type",
        exception_traceback: Option<u64> = "cr_exc_state.exc_traceback",
        origin_or_finalizer: Option<u64> = "cr_origin_or_finalizer|cr_origin",
        frame_state: Option<u64> = "cr_frame_state", interpreter_frame: Option<u64> = "cr_iframe",
    }
    /// `PyAsyncGenObject`.
    AsyncGenerator = "PyAsyncGenObject" {
        frame: Option<u64> = "ag_frame", code: Option<u64> = "ag_code", weakreflist: u64 = "ag_weakreflist",
        name: u64 = "ag_name", qualname: u64 = "ag_qualname", exception_value: Option<u64> = "ag_exc_state.exc_value",
        exception_type: Option<u64> = "ag_exc_state.exc_type",
        exception_traceback: Option<u64> = "ag_exc_state.exc_traceback",
        origin_or_finalizer: u64 = "ag_origin_or_finalizer|ag_finalizer",
        frame_state: Option<u64> = "ag_frame_state", interpreter_frame: Option<u64> = "ag_iframe",
    }
    /// `PyAsyncGenASend`.
    AsyncGeneratorSend = "PyAsyncGenASend" {
        generator: u64 = "ags_gen", sent_value: u64 = "ags_sendval", state: u64 = "ags_state",
    }
    /// `PyAsyncGenAThrow`.
    AsyncGeneratorThrow = "PyAsyncGenAThrow" {
        generator: u64 = "agt_gen", arguments: Option<u64> = "agt_args", state: u64 = "agt_state",
        type_argument: Option<u64> = "agt_typ", traceback_argument: Option<u64> = "agt_tb",
        value_argument: Option<u64> = "agt_val",
    }
    /// `_PyAsyncGenWrappedValue`.
    AsyncGeneratorValue = "_PyAsyncGenWrappedValue" {
        value: u64 = "agw_val",
    }
    /// `PyCoroWrapper`.
    CoroutineWrapper = "PyCoroWrapper" {
        coroutine: u64 = "cw_coroutine",
    }
    /// `anextawaitableobject`.
    AnextAwaitable = "anextawaitableobject" {
        wrapped: u64 = "wrapped", default_value: u64 = "default_value",
    }
    /// `PyAIterWrapper` (3.6).
    AsyncIteratorWrapper = "PyAIterWrapper" {
        iterator: u64 = "ags_aiter",
    }
    /// `_PyErr_StackItem` (3.7 on).
    ExceptionStackItem = "_PyErr_StackItem|_err_stackitem" {
        value: u64 = "exc_value", type_pointer: Option<u64> = "exc_type",
        traceback: Option<u64> = "exc_traceback", previous: u64 = "previous_item",
    }
    /// `PyModuleObject`.
    Module = "PyModuleObject" {
        dict: u64 = "md_dict", definition: u64 = "md_def|md_token", state: u64 = "md_state",
        weaklist: u64 = "md_weaklist", name: u64 = "md_name", state_size: Option<u64> = "md_state_size",
        token: Option<u64> = "md_token", state_traverse: Option<u64> = "md_state_traverse",
    }
    /// `PyWeakReference`.
    WeakReference = "PyWeakReference|_PyWeakReference" {
        referent: u64 = "wr_object", callback: u64 = "wr_callback", hash: u64 = "hash",
        previous: u64 = "wr_prev", next: u64 = "wr_next",
    }
    /// `propertyobject`.
    Property = "propertyobject" {
        getter: u64 = "prop_get", setter: u64 = "prop_set", deleter: u64 = "prop_del", doc: u64 = "prop_doc",
        name: Option<u64> = "prop_name",
    }
    /// `PyDescrObject`.
    Descriptor = "PyDescrObject" {
        type_pointer: u64 = "d_type", name: u64 = "d_name", qualname: u64 = "d_qualname",
    }
    /// `PyMethodDescrObject`.
    MethodDescriptor = "PyMethodDescrObject" {
        method: u64 = "d_method",
    }
    /// `PyMemberDescrObject`.
    MemberDescriptor = "PyMemberDescrObject" {
        member: u64 = "d_member",
    }
    /// `PyGetSetDescrObject`.
    GetSetDescriptor = "PyGetSetDescrObject" {
        getset: u64 = "d_getset",
    }
    /// `PyWrapperDescrObject`.
    WrapperDescriptor = "PyWrapperDescrObject" {
        base: u64 = "d_base", wrapped: u64 = "d_wrapped",
    }
    /// `wrapperobject`.
    MethodWrapper = "wrapperobject" {
        descriptor: u64 = "descr", self_object: u64 = "self",
    }
    /// `mappingproxyobject`.
    MappingProxy = "mappingproxyobject" {
        mapping: u64 = "mapping",
    }
    /// `superobject`.
    Super = "superobject" {
        type_pointer: u64 = "type", object: u64 = "obj", object_type: u64 = "obj_type",
    }
    /// `staticmethod`.
    StaticMethod = "staticmethod" {
        callable: u64 = "sm_callable", dict: u64 = "sm_dict",
    }
    /// `classmethod`.
    ClassMethod = "classmethod" {
        callable: u64 = "cm_callable", dict: u64 = "cm_dict",
    }
    /// `PyFrameLocalsProxyObject`.
    FrameLocalsProxy = "PyFrameLocalsProxyObject" {
        frame: u64 = "frame",
    }
    /// `PyLazyImportObject`.
    LazyImport = "PyLazyImportObject" {
        builtins: u64 = "lz_builtins", from_object: u64 = "lz_from", attribute: u64 = "lz_attr",
        code: u64 = "lz_code",
    }
    /// `typealiasobject`.
    TypeAlias = "typealiasobject" {
        name: u64 = "name", type_params: u64 = "type_params", compute_value: u64 = "compute_value",
        value: u64 = "value", module: u64 = "module", qualname: Option<u64> = "qualname",
    }
    /// `typevarobject`.
    TypeVar = "typevarobject" {
        name: u64 = "name", bound: u64 = "bound", evaluate_bound: u64 = "evaluate_bound",
        constraints: u64 = "constraints", evaluate_constraints: u64 = "evaluate_constraints",
        default_value: Option<u64> = "default_value", evaluate_default: Option<u64> = "evaluate_default",
    }
    /// `typevartupleobject`.
    TypeVarTuple = "typevartupleobject" {
        name: u64 = "name", default_value: Option<u64> = "default_value",
        evaluate_default: Option<u64> = "evaluate_default", bound: Option<u64> = "bound",
    }
    /// `paramspecobject`.
    ParamSpec = "paramspecobject" {
        name: u64 = "name", bound: u64 = "bound", default_value: Option<u64> = "default_value",
        evaluate_default: Option<u64> = "evaluate_default",
    }
    /// `templateobject`.
    Template = "templateobject" {
        strings: u64 = "strings", interpolations: u64 = "interpolations",
    }
    /// `interpolationobject`.
    Interpolation = "interpolationobject" {
        value: u64 = "value", expression: u64 = "expression", conversion: u64 = "conversion",
        format_spec: u64 = "format_spec",
    }
    /// `templateiterobject`.
    TemplateIterator = "templateiterobject" {
        stringsiter: u64 = "stringsiter", interpolationsiter: u64 = "interpolationsiter",
        from_strings: u64 = "from_strings",
    }
    /// `sentinelobject`.
    Sentinel = "sentinelobject" {
        name: u64 = "name", module: u64 = "module", repr: u64 = "repr",
    }
}
