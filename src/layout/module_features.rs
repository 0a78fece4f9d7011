//! What extension modules visit, by their names: facts of single C files.

use crate::layout::version::Version;

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
    /// Words of a module's state, by module and offset, that its `m_traverse` leaves out.
    pub not_visited: Vec<(&'static str, u64)>,
    /// Objects in static variables that an `m_traverse` visits, by module and by their name in its dict.
    pub static_variables: Vec<(&'static str, &'static [&'static str])>,
}

impl ModuleFeatures {
    /// Offsets of the words of the state of the module called `name` that it does not visit.
    pub fn not_visited_of(&self, name: &[u8]) -> impl Iterator<Item = u64> {
        self.not_visited
            .iter()
            .filter(move |(module, _)| module.as_bytes() == name)
            .map(|&(_, offset)| offset)
    }

    /// Names in the dict of the module called `name` of what it visits in static variables.
    pub fn static_variables_of(&self, name: &[u8]) -> impl Iterator<Item = &'static str> {
        let of_module = self.static_variables.iter().filter(move |(module, _)| module.as_bytes() == name);
        of_module.flat_map(|(_, variables)| *variables).copied()
    }

    /// The facts of a release of CPython 3.
    pub(in crate::layout) fn of(version: Version) -> Self {
        let minor = version.minor;
        // Its second word: `_random_traverse`, Modules/_randommodule.c.
        let mut not_visited = vec![("_random", 8)];
        // `partial`, the last word of `PickleState`: `pickle_traverse`, Modules/_pickle.c.
        if matches!((minor, version.micro), (..=6, _) | (7, ..=6) | (8, ..=2)) {
            not_visited.push(("_pickle", 104));
        }
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
            not_visited,
            // `module_traverse`, Modules/_tkinter.c.
            static_variables: if minor >= 14 {
                vec![("_tkinter", &["TclError", "TkappType", "TkttType", "Tcl_Obj"])]
            } else {
                Vec::new()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_variables_are_visited_since_3_14() {
        let of = |text: &str| ModuleFeatures::of(Version::parse(text).unwrap());
        assert_eq!(of("3.13.18").static_variables_of(b"_tkinter").count(), 0);
        assert_eq!(of("3.14.0").static_variables_of(b"_tkinter").count(), 4);
        assert_eq!(of("3.14.0").static_variables_of(b"tkinter").count(), 0);
    }
}
