//! A core whose interpreter is on no machine any more.

use crate::environments::Environment;
use crate::environments::project;
use crate::process::Program;
use crate::process::no_kernel_cores;
use crate::process::number;
use crate::process::report;
use crate::process::run;
use crate::process::succeed;
use crate::skipped;
use libtest_mimic::Trial;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The program and its library, as the interpreter itself knows them.
const WHERE: &str = "import sys, sysconfig, os; \
    lib = os.path.join(sysconfig.get_config_var('LIBDIR') or '', sysconfig.get_config_var('INSTSONAME') or ''); \
    print(os.path.realpath(sys.executable)); print(sys.base_prefix); \
    print(lib if sysconfig.get_config_var('Py_ENABLE_SHARED') and os.path.exists(lib) else '')";

/// One test for all cores.
pub(crate) fn trial(environment: &Environment) -> Trial {
    let name = format!("missing::{}", environment.name);
    let python = environment.python.clone();
    if let Some(problem) = no_kernel_cores() {
        return skipped(&name, &problem, true);
    }
    Trial::test(name, move || check(&python).map_err(Into::into))
}

fn check(python: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let says = succeed(Command::new(python).args(["-c", WHERE]))?;
    let mut lines = says.lines();
    let mut line = || lines.next().unwrap_or("").to_owned();
    let (program, prefix, library) = (line(), line(), line());
    let copies = folder.path().join("copies");
    std::fs::create_dir(&copies).map_err(|error| error.to_string())?;
    let mut files = vec![copy(&program, &copies)?];
    if !library.is_empty() {
        files.push(copy(&library, &copies)?);
    }
    let mut command = Command::new(&files[0]);
    command.arg(project().join("testdata/programs/has_secrets.py"));
    command.env("LD_LIBRARY_PATH", &copies).env("PYTHONHOME", &prefix);
    let process = Program::start(&mut command, folder.path())?;
    process.hold()?;
    let saved = folder.path().join("saved.core");
    let live = report(&["-p", &process.pid(), "--save", saved.to_str().unwrap_or("")])?;
    let core = process.abort(folder.path())?;
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&copies, &elsewhere).map_err(|error| error.to_string())?;
    let (saved, core) = (saved.to_str().unwrap_or(""), core.to_str().unwrap_or(""));
    same(&live, &report(&["--core", saved])?).map_err(|error| format!("saved: {error}"))?;
    let moved = files.iter().filter_map(|file| Some(elsewhere.join(file.file_name()?)));
    let moved: Vec<String> = moved.map(|file| file.to_string_lossy().into_owned()).collect();
    let mut given = vec!["--core", core];
    for file in &moved {
        given.extend(["--exe", file]);
    }
    same(&live, &report(&given)?).map_err(|error| format!("--exe: {error}"))?;
    // As if the machine's file system were below a folder.
    let root = folder.path().join("root");
    let below = root.join(copies.strip_prefix("/").unwrap_or(&copies));
    std::fs::create_dir_all(below.parent().unwrap_or(&root)).map_err(|error| error.to_string())?;
    std::fs::rename(&elsewhere, &below).map_err(|error| error.to_string())?;
    let sysroot = report(&["--core", core, "--sysroot", root.to_str().unwrap_or("")])?;
    same(&live, &sysroot).map_err(|error| format!("--sysroot: {error}"))?;
    std::fs::remove_dir_all(&root).map_err(|error| error.to_string())?;
    nothing_but_the_core(core, &live)
}

/// Without the file: what is missing is said, and the objects are there.
fn nothing_but_the_core(core: &str, live: &Value) -> Result<(), String> {
    let text = run(&["--core", core])?;
    if !text.stdout.contains("missing ") || !text.stdout.contains("build id") {
        return Err(format!("nothing is said to be missing: {}{}", text.stdout, text.stderr));
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let stranger = run(&["--core", core, "--exe", own.to_str().unwrap_or("")])?;
    if !stranger.stdout.contains("not used ") {
        return Err(format!("nothing is said of another program: {}{}", stranger.stdout, stranger.stderr));
    }
    let nowhere = run(&["--core", core, "--sysroot", "/nonexistent"])?;
    if nowhere.status != Some(5) || !nowhere.stderr.contains("cannot use /nonexistent") {
        return Err(format!("no folder, and it ends with {:?}: {}", nowhere.status, nowhere.stderr));
    }
    let found = report(&["--core", core])?;
    let (expected, objects) = (number(live, "/heap/objects"), number(&found, "/heap/objects"));
    if objects.abs_diff(expected) > expected / 50 {
        return Err(format!("{objects} objects of {expected}"));
    }
    let common = ["str", "tuple", "dict (no owner)", "types.CodeType", "type", "function", "__main__.Keeper"];
    for label in common {
        if row(live, label) != row(&found, label) {
            return Err(format!("{label}: {:?} instead of {:?}", row(&found, label), row(live, label)));
        }
    }
    Ok(())
}

/// Number of objects of a label.
fn row(report: &Value, label: &str) -> Option<u64> {
    let rows = report.pointer("/partitions/clodo")?.as_array()?;
    rows.iter().find(|row| row["label"] == label)?["objects"].as_u64()
}

fn same(expected: &Value, found: &Value) -> Result<(), String> {
    let target = |report: &Value| {
        let mut target = report["target"].clone();
        // Debug information went with the file.
        target.as_object_mut().and_then(|target| target.remove("layout_source"));
        target
    };
    if target(expected) != target(found) {
        return Err(format!("target differs: {} {}", target(expected), target(found)));
    }
    for key in ["heap", "partitions", "anomalies", "memory_map"] {
        if expected[key] != found[key] {
            return Err(format!("{key} differs: {:.1000} {:.1000}", expected[key], found[key]));
        }
    }
    Ok(())
}

fn copy(file: &str, folder: &Path) -> Result<PathBuf, String> {
    let name = Path::new(file).file_name().ok_or("a file has a name")?;
    let target = folder.join(name);
    // By a program of its own: no file runs that somebody still has open for writing.
    succeed(Command::new("cp").arg(file).arg(&target))?;
    Ok(target)
}
