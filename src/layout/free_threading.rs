//! What is different in builds without a global lock, beyond where fields are.

use crate::layout::version::Build;
use crate::layout::version::Version;

/// The header of objects in free-threaded builds (`Include/object.h`, `Include/internal/pycore_gc.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeThreading {
    /// What the shared count of an object with deferred counting is too high by: one (3.13,
    /// `Objects/object.c`, `_PyObject_SetDeferredRefcount`), `_Py_REF_DEFERRED` (3.14 on,
    /// `Include/internal/pycore_object.h`).
    pub deferred_bias: i64,
    /// `_PyGC_BITS_DEFERRED`: frames may refer to the object without being counted.
    pub deferred_bit: u8,
    /// `_PyGC_BITS_TRACKED`.
    pub tracked_bit: u8,
    /// `_PyGC_BITS_FROZEN`: what `gc.freeze` marks, in place of a permanent generation.
    pub frozen_bit: u8,
    /// How many bits of `ob_ref_shared` are flags (`_Py_REF_SHARED_SHIFT`).
    pub shared_shift: u32,
    /// `list.__sizeof__` asks the array for its capacity, in the word before the first item, and not the list
    /// (3.14.4 on, `Objects/listobject.c`, `list_capacity`).
    pub list_array_has_capacity: bool,
}

impl FreeThreading {
    /// `None` for builds with a global lock.
    pub(in crate::layout) fn of(version: Version, build: Build) -> Option<Self> {
        build.free_threaded.then_some(Self {
            deferred_bias: if version.minor == 13 { 1 } else { i64::MAX / 8 },
            deferred_bit: 64,
            tracked_bit: 1,
            frozen_bit: 8,
            shared_shift: 2,
            list_array_has_capacity: (version.minor, version.micro) >= (14, 4) || version.minor >= 15,
        })
    }
}
