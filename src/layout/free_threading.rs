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
    /// `_PyGC_BITS_FROZEN`: what `gc.freeze` marks and `gc.get_objects` leaves out, in place of a permanent
    /// generation. 3.13.0 leaves nothing out (`Python/gc_free_threading.c`, `visit_get_objects`).
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
            frozen_bit: if (version.minor, version.micro) == (13, 0) { 0 } else { 8 },
            shared_shift: 2,
            list_array_has_capacity: (version.minor, version.micro) >= (14, 4) || version.minor >= 15,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> FreeThreading {
        let build = Build { free_threaded: true, ..Build::default() };
        FreeThreading::of(Version::parse(text).unwrap(), build).unwrap()
    }

    #[test]
    fn the_first_release_lists_what_is_frozen() {
        assert_eq!((of("3.13.0").frozen_bit, of("3.13.1").frozen_bit), (0, 8));
    }

    #[test]
    fn a_list_is_asked_for_its_capacity_up_to_3_14_3() {
        assert!(!of("3.14.3").list_array_has_capacity && of("3.14.4").list_array_has_capacity);
        assert!(!of("3.13.18").list_array_has_capacity && of("3.15.0").list_array_has_capacity);
    }
}
