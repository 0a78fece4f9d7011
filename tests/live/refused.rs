//! Versions that are not supported: what is said of a program that runs on one.

use crate::environments::say;
use crate::program::Program;
use crate::program::installed;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::path::Path;
use std::process::Command;

/// Each with what its message names.
const VERSIONS: &[(&str, &str)] = &[
    ("2.7", "old-style classes and instances are other objects than those of 3"),
    ("3.5", "its dicts are other tables than those of 3.6"),
];
/// There is no CPython that can be inspected (README.md).
const NOT_PYTHON: i32 = 3;
const PROGRAM: &str =
    "import os, sys, time; print('READY %d' % os.getpid()); sys.stdout.flush(); time.sleep(600)";

/// A test for each that is there.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |&(version, obstacle): &(&str, &'static str)| {
        let python = installed(version);
        if python.is_none() {
            say(&format!("SKIPPED refused::{version}: this machine has no CPython {version}"));
        }
        let is_missing = python.is_none();
        let run = move || check(&python.ok_or("this machine has none")?, obstacle);
        Trial::test(format!("refused::{version}"), run).with_ignored_flag(is_missing)
    };
    VERSIONS.iter().map(trial).collect()
}

fn check(python: &Path, obstacle: &str) -> Result<(), Failed> {
    let mut program = Program::start(Command::new(python).args(["-c", PROGRAM]))?;
    for more in [&[][..], &["--best-effort"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapattach"));
        let output = command.args(["-p", &program.pid().to_string()]).args(more).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let says_why = said.contains("is not supported") && said.contains(obstacle);
        if output.status.code() != Some(NOT_PYTHON) || !says_why || said.contains("hint:") {
            return Err(format!("{command:?}: {}\n{said}", output.status).into());
        }
    }
    if program.is_alive() { Ok(()) } else { Err("the program has ended".into()) }
}
