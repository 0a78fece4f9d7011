//! Where the lock of the interpreter says who holds it.

use crate::layout::version::Build;

/// Fields of `struct _gil_runtime_state` (`Include/internal/pycore_gil.h`), the same from 3.7 to 3.15. Up to
/// 3.11 it is part of `_PyRuntime`, from 3.12 on an interpreter points to it (`ceval.gil`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GilFields {
    /// `last_holder`: the thread state that took it last.
    pub last_holder: u64,
    /// `locked`: 1 while it is held.
    pub locked: u64,
}

/// The fields in a build. Free-threaded ones have an `enabled` first.
pub const fn fields(build: Build) -> GilFields {
    let before = if build.free_threaded { 8 } else { 0 };
    GilFields { last_holder: before + 8, locked: before + 16 }
}
