//! Hosts in which the oracle cannot run: the program itself says which objects it has, and heapattach must list
//! each at its address, with its type and size.

use crate::cases::Interpreter;
use crate::cases::Linking;
use crate::cases::Need;
use crate::environments::Environment;
use crate::environments::project;
use crate::environments::say;
use crate::workshop::Workshop;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// A host, and how heapattach must end.
struct Case {
    name: &'static str,
    command: &'static str,
    needs: &'static [Need],
    status: i32,
}

const CASES: &[Case] = &[
    Case {
        name: "embedded_without_symbols",
        command: "{embedding} main {programs}/known_objects.py",
        needs: &[Need::Embedding(Linking::StaticSilent)],
        status: 0,
    },
    Case {
        // The data of a mapped program ends before it should: what is there is reported, and what is missing said.
        name: "truncated_file",
        command: "{python} {programs}/known_objects.py {copy}",
        needs: &[Need::Copy],
        status: 6,
    },
    Case {
        name: "memory_pressure",
        command: "{python} {programs}/known_objects.py --pressed",
        needs: &[],
        status: 0,
    },
    Case {
        name: "several_libraries",
        command: "{python} {programs}/known_objects.py --with {second}",
        needs: &[Need::SecondLibrary],
        status: 0,
    },
];

/// One test for each case.
pub(crate) fn trials(environments: &[Environment], is_wanted: &dyn Fn(&str) -> bool) -> Vec<Trial> {
    let usable = environments.iter().filter(|environment| environment.is_plain());
    let system = usable.filter(|environment| Interpreter::System.is(&environment.name)).cloned().next_back();
    CASES.iter().filter(|case| is_wanted(case.name)).map(|case| trial(case, system.clone())).collect()
}

fn trial(case: &'static Case, environment: Option<Environment>) -> Trial {
    let name = format!("host::{}", case.name);
    let prepared =
        environment.ok_or("no interpreter of the system is prepared".to_owned()).and_then(|environment| {
            Workshop::prepare(case.needs, &environment).map(|workshop| (environment, workshop))
        });
    match prepared {
        Ok((environment, workshop)) => {
            Trial::test(name, move || inspect(case, &environment, &workshop).map_err(Failed::from))
        }
        Err(missing) => {
            say(&format!("SKIPPED {name}: {missing}"));
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inspect(case: &Case, environment: &Environment, workshop: &Workshop) -> Result<(), String> {
    let line = workshop.fill(case.command).replace("{python}", &environment.python.display().to_string());
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(project()).stdout(Stdio::piped());
    let mut program = Program(command.spawn().map_err(|error| error.to_string())?);
    let output = program.0.stdout.take().ok_or("standard output is piped")?;
    let mut known = BTreeMap::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line == "READY" {
            break;
        }
        let mut fields = line.splitn(3, ' ').map(str::to_owned);
        let mut field = || fields.next().unwrap_or_default();
        known.insert(field(), (field(), field()));
    }
    if known.len() < 3000 {
        return Err(format!("the program named {} objects only", known.len()));
    }
    let pid = program.0.id().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_heapattach"))
        .args(["objects", "-p", &pid, "-f", "csv"])
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(case.status) {
        return Err(format!("{}: {said}", output.status));
    }
    if (case.status == 6) != said.contains("the result is incomplete") {
        return Err(format!("it said {said:?}"));
    }
    if !matches!(program.0.try_wait(), Ok(None)) {
        return Err("the program has ended".into());
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut fields = line.split(',');
        let (address, kind, bytes) = (fields.next(), fields.next(), fields.next());
        let Some((bytes_known, kind_known)) = address.and_then(|address| known.remove(address)) else {
            continue;
        };
        if kind != Some(kind_known.as_str()) || bytes != Some(bytes_known.as_str()) {
            return Err(format!("{line}, but it is a {kind_known} of {bytes_known} bytes"));
        }
    }
    match known.iter().next() {
        None => Ok(()),
        Some((address, kind)) => {
            Err(format!("{} objects are missing, one at {address}: {kind:?}", known.len()))
        }
    }
}
