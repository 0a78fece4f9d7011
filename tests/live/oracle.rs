//! Every scenario against guppy3 and the collector, object by object (testdata/oracle/compare.py): the cells
//! of the grid that `cargo xtask grid` prints.
//!
//! All scenarios run as one program, which costs what one of them costs. Those of [`INLINE`] are compared once
//! more after guppy3 has run in the program itself.

use crate::environments::Environment;
use crate::environments::project;
use crate::environments::target;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::fs;
use std::process::Command;

/// Scenarios whose heap is also compared after guppy3 has run in the program itself.
const INLINE: &[&str] = &["classes", "functions"];

/// The tests of one way to run an interpreter.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    let mut trials = vec![trial(environment, "everything", "forklate")];
    // Without guppy3, which free-threaded builds cannot have, it would be the same test.
    let has_guppy = !environment.name.trim_end_matches("-system").ends_with('t');
    if has_guppy && environment.place == "live" {
        trials.extend(INLINE.iter().map(|scenario| trial(environment, scenario, "inline")));
    }
    trials
}

fn trial(environment: &Environment, scenario: &'static str, mode: &'static str) -> Trial {
    let place = environment.place.replace(' ', "_");
    let name = match mode {
        "forklate" => format!("oracle::{}::{place}", environment.name),
        _ => format!("oracle::{}::{place}::{scenario}::{mode}", environment.name),
    };
    let environment = environment.clone();
    Trial::test(name, move || compare(&environment, scenario, mode))
}

fn compare(environment: &Environment, scenario: &str, mode: &str) -> Result<(), Failed> {
    let mut command = Command::new("python3");
    command
        .arg(project().join("testdata/oracle/compare.py"))
        .args(["run", "--binary", env!("CARGO_BIN_EXE_heapattach"), "--mode", mode, "--python"])
        .arg(&environment.python)
        .args(["--look", &environment.place]);
    if mode == "forklate" {
        let folder = target().join("grid");
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}--{}.json", environment.name, environment.place));
        command.arg("--summary").arg(file);
        if !environment.debug_files.is_empty() {
            command.args(["--look", &format!("debug file={}", environment.debug_files)]);
        }
    }
    let output = command.arg(project().join("testdata/scenarios").join(format!("{scenario}.py"))).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failed::from(String::from_utf8_lossy(&said).into_owned()))
}
