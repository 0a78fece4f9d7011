//! Objects of the standard library's extension modules.

use super::field::structures;

structures! {
    /// `dequeobject`.
    Deque = "dequeobject" {
        leftblock: u64 = "leftblock", rightblock: u64 = "rightblock", leftindex: u64 = "leftindex",
        rightindex: u64 = "rightindex", state: u64 = "state", maxlen: u64 = "maxlen",
        weakreflist: u64 = "weakreflist", numfreeblocks: Option<u64> = "numfreeblocks",
        freeblocks: Option<u64> = "freeblocks",
    }
    /// `BLOCK`.
    DequeBlock = "BLOCK|block" {
        left: u64 = "leftlink", data: u64 = "data", right: u64 = "rightlink",
    }
    /// `dequeiterobject`.
    DequeIterator = "dequeiterobject" {
        block: u64 = "b", index: u64 = "index", deque: u64 = "deque", counter: u64 = "counter",
    }
    /// `defdictobject`.
    DefaultDict = "defdictobject" {
        default_factory: u64 = "default_factory",
    }
    /// `PyODictObject`.
    OrderedDict = "PyODictObject" {
        dict: u64 = "od_dict", first: u64 = "od_first", last: u64 = "od_last",
        fast_nodes: u64 = "od_fast_nodes", fast_nodes_size: u64 = "od_fast_nodes_size",
        resize_sentinel: u64 = "od_resize_sentinel", state: u64 = "od_state", inst_dict: u64 = "od_inst_dict",
        weakreflist: u64 = "od_weakreflist",
    }
    /// `_odictnode`.
    OrderedDictNode = "_odictnode" {
        key: u64 = "key", hash: u64 = "hash", next: u64 = "next", previous: u64 = "prev",
    }
    /// `odictiterobject`.
    OrderedDictIterator = "odictiterobject" {
        odict: u64 = "di_odict", current: u64 = "di_current", result: u64 = "di_result",
    }
    /// `partialobject`.
    Partial = "partialobject" {
        function: u64 = "fn", arguments: u64 = "args", keywords: u64 = "kw", dict: u64 = "dict",
        weakreflist: u64 = "weakreflist",
    }
    /// `lru_cache_object`.
    LruCache = "lru_cache_object" {
        root: u64 = "root", typed: u64 = "typed", cache: u64 = "cache", hits: u64 = "hits",
        function: u64 = "func", max_size: u64 = "maxsize", misses: u64 = "misses",
        max_size_object: Option<u64> = "maxsize_O",
        kwd_mark: Option<u64> = "kwd_mark", element_type: Option<u64> = "lru_list_elem_type",
        cache_info_type: u64 = "cache_info_type", dict: u64 = "dict", weakreflist: Option<u64> = "weakreflist",
        root_next: u64 = "root.next",
    }
    /// `lru_list_elem`.
    LruLink = "lru_list_elem" {
        previous: u64 = "prev", next: u64 = "next", hash: u64 = "hash", key: u64 = "key",
        result: u64 = "result",
    }
    /// `keyobject`.
    CompareKey = "keyobject" {
        compare: u64 = "cmp", object: u64 = "object",
    }
    /// `buffered`.
    Buffered = "buffered" {
        raw: u64 = "raw", buffer: u64 = "buffer", pos: u64 = "pos", read_end: u64 = "read_end",
        write_pos: u64 = "write_pos", write_end: u64 = "write_end", lock: u64 = "lock", owner: u64 = "owner",
        buffer_size: u64 = "buffer_size", buffer_mask: u64 = "buffer_mask", dict: u64 = "dict",
        weakreflist: u64 = "weakreflist",
    }
    /// `bytesio`.
    BytesIo = "bytesio" {
        buf: u64 = "buf", pos: u64 = "pos", string_size: u64 = "string_size", dict: u64 = "dict",
        weakreflist: u64 = "weakreflist", exports: u64 = "exports", buf_shared: Option<u64> = "buf_shared",
    }
    /// `bytesiobuf`.
    BytesIoBuffer = "bytesiobuf" {
        source: u64 = "source",
    }
    /// `stringio`.
    StringIo = "stringio" {
        buffer: u64 = "buf", string_size: u64 = "string_size", buffer_size: u64 = "buf_size",
        decoder: u64 = "decoder", readnl: u64 = "readnl", writenl: u64 = "writenl", dict: u64 = "dict",
        weakreflist: u64 = "weakreflist",
    }
    /// `textio`.
    TextIo = "textio" {
        buffer: u64 = "buffer", encoding: u64 = "encoding", encoder: u64 = "encoder", decoder: u64 = "decoder",
        readnl: u64 = "readnl", errors: u64 = "errors", decoded_chars: u64 = "decoded_chars",
        pending_bytes: u64 = "pending_bytes", snapshot: u64 = "snapshot", raw: u64 = "raw", dict: u64 = "dict",
        weakreflist: u64 = "weakreflist",
    }
    /// `fileio`.
    FileIo = "fileio" {
        weakreflist: u64 = "weakreflist", dict: u64 = "dict",
    }
    /// `rwpair`.
    BufferedPair = "rwpair" {
        reader: u64 = "reader", writer: u64 = "writer", dict: u64 = "dict", weakreflist: u64 = "weakreflist",
    }
    /// `nldecoder_object`.
    NewlineDecoder = "nldecoder_object" {
        decoder: u64 = "decoder", errors: u64 = "errors",
    }
    /// `arrayobject`.
    Array = "arrayobject" {
        items: u64 = "ob_item", allocated: u64 = "allocated", descriptor: u64 = "ob_descr",
        weakreflist: u64 = "weakreflist", exports: u64 = "ob_exports",
    }
    /// `arraydescr`.
    ArrayDescriptor = "arraydescr" {
        item_size: u64 = "itemsize",
    }
    /// `arrayiterobject`.
    ArrayIterator = "arrayiterobject" {
        index: u64 = "index", array: u64 = "ao",
    }
    /// `PyStructObject`.
    StructFormat = "PyStructObject" {
        size_field: u64 = "s_size", length: u64 = "s_len", codes: u64 = "s_codes", format: u64 = "s_format",
        weakreflist: u64 = "weakreflist",
    }
    /// `PyDecObject`.
    Decimal = "PyDecObject" {
        hash: u64 = "hash", dec: u64 = "dec", data: u64 = "data", allocated: u64 = "dec.alloc",
        pointer: u64 = "dec.data",
    }
    /// `PyDecContextObject`.
    DecimalContext = "PyDecContextObject" {
        traps: u64 = "traps", flags: u64 = "flags",
    }
    /// `PyDecContextManagerObject`.
    DecimalContextManager = "PyDecContextManagerObject" {
        local: u64 = "local", global: u64 = "global",
    }
    /// `ElementObject`.
    Element = "ElementObject" {
        tag: u64 = "tag", text: u64 = "text", tail: u64 = "tail", extra: u64 = "extra",
        weakreflist: u64 = "weakreflist",
    }
    /// `ElementObjectExtra`.
    ElementExtra = "ElementObjectExtra" {
        attributes: u64 = "attrib", length: u64 = "length", allocated: u64 = "allocated",
        children: u64 = "children", inline_children: u64 = "_children",
    }
    /// `TreeBuilderObject`.
    TreeBuilder = "TreeBuilderObject" {
        root: u64 = "root", this: u64 = "this", last: u64 = "last", data: u64 = "data", stack: u64 = "stack",
        element_factory: u64 = "element_factory", events_append: u64 = "events_append",
        start_event_obj: u64 = "start_event_obj", end_event_obj: u64 = "end_event_obj",
        start_ns_event_obj: u64 = "start_ns_event_obj", end_ns_event_obj: u64 = "end_ns_event_obj",
        last_for_tail: Option<u64> = "last_for_tail", comment_factory: Option<u64> = "comment_factory",
        pi_factory: Option<u64> = "pi_factory", comment_event_obj: Option<u64> = "comment_event_obj",
        pi_event_obj: Option<u64> = "pi_event_obj",
    }
    /// `XMLParserObject`.
    XmlParser = "XMLParserObject" {
        parser: u64 = "parser", target: u64 = "target", entity: u64 = "entity", names: u64 = "names",
        handle_start: u64 = "handle_start", handle_data: u64 = "handle_data", handle_end: u64 = "handle_end",
        handle_comment: u64 = "handle_comment", handle_pi: u64 = "handle_pi",
        handle_doctype: u64 = "handle_doctype", handle_close: u64 = "handle_close",
        handle_start_ns: Option<u64> = "handle_start_ns", handle_end_ns: Option<u64> = "handle_end_ns",
        module: Option<u64> = "elementtree_module",
    }
    /// `PicklerObject`.
    Pickler = "PicklerObject" {
        memo: u64 = "memo", persistent_id: u64 = "persistent_id|pers_func",
        dispatch_table: u64 = "dispatch_table", reducer_override: Option<u64> = "reducer_override",
        write: u64 = "write", output_buffer: u64 = "output_buffer", fast_memo: u64 = "fast_memo",
        buffer_callback: Option<u64> = "buffer_callback",
        persistent_id_attr: Option<u64> = "persistent_id_attr",
    }
    /// `UnpicklerObject`.
    Unpickler = "UnpicklerObject" {
        stack: u64 = "stack", memo: u64 = "memo", memo_size: u64 = "memo_size", memo_length: u64 = "memo_len",
        persistent_load: u64 = "persistent_load|pers_func", input_buffer: u64 = "input_buffer",
        input_line: u64 = "input_line", read: u64 = "read", readinto: Option<u64> = "readinto",
        readline: u64 = "readline", peek: u64 = "peek", buffers: Option<u64> = "buffers",
        encoding: u64 = "encoding", errors: u64 = "errors", marks: u64 = "marks", num_marks: u64 = "num_marks",
        marks_size: u64 = "marks_size", persistent_load_attr: Option<u64> = "persistent_load_attr",
    }
    /// `simplequeueobject`.
    SimpleQueue = "simplequeueobject" {
        list: Option<u64> = "lst", list_position: Option<u64> = "lst_pos", lock: Option<u64> = "lock",
        weakreflist: u64 = "weakreflist", ring: Option<u64> = "buf", ring_items: Option<u64> = "buf.items",
        ring_capacity: Option<u64> = "buf.items_cap", ring_first: Option<u64> = "buf.get_idx",
        ring_length: Option<u64> = "buf.num_items",
    }
    /// `CDataObject`.
    CData = "CDataObject" {
        pointer: u64 = "b_ptr", needs_free: u64 = "b_needsfree", base: u64 = "b_base",
        size_field: u64 = "b_size", length: u64 = "b_length", index: u64 = "b_index",
        objects: u64 = "b_objects", value: u64 = "b_value",
    }
    /// `PyCFuncPtrObject`.
    CFunctionPointer = "PyCFuncPtrObject" {
        thunk: u64 = "thunk", callable: u64 = "callable", converters: u64 = "converters",
        argtypes: u64 = "argtypes", restype: u64 = "restype", checker: u64 = "checker",
        errcheck: u64 = "errcheck", paramflags: u64 = "paramflags",
    }
    /// `CThunkObject`.
    CThunk = "CThunkObject" {
        converters: u64 = "converters", callable: u64 = "callable", restype: u64 = "restype",
    }
    /// `CFieldObject`.
    CField = "CFieldObject" {
        proto: u64 = "proto", name: Option<u64> = "name",
    }
    /// `PyCArgObject`.
    CArgument = "PyCArgObject" {
        object: u64 = "obj",
    }
    /// `StgDictObject`.
    StorageDict = "StgDictObject" {
        length: u64 = "length", ffi_type_pointer: u64 = "ffi_type_pointer", proto: u64 = "proto",
        argtypes: u64 = "argtypes", converters: u64 = "converters", restype: u64 = "restype",
        checker: u64 = "checker", format: u64 = "format", ndim: u64 = "ndim", shape: u64 = "shape",
    }
    /// `StgInfo`.
    StorageInfo = "StgInfo" {
        initialized: u64 = "initialized", length: u64 = "length", ffi_type_pointer: u64 = "ffi_type_pointer",
        proto: u64 = "proto", argtypes: u64 = "argtypes", converters: u64 = "converters",
        restype: u64 = "restype", checker: u64 = "checker", module: u64 = "module", format: u64 = "format",
        ndim: u64 = "ndim", shape: u64 = "shape", pointer_type: Option<u64> = "pointer_type",
        mutex: Option<u64> = "mutex", dict_final: Option<u64> = "dict_final",
    }
    /// `PyDateTime_Date`.
    Date = "PyDateTime_Date" {
        has_tzinfo: u64 = "hastzinfo", data: u64 = "data",
    }
    /// `PyDateTime_DateTime`.
    DateTime = "PyDateTime_DateTime" {
        has_tzinfo: u64 = "hastzinfo", data: u64 = "data", fold: u64 = "fold", tzinfo: u64 = "tzinfo",
    }
    /// `PyDateTime_Time`.
    Time = "PyDateTime_Time" {
        has_tzinfo: u64 = "hastzinfo", data: u64 = "data", fold: u64 = "fold", tzinfo: u64 = "tzinfo",
    }
    /// `PyDateTime_Delta`.
    TimeDelta = "PyDateTime_Delta" {
        days: u64 = "days", seconds: u64 = "seconds", microseconds: u64 = "microseconds",
    }
    /// `PyDateTime_TimeZone`.
    TimeZone = "PyDateTime_TimeZone" {
        offset: u64 = "offset", name: u64 = "name",
    }
    /// `FutureObj`.
    Future = "FutureObj" {
        event_loop: u64 = "fut_loop", callback0: Option<u64> = "fut_callback0",
        context0: Option<u64> = "fut_context0",
        callbacks: u64 = "fut_callbacks", exception: u64 = "fut_exception", result: u64 = "fut_result",
        source_tb: u64 = "fut_source_tb", dict: Option<u64> = "dict",
        weakreflist: Option<u64> = "fut_weakreflist", cancel_msg: Option<u64> = "fut_cancel_msg",
        exception_tb: Option<u64> = "fut_exception_tb", cancelled_exc: Option<u64> = "fut_cancelled_exc",
        awaited_by: Option<u64> = "fut_awaited_by",
    }
    /// `TaskObj`.
    Task = "TaskObj" {
        event_loop: u64 = "task_loop", callback0: Option<u64> = "task_callback0",
        context0: Option<u64> = "task_context0",
        callbacks: u64 = "task_callbacks", exception: u64 = "task_exception", result: u64 = "task_result",
        source_tb: u64 = "task_source_tb", dict: Option<u64> = "dict",
        weakreflist: Option<u64> = "task_weakreflist", fut_waiter: u64 = "task_fut_waiter",
        coro: u64 = "task_coro", context: Option<u64> = "task_context", name: Option<u64> = "task_name",
        cancel_msg: Option<u64> = "task_cancel_msg", exception_tb: Option<u64> = "task_exception_tb",
        cancelled_exc: Option<u64> = "task_cancelled_exc", awaited_by: Option<u64> = "task_awaited_by",
        node: Option<u64> = "task_node", tid: Option<u64> = "task_tid",
    }
    /// `TaskStepMethWrapper`.
    TaskStep = "TaskStepMethWrapper" {
        task: u64 = "sw_task", argument: u64 = "sw_arg",
    }
    /// `localobject`.
    ThreadLocal = "localobject" {
        key: Option<u64> = "key", dummies: Option<u64> = "dummies", arguments: u64 = "args",
        keywords: u64 = "kw", weakreflist: u64 = "weakreflist", local_dicts: Option<u64> = "localdicts",
        thread_watchdogs: Option<u64> = "thread_watchdogs",
    }
    /// `localdummyobject`.
    ThreadLocalDummy = "localdummyobject" {
        localdict: Option<u64> = "localdict", weakreflist: u64 = "weakreflist",
    }
    /// `ProfilerObject` of _lsprof.
    Profiler = "ProfilerObject" {
        external_timer: u64 = "externalTimer", missing: Option<u64> = "missing",
    }
    /// `attrgetterobject`.
    AttrGetter = "attrgetterobject" {
        count: u64 = "nattrs", attributes: u64 = "attr",
    }
    /// `itemgetterobject`.
    ItemGetter = "itemgetterobject" {
        count: u64 = "nitems", item: u64 = "item",
    }
    /// `methodcallerobject`.
    MethodCaller = "methodcallerobject" {
        name: u64 = "name", arguments: u64 = "xargs|args", keywords: u64 = "kwds",
        vectorcall_args: Option<u64> = "vectorcall_args", vectorcall_names: Option<u64> = "vectorcall_kwnames",
    }
    /// `PatternObject`.
    Pattern = "PatternObject" {
        group_index: u64 = "groupindex", index_group: u64 = "indexgroup", pattern: u64 = "pattern",
        weakreflist: u64 = "weakreflist", code_size: u64 = "codesize", code: u64 = "code",
    }
    /// `MatchObject`.
    Match = "MatchObject" {
        string: u64 = "string", regs: u64 = "regs", pattern: u64 = "pattern", groups: u64 = "groups",
        marks: u64 = "mark",
    }
    /// `ScannerObject`.
    Scanner = "ScannerObject" {
        pattern: u64 = "pattern", text: u64 = "state.string", buffer_owner: u64 = "state.buffer.obj",
    }
    /// `PyScannerObject`.
    JsonScanner = "PyScannerObject" {
        object_hook: u64 = "object_hook", object_pairs_hook: u64 = "object_pairs_hook",
        parse_float: u64 = "parse_float", parse_int: u64 = "parse_int", parse_constant: u64 = "parse_constant",
        array_hook: Option<u64> = "array_hook",
    }
    /// `PyEncoderObject`.
    JsonEncoder = "PyEncoderObject" {
        markers: u64 = "markers", default_function: u64 = "defaultfn", encoder: u64 = "encoder",
        indent: u64 = "indent", key_separator: u64 = "key_separator", item_separator: u64 = "item_separator",
    }
    /// `ReaderObj`.
    CsvReader = "ReaderObj" {
        input: u64 = "input_iter", dialect: u64 = "dialect", fields: u64 = "fields",
    }
    /// `WriterObj`.
    CsvWriter = "WriterObj" {
        write: Option<u64> = "write", dialect: u64 = "dialect", error_object: Option<u64> = "error_obj",
    }
    /// `EVPobject`: `name` up to 3.7.
    Hash = "EVPobject" {
        name: Option<u64> = "name", context: u64 = "ctx",
    }
    /// `mmap_object`.
    Mmap = "mmap_object" {
        data: u64 = "data", size_field: u64 = "size", weakreflist: u64 = "weakreflist",
    }
    /// `_abc_data`.
    AbcData = "_abc_data" {
        registry: u64 = "_abc_registry", cache: u64 = "_abc_cache", negative_cache: u64 = "_abc_negative_cache",
    }
    /// `PyZoneInfo_ZoneInfo`.
    ZoneInfo = "PyZoneInfo_ZoneInfo" {
        key: u64 = "key", file_repr: u64 = "file_repr", weakreflist: u64 = "weakreflist",
    }
}
