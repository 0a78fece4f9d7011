//! Which CPythons this machine has.

use crate::process::output;
use anyhow::Context;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A CPython on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    /// For people and for names of folders: `3.11.7`, `3.11.2-system`, `3.13.0t`.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: (u8, u8, u8),
    /// Whether it was built without a global lock.
    pub(crate) free_threaded: bool,
    /// The program.
    pub(crate) path: PathBuf,
}

impl Interpreter {
    /// Whether it is of a series that is promised to work; with `HEAPATTACH_ALL` set, whether there are
    /// layouts for it.
    pub(crate) fn is_supported(&self) -> bool {
        supported().any(|(minor, free_threaded)| {
            (3, minor) == (self.version.0, self.version.1) && free_threaded == self.free_threaded
        })
    }
}

/// The minor versions that README.md promises; the layout tables know more.
const PROMISED: std::ops::RangeInclusive<u8> = 6..=15;

/// The minor versions that are tested, each with whether it is free-threaded.
pub(crate) fn supported() -> impl Iterator<Item = (u8, bool)> {
    let all = std::env::var_os("HEAPATTACH_ALL").is_some();
    heapattach::layout::tables::TABLES
        .iter()
        .filter(move |table| all || table.free_threaded || PROMISED.contains(&table.minor))
        .map(|table| (table.minor, table.free_threaded))
}

/// Every CPython 3.6 or later in `HEAPATTACH_PYTHONS`, in pyenv's folder, of the system and on PATH, each once.
pub(crate) fn find() -> Vec<Interpreter> {
    let mut found: Vec<Interpreter> = Vec::new();
    let mut seen = BTreeSet::new();
    for path in candidates() {
        let Ok(interpreter) = inspect(&path) else { continue };
        if interpreter.version >= (3, 6, 0) && seen.insert(interpreter.path.clone()) {
            found.push(interpreter);
        }
    }
    found.sort_by_key(|interpreter| (interpreter.version, interpreter.name.clone()));
    found
}

fn candidates() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("HEAPATTACH_PYTHONS") {
        paths.extend(std::env::split_paths(&list));
    }
    if let Some(home) = std::env::var_os("HOME") {
        let versions = Path::new(&home).join(".pyenv/versions");
        let entries = std::fs::read_dir(versions).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path().join("bin/python")));
    }
    paths.push("/usr/bin/python3".into());
    let search = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&search) {
        paths.push(folder.join("python3"));
        paths.extend((6..=15).map(|minor| folder.join(format!("python3.{minor}"))));
    }
    paths.retain(|path| path.exists());
    paths
}

/// Asks the interpreter itself.
pub(crate) fn inspect(path: &Path) -> Result<Interpreter> {
    const QUESTION: &str = "import os, sys, sysconfig
print(*sys.version_info[:3], sys.implementation.name, int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))),
      os.path.realpath(getattr(sys, '_base_executable', sys.executable)))";
    let answer = output(Command::new(path).args(["-I", "-c", QUESTION]))?;
    let mut words = answer.trim().splitn(6, ' ');
    let mut word = || words.next().context("an interpreter answered too little");
    let version = (word()?.parse()?, word()?.parse()?, word()?.parse()?);
    anyhow::ensure!(word()? == "cpython", "{} is not CPython", path.display());
    let free_threaded = word()? == "1";
    let path = PathBuf::from(word()?);
    let (major, minor, micro) = version;
    let mut name = format!("{major}.{minor}.{micro}");
    if free_threaded {
        name.push('t');
    }
    if path.starts_with("/usr/bin") {
        name.push_str("-system");
    }
    Ok(Interpreter { name, version, free_threaded, path })
}
