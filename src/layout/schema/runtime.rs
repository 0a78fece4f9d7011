//! The runtime, interpreters, threads and the collector.

use super::field::NamedOffset;
use super::field::structures;

structures! {
    /// `_PyRuntimeState`. Before 3.7 its members are static variables, and their offsets the distances between them:
    /// see [`crate::layout::static_runtime`].
    Runtime = "_PyRuntimeState|pyruntimestate" {
        finalizing: Option<u64> = "_finalizing|finalizing", initialized: Option<u64> = "initialized",
        interpreters_head: u64 = "interpreters.head", interpreters_main: Option<u64> = "interpreters.main",
        main_thread: Option<u64> = "main_thread", main_thread_state: Option<u64> = "main_tstate",
        gc: Option<u64> = "gc", current_thread: Option<u64> = "gilstate.tstate_current",
        gil_locked: Option<u64> = "ceval.gil.locked", gil_last_holder: Option<u64> = "ceval.gil.last_holder",
        static_objects: Option<u64> = "static_objects|global_objects",
        interned_strings: Option<u64> = "cached_objects.interned_strings",
        managed_static_types: Option<u64> = "types.managed_static.types",
        main_interpreter: Option<u64> = "_main_interpreter", debug_offsets: Option<u64> = "debug_offsets",
        audit_hooks: Option<u64> = "audit_hooks.head|audit_hook_head", orig_argv: Option<u64> = "orig_argv",
        signal_default_handler: Option<u64> = "signals.default_handler",
        signal_ignore_handler: Option<u64> = "signals.ignore_handler",
        signal_handlers: Option<u64> = "signals.handlers", warnings_filters: Option<u64> = "warnings.filters",
        warnings_once_registry: Option<u64> = "warnings.once_registry",
        warnings_default_action: Option<u64> = "warnings.default_action",
        faulthandler_file: Option<u64> = "faulthandler.fatal_error.file",
        faulthandler_thread_file: Option<u64> = "faulthandler.thread.file",
    }
    /// `PyInterpreterState`.
    Interpreter = "PyInterpreterState|_is" {
        next: u64 = "next", id: Option<u64> = "id", threads_head: u64 = "threads.head|tstate_head",
        threads_main: Option<u64> = "threads.main", gc: Option<u64> = "gc",
        modules: u64 = "imports.modules|modules",
        modules_by_index: u64 = "imports.modules_by_index|modules_by_index", sys_dict: u64 = "sysdict",
        builtins: u64 = "builtins", importlib: u64 = "imports.importlib|importlib",
        interned_strings: Option<u64> = "cached_objects.interned_strings",
        finalizing: Option<u64> = "_finalizing|finalizing", gil: Option<u64> = "ceval.gil",
        obmalloc: Option<u64> = "obmalloc", mimalloc: Option<u64> = "mimalloc",
        ast_first: Option<u64> = "ast.AST_type", ast_last: Option<u64> = "ast.withitem_type",
        atexit_callbacks: Option<u64> = "atexit.callbacks", atexit_count: Option<u64> = "atexit.ncallbacks",
        small_ints: Option<u64> = "small_ints", latin1: Option<u64> = "unicode.latin1",
        unicode_ids: Option<u64> = "unicode.ids.array", unicode_ids_size: Option<u64> = "unicode.ids.size",
        types_builtins: Option<u64> = "types.builtins.initialized|types.builtins",
        types_for_extensions: Option<u64> = "types.for_extensions.initialized",
        types_builtins_count: Option<u64> = "types.builtins.num_initialized|types.num_builtins_initialized",
        static_objects: Option<u64> = "static_objects", initial_thread: Option<u64> = "_initial_thread",
        common_constants: Option<u64> = "common_consts",
        monitoring_callables: Option<u64> = "monitoring_callables",
        monitoring_tool_names: Option<u64> = "monitoring_tool_names",
        executor_list: Option<u64> = "executor_list_head", code_constants: Option<u64> = "code_state.constants",
        callbacks_exec_ptrs: Option<u64> = "executor_ptrs", executor_count: Option<u64> = "executor_count",
        free_lists: Option<u64> = "object_state.freelists", free_floats: Option<u64> = "float_state.free_list",
        free_tuples: Option<u64> = "tuple.free_list", free_tuples_count: Option<u64> = "tuple.numfree",
        free_lists_array: Option<u64> = "list.free_list", free_lists_count: Option<u64> = "list.numfree",
        free_dicts: Option<u64> = "dict_state.free_list", free_dicts_count: Option<u64> = "dict_state.numfree",
        free_dict_keys: Option<u64> = "dict_state.keys_free_list",
        free_dict_keys_count: Option<u64> = "dict_state.keys_numfree",
        free_frames: Option<u64> = "frame.free_list",
        free_async_values: Option<u64> = "async_gen.value_freelist",
        free_async_values_count: Option<u64> = "async_gen.value_numfree",
        free_async_sends: Option<u64> = "async_gen.asend_freelist",
        free_async_sends_count: Option<u64> = "async_gen.asend_numfree",
        free_contexts: Option<u64> = "context.freelist", free_slice: Option<u64> = "slice_cache",
        free_memory_errors: Option<u64> = "exc_state.memerrors_freelist",
        asyncio_tasks: Option<u64> = "asyncio_tasks_head",
        unique_ids: Option<u64> = "unique_ids.table", unique_ids_size: Option<u64> = "unique_ids.size",
        roots: Vec<NamedOffset> =
            "imports.modules|modules,imports.modules_by_index|modules_by_index,sysdict,builtins,\
             imports.importlib|importlib,imports.import_func|import_func,\
             codecs.search_path|codec_search_path,codecs.search_cache|codec_search_cache,\
             codecs.error_registry|codec_error_registry,dict,builtins_copy,sysdict_copy,\
             before_forkers,after_forkers_parent,after_forkers_child,pyexitmodule,warnings.filters,\
             warnings.once_registry,warnings.default_action,warnings.context,atexit.callbacks,\
             audit_hooks,gc.garbage,gc.callbacks,exc_state.errnomap,exc_state.PyExc_ExceptionGroup,\
             callable_cache.isinstance,callable_cache.len,callable_cache.list_append,\
             callable_cache.object__getattribute__,cached_objects.interned_strings,\
             cached_objects.str_replace_inf,cached_objects.objreduce,cached_objects.type_slots_pname,\
             cached_objects.generic_type,cached_objects.typevar_type,cached_objects.typevartuple_type,\
             cached_objects.paramspec_type,cached_objects.paramspecargs_type,\
             cached_objects.paramspeckwargs_type,cached_objects.constevaluator_type,\
             cached_objects.dict_descriptor,cached_objects.weakref_descriptor,\
             xi.PyExc_NotShareableError|xi.exceptions.PyExc_NotShareableError,\
             xi.exceptions.PyExc_InterpreterError,xi.exceptions.PyExc_InterpreterNotFoundError,\
             imports.lazy_import_func,imports.lazy_imports_filter,imports.lazy_modules,\
             imports.lazy_pending_submodules,imports.lazy_importing_modules,xi.pickle.dumps,\
             xi.pickle.loads,bytes.empty_string,unicode.empty_string,slice_cache",
    }
    /// `PyThreadState`.
    ThreadState = "PyThreadState|_ts" {
        previous: u64 = "prev", next: u64 = "next", interpreter: u64 = "interp", frame: Option<u64> = "frame",
        c_frame: Option<u64> = "cframe", current_frame: Option<u64> = "current_frame",
        base_frame: Option<u64> = "base_frame", thread_id: u64 = "thread_id",
        native_thread_id: Option<u64> = "native_thread_id", dict: u64 = "dict", context: Option<u64> = "context",
        current_exception: Option<u64> = "current_exception", exception_info: Option<u64> = "exc_info",
        exception_state: Option<u64> = "exc_state", data_stack_chunk: Option<u64> = "datastack_chunk",
        data_stack_top: Option<u64> = "datastack_top", data_stack_limit: Option<u64> = "datastack_limit",
        data_stack_cached_chunk: Option<u64> = "datastack_cached_chunk",
        delete_later: u64 = "delete_later|trash.delete_later|trash_delete_later",
        async_exception: u64 = "async_exc", status: Option<u64> = "_status", state: Option<u64> = "state",
        current_executor: Option<u64> = "current_executor",
        roots: Vec<NamedOffset> =
            "dict,c_profileobj,c_traceobj,curexc_type,curexc_value,curexc_traceback,current_exception,\
             exc_type,exc_value,exc_traceback,exc_state.exc_type,exc_state.exc_value,exc_state.exc_traceback,async_exc,\
             async_gen_firstiter,async_gen_finalizer,context,coroutine_wrapper,threading_local_key,\
             threading_local_sentinel,previous_executor,current_executor",
    }
    /// `_PyThreadStateImpl`.
    ThreadStateImpl = "_PyThreadStateImpl" {
        base: u64 = "base", base_frame: Option<u64> = "base_frame",
        asyncio_running_loop: u64 = "asyncio_running_loop",
        asyncio_running_task: Option<u64> = "asyncio_running_task",
        asyncio_tasks: Option<u64> = "asyncio_tasks_head", c_stack_refs: Option<u64> = "c_stack_refs",
        mimalloc: Option<u64> = "mimalloc", mimalloc_heaps: Option<u64> = "mimalloc.heaps",
        free_lists: Option<u64> = "freelists", brc: Option<u64> = "brc",
        lazy_imports: Option<u64> = "lazy_imports", refcounts: Option<u64> = "refcounts.values",
        refcounts_size: Option<u64> = "refcounts.size",
        roots: Vec<NamedOffset> = "asyncio_running_loop,asyncio_running_task,lazy_imports",
    }
    /// `_PyCFrame`.
    CFrame = "_PyCFrame|CFrame|_cframe" {
        current_frame: Option<u64> = "current_frame", previous: u64 = "previous",
    }
    /// `_PyStackChunk`.
    StackChunk = "_PyStackChunk|_stack_chunk" {
        previous: u64 = "previous", size: u64 = "size", top: u64 = "top", data: u64 = "data",
    }
    /// `_gc_runtime_state`.
    ///
    /// Debian packs it in its 3.13, with `generations` four bytes earlier and every size the same: where
    /// there is a `generation0`, it points to the first of them and is to be believed.
    GcState = "_gc_runtime_state" {
        enabled: Option<u64> = "enabled", generations: Option<u64> = "generations",
        generation0: Option<u64> = "generation0", permanent_generation: Option<u64> = "permanent_generation",
        young: Option<u64> = "young", old: Option<u64> = "old", collecting: Option<u64> = "collecting",
        garbage: Option<u64> = "garbage", callbacks: Option<u64> = "callbacks", heap_size: Option<u64> = "heap_size",
        visited_space: Option<u64> = "visited_space", trash_delete_later: Option<u64> = "trash_delete_later",
        freeze_active: Option<u64> = "freeze_active", long_lived_total: Option<u64> = "long_lived_total",
    }
    /// `gc_generation`.
    GcGeneration = "gc_generation" {
        head: u64 = "head", threshold: u64 = "threshold", count: u64 = "count",
    }
    /// `managed_static_type_state`.
    StaticTypeState = "managed_static_type_state|static_builtin_state" {
        type_pointer: u64 = "type", ready: u64 = "ready", dict: u64 = "tp_dict",
        subclasses: u64 = "tp_subclasses", weaklist: u64 = "tp_weaklist",
    }
    /// `_Py_hashtable_t`.
    HashTable = "_Py_hashtable_t" {
        entry_count: u64 = "nentries|entries", bucket_count: u64 = "nbuckets|num_buckets",
        buckets: u64 = "buckets",
    }
    /// `_Py_hashtable_entry_t`.
    HashTableEntry = "_Py_hashtable_entry_t" {
        next: u64 = "_Py_slist_item", hash: u64 = "key_hash", key: Option<u64> = "key",
        value: Option<u64> = "value",
    }
}
