//! What extension modules visit, by their names: facts of single C files.

/// Differences between modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFeatures {
    /// Modules whose `m_traverse` visits strings and numbers in their state, by the name in their
    /// definition: readline.c, posixmodule.c, _posixsubprocess.c, selectmodule.c, pyexpat.c, _asynciomodule.c,
    /// _zoneinfo.c, _ctypes.c, hmacmodule.c.
    pub visit_atoms: Vec<&'static str>,
    /// Modules whose `m_traverse` visits the module's own type: `hmacmodule_traverse`,
    /// Modules/hmacmodule.c (3.14 on).
    pub visit_own_type: Vec<&'static str>,
}

impl ModuleFeatures {
    /// The facts of a minor version of CPython 3.
    pub(in crate::layout) fn of(minor: u8) -> Self {
        let since = |modules: &[(u8, &'static str)]| {
            modules.iter().filter(|(first, _)| minor >= *first).map(|&(_, module)| module).collect()
        };
        Self {
            visit_atoms: since(&[
                (6, "readline"),
                (9, "posix"),
                // 3.9 alone has anything in its state: names of functions of gc.
                (9, "_posixsubprocess"),
                (9, "select"),
                (10, "_functools"),
                (11, "pyexpat"),
                (12, "_asyncio"),
                (12, "_zoneinfo"),
                (13, "_ctypes"),
                (14, "_hmac"),
            ]),
            visit_own_type: since(&[(14, "_hmac")]),
        }
    }
}
