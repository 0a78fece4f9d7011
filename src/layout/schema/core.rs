//! Headers of objects, types and the definitions that types are made of.

use super::field::structures;

structures! {
    /// `PyObject`.
    Object = "PyObject|_object" {
        refcount: Option<u64> = "ob_refcnt", type_pointer: u64 = "ob_type", thread_id: Option<u64> = "ob_tid",
        flags: Option<u64> = "ob_flags", mutex: Option<u64> = "ob_mutex", gc_bits: Option<u64> = "ob_gc_bits",
        ref_local: Option<u64> = "ob_ref_local", ref_shared: Option<u64> = "ob_ref_shared",
    }
    /// `PyVarObject`.
    VariableObject = "PyVarObject" {
        size_field: u64 = "ob_size",
    }
    /// `PyGC_Head`.
    GcHead = "PyGC_Head|_gc_head" {
        next: u64 = "_gc_next|gc.gc_next", previous: u64 = "_gc_prev|gc.gc_prev",
        refs: Option<u64> = "gc.gc_refs",
    }
    /// `PyTypeObject`.
    TypeObject = "PyTypeObject|_typeobject" {
        name: u64 = "tp_name", basicsize: u64 = "tp_basicsize", itemsize: u64 = "tp_itemsize",
        dealloc: u64 = "tp_dealloc", repr: u64 = "tp_repr", as_buffer: u64 = "tp_as_buffer",
        flags: u64 = "tp_flags", doc: u64 = "tp_doc", traverse: u64 = "tp_traverse", clear: u64 = "tp_clear",
        weaklistoffset: u64 = "tp_weaklistoffset", iternext: u64 = "tp_iternext", methods: u64 = "tp_methods",
        members: u64 = "tp_members", getset: u64 = "tp_getset", base: u64 = "tp_base", dict: u64 = "tp_dict",
        descr_get: u64 = "tp_descr_get", dictoffset: u64 = "tp_dictoffset", new: u64 = "tp_new",
        is_gc: u64 = "tp_is_gc", bases: u64 = "tp_bases", mro: u64 = "tp_mro", cache: u64 = "tp_cache",
        subclasses: u64 = "tp_subclasses", weaklist: u64 = "tp_weaklist", version_tag: u64 = "tp_version_tag",
        as_async: u64 = "tp_as_async",
    }
    /// `PyHeapTypeObject`.
    HeapType = "PyHeapTypeObject|_heaptypeobject" {
        name: u64 = "ht_name", slots: u64 = "ht_slots", qualname: u64 = "ht_qualname",
        cached_keys: u64 = "ht_cached_keys", module: Option<u64> = "ht_module",
        ht_tpname: Option<u64> = "_ht_tpname", specialization: Option<u64> = "_spec_cache",
        specialization_getitem: Option<u64> = "_spec_cache.getitem",
        specialization_init: Option<u64> = "_spec_cache.init", unique_id: Option<u64> = "unique_id",
        token: Option<u64> = "ht_token",
    }
    /// `PyMemberDef`.
    MemberDef = "PyMemberDef" {
        name: u64 = "name", kind: u64 = "type", offset: u64 = "offset", flags: u64 = "flags", doc: u64 = "doc",
    }
    /// `PyMethodDef`.
    MethodDef = "PyMethodDef" {
        name: u64 = "ml_name", meth: u64 = "ml_meth", flags: u64 = "ml_flags", doc: u64 = "ml_doc",
    }
    /// `PyGetSetDef`.
    GetSetDef = "PyGetSetDef" {
        name: u64 = "name", get: u64 = "get", set: u64 = "set", doc: u64 = "doc", closure: u64 = "closure",
    }
    /// `PyModuleDef`.
    ModuleDef = "PyModuleDef" {
        name: u64 = "m_name", size: u64 = "m_size", slots: u64 = "m_slots", traverse: u64 = "m_traverse",
        clear: u64 = "m_clear",
    }
}
