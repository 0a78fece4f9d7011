//! The interpreters that `cargo xtask test` prepared.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// A way to run an interpreter, or the reason why its tests cannot run.
#[derive(Clone)]
pub(crate) struct Environment {
    /// `3.11.7`, `3.11.2-system`, `3.14.10-sid`, ...
    pub(crate) name: String,
    /// `live`, `stripped`, `other root`: a column of the grid.
    pub(crate) place: String,
    /// What to run: the python of a virtual environment with guppy3, or a script in its place.
    pub(crate) python: PathBuf,
    /// Separate debug files, which are one more column.
    pub(crate) debug_files: String,
    /// Whether flask, numpy and pandas are installed.
    pub(crate) programs: bool,
    /// Whether the machine has the interpreter.
    pub(crate) present: bool,
    /// Why it cannot be used.
    pub(crate) problem: Option<String>,
}

impl Environment {
    /// Whether it is an interpreter of this machine, started as it is: no copy, no other root, no linker of its own.
    pub(crate) fn is_plain(&self) -> bool {
        let is_script = self.python.extension().is_some_and(|extension| extension == "sh");
        self.problem.is_none() && self.place == "live" && !is_script
    }
}

/// The project's top folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(project())
}

/// What the list says that `xtask/src/environments.rs` writes.
pub(crate) fn all() -> Vec<Environment> {
    match fs::read_to_string(target().join("python/environments.tsv")) {
        Ok(list) => list.lines().map(parse).collect(),
        Err(_) => vec![parse("all\t\t\t\t\tpresent\tno environments are prepared: run `cargo xtask test`")],
    }
}

fn parse(line: &str) -> Environment {
    let mut fields = line.split('\t').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    Environment {
        name: field(),
        place: field(),
        python: field().into(),
        debug_files: field(),
        programs: field() == "programs",
        present: field() == "present",
        problem: Some(field()).filter(|problem| !problem.is_empty()),
    }
}

/// Prints a line past libtest's capture.
pub(crate) fn say(text: &str) {
    // A closed standard error is nobody's problem here.
    let _ = writeln!(std::io::stderr(), "{text}");
}
