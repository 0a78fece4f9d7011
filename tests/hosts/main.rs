//! CPython where it is not a plain `python3 script.py`: inside other programs, other allocators, other
//! namespaces, behind filters, with its files gone. Each host runs a scenario, whose heap is compared object by
//! object with what the scenario's oracle wrote down (testdata/oracle/compare.py).
//!
//! What a machine lacks is an ignored test with its name and a loud line.

mod cases;
#[path = "../live/environments.rs"]
#[expect(dead_code, reason = "not all that the other tests ask is asked here")]
mod environments;
mod known_objects;
mod workshop;

use cases::CASES;
use cases::Case;
use environments::Environment;
use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::process::Command;
use std::process::ExitCode;
use workshop::Workshop;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Every test keeps an interpreter and heapattach busy; both are slow when they wait for each other.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let environments = environments::all();
    // What a test needs is made before it runs, since only then it can be counted as ignored.
    let filter = arguments.filter.clone().unwrap_or_default();
    let filter = filter.trim_start_matches("host::").split("::").next().unwrap_or_default().to_owned();
    let is_wanted = |name: &str| name.contains(&filter);
    let wanted = CASES.iter().filter(|case| is_wanted(case.name));
    let mut trials: Vec<Trial> = wanted.map(|case| trial(case, &environments)).collect();
    trials.extend(known_objects::trials(&environments, &is_wanted));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: &'static Case, environments: &[Environment]) -> Trial {
    let usable = environments.iter().filter(|environment| environment.is_plain());
    let found = usable.filter(|environment| case.interpreter.is(&environment.name)).cloned().next_back();
    let prepared = match found {
        Some(environment) => {
            Workshop::prepare(case.needs, &environment).map(|workshop| (environment, workshop))
        }
        None => Err(format!("no {} is prepared", case.interpreter)),
    };
    let name = format!("host::{}", case.name);
    match prepared {
        Ok((environment, workshop)) => {
            let name = format!("{name}::{}", environment.name);
            Trial::test(name, move || compare(case, &environment, &workshop))
        }
        Err(missing) => {
            environments::say(&format!("SKIPPED {name}: {missing}"));
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

fn compare(case: &Case, environment: &Environment, workshop: &Workshop) -> Result<(), Failed> {
    let mut command = Command::new(&environment.python);
    command.arg(environments::project().join("testdata/oracle/compare.py"));
    command.args(["run", "--binary", env!("CARGO_BIN_EXE_heapattach"), "--python"]).arg(&environment.python);
    command.args(["--host", &workshop.fill(case.host)]);
    if !case.then.is_empty() {
        command.args(["--then", &workshop.fill(case.then)]);
    }
    if !case.inspector.is_empty() {
        command.args(["--inspector", case.inspector]);
    }
    command.arg(environments::project().join("testdata/scenarios").join(case.scenario));
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failed::from(String::from_utf8_lossy(&said).into_owned()))
}
