//! One state of a process, seen alive, in our core, in gdb's and in the kernel's: the same report.

use crate::environments::Environment;
use crate::environments::project;
use crate::process::Program;
use crate::process::has;
use crate::process::heapattach;
use crate::process::no_kernel_cores;
use crate::process::report;
use crate::process::succeed;
use crate::skipped;
use libtest_mimic::Trial;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Scenarios whose objects and references are compared, too, and of which gdb writes a core.
const WHOLE: &[&str] = &["classes"];

/// All other scenarios in one process, and those that cannot be among them.
const TELLING: &[&str] = &["everything", "ended_threads", "classes"];

/// Whether nothing is left out to save time.
fn is_thorough() -> bool {
    std::env::var("HEAPATTACH_CORES").is_ok_and(|value| value == "all")
}

/// One test for each scenario, or for the most telling ones.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    let entries = std::fs::read_dir(project().join("testdata/scenarios")).into_iter().flatten();
    let names =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".py").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| name != "ready").collect();
    names.retain(|name| is_thorough() || TELLING.contains(&name.as_str()));
    names.sort();
    let mut trials: Vec<Trial> = names.into_iter().map(|scenario| trial(environment, scenario)).collect();
    if let Some(problem) = no_kernel_cores() {
        trials.push(skipped(&format!("kernel_core::{}", environment.name), &problem, true));
    }
    if !has("gcore") && !has("gdb") {
        trials.push(skipped(&format!("gcore::{}", environment.name), "gdb is not installed", false));
    }
    trials
}

fn trial(environment: &Environment, scenario: String) -> Trial {
    let python = environment.python.clone();
    Trial::test(format!("equality::{}::{scenario}", environment.name), move || {
        compare(&python, &scenario).map_err(Into::into)
    })
}

/// Of each source of the state its name and how heapattach is told of it.
type Sources = Vec<(&'static str, [String; 2])>;

fn compare(python: &Path, scenario: &str) -> Result<(), String> {
    let whole = WHOLE.contains(&scenario) || is_thorough();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = project().join(format!("testdata/scenarios/{scenario}.py"));
    let program = Program::start(Command::new(python).arg(&file), folder.path())?;
    program.hold()?;
    let pid = program.pid();
    let saved = folder.path().join("saved.core");
    let live = report(&["-p", &pid, "--save", text(&saved)])?;
    let rows = if whole { listings(&["-p", &pid], folder.path())? } else { Vec::new() };
    let heapy = report(&["-p", &pid, "--view", "heapy"])?;
    let mut sources: Sources = vec![core("saved", &saved)];
    if whole {
        let packed = folder.path().join("packed.core.zst");
        report(&["-p", &pid, "--save", text(&packed)])?;
        sources.push(core("packed", &packed));
    }
    if whole && has("gcore") {
        succeed(Command::new("gcore").arg("-o").arg(folder.path().join("gdb")).arg(&pid))?;
        sources.push(core("gdb", &folder.path().join(format!("gdb.{pid}"))));
    }
    if no_kernel_cores().is_none() {
        sources.push(core("kernel", &program.abort(folder.path())?));
    }
    for (name, source) in &sources {
        let source = [source[0].as_str(), source[1].as_str()];
        same(name, &live, &report(&source)?)?;
        same(name, &heapy, &report(&[source[0], source[1], "--view", "heapy"])?)?;
        if whole && *name != "packed" {
            let found = listings(&source, folder.path())?;
            if found != rows {
                return Err(format!("{name}: objects or references differ"));
            }
        }
    }
    Ok(())
}

fn core(name: &'static str, path: &Path) -> (&'static str, [String; 2]) {
    (name, ["--core".to_owned(), text(path).to_owned()])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Every object and every reference.
fn listings(source: &[&str], folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let list = |verb: &str| {
        let path: PathBuf = folder.join(format!("{verb}.csv"));
        succeed(heapattach(source).args([verb, "-o", text(&path)]))?;
        std::fs::read(&path).map_err(|error| error.to_string())
    };
    Ok(vec![list("objects")?, list("references")?])
}

/// The same apart from the capture section.
fn same(name: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let (Some(expected), Some(found)) = (expected.as_object(), found.as_object()) else {
        return Err("a report is no object".to_owned());
    };
    for (key, value) in expected.iter().filter(|(key, _)| *key != "capture") {
        let value = without_loader(value);
        let found = found.get(key).map(without_loader).unwrap_or_default();
        if found != value {
            return Err(format!(
                "{name}: {key} differs:\n{:.2000}\n{:.2000}",
                value.to_string(),
                found.to_string()
            ));
        }
    }
    if found.len() == expected.len() { Ok(()) } else { Err(format!("{name}: the keys differ")) }
}

/// The target without its command line if the dynamic linker was told to start it: on the stack, where a core has
/// it, the linker replaces its own options by the program's arguments; `/proc` keeps them.
fn without_loader(value: &Value) -> Value {
    let mut value = value.clone();
    let is_loader = value["name"].as_str().is_some_and(|name| name.starts_with("ld-"));
    if is_loader && let Some(target) = value.as_object_mut() {
        target.remove("command");
    }
    value
}
