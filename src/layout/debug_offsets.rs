//! The offsets that a 3.13+ runtime publishes about itself: `_Py_DebugOffsets`, the first member of
//! `_PyRuntime` (`Include/internal/pycore_debug_offsets.h`).
//!
//! A list of unsigned 64-bit numbers whose order is known per minor version. It says nothing about
//! collector lists, allocators or most objects, so it is a check and an overlay, not a layout.

use crate::layout::table::Entry;
use crate::layout::table::Table;
use crate::layout::version::Level;
use crate::layout::version::Version;

/// What the first eight bytes of `_PyRuntime` say from 3.13 on.
pub const COOKIE: &[u8; 8] = b"xdebugpy";

/// The longest form known. Unit: bytes.
pub const LENGTH: usize = 888;

/// No offset in any CPython structure is larger; what is, is damage.
const LARGEST: u64 = 1 << 20;

/// What a runtime says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its version.
    pub version: Version,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// The offsets, by the keys of our tables; empty where the order is not known (pre-releases).
    pub table: Table,
}

/// The words after cookie, version and `free_threaded`: the first minor version that has the word,
/// and the key of our tables, empty for what we do not read.
const WORDS: &[(u8, &str)] = &[
    (13, "sizeof(_PyRuntimeState)"),
    (13, "_PyRuntimeState._finalizing"),
    (13, "_PyRuntimeState.interpreters.head"),
    (13, "sizeof(PyInterpreterState)"),
    (13, "PyInterpreterState.id"),
    (13, "PyInterpreterState.next"),
    (13, "PyInterpreterState.threads.head"),
    (14, "PyInterpreterState.threads.main"),
    (13, "PyInterpreterState.gc"),
    (13, "PyInterpreterState.imports.modules"),
    (13, "PyInterpreterState.sysdict"),
    (13, "PyInterpreterState.builtins"),
    (13, "PyInterpreterState.ceval.gil"),
    (13, ""), // gil_runtime_state
    (13, ""), // gil_runtime_state_enabled
    (13, ""), // gil_runtime_state_locked
    (13, ""), // gil_runtime_state_holder
    (14, ""), // code_object_generation
    (14, ""), // tlbc_generation
    (13, "sizeof(PyThreadState)"),
    (13, "PyThreadState.prev"),
    (13, "PyThreadState.next"),
    (13, "PyThreadState.interp"),
    (13, "PyThreadState.current_frame"),
    (15, "PyThreadState.base_frame"),
    (15, ""), // last_profiled_frame
    (15, ""), // last_profiled_frame_seq
    (13, "PyThreadState.thread_id"),
    (13, "PyThreadState.native_thread_id"),
    (13, "PyThreadState.datastack_chunk"),
    (13, "PyThreadState._status"),
    (15, ""), // holds_gil
    (15, ""), // gil_requested
    (15, "PyThreadState.current_exception"),
    (15, "PyThreadState.exc_state"),
    (15, "_PyErr_StackItem.exc_value"),
    (13, "sizeof(_PyInterpreterFrame)"),
    (13, "_PyInterpreterFrame.previous"),
    (13, "_PyInterpreterFrame.f_executable"),
    (13, "_PyInterpreterFrame.instr_ptr"),
    (13, "_PyInterpreterFrame.localsplus"),
    (13, "_PyInterpreterFrame.owner"),
    (14, "_PyInterpreterFrame.stackpointer"),
    (14, "?_PyInterpreterFrame.tlbc_index"),
    (13, "sizeof(PyCodeObject)"),
    (13, "PyCodeObject.co_filename"),
    (13, "PyCodeObject.co_name"),
    (13, "PyCodeObject.co_qualname"),
    (13, "PyCodeObject.co_linetable"),
    (13, "PyCodeObject.co_firstlineno"),
    (13, "PyCodeObject.co_argcount"),
    (13, "PyCodeObject.co_localsplusnames"),
    (13, "PyCodeObject.co_localspluskinds"),
    (13, "PyCodeObject.co_code_adaptive"),
    (14, "?PyCodeObject.co_tlbc"),
    (13, "sizeof(PyObject)"),
    (13, "PyObject.ob_type"),
    (13, "sizeof(PyTypeObject)"),
    (13, "PyTypeObject.tp_name"),
    (13, "PyTypeObject.tp_repr"),
    (13, "PyTypeObject.tp_flags"),
    (15, "PyTypeObject.tp_basicsize"),
    (15, "PyTypeObject.tp_dictoffset"),
    (15, "sizeof(PyHeapTypeObject)"),
    (15, "PyHeapTypeObject.ht_cached_keys"),
    (13, "sizeof(PyTupleObject)"),
    (13, "PyTupleObject.ob_item"),
    (13, ""), // tuple ob_size
    (13, "sizeof(PyListObject)"),
    (13, "PyListObject.ob_item"),
    (13, ""), // list ob_size
    (14, "sizeof(PySetObject)"),
    (14, "PySetObject.used"),
    (14, "PySetObject.table"),
    (14, "PySetObject.mask"),
    (13, "sizeof(PyDictObject)"),
    (13, "PyDictObject.ma_keys"),
    (13, "PyDictObject.ma_values"),
    (13, "sizeof(PyFloatObject)"),
    (13, "PyFloatObject.ob_fval"),
    (13, "sizeof(PyLongObject)"),
    (13, "PyLongObject.long_value.lv_tag"),
    (13, "PyLongObject.long_value.ob_digit"),
    (13, "sizeof(PyBytesObject)"),
    (13, ""), // bytes ob_size
    (13, "PyBytesObject.ob_sval"),
    (13, "sizeof(PyUnicodeObject)"),
    (13, "PyASCIIObject.state"),
    (13, "PyASCIIObject.length"),
    (13, "sizeof(PyASCIIObject)"),
    (15, "sizeof(PyCompactUnicodeObject)"),
    (13, "sizeof(_gc_runtime_state)"),
    (13, "_gc_runtime_state.collecting"),
    (15, ""), // gc frame
    (15, ""), // generation_stats_size
    (15, ""), // generation_stats
    (14, "sizeof(PyGenObject)"),
    (14, "PyGenObject.gi_name"),
    (14, "PyGenObject.gi_iframe"),
    (14, "PyGenObject.gi_frame_state"),
];

