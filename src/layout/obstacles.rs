//! What stands in the way of versions that are not supported: facts for the message that refuses them.

use crate::layout::version::Version;

/// What is different in a version before 3.7 from all that are supported, beside the place of its state.
///
/// 3: `interp_head` (Python/pystate.c), `generations`, `collecting` and `garbage` (Modules/gcmodule.c) are static;
/// `struct _ts` (Include/pystate.h) has `exc_type`, `exc_value` and `exc_traceback` but no context, and `_PyGenObject_HEAD`
/// (Include/genobject.h) no `gi_exc_state`.
/// 2: Include/stringobject.h, unicodeobject.h, intobject.h, classobject.h, dictobject.h (`PyDictEntry *ma_table`).
pub(in crate::layout) fn of(version: Version) -> &'static str {
    if version.major < 3 {
        "its str and unicode, its int and long, its dicts, and the old-style classes and instances are other objects than those of 3"
    } else {
        "they are static variables, which a stripped program does not name, and threads and generators keep their exceptions elsewhere"
    }
}
