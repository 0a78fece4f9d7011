//! `cargo xtask layouts PYTHON...`: the tables of offsets, against the debug information of real interpreters.
//!
//! Without an option the table of the interpreter's release is made to say what its DWARF says;
//! `--check` only compares; `--drift` shows what moved between the interpreters named.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use heapattach::binary::ElfFile;
use heapattach::binary::debug_file::DebugSearch;
use heapattach::layout::dwarf_table;
use heapattach::layout::table::Entry;
use heapattach::layout::table::Series;
use heapattach::layout::table::Table;
use heapattach::layout::tables;
use heapattach::layout::version::Build;
use heapattach::layout::version::Version;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// What to do with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Rewrite the tables.
    Write,
    /// Fail if a table says something else.
    Check,
    /// Print what differs from one interpreter to the next.
    Drift,
}

/// One interpreter and what its debug information says.
struct Described {
    version: Version,
    build: Build,
    table: Table,
}

/// Loads every module whose structures we read, and says which files that mapped.
const PROGRAM: &str = "
import importlib, sys, sysconfig
for name in '''array _struct _decimal _elementtree pyexpat _pickle _queue _ctypes _datetime _asyncio _json _csv
        _sqlite3 _ssl _zoneinfo mmap _collections _functools itertools _io _sre _operator _contextvars _abc
        _thread _bz2 _lzma _zstd _multibytecodec _lsprof zlib _hashlib'''.split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass
print('%d.%d.%d' % sys.version_info[:3] + {'final': ''}.get(sys.version_info[3], sys.version.split()[0][len('%d.%d.%d' % sys.version_info[:3]):]))
print(int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))), int(hasattr(sys, 'gettotalrefcount')))
seen = []
for line in open('/proc/self/maps'):
    words = line.split(None, 5)
    if len(words) == 6 and 'x' in words[1] and words[5].startswith('/') and words[5] not in seen:
        seen.append(words[5])
        print(words[5].rstrip())
";

/// Runs the task.
pub(crate) fn run(pythons: &[PathBuf], debug_directories: &[PathBuf], action: Action) -> Result<()> {
    let mut failures = 0;
    let mut previous: Option<Described> = None;
    for python in pythons {
        let described = describe(python, debug_directories)?;
        match action {
            Action::Write => write(&described)?,
            Action::Check => failures += check(&described, python),
            Action::Drift => {
                if let Some(previous) = &previous {
                    print_drift(previous, &described);
                }
            }
        }
        previous = Some(described);
    }
    if failures > 0 {
        bail!("{failures} entries differ from the tables");
    }
    Ok(())
}

fn describe(python: &Path, debug_directories: &[PathBuf]) -> Result<Described> {
    let output = Command::new(python)
        .args(["-c", PROGRAM])
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let version = lines.next().and_then(Version::parse).context("the interpreter names no version")?;
    let build = lines.next().context("the interpreter says nothing of its build")?;
    let build =
        Build { free_threaded: build.starts_with('1'), debug: build.ends_with('1'), ..Build::default() };
    let search = DebugSearch::new(debug_directories, None);
    let mut files = Vec::new();
    for path in lines {
        let elf = ElfFile::read(File::open(path).with_context(|| path.to_owned())?)?;
        match search.find(&elf, Path::new(path)) {
            Some((_, debug)) => files.push(debug),
            None => files.push(elf),
        }
    }
    let table = dwarf_table::read(&files.iter().collect::<Vec<_>>())?;
    if table.is_empty() {
        bail!("{} has no debug information", python.display());
    }
    Ok(Described { version, build, table })
}

fn series_of(described: &Described) -> Option<Series> {
    tables::find_series(described.version, described.build.free_threaded)
}

/// Keys on which the debug information and the table differ: (key, table, debug information).
fn differences(described: &Described, known: &Table) -> Vec<(String, Option<Entry>, Entry)> {
    let found = described.table.iter();
    found
        .filter(|(key, entry)| known.get(key) != Some(*entry))
        .map(|(key, entry)| (key.to_owned(), known.get(key), entry))
        .collect()
}

fn check(described: &Described, python: &Path) -> usize {
    let known = series_of(described)
        .map(|series| series.at_build(described.version, described.build))
        .unwrap_or_default();
    let differences = differences(described, &known);
    for (key, known, found) in &differences {
        let known = known.map_or("nothing".to_owned(), |entry| entry.to_string());
        println!("{}: {key} is at {found}, the table says {known}", described.version);
    }
    let silent: Vec<&str> =
        known.iter().map(|(key, _)| key).filter(|key| described.table.get(key).is_none()).collect();
    for key in &silent {
        println!("{}: {key} is not in the debug information", described.version);
    }
    println!(
        "{}: {} entries compared, {} differ, {} are not in the debug information ({})",
        described.version,
        described.table.len(),
        differences.len(),
        silent.len(),
        python.display()
    );
    differences.len()
}

fn print_drift(before: &Described, after: &Described) {
    println!("{} -> {}", before.version, after.version);
    let mut keys: BTreeMap<&str, (Option<Entry>, Option<Entry>)> = BTreeMap::new();
    for (key, entry) in before.table.iter() {
        keys.entry(key).or_default().0 = Some(entry);
    }
    for (key, entry) in after.table.iter() {
        keys.entry(key).or_default().1 = Some(entry);
    }
    let text = |entry: Option<Entry>| entry.map_or("-".to_owned(), |entry| entry.to_string());
    for (key, (old, new)) in keys.into_iter().filter(|(_, (old, new))| old != new) {
        println!("    {key} {} -> {}", text(old), text(new));
    }
}

/// A new minor version gets a new file; a known one a section that says what is different from this
/// release on.
fn write(described: &Described) -> Result<()> {
    if described.build.debug {
        bail!("tables are written from builds without --with-pydebug");
    }
    let version = described.version;
    let suffix = if described.build.free_threaded { "t" } else { "" };
    let name = format!("cpython-{}.{}{suffix}.layout", version.major, version.minor);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/layout/tables").join(&name);
    let text = match series_of(described) {
        None => format!(
            "# CPython {}.{}{suffix}, from DWARF.\n\nreleases {version}\n{}",
            version.major, version.minor, described.table
        ),
        Some(series) => {
            let differences = differences(described, &series.at_build(version, described.build));
            if differences.is_empty() {
                println!("{name}: nothing to change");
                return Ok(());
            }
            let mut text = std::fs::read_to_string(&path)?;
            if !series.releases.contains(&version) {
                text = text.replacen("\nreleases ", &format!("\nreleases {version} "), 1);
            }
            write!(text, "\n@ {version}\n")?;
            for (key, _, entry) in &differences {
                writeln!(text, "{key} {entry}")?;
            }
            text
        }
    };
    std::fs::write(&path, text)?;
    println!("{name}: written; a new file needs a line in layout/tables.rs");
    Ok(())
}
