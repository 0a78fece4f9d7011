//! What `code.__sizeof__` counts (Objects/codeobject.c, `code_sizeof`).

use crate::layout::version::Version;

/// Differences between releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSizeFeatures {
    /// Two bytes per code unit of `ob_size` are added to the basic size (3.11 on).
    pub is_variable: bool,
    /// What is added to eight bytes for each of the extra words, if these are counted at all: from 3.6.2 on, with
    /// the word before them from 3.7 on. Unit: bytes.
    pub extra: Option<u64>,
    /// Bytes for each cell variable: one up to 3.6.1.
    pub cell: u64,
}

impl CodeSizeFeatures {
    /// The facts of a release of CPython 3.
    pub(in crate::layout) fn of(version: Version) -> Self {
        let (extra, cell) = match (version.minor, version.micro) {
            (..=6, ..=1) => (None, 1),
            (..=6, _) => (Some(0), 8),
            _ => (Some(8), 8),
        };
        Self { is_variable: version.minor >= 11, extra, cell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_releases_of_3_6_count_differently() {
        let of = |text| CodeSizeFeatures::of(Version::parse(text).unwrap());
        let numbers = |text| (of(text).extra, of(text).cell);
        assert_eq!(numbers("3.6.1"), (None, 1));
        assert_eq!(numbers("3.6.2"), (Some(0), 8));
        assert_eq!(numbers("3.7.0"), (Some(8), 8));
        assert!(!of("3.10.13").is_variable && of("3.11.0").is_variable);
    }
}
