//! Processes that died at the worst moment: in the collector, in the allocator, with memory overwritten.

use crate::environments::Environment;
use crate::environments::project;
use crate::process::Program;
use crate::process::kernel_core;
use crate::process::no_kernel_cores;
use crate::process::number;
use crate::process::report;
use crate::process::run;
use crate::skipped;
use libtest_mimic::Trial;
use std::path::Path;
use std::process::Command;

/// Ways to die, with words that the report on the core must have.
const DEATHS: &[(&str, &[&str])] = &[
    ("collector", &["SIGSEGV", "which crashed", "collecting"]),
    ("allocator", &["SIGSEGV", "which crashed"]),
    ("overwritten", &["SIGABRT", "anomal"]),
    ("lists", &["SIGABRT", "anomal"]),
];

/// One test for all ways.
pub(crate) fn trial(environment: &Environment) -> Trial {
    let name = format!("torn::{}", environment.name);
    if let Some(problem) = no_kernel_cores() {
        return skipped(&name, &problem, true);
    }
    let python = environment.python.clone();
    Trial::test(name, move || {
        for (death, words) in DEATHS {
            die(&python, death, words).map_err(|error| format!("{death}: {error}"))?;
        }
        Ok(())
    })
}

fn die(python: &Path, death: &str, words: &[&str]) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut command = Command::new(python);
    command.arg(project().join("testdata/programs/dying.py")).arg(death);
    let program = Program::start(&mut command, folder.path())?;
    let before = report(&["-p", &program.pid()])?;
    program.die()?;
    let core = kernel_core(folder.path())?;
    let core = core.to_str().unwrap_or("");
    let after = report(&["--core", core])?;
    // What was lost is a page's worth, and what dying itself made.
    let (expected, found) = (number(&before, "/heap/objects"), number(&after, "/heap/objects"));
    if found.abs_diff(expected) > expected / 50 {
        return Err(format!("{found} objects of {expected}"));
    }
    let text = run(&["--core", core])?.stdout;
    match words.iter().find(|word| !text.contains(**word)) {
        Some(word) => Err(format!("no {word:?} in\n{text}")),
        None => Ok(()),
    }
}
