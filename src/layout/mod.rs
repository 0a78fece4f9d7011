//! Where CPython keeps each field: the only layer that knows versions.
//!
//! Three sources of one table, later ones laid over earlier ones: the tables that are compiled in
//! ([`tables`]), the DWARF of the very binary that is mapped, and from 3.13 on the offsets that the
//! runtime publishes itself; before 3.7 the places of the binary's variables ([`static_runtime`]). The result is one [`Layouts`] of plain numbers, looked up once, and
//! one [`Features`] of what those fields mean.

pub mod code_evidence;
pub mod code_size_features;
pub mod debug_offsets;
pub mod dwarf_table;
pub mod features;
pub mod free_threading;
pub mod gil;
pub mod heapy_features;
pub mod identify;
pub mod module_features;
pub mod obstacles;
pub mod schema;
pub mod static_runtime;
mod static_scan;
pub mod table;
pub mod tables;
pub mod version;
pub mod visit_features;

use crate::address::Address;
use crate::layout::static_runtime::StaticRuntime;
use crate::layout::table::Entry;
use crate::layout::table::Table;
use crate::layout::tables::Fingerprint;
use thiserror::Error;

pub use features::Features;
pub use schema::Layouts;
pub use version::Build;
pub use version::Version;

/// What is known about the interpreter whose layout is asked for.
#[derive(Clone, Debug)]
pub struct ResolveRequest {
    /// Its version.
    pub version: Version,
    /// Its build.
    pub build: Build,
    /// Size of the symbol (or section) `_PyRuntime`, if there is one.
    pub runtime_size: Option<u64>,
    /// What the DWARF of the mapped binary or its debug file says.
    pub dwarf: Option<Table>,
    /// What the runtime itself publishes (3.13 on).
    pub published: Option<Table>,
    /// Go on with the nearest known release if this one is unknown or its size does not fit.
    pub best_effort: bool,
}

/// Two sources that say different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The key.
    pub field: String,
    /// What the table that is compiled in says.
    pub table: u64,
    /// What was believed instead.
    pub used: u64,
    /// Who said so: `DWARF`, `the runtime's own offsets`, `the size of _PyRuntime`.
    pub source: &'static str,
}

/// The layout of one interpreter.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// All offsets, for fields that are named in data.
    pub table: Table,
    /// Where fields are.
    pub layouts: Layouts,
    /// What they mean.
    pub features: Features,
    /// Where the variables begin that are the runtime state before 3.7.
    pub static_runtime: Option<Address>,
    /// Where the layout came from, for people: `table 3.11.7`, `table 3.11 and DWARF`, ...
    pub source: String,
    /// Where sources differed.
    pub disagreements: Vec<Disagreement>,
    /// Whether the table is of another release, and nothing shows that it fits (`--best-effort`).
    pub is_guess: bool,
}

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Nothing in the binary or in its memory says which version it is.
    #[error("cannot tell which version of CPython this is")]
    NoVersion,
    /// Nothing is known about this minor version.
    #[error(
        "no layout is known for CPython {version} ({build}): the tables are of {oldest} to {newest}, and there is no debug information"
    )]
    Unsupported {
        /// The version.
        version: Version,
        /// The build.
        build: Build,
        /// The oldest release of the tables.
        oldest: Version,
        /// The newest release of the tables.
        newest: Version,
    },
    /// Its objects are others; see [`obstacles`].
    #[error("CPython {version} is not supported: {}", obstacles::of(*.version))]
    TooOld {
        /// The version.
        version: Version,
    },
    /// There is nothing to start from; see [`static_runtime`].
    #[error(
        "it was not found where CPython {version} keeps its interpreters and the lists of its collector: before 3.7 these are variables of its own, and no part of a `_PyRuntime`"
    )]
    NoRuntime {
        /// The version.
        version: Version,
    },
    /// Every object begins with two more words, and only debug information says where the rest is.
    #[error(
        "no layout is known for CPython {version} built with --with-trace-refs: there is no debug information of it"
    )]
    TracedReferences {
        /// The version.
        version: Version,
    },
    /// The minor version is known, this release or build is not.
    #[error(
        "no layout is known for this build of CPython {version} ({build}): {size} is {found}, not {expected}"
    )]
    UnknownBuild {
        /// The version.
        version: Version,
        /// The build.
        build: Build,
        /// Which size does not fit.
        size: &'static str,
        /// What the table says.
        expected: u64,
        /// What the binary says.
        found: u64,
    },
    /// No source has a field that every version has.
    #[error("the layout of CPython {version} lacks `{field}`")]
    MissingField {
        /// The version.
        version: Version,
        /// The key.
        field: String,
    },
}

