//! Numbers, strings, containers and their iterators.

use super::field::Bits;
use super::field::structures;

structures! {
    /// `PyLongObject`.
    Int = "PyLongObject|_longobject" {
        tag: Option<u64> = "long_value.lv_tag", digits: u64 = "long_value.ob_digit|ob_digit",
    }
    /// `PyFloatObject`.
    Float = "PyFloatObject" {
        value: u64 = "ob_fval",
    }
    /// `PyComplexObject`.
    Complex = "PyComplexObject" {
        value: u64 = "cval",
    }
    /// `PyASCIIObject`.
    AsciiString = "PyASCIIObject" {
        length: u64 = "length", hash: u64 = "hash", state: u64 = "state", interned: Bits = "state.interned",
        kind: Bits = "state.kind", compact: Bits = "state.compact", ascii: Bits = "state.ascii",
        ready: Option<Bits> = "state.ready", statically_allocated: Option<Bits> = "state.statically_allocated",
        wstr: Option<u64> = "wstr",
    }
    /// `PyCompactUnicodeObject`.
    CompactString = "PyCompactUnicodeObject" {
        utf8_length: u64 = "utf8_length", utf8: u64 = "utf8", wstr_length: Option<u64> = "wstr_length",
    }
    /// `PyUnicodeObject`.
    LegacyString = "PyUnicodeObject" {
        data: u64 = "data",
    }
    /// `PyBytesObject`.
    Bytes = "PyBytesObject" {
        hash: u64 = "ob_shash", data: u64 = "ob_sval",
    }
    /// `PyByteArrayObject`.
    ByteArray = "PyByteArrayObject" {
        allocated: u64 = "ob_alloc", bytes: u64 = "ob_bytes", start: u64 = "ob_start",
        exports: u64 = "ob_exports", bytes_object: Option<u64> = "ob_bytes_object",
    }
    /// `PyListObject`.
    List = "PyListObject" {
        items: u64 = "ob_item", allocated: u64 = "allocated",
    }
    /// `PyTupleObject`.
    Tuple = "PyTupleObject" {
        items: u64 = "ob_item", hash: Option<u64> = "ob_hash",
    }
    /// `PyDictObject`.
    Dict = "PyDictObject" {
        used: u64 = "ma_used", version_tag: Option<u64> = "ma_version_tag", keys: u64 = "ma_keys",
        values: u64 = "ma_values", ma_watcher_tag: Option<u64> = "_ma_watcher_tag",
    }
    /// `PyDictKeysObject`.
    DictKeys = "PyDictKeysObject|_dictkeysobject" {
        refcnt: u64 = "dk_refcnt", size: Option<u64> = "dk_size", lookup: Option<u64> = "dk_lookup",
        usable: u64 = "dk_usable", nentries: u64 = "dk_nentries", indices: u64 = "dk_indices",
        log2_size: Option<u64> = "dk_log2_size", log2_index_bytes: Option<u64> = "dk_log2_index_bytes",
        kind: Option<u64> = "dk_kind", version: Option<u64> = "dk_version", mutex: Option<u64> = "dk_mutex",
    }
    /// `PyDictKeyEntry`.
    DictEntry = "PyDictKeyEntry" {
        hash: u64 = "me_hash", key: u64 = "me_key", value: u64 = "me_value",
    }
    /// `PyDictUnicodeEntry`.
    DictUnicodeEntry = "PyDictUnicodeEntry" {
        key: u64 = "me_key", value: u64 = "me_value",
    }
    /// `PyDictValues`.
    DictValues = "PyDictValues|_dictvalues" {
        values: u64 = "values", capacity: Option<u64> = "capacity", size: Option<u64> = "size",
        embedded: Option<u64> = "embedded", valid: Option<u64> = "valid",
    }
    /// `PyFrozenDictObject`.
    FrozenDict = "PyFrozenDictObject" {
        hash: u64 = "ma_hash",
    }
    /// `_PyDictViewObject`.
    DictView = "_PyDictViewObject" {
        dict: u64 = "dv_dict",
    }
    /// `dictiterobject`.
    DictIterator = "dictiterobject" {
        dict: u64 = "di_dict", used: u64 = "di_used", pos: u64 = "di_pos", result: u64 = "di_result",
        len: u64 = "len",
    }
    /// `PySetObject`.
    Set = "PySetObject" {
        fill: u64 = "fill", used: u64 = "used", mask: u64 = "mask", table: u64 = "table", hash: u64 = "hash",
        finger: u64 = "finger", smalltable: u64 = "smalltable", weakreflist: u64 = "weakreflist",
    }
    /// `setentry`.
    SetEntry = "setentry" {
        key: u64 = "key", hash: u64 = "hash",
    }
    /// `setiterobject`.
    SetIterator = "setiterobject" {
        set: u64 = "si_set", used: u64 = "si_used", position: u64 = "si_pos", length: u64 = "len",
    }
    /// `PySliceObject`.
    Slice = "PySliceObject" {
        start: u64 = "start", stop: u64 = "stop", step: u64 = "step",
    }
    /// `rangeobject`.
    Range = "rangeobject" {
        start: u64 = "start", stop: u64 = "stop", step: u64 = "step", length: u64 = "length",
    }
    /// `rangeiterobject`.
    RangeIterator = "rangeiterobject|_PyRangeIterObject" {
        index: Option<u64> = "index", start: u64 = "start", step: u64 = "step", len: u64 = "len",
    }
    /// `longrangeiterobject`.
    LongRangeIterator = "longrangeiterobject" {
        index: Option<u64> = "index", start: u64 = "start", step: u64 = "step", len: u64 = "len",
    }
    /// `PyMemoryViewObject`.
    MemoryView = "PyMemoryViewObject" {
        managed_buffer: u64 = "mbuf", flags: u64 = "flags", exports: u64 = "exports", view: u64 = "view",
        weakreflist: u64 = "weakreflist", array: u64 = "ob_array", view_object: u64 = "view.obj",
    }
    /// `_PyManagedBufferObject`.
    ManagedBuffer = "_PyManagedBufferObject" {
        flags: u64 = "flags", exports: u64 = "exports", master: u64 = "master",
        master_object: u64 = "master.obj",
    }
    /// `Py_buffer`.
    Buffer = "Py_buffer|bufferinfo" {
        pointer: u64 = "buf", object: u64 = "obj", length: u64 = "len", item_size: u64 = "itemsize",
        dimensions: u64 = "ndim", format: u64 = "format", shape: u64 = "shape", strides: u64 = "strides",
        suboffsets: u64 = "suboffsets",
    }
    /// `tupleiterobject`.
    TupleIterator = "tupleiterobject|_PyTupleIterObject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `listiterobject`.
    ListIterator = "listiterobject|_PyListIterObject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `listreviterobject`.
    ListReverseIterator = "listreviterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `unicodeiterobject`.
    StringIterator = "unicodeiterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `striterobject`.
    BytesIterator = "striterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `bytesiterobject`.
    ByteArrayIterator = "bytesiterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `seqiterobject`.
    SequenceIterator = "seqiterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq",
    }
    /// `memoryiterobject`.
    MemoryViewIterator = "memoryiterobject" {
        index: u64 = "it_index", seq: u64 = "it_seq", length: u64 = "it_length", fmt: u64 = "it_fmt",
    }
    /// `calliterobject`.
    CallableIterator = "calliterobject" {
        callable: u64 = "it_callable", sentinel: u64 = "it_sentinel",
    }
    /// `unionobject`.
    Union = "unionobject" {
        args: u64 = "args", parameters: u64 = "parameters", hashable_args: Option<u64> = "hashable_args",
        unhashable_args: Option<u64> = "unhashable_args", weakreflist: Option<u64> = "weakreflist",
    }
    /// `gaobject`.
    GenericAlias = "gaobject" {
        origin: u64 = "origin", args: u64 = "args", parameters: u64 = "parameters",
        weakreflist: u64 = "weakreflist", starred: Option<u64> = "starred",
    }
    /// `gaiterobject`.
    GenericAliasIterator = "gaiterobject" {
        obj: u64 = "obj",
    }
    /// `PyCapsule`.
    Capsule = "PyCapsule" {
        pointer: u64 = "pointer", name: u64 = "name", context: u64 = "context", destructor: u64 = "destructor",
        traverse_func: Option<u64> = "traverse_func", clear_func: Option<u64> = "clear_func",
    }
    /// `_PyNamespaceObject`.
    Namespace = "_PyNamespaceObject" {
        dict: u64 = "ns_dict",
    }
}
