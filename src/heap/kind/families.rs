//! Object families that are nothing but named fields: which fields refer, and who sees them.
//!
//! A row names the types by their `tp_name` over all versions, the C structure, the fields that
//! `tp_traverse` visits and those that are held without being visited. A field that a version does not
//! have is left out. Source of each row: the `*_traverse` and `*_dealloc` functions of the file named.

/// One family.
pub struct Family {
    /// `tp_name` of the types that have this layout.
    pub types: &'static [&'static str],
    /// The C structure.
    pub structure: &'static str,
    /// Fields that `tp_traverse` visits.
    pub visited: &'static [&'static str],
    /// Fields that hold a reference which `tp_traverse` does not visit, in every version or in some
    /// ([`VisitFeatures`](crate::layout::visit_features::VisitFeatures)).
    pub held: &'static [&'static str],
    /// Fields that `tp_traverse` visits if they hold an object: they may hold a number.
    pub perhaps: &'static [&'static str],
    /// Whether builds of the same release differ in the structure, and instances in size with it: it is believed
    /// only of the size that is known.
    pub differs_by_build: bool,
}

const fn family(
    types: &'static [&'static str],
    structure: &'static str,
    visited: &'static [&'static str],
    held: &'static [&'static str],
) -> Family {
    Family { types, structure, visited, held, perhaps: &[], differs_by_build: false }
}

/// An incremental codec or a stream of it (cjkcodecs/multibytecodec.c): `errors` is a number for the names that
/// every codec knows; what an encoder could not yet write is held.
const fn codec(
    types: &'static [&'static str],
    structure: &'static str,
    visited: &'static [&'static str],
    held: &'static [&'static str],
) -> Family {
    Family { types, structure, visited, held, perhaps: &["errors"], differs_by_build: false }
}

