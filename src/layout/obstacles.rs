//! What stands in the way of versions that are not supported: facts for the message that refuses them.

use crate::layout::version::Version;

/// What is different in a version before 3.6 from all that are supported.
///
/// 3: the entries of a dict are its hash table (Objects/dict-common.h, `dk_entries`, since 3.3; Include/dictobject.h,
/// `ma_table`, before); without `dk_indices` and `dk_nentries`.
/// 2: Include/stringobject.h, unicodeobject.h, intobject.h, classobject.h, dictobject.h (`PyDictEntry *ma_table`).
pub(in crate::layout) fn of(version: Version) -> &'static str {
    if version.major < 3 {
        "its str and unicode, its int and long, its dicts, and the old-style classes and instances are other objects than those of 3"
    } else {
        "its dicts are other tables than those of 3.6 and later, without indices"
    }
}