const DWARF: &str = "DWARF";

/// The first version of which there are tables.
const FIRST: (u8, u8) = (3, 6);

/// `--with-trace-refs` links all objects by two words at their start up to this version
/// (`_PyObject_HEAD_EXTRA`, Include/object.h).
const LAST_WITH_LINKS: (u8, u8) = (3, 12);

/// Sizes that tell a build apart: the runtime publishes them from 3.13 on.
const TELLING_SIZES: &[&str] = &[
    "sizeof(_PyRuntimeState)",
    "sizeof(PyInterpreterState)",
    "sizeof(PyThreadState)",
    "sizeof(_gc_runtime_state)",
];

/// Fields that are looked up by another one, which says where they are whatever a table says: see
/// [`schema::GcState`].
const CORRECTED: &[&str] = &["_gc_runtime_state.generations"];

/// Chooses and overlays the sources, for a version that has a `_PyRuntime`. Cost: parses one table, about a
/// millisecond.
pub fn resolve(request: &ResolveRequest) -> Result<Resolved, LayoutError> {
    resolve_with_variables(request, &|_| None)
}

/// The same for any version: `find_variables` finds the parts of a runtime state that is no structure, given the
/// table without them.
pub fn resolve_with_variables(
    request: &ResolveRequest,
    find_variables: &dyn Fn(&Table) -> Option<StaticRuntime>,
) -> Result<Resolved, LayoutError> {
    let version = request.version;
    let Chosen { mut table, mut source, is_guess } = choose_table(request)?;
    let mut disagreements = Vec::new();
    // What another release's table says is no claim about this one.
    let is_own = !is_guess && !source.is_empty();
    if let Some((size, known, found)) = misfit(&table, request).filter(|_| is_own) {
        let (field, source) = (size.to_owned(), "the binary");
        disagreements.push(Disagreement { field, table: known, used: found, source });
    }
    for (other, name) in [(&request.dwarf, DWARF), (&request.published, "the runtime's own offsets")] {
        let Some(other) = other else { continue };
        if name == DWARF {
            table.forget_structures_of(other);
        }
        let mut changed = table.overlay(other);
        changed.retain(|change| !CORRECTED.contains(&change.0.as_str()));
        if is_own {
            disagreements.extend(changed.into_iter().map(|change| disagreement(change, name)));
        }
        source = if source.is_empty() { name.to_owned() } else { format!("{source} and {name}") };
    }
    let mut static_runtime = None;
    if !version.has_runtime() {
        let found = find_variables(&table).ok_or(LayoutError::NoRuntime { version })?;
        table.overlay(&found.table);
        // What differs from one who builds it to the next is what the process says, and no surprise.
        disagreements.retain(|disagreement| found.table.get(&disagreement.field).is_none());
        static_runtime = Some(found.address);
    }
    let layouts =
        Layouts::load(&table).map_err(|missing| LayoutError::MissingField { version, field: missing.0 })?;
    let features = Features::of(version, request.build);
    Ok(Resolved { table, layouts, features, static_runtime, source, disagreements, is_guess })
}

/// The table to start from.
struct Chosen {
    table: Table,
    /// How to call it; empty if debug information describes all that matters.
    source: String,
    /// Whether nothing shows that it fits.
    is_guess: bool,
}

