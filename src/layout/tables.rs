//! The tables that are compiled in, one file per minor version and kind of build.

use crate::layout::table::Series;
use crate::layout::table::Table;
use crate::layout::version::Version;

/// One file of tables.
#[derive(Clone, Copy, Debug)]
pub struct TableFile {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Whether it describes free-threaded builds.
    pub free_threaded: bool,
    /// The text; see [`crate::layout::table`].
    pub text: &'static str,
}

macro_rules! table_files {
    ($($minor:literal $free_threaded:literal $file:literal,)*) => {
        &[$(TableFile {
            major: 3,
            minor: $minor,
            free_threaded: $free_threaded,
            text: include_str!(concat!("tables/cpython-", $file, ".layout")),
        },)*]
    };
}

/// Every file, oldest first.
pub const TABLES: &[TableFile] = table_files! {
    6 false "3.6",
    7 false "3.7",
    8 false "3.8",
    9 false "3.9",
    10 false "3.10",
    11 false "3.11",
    12 false "3.12",
    13 false "3.13",
    13 true "3.13t",
    14 false "3.14",
    14 true "3.14t",
    15 false "3.15",
    15 true "3.15t",
};

/// The tables for a version's minor line, if there are any. Cost: parses the file, about a millisecond.
pub fn find_series(version: Version, free_threaded: bool) -> Option<Series> {
    let file = TABLES.iter().find(|file| {
        (file.major, file.minor, file.free_threaded) == (version.major, version.minor, free_threaded)
    })?;
    Series::parse(file.text).ok()
}

/// The last release of the nearest minor version and its table: for what nobody knows better about an unknown one.
pub fn nearest_table(version: Version, free_threaded: bool) -> Option<(Version, Table)> {
    let files = TABLES.iter().filter(|file| file.free_threaded == free_threaded);
    let file = files.min_by_key(|file| file.minor.abs_diff(version.minor))?;
    let series = Series::parse(file.text).ok()?;
    let release = *series.releases.last()?;
    Some((release, series.at(release)))
}

/// The oldest and the newest release in the tables.
pub fn range() -> (Version, Version) {
    let ends = |file: &TableFile| {
        let series = Series::parse(file.text).ok()?;
        Some((*series.releases.first()?, *series.releases.last()?))
    };
    let nothing = Version::release(0, 0, 0);
    let first = TABLES.first().and_then(ends).map_or(nothing, |(oldest, _)| oldest);
    (first, TABLES.last().and_then(ends).map_or(nothing, |(_, newest)| newest))
}

/// What tells a build apart without looking inside: the version and two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which release.
    pub version: Version,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// `sizeof(_PyRuntimeState)`: the size of the symbol `_PyRuntime`, also in a stripped binary.
    pub runtime_size: u64,
    /// `sizeof(PyInterpreterState)`.
    pub interpreter_size: u64,
}

/// The fingerprints of every release in the tables, of builds without `--with-pydebug`.
pub fn fingerprints() -> Vec<Fingerprint> {
    let mut all = Vec::new();
    for file in TABLES {
        let Ok(series) = Series::parse(file.text) else { continue };
        for &version in &series.releases {
            let table = series.at(version);
            let size = |name| table.get(name).map(|entry| entry.offset);
            if let (Some(runtime_size), Some(interpreter_size)) =
                (size("sizeof(_PyRuntimeState)"), size("sizeof(PyInterpreterState)"))
            {
                let free_threaded = file.free_threaded;
                all.push(Fingerprint { version, free_threaded, runtime_size, interpreter_size });
            }
        }
    }
    all
}