/// Reads the start of `_PyRuntime`; `None` if there is no such table (before 3.13) or if it is
/// damaged. Pass [`LENGTH`] bytes; fewer give fewer offsets.
pub fn parse(bytes: &[u8]) -> Option<Published> {
    let mut words = bytes.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
    if words.next()? != u64::from_le_bytes(*COOKIE) {
        return None;
    }
    let version = Version::from_hex(words.next()?)?;
    let free_threaded = match words.next()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let mut table = Table::default();
    if is_order_known(version) {
        for (&(_, key), value) in WORDS.iter().filter(|(since, _)| *since <= version.minor).zip(words) {
            if value >= LARGEST {
                return None;
            }
            // A member that only free-threaded builds have is published as zero elsewhere.
            match key.strip_prefix('?') {
                Some(key) if value != 0 => table.insert(key, Entry::at(value)),
                None if !key.is_empty() => table.insert(key, Entry::at(value)),
                _ => {}
            }
        }
    }
    Some(Published { version, free_threaded, table })
}

/// The order changed several times while 3.15 was in development (b4 has the final one).
fn is_order_known(version: Version) -> bool {
    let in_development = version.micro == 0 && version.level < Level::Candidate;
    (13..=15).contains(&version.minor) && !in_development
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::schema;
    use crate::layout::schema::first;

    /// `sizeof(_Py_DebugOffsets)`, by minor version, up to the members that are read.
    #[test]
    fn the_known_orders_have_the_known_lengths() {
        let words = |minor| WORDS.iter().filter(|(since, _)| *since <= minor).count();
        assert_eq!(words(13) * 8 + 24, 584);
        assert_eq!(words(14) * 8 + 24 + 8 * 8, 760);
        assert_eq!(words(15) * 8 + 24 + 8 * 8, 888);
    }

    #[test]
    fn every_key_is_one_of_the_schema() {
        for key in WORDS.iter().map(|(_, key)| key.trim_start_matches('?')).filter(|key| !key.is_empty()) {
            let known = schema::wanted().iter().any(|structure| {
                key == format!("sizeof({})", structure.name())
                    || structure.places().any(|place| key == format!("{}.{}", structure.name(), first(place)))
            });
            assert!(known || key.contains("tlbc"), "{key}");
        }
    }

    #[test]
    fn damage_is_refused() {
        let mut bytes = COOKIE.to_vec();
        assert_eq!(parse(&bytes), None);
        bytes.extend(0x030d_00f0_u64.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        assert!(parse(&bytes).unwrap().table.is_empty());
        bytes.extend(283_320_u64.to_le_bytes());
        assert_eq!(parse(&bytes).unwrap().table.len(), 1);
        bytes.extend(u64::MAX.to_le_bytes());
        assert_eq!(parse(&bytes), None);
    }
}