/// Chooses the release's table, else that of another release of the minor version in which the sizes are
/// the same (distributions backport changes), else the release's all the same if there is better to come.
fn choose_table(request: &ResolveRequest) -> Result<Chosen, LayoutError> {
    let (version, build) = (request.version, request.build);
    if (version.major, version.minor) < FIRST {
        return Err(LayoutError::TooOld { version });
    }
    let has_links = build.trace_refs && (version.major, version.minor) <= LAST_WITH_LINKS;
    let describes_objects = |dwarf: &Table| dwarf.get("sizeof(PyObject)").is_some();
    if has_links && !request.dwarf.as_ref().is_some_and(describes_objects) {
        return Err(LayoutError::TracedReferences { version });
    }
    let Some(series) = tables::find_series(version, build.free_threaded) else {
        return choose_nearest(request);
    };
    let chosen = |table, source| Ok(Chosen { table, source, is_guess: false });
    let table = series.at_build(version, build);
    if has_links {
        // The table is only for structures of modules that are not loaded, as in `choose_nearest`.
        return chosen(table, String::new());
    }
    let minor = format!("{}.{}", version.major, version.minor);
    let Some((size, expected, found)) = misfit(&table, request) else {
        let is_known = series.releases.contains(&version);
        return chosen(table, if is_known { format!("table {version}") } else { format!("table {minor}") });
    };
    for &other in &series.releases {
        let table = series.at_build(other, build);
        if misfit(&table, request).is_none() {
            return chosen(table, format!("table {other} (by the size of _PyRuntime)"));
        }
    }
    if request.dwarf.is_some() {
        return chosen(table, format!("table {minor} (which does not fit)"));
    }
    if request.best_effort {
        return Ok(Chosen { table, source: format!("table {minor} (which does not fit)"), is_guess: true });
    }
    Err(LayoutError::UnknownBuild { version, build, size, expected, found })
}

/// For a minor version without tables: structures of modules that are not loaded are in no debug information
/// that we read; there are no such objects either, so that the nearest table may fill in. Without debug
/// information it is a guess.
fn choose_nearest(request: &ResolveRequest) -> Result<Chosen, LayoutError> {
    let (version, build) = (request.version, request.build);
    let has_runtime = |dwarf: &Table| dwarf.get("sizeof(_PyRuntimeState)").is_some();
    let described = request.dwarf.as_ref().is_some_and(has_runtime);
    let (oldest, newest) = tables::range();
    match tables::nearest_table(version, build.free_threaded) {
        Some((_, table)) if described => Ok(Chosen { table, source: String::new(), is_guess: false }),
        Some((release, table)) if request.best_effort => {
            Ok(Chosen { table, source: format!("the nearest table, {release} (a guess)"), is_guess: true })
        }
        _ => Err(LayoutError::Unsupported { version, build, oldest, newest }),
    }
}

/// The first telling size on which a table and the binary differ: its key, the table's, the binary's.
fn misfit(table: &Table, request: &ResolveRequest) -> Option<(&'static str, u64, u64)> {
    let size_in = |table: &Table, key| table.get(key).map(|entry| entry.offset);
    let from_binary = request.runtime_size.map(|size| ("sizeof(_PyRuntimeState)", size));
    let published = request.published.iter().flat_map(|published| {
        TELLING_SIZES.iter().filter_map(move |&key| Some((key, size_in(published, key)?)))
    });
    from_binary.into_iter().chain(published).find_map(|(key, found)| {
        let known = size_in(table, key)?;
        (known != found).then_some((key, known, found))
    })
}

fn disagreement((field, old, new): (String, Entry, Entry), source: &'static str) -> Disagreement {
    Disagreement { field, table: old.offset, used: new.offset, source }
}

/// Every release whose `_PyRuntime` has this size: what a binary without any version can be.
pub fn releases_of_runtime_size(size: u64, free_threaded: bool) -> Vec<Fingerprint> {
    tables::fingerprints()
        .into_iter()
        .filter(|print| print.runtime_size == size && print.free_threaded == free_threaded)
        .collect()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod live_tests;
