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
    /// Fields that hold a reference which `tp_traverse` does not visit.
    pub held: &'static [&'static str],
}

const fn family(
    types: &'static [&'static str],
    structure: &'static str,
    visited: &'static [&'static str],
    held: &'static [&'static str],
) -> Family {
    Family { types, structure, visited, held }
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
    family(&["datetime.timedelta", "datetime.date"], "PyObject", &[], &[]),
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
    // functoolsmodule.c: a link is visited through the wrapper that owns its list; the placeholder of a partial
    // is borrowed (3.14).
    family(&["functools.partial"], "partialobject", &["fn", "args", "kw", "dict"], &[]),
    family(&["functools._lru_list_elem"], "lru_list_elem", &[], &["key", "result"]),
    // zlibmodule.c, `compobject_traverse`, `ZlibDecompressor_traverse`: without any up to 3.13.8.
    family(
        &["zlib.Compress", "zlib.Decompress"],
        "compobject",
        &["zdict"],
        &["unused_data", "unconsumed_tail"],
    ),
    family(&["zlib._ZlibDecompressor"], "ZlibDecompressor", &["zdict"], &["unused_data"]),
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
    // _zoneinfo.c, _ssl.c, pyexpat.c
    family(&["zoneinfo.ZoneInfo"], "PyZoneInfo_ZoneInfo", &["key"], &["file_repr"]),
    family(&["_ssl._SSLSocket"], "PySSLSocket", &["exc"], &["Socket", "ctx", "owner", "server_hostname"]),
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
    // typevarobject.c: names are visited by later patch releases (`Features::type_variables_visit_names`).
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

/// C heap types whose traversal does not visit their type: `mbiencoder_traverse` and the like in
/// Modules/cjkcodecs/multibytecodec.c.
pub const HIDE_THEIR_TYPE: &[&str] = &[
    "_multibytecodec.MultibyteIncrementalEncoder",
    "_multibytecodec.MultibyteIncrementalDecoder",
    "_multibytecodec.MultibyteStreamReader",
    "_multibytecodec.MultibyteStreamWriter",
];

/// The C structures of the parameters of generic code and of type aliases (Objects/typevarobject.c).
pub const TYPE_VARIABLES: &[&str] =
    &["typevarobject", "paramspecobject", "typevartupleobject", "typealiasobject"];

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
