//! Real programs, taken at random instants while they work.

use crate::environments::Environment;
use crate::environments::project;
use crate::program::Program;
use crate::program::get;
use libtest_mimic::Trial;
use serde_json::Value;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A program and what it can be asked.
struct Case {
    /// File in `testdata/programs/`, without `.py`.
    name: &'static str,
    /// Whether it imports flask, numpy or pandas.
    needs_packages: bool,
    /// Paths to ask for, with the status of the answer.
    paths: &'static [(&'static str, u16)],
}

const CASES: &[Case] = &[
    Case { name: "flask_app", needs_packages: true, paths: &[("/", 200), ("/json", 200), ("/missing", 404)] },
    Case { name: "asyncio_server", needs_packages: false, paths: &[("/", 200)] },
    Case { name: "frames_of_data", needs_packages: true, paths: &[("/", 200)] },
    Case { name: "worker", needs_packages: false, paths: &[("/", 200)] },
];

/// How often each program is inspected, where all of them run.
const INSTANTS: u32 = 50;
/// The same elsewhere: what differs by version there is what the grid compares at rest.
const FEWER_INSTANTS: u32 = 20;

/// Anomalies for each object, in the middle one of all instants. A single instant may have more: memory is
/// seen while it is being changed.
const USUAL_ANOMALIES: f64 = 0.001;

/// Longest acceptable run of heapattach on one of these small heaps.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// One test for each program that the environment can run.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    let usable = CASES.iter().filter(|case| environment.programs || !case.needs_packages);
    usable
        .map(|case| {
            let environment = environment.clone();
            Trial::test(format!("real_program::{}::{}", environment.name, case.name), move || {
                inspect_at_work(&environment, case).map_err(Into::into)
            })
        })
        .collect()
}

fn inspect_at_work(environment: &Environment, case: &Case) -> Result<(), String> {
    let file = project().join("testdata/programs").join(format!("{}.py", case.name));
    let (mut program, port) = Program::serving(&environment.python, &file)?;
    let stop = AtomicBool::new(false);
    let answers = AtomicU64::new(0);
    thread::scope(|scope| {
        let client = scope.spawn(|| keep_asking(port, case.paths, &stop, &answers));
        let instants = if environment.programs { INSTANTS } else { FEWER_INSTANTS };
        let result = inspect_repeatedly(&mut program, &answers, instants);
        stop.store(true, Ordering::Relaxed);
        let asked = client.join().map_err(|_| "the client panicked".to_owned())?;
        result.and(asked)
    })
}

fn keep_asking(
    port: u16,
    paths: &[(&str, u16)],
    stop: &AtomicBool,
    answers: &AtomicU64,
) -> Result<(), String> {
    for (path, wanted) in paths.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let status = get(port, path).map_err(|error| format!("no answer to {path}: {error}"))?;
        if status != *wanted {
            return Err(format!("status {status} of {path}"));
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn inspect_repeatedly(program: &mut Program, answers: &AtomicU64, instants: u32) -> Result<(), String> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(program.pid());
    let mut shares = Vec::new();
    for instant in 0..instants {
        // xorshift: any instant of the program's work, the same ones in no two runs.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_micros(random % 40_000));
        let before = answers.load(Ordering::Relaxed);
        shares.push(inspect_once(program.pid()).map_err(|error| format!("instant {instant}: {error}"))?);
        if !program.is_alive() {
            return Err(format!("instant {instant}: the program has ended"));
        }
        wait_for_answer(answers, before).map_err(|error| format!("instant {instant}: {error}"))?;
    }
    shares.sort_by(f64::total_cmp);
    let median = shares[shares.len() / 2];
    if median > USUAL_ANOMALIES {
        return Err(format!("{median} anomalies for each object are usual"));
    }
    Ok(())
}

fn wait_for_answer(answers: &AtomicU64, before: u64) -> Result<(), String> {
    let started = Instant::now();
    while answers.load(Ordering::Relaxed) < before + 2 {
        if started.elapsed() > Duration::from_secs(20) {
            return Err("the program answers no more".into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Gives the number of anomalies for each object.
fn inspect_once(pid: u32) -> Result<f64, String> {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_heapattach"))
        .args(["-p", &pid.to_string(), "--format", "json"])
        .output()
        .map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {errors}", output.status));
    }
    if started.elapsed() > LONGEST_RUN {
        return Err(format!("took {:?}", started.elapsed()));
    }
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    check_plausible(&report)
}

/// Bounds that hold for every one of these programs, however busy. Some objects are held by nothing but the
/// evaluation stack of a running frame, or by C code.
fn check_plausible(report: &Value) -> Result<f64, String> {
    let number =
        |path: &str| report.pointer(path).and_then(Value::as_u64).ok_or(format!("no number at {path}"));
    let objects = number("/heap/objects")?;
    let bytes = number("/heap/bytes")?;
    if !(20_000..3_000_000).contains(&objects) || !(objects * 40..objects * 1000).contains(&bytes) {
        return Err(format!("{objects} objects, {bytes} bytes"));
    }
    let unreferenced = number("/heap/by_allocator_only/objects")?;
    let anomalies = report.pointer("/anomalies").and_then(Value::as_array).ok_or("no anomalies")?;
    let count: u64 = anomalies.iter().filter_map(|anomaly| anomaly.get("count")?.as_u64()).sum();
    for (what, found) in [("found by no reference", unreferenced), ("anomalies", count)] {
        if found > objects / 10 {
            return Err(format!("{found} {what} of {objects} objects; {anomalies:?}"));
        }
    }
    Ok(count as f64 / objects as f64)
}
