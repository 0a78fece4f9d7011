//! Builtin functions and code objects.

use crate::address::Address;
use crate::heap::kind::Visit;
use crate::heap::kind::field;
use crate::heap::kind::optional_field;
use crate::heap::seen::Seen;
use crate::heap::space::Space;

/// `METH_METHOD`, `Include/methodobject.h` (3.9+): the object is a `PyCMethodObject`.
const METH_METHOD: u32 = 0x0200;

/// `meth_traverse`, Objects/methodobject.c.
pub fn builtin_function(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.builtin_function;
    field(space, object.plus(layout.self_object), Seen::ALL, visit);
    field(space, object.plus(layout.module), Seen::ALL, visit);
    let Some(method) = &space.layouts.builtin_method else { return };
    let flags = space
        .image
        .pointer(object.plus(layout.method_def))
        .and_then(|definition| space.image.word32(definition.plus(space.layouts.method_def.flags)));
    if flags.is_some_and(|flags| flags & METH_METHOD != 0) {
        field(space, object.plus(method.class), Seen::ALL, visit);
    }
}

/// A code object has no traversal in builds with a GIL (Objects/codeobject.c); heapy has its own
/// (`code_traverse` in guppy3's stdtypes.c), which leaves out what later versions added.
pub fn code(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.code;
    let consts = if space.features.code_visits_consts { Seen::ALL } else { Seen::HEAPY_AND_HELD };
    field(space, object.plus(layout.consts), consts, visit);
    for offset in [layout.names, layout.filename, layout.name, layout.line_table] {
        field(space, object.plus(offset), Seen::HEAPY_AND_HELD, visit);
    }
    for offset in [
        layout.code_bytes,
        layout.varnames,
        layout.freevars,
        layout.cellvars,
        layout.exception_table,
        layout.locals_plus_names,
        layout.locals_plus_kinds,
        layout.qualname,
    ] {
        optional_field(space, object, offset, Seen::HEAPY_AND_HELD, visit);
    }
    // The list of weak references is not owned, but heapy walks it.
    field(space, object.plus(layout.weakreflist), Seen::HEAPY, visit);
    optional_field(space, object, layout.cached_code, Seen::HEAPY_AND_HELD, visit);
    if let Some(cached) = layout.cached.and_then(|offset| space.image.pointer(object.plus(offset)))
        && !cached.is_null()
    {
        // _PyCoCached: code, varnames, cellvars, freevars (Include/cpython/code.h, 3.12+).
        for index in 0..4 {
            field(space, cached.plus(8 * index), Seen::HEAPY_AND_HELD, visit);
        }
    }
}
