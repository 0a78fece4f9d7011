//! Core files: of the kernel, of gdb, of our own, whole, cut, damaged, and of other programs.
//!
//! Tests are made at run time, one for each interpreter and program; what the machine lacks is an ignored test
//! with its name and a line that says so. `HEAPATTACH_CORES=all` compares every report of every scenario
//! instead of the most telling ones. How an interpreter was started (tests/live) makes no difference here.

#[expect(dead_code, reason = "these programs need no packages")]
#[path = "../live/environments.rs"]
mod environments;
mod equality;
mod hostile;
mod missing;
mod process;
mod tools;
mod torn;
mod truncated;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let mut trials = hostile::trials();
    let all = environments::all();
    // The oldest version that pystack, too, supports.
    let live =
        || all.iter().filter(|environment| environment.problem.is_none() && environment.place == "live");
    let chosen = live().find(|environment| tools::pystack(&environment.python).is_some()).or(live().next());
    let chosen = chosen.map(|environment| environment.name.clone());
    for environment in &all {
        if let Some(problem) = environment.problem.clone() {
            let name = format!("interpreter::{}", environment.name);
            trials.push(skipped(&name, &problem, environment.present));
            continue;
        }
        if environment.place != "live" {
            continue;
        }
        trials.extend(equality::trials(environment));
        trials.push(torn::trial(environment));
        // The program of another suite runs with that suite's linker and libraries only.
        if environment.is_plain() {
            trials.push(missing::trial(environment));
        }
        if chosen.as_ref() == Some(&environment.name) {
            trials.extend(tools::trials(environment));
            trials.extend(truncated::trials(environment));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that cannot run: counted as ignored, never silent. Where it must run, it fails.
fn skipped(name: &str, problem: &str, present: bool) -> Trial {
    let is_failure = present && std::env::var_os("HEAPATTACH_REQUIRE").is_some();
    environments::say(&format!("{} {name}: {problem}", if is_failure { "FAILED" } else { "SKIPPED" }));
    let problem = problem.to_owned();
    Trial::test(name, || Err(Failed::from(problem))).with_ignored_flag(!is_failure)
}
