//! Tests that attach to running interpreters. They are made at run time, one for each interpreter and program;
//! an interpreter that is missing is an ignored test with its name, or a failed one where
//! `HEAPATTACH_REQUIRE` is set and the machine has it.

mod buffers;
#[expect(dead_code, reason = "not all that the other tests ask is asked here")]
mod environments;
mod oracle;
mod program;
mod real_programs;
mod refused;
mod stats;

use environments::Environment;
use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Every test keeps an interpreter and heapattach busy; both are slow when they wait for each other.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let environments = environments::all();
    let mut trials = refused::trials();
    for environment in environments {
        if let Some(problem) = environment.problem.clone() {
            trials.push(skipped(&environment, trials.len(), problem));
        } else {
            trials.extend(buffers::trials(&environment));
            trials.extend(oracle::trials(&environment));
            if environment.place == "live" {
                trials.extend(real_programs::trials(&environment));
                trials.extend(stats::trials(&environment));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that cannot run: counted as ignored, never silent.
fn skipped(environment: &Environment, number: usize, problem: String) -> Trial {
    let name = format!("interpreter::{}::{number}", environment.name);
    let is_failure = environment.present && std::env::var_os("HEAPATTACH_REQUIRE").is_some();
    environments::say(&format!("{} {name}: {problem}", if is_failure { "FAILED" } else { "SKIPPED" }));
    Trial::test(name, || Err(Failed::from(problem))).with_ignored_flag(!is_failure)
}