/// Every family that is fields only. An empty row is a type without references.
pub const FAMILIES: &[Family] = &[
    // Objects without references: longobject.c, floatobject.c, unicodeobject.c, ...
    family(&["int", "bool"], "PyLongObject", &[], &[]),
    family(&["float"], "PyFloatObject", &[], &[]),
    family(&["complex"], "PyComplexObject", &[], &[]),
    family(&["str"], "PyUnicodeObject", &[], &[]),
    family(&["bytes"], "PyBytesObject", &[], &[]),
    family(&["bytearray"], "PyByteArrayObject", &[], &["ob_bytes_object"]),
    family(&["object", "NoneType", "ellipsis", "NotImplementedType"], "PyObject", &[], &[]),
    family(&["range_iterator"], "PyObject", &[], &[]),
    family(&["array.array"], "arrayobject", &[], &[]),
    family(&["mmap.mmap"], "mmap_object", &[], &[]),
    family(&["_thread.lock", "_thread.RLock"], "PyObject", &[], &[]),
    family(&["decimal.Decimal"], "PyDecObject", &[], &[]),
    family(&["_random.Random"], "RandomObject", &[], &[]),
    // _hashopenssl.c: what is behind the pointer to OpenSSL's state is no object, nor are flags and what is beside them.
    family(&["_hashlib.HASH", "_hashlib.HASHXOF"], "EVPobject", &[], &["name"]),
    family(&["_hashlib.HMAC"], "PyObject", &[], &[]),
    family(&["datetime.timedelta", "datetime.date"], "PyObject", &[], &[]),
    // _sqlite/connection.c, `connection_traverse`; the contexts of callbacks (3.11 on) are blocks of their own. The
    // exceptions are borrowed.
    family(
        &["sqlite3.Connection"],
        "pysqlite_Connection",
        &[
            "isolation_level",
            "statement_cache",
            "statements",
            "cursors",
            "blobs",
            "row_factory",
            "text_factory",
            "function_pinboard_trace_callback",
            "function_pinboard_progress_handler",
            "function_pinboard_authorizer_cb",
            "collations",
        ],
        &[],
    ),
    // _sqlite/cursor.c, row.c, statement.c, blob.c: `cursor_traverse` and so on.
    family(
        &["sqlite3.Cursor"],
        "pysqlite_Cursor",
        &["connection", "description", "row_cast_map", "lastrowid", "row_factory", "statement", "next_row"],
        &[],
    ),
    family(&["sqlite3.Row"], "pysqlite_Row", &["data", "description"], &[]),
    family(&["sqlite3.Statement"], "pysqlite_Statement", &["sql"], &[]),
    family(&["sqlite3.Blob"], "pysqlite_Blob", &["connection"], &[]),
    family(&["sqlite3.PrepareProtocol"], "PyObject", &[], &[]),
    // _sqlite/cache.c, `cache_traverse`; its nodes are a list. Its factory is the connection, which owns it.
    family(&["sqlite3.Cache"], "pysqlite_Cache", &["mapping"], &[]),
    // _sqlite/cache.c, `node_traverse`: its neighbours are the cache's to visit.
    family(&["sqlite3.Node"], "pysqlite_Node", &["key", "data"], &[]),
    family(&["datetime.timezone"], "PyDateTime_TimeZone", &[], &["offset", "name"]),
    // funcobject.c
    family(
        &["function"],
        "PyFunctionObject",
        &[
            "func_code",
            "func_globals",
            "func_builtins",
            "func_module",
            "func_defaults",
            "func_kwdefaults",
            "func_doc",
            "func_name",
            "func_dict",
            "func_closure",
            "func_annotations",
            "func_annotate",
            "func_typeparams",
            "func_qualname",
        ],
        &[],
    ),
    family(&["staticmethod"], "staticmethod", &["sm_callable", "sm_dict"], &[]),
    family(&["classmethod"], "classmethod", &["cm_callable", "cm_dict"], &[]),
    // classobject.c, cellobject.c
    family(&["method"], "PyMethodObject", &["im_func", "im_self"], &[]),
    family(&["instancemethod"], "PyInstanceMethodObject", &["func"], &[]),
    family(&["cell"], "PyCellObject", &["ob_ref"], &[]),
    // descrobject.c
    family(
        &["property", "builtins.property"],
        "propertyobject",
        &["prop_get", "prop_set", "prop_del", "prop_doc", "prop_name"],
        &[],
    ),
    family(
        &[
            "getset_descriptor",
            "member_descriptor",
            "method_descriptor",
            "classmethod_descriptor",
            "wrapper_descriptor",
        ],
        "PyDescrObject",
        &["d_type"],
        &["d_name", "d_qualname"],
    ),
    family(&["method-wrapper"], "wrapperobject", &["descr", "self"], &[]),
    family(&["mappingproxy"], "mappingproxyobject", &["mapping"], &[]),
    // typeobject.c, sliceobject.c, rangeobject.c
    family(&["super"], "superobject", &["obj", "type", "obj_type"], &[]),
    family(&["slice"], "PySliceObject", &["start", "stop", "step"], &[]),
    family(&["range"], "rangeobject", &[], &["start", "stop", "step", "length"]),
    family(&["longrange_iterator"], "longrangeiterobject", &[], &["index", "start", "step", "len"]),
    // weakrefobject.c: the referent is not owned, and neither are the neighbours in its list.
    family(
        &[
            "weakref",
            "weakproxy",
            "weakcallableproxy",
            "weakref.ReferenceType",
            "weakref.ProxyType",
            "weakref.CallableProxyType",
        ],
        "PyWeakReference",
        &["wr_callback"],
        &[],
    ),
    // traceback.c, memoryobject.c, enumobject.c
    family(&["traceback"], "PyTracebackObject", &["tb_next", "tb_frame"], &[]),
    family(&["memoryview"], "PyMemoryViewObject", &["mbuf"], &["view.obj"]),
    family(&["managedbuffer"], "_PyManagedBufferObject", &["master.obj"], &[]),
    family(&["enumerate"], "enumobject", &["en_sit", "en_result", "en_longindex"], &["one"]),
    // functoolsmodule.c: a link visits nothing itself from 3.7 on; the placeholder of a partial is borrowed (3.14).
    family(&["functools.partial"], "partialobject", &["fn", "args", "kw", "dict"], &[]),
    family(&["functools._lru_list_elem"], "lru_list_elem", &["key", "result"], &[]),
    // zlibmodule.c, `compobject_traverse`, `ZlibDecompressor_traverse`: without any up to 3.13.8.
    family(
        &["zlib.Compress", "zlib.Decompress"],
        "compobject",
        &["zdict"],
        &["unused_data", "unconsumed_tail"],
    ),
    family(&["zlib._ZlibDecompressor"], "ZlibDecompressor", &["zdict"], &["unused_data"]),
    // _bz2module.c, _lzmamodule.c: what they visit from 3.10 on is their type. Compressors have buffers only.
    family(&["_bz2.BZ2Compressor", "_lzma.LZMACompressor"], "PyObject", &[], &[]),
    family(&["_bz2.BZ2Decompressor"], "BZ2Decompressor", &[], &["unused_data"]),
    family(&["_lzma.LZMADecompressor"], "Decompressor", &[], &["unused_data"]),
    // _zstd/compressor.c, _zstd/decompressor.c, _zstd/zstddict.c (3.14 on).
    family(&["compression.zstd.ZstdCompressor"], "ZstdCompressor", &["dict"], &[]),
    family(&["compression.zstd.ZstdDecompressor"], "ZstdDecompressor", &["dict"], &["unused_data"]),
    family(&["compression.zstd.ZstdDict"], "ZstdDict", &[], &["c_dicts"]),
    // _lsprof.c: what it has counted is in blocks of its own, and not visited.
    family(&["_lsprof.Profiler"], "ProfilerObject", &[], &["externalTimer", "missing"]),
    codec(
        &["_multibytecodec.MultibyteIncrementalEncoder", "MultibyteIncrementalEncoder"],
        "MultibyteIncrementalEncoderObject",
        &[],
        &["pending"],
    ),
    codec(
        &["_multibytecodec.MultibyteIncrementalDecoder", "MultibyteIncrementalDecoder"],
        "MultibyteIncrementalDecoderObject",
        &[],
        &[],
    ),
    codec(
        &["_multibytecodec.MultibyteStreamReader", "MultibyteStreamReader"],
        "MultibyteStreamReaderObject",
        &["stream"],
        &[],
    ),
    codec(
        &["_multibytecodec.MultibyteStreamWriter", "MultibyteStreamWriter"],
        "MultibyteStreamWriterObject",
        &["stream"],
        &["pending"],
    ),
    // _operator.c, `methodcaller_traverse`.
    family(
        &["operator.methodcaller"],
        "methodcallerobject",
        &["xargs", "kwds"],
        &["name", "vectorcall_args", "vectorcall_kwnames"],
    ),
    // _decimal/_decimal.c, `ctxmanager_traverse` (3.13 on).
    family(&["decimal.ContextManager"], "PyDecContextManagerObject", &["local", "global"], &[]),
    // _ctypes/callproc.c, `PyCArg_traverse` (3.12 on).
    family(&["CArgObject", "_ctypes.CArgObject"], "PyCArgObject", &["obj"], &[]),
    // _io
    family(&["_io.FileIO"], "fileio", &["dict"], &[]),
    family(
        &["_io.BufferedReader", "_io.BufferedWriter", "_io.BufferedRandom"],
        "buffered",
        &["raw", "dict"],
        &[],
    ),
    // _threadmodule.c: the key of the dicts of the threads is held.
    family(
        &["_thread._local"],
        "localobject",
        &["args", "kw", "dummies", "localdicts", "thread_watchdogs"],
        &["key"],
    ),
    // _zoneinfo.c, _ssl.c
    family(&["zoneinfo.ZoneInfo"], "PyZoneInfo_ZoneInfo", &["key"], &["file_repr"]),
    family(
        &["_ssl._SSLSocket"],
        "PySSLSocket",
        &["exc", "exc_type", "exc_value", "exc_tb"],
        &["Socket", "ctx", "owner", "server_hostname"],
    ),
    Family {
        // Up to 3.9 it begins with what an older OpenSSL knows of NPN and ALPN (`HAVE_NPN`, `HAVE_ALPN`).
        differs_by_build: true,
        ..family(
            &["_ssl._SSLContext"],
            "PySSLContext",
            &["set_sni_cb", "msg_cb"],
            &["keylog_filename", "psk_client_callback", "psk_server_callback"],
        )
    },
    // _elementtree.c, `treebuilder_gc_traverse`: what it does with events from 3.7.3 on.
    family(
        &["xml.etree.ElementTree.TreeBuilder"],
        "TreeBuilderObject",
        &[
            "root",
            "this",
            "last",
            "last_for_tail",
            "data",
            "stack",
            "pi_factory",
            "comment_factory",
            "element_factory",
            "pi_event_obj",
            "comment_event_obj",
        ],
        &["events_append", "start_event_obj", "end_event_obj", "start_ns_event_obj", "end_ns_event_obj"],
    ),
    // _elementtree.c, `xmlparser_gc_traverse`: its module (3.12.2 on) is held.
    family(
        &["xml.etree.ElementTree.XMLParser"],
        "XMLParserObject",
        &[
            "target",
            "entity",
            "names",
            "handle_start_ns",
            "handle_end_ns",
            "handle_start",
            "handle_data",
            "handle_end",
            "handle_comment",
            "handle_pi",
            "handle_doctype",
            "handle_close",
        ],
        &["elementtree_module"],
    ),
    // context.c, itertoolsmodule.c: what a variable was last, and the group that is being made, are borrowed.
    family(&["_contextvars.ContextVar", "ContextVar"], "PyContextVar", &["var_name", "var_default"], &[]),
    family(
        &["itertools.groupby"],
        "groupbyobject",
        &["it", "keyfunc", "tgtkey", "currkey", "currvalue"],
        &[],
    ),
    // _ctypes/callbacks.c: what follows are types of libffi.
    family(&["_ctypes.CThunkObject"], "CThunkObject", &["converters", "callable", "restype"], &[]),
    // sre.c
    family(
        &["re.Pattern", "_sre.SRE_Pattern"],
        "PatternObject",
        &["groupindex", "indexgroup", "pattern"],
        &[],
    ),
    // _sre/sre.c, `match_traverse`: there is a word more than marks, which nobody sets.
    family(&["re.Match", "_sre.SRE_Match"], "MatchObject", &["string", "regs", "pattern"], &[]),
    // _sre/sre.c, `scanner_traverse`: the text is held, but not visited.
    family(
        &["_sre.SRE_Scanner", "re.Scanner"],
        "ScannerObject",
        &["pattern"],
        &["state.string", "state.buffer.obj"],
    ),
    // exceptions.c: subclasses add fields after these, which are scanned.
    family(
        &["BaseException"],
        "PyBaseExceptionObject",
        &["dict", "args", "notes", "traceback", "cause", "context"],
        &[],
    ),
    // genobject.c
    family(&["coroutine_wrapper"], "PyCoroWrapper", &["cw_coroutine"], &[]),
    family(&["aiter_wrapper"], "PyAIterWrapper", &["ags_aiter"], &[]),
    // typevarobject.c: names are visited by later patch releases.
    family(
        &["typing.TypeVar"],
        "typevarobject",
        &[
            "bound",
            "evaluate_bound",
            "constraints",
            "evaluate_constraints",
            "default_value",
            "evaluate_default",
        ],
        &["name"],
    ),
    family(
        &["typing.ParamSpec"],
        "paramspecobject",
        &["bound", "default_value", "evaluate_default"],
        &["name"],
    ),
    family(
        &["typing.TypeVarTuple"],
        "typevartupleobject",
        &["bound", "default_value", "evaluate_default"],
        &["name"],
    ),
    family(
        &["typing.TypeAliasType"],
        "typealiasobject",
        &["type_params", "compute_value", "value", "module", "qualname"],
        &["name"],
    ),
    // _ctypes/cfield.c, `PyCField_traverse`: the name (3.14 on) is held.
    family(&["_ctypes.CField", "ctypes.CField"], "CFieldObject", &["proto"], &["name"]),
    // _ctypes.c: the buffer of an instance may hold anything.
    family(&["_ctypes._CData"], "CDataObject", &["b_objects", "b_base"], &[]),
];

/// The family of a type by its `tp_name`.
pub fn find(type_name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.types.contains(&type_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_is_in_two_families() {
        let mut names: Vec<&str> = FAMILIES.iter().flat_map(|family| family.types).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
