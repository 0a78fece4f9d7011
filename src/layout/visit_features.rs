//! Which fields of C objects `tp_traverse` visits in a version: facts of single C files.

use crate::layout::version::Level;
use crate::layout::version::Version;

/// Differences between releases, by field: `Structure.field`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitFeatures {
    /// Fields that are visited, and were only held in earlier releases.
    pub visited: Vec<&'static str>,
    /// Fields that hold no object, and did in other releases.
    pub plain: Vec<&'static str>,
    /// Types that visit nothing but their type, whatever they hold.
    pub only_type: Vec<&'static str>,
    /// Heap types whose instances do not visit their type.
    pub hide_type: Vec<&'static str>,
}

/// What `context_traverse` began to visit with gh-142516 (Modules/_ssl.c).
const SSL_CONTEXT: &[&str] =
    &["PySSLContext.keylog_filename", "PySSLContext.psk_client_callback", "PySSLContext.psk_server_callback"];

impl VisitFeatures {
    /// Corrects it for Debian's 3.13.5 from its revision `deb13u3` on, which has the fix of gh-142516.
    pub(in crate::layout) fn correct_for_trixie(&mut self) {
        self.visited.extend(SSL_CONTEXT);
    }

    /// The facts of a release of CPython 3.
    pub(in crate::layout) fn of(version: Version) -> Self {
        let release = (version.minor, version.micro);
        let minor = version.minor;
        // Objects/typevarobject.c, `typevar_traverse`, `paramspec_traverse`, `typevartuple_traverse`,
        // `typealias_traverse`.
        let type_variables = matches!(release, (13, 10..) | (14, 1..) | (15.., _));
        // Modules/_ssl.c, `context_traverse`.
        let contexts = matches!(release, (13, 14..) | (14, 4..) | (15.., _));
        // Modules/_zstd/zstddict.c and so on: 3.14.10 and 3.15.2 were looked at, 3.14.7 and 3.15.0rc1 before.
        let dictionaries_visit_type =
            matches!(release, (14, 10..)) || (minor >= 15 && version.level == Level::Final);
        let visited: &[(bool, &[&'static str])] = &[
            (
                type_variables,
                &[
                    "typevarobject.name",
                    "paramspecobject.name",
                    "typevartupleobject.name",
                    "typealiasobject.name",
                ],
            ),
            (contexts, SSL_CONTEXT),
            // Modules/_elementtree.c, `treebuilder_gc_traverse`.
            (
                matches!(release, (7, 3..) | (8.., _)),
                &[
                    "TreeBuilderObject.events_append",
                    "TreeBuilderObject.start_event_obj",
                    "TreeBuilderObject.end_event_obj",
                    "TreeBuilderObject.start_ns_event_obj",
                    "TreeBuilderObject.end_ns_event_obj",
                ],
            ),
            // Modules/_operator.c, `methodcaller_traverse`.
            (minor >= 10, &["methodcallerobject.name"]),
            (minor >= 14, &["methodcallerobject.vectorcall_args", "methodcallerobject.vectorcall_kwnames"]),
            // Modules/_lsprof.c, `profiler_traverse`: a type without any up to 3.9.
            (matches!(release, (12, 5..) | (13.., _)), &["ProfilerObject.externalTimer"]),
            (minor >= 15, &["ProfilerObject.missing"]),
            // Modules/_zstd/zstddict.c, `ZstdDict_traverse`.
            (!dictionaries_visit_type, &["ZstdDict.c_dicts"]),
        ];
        let plain: &[(bool, &[&'static str])] = &[
            // Modules/_operator.c: an array of borrowed references, and a tuple that is there only if the array is;
            // two tuples since (`Features::method_caller_has_array`).
            (minor == 13, &["methodcallerobject.vectorcall_args", "methodcallerobject.vectorcall_kwnames"]),
            // Modules/_sqlite/connection.h: a text of C.
            (minor >= 11, &["pysqlite_Connection.isolation_level"]),
        ];
        let only_type: &[(bool, &[&'static str])] = &[
            // Modules/_ctypes/_ctypes.c, `StructParam_traverse`.
            (matches!(minor, 12 | 13), &["_ctypes.StructParam_Type"]),
            // Modules/hmacmodule.c, `HMACObject_traverse`.
            (minor >= 14, &["_hmac.HMAC"]),
        ];
        let hide_type: &[(bool, &[&'static str])] = &[
            // Modules/cjkcodecs/multibytecodec.c, `mbiencoder_traverse` and the like.
            (
                true,
                &[
                    "_multibytecodec.MultibyteIncrementalEncoder",
                    "_multibytecodec.MultibyteIncrementalDecoder",
                    "_multibytecodec.MultibyteStreamReader",
                    "_multibytecodec.MultibyteStreamWriter",
                ],
            ),
            // Modules/_zstd, `ZstdCompressor_traverse` and the like.
            (
                !dictionaries_visit_type,
                &[
                    "compression.zstd.ZstdCompressor",
                    "compression.zstd.ZstdDecompressor",
                    "compression.zstd.ZstdDict",
                ],
            ),
        ];
        let chosen = |facts: &[(bool, &[&'static str])]| -> Vec<&'static str> {
            facts.iter().filter(|(holds, _)| *holds).flat_map(|(_, names)| *names).copied().collect()
        };
        Self {
            visited: chosen(visited),
            plain: chosen(plain),
            only_type: chosen(only_type),
            hide_type: chosen(hide_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> VisitFeatures {
        VisitFeatures::of(Version::parse(text).unwrap())
    }

    #[test]
    fn fields_change_their_meaning_with_releases() {
        let name = "methodcallerobject.name";
        assert!(!of("3.9.25").visited.contains(&name) && of("3.10.0").visited.contains(&name));
        let arguments = "methodcallerobject.vectorcall_args";
        assert!(of("3.13.5").plain.contains(&arguments) && !of("3.13.5").visited.contains(&arguments));
        assert!(!of("3.14.0").plain.contains(&arguments) && of("3.14.0").visited.contains(&arguments));
        let level = "pysqlite_Connection.isolation_level";
        assert!(!of("3.10.13").plain.contains(&level) && of("3.11.0").plain.contains(&level));
    }

    #[test]
    fn patch_releases_began_to_visit() {
        let events = "TreeBuilderObject.events_append";
        assert!(!of("3.7.2").visited.contains(&events) && of("3.7.3").visited.contains(&events));
        let keys = "PySSLContext.keylog_filename";
        assert!(!of("3.13.13").visited.contains(&keys) && of("3.13.14").visited.contains(&keys));
        assert!(!of("3.14.3").visited.contains(&keys) && of("3.14.4").visited.contains(&keys));
        let timer = "ProfilerObject.externalTimer";
        assert!(!of("3.12.4").visited.contains(&timer) && of("3.12.5").visited.contains(&timer));
        let dictionary = "compression.zstd.ZstdDict";
        assert!(
            of("3.14.7").hide_type.contains(&dictionary) && !of("3.14.10").hide_type.contains(&dictionary)
        );
        assert!(
            of("3.15.0rc1").hide_type.contains(&dictionary) && !of("3.15.2").hide_type.contains(&dictionary)
        );
    }
}
