//! Runs one tool on one program and gives what was seen.

use super::packages::Packages;
use super::results::Figures;
use super::subject::Stillness;
use super::subject::Subject;
use super::tools::Kind;
use super::tools::Tool;
use crate::process::output;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

/// The pause from which on its end is taken from the heartbeat: shorter ones do not stand out.
const CLEAR_PAUSE_MS: f64 = 2.0;

/// Seconds that another tool may take: memray's gdb may wait for ever for a breakpoint.
const LONGEST_SECONDS: u64 = 20;

/// Measures once.
pub(super) fn measure(tool: &Tool, subject: &mut Subject, packages: &Packages) -> Result<Figures> {
    match tool.kind {
        Kind::Inside(function) => inside(function, subject),
        Kind::Heapattach(strategy, words) => heapattach(strategy, words, subject),
        Kind::Outside(program, words) => outside(&packages.program(program), words, subject),
    }
}

fn number(value: &Value, path: &str) -> Option<f64> {
    value.pointer(path).and_then(Value::as_f64)
}

/// What both kinds of heartbeat and the kernel saw of the program.
fn seen(subject: &Subject, before: f64) -> Result<(Figures, Stillness)> {
    let stillness = subject.stillness()?;
    let figures = Figures {
        native_ms: Some(stillness.native_ms),
        python_ms: Some(stillness.python_ms),
        stood_ms: Some(stillness.stood_ms),
        target_growth: Some((subject.peak()? - before).max(0.0)),
        ..Figures::default()
    };
    Ok((figures, stillness))
}

/// Runs a command as a process of its own and gives what it used; its standard output goes into a file.
fn used_by(command: &[PathBuf], out: &Path) -> Result<Value> {
    let mut measure = Command::new(std::env::current_exe()?);
    measure.arg("measure").arg(out).arg("--").args(command);
    let text = output(&mut measure)?;
    // A tool may print more than our own line, which is the last.
    let line = text.lines().last().context("nothing was measured")?;
    serde_json::from_str(line).with_context(|| format!("not a measurement: {line:.200}"))
}

fn heapattach(strategy: &str, words: &[&str], subject: &Subject) -> Result<Figures> {
    let out = target_directory().join("bench/output");
    let mut command = vec![target_directory().join("release/heapattach")];
    command.extend(words.iter().map(PathBuf::from));
    command.extend(["-p".into(), subject.pid().to_string().into(), "--no-progress".into()]);
    if can_choose_capture()? {
        command.extend(["--capture".into(), strategy.into()]);
    } else {
        anyhow::ensure!(strategy == "copy", "this heapattach has no --capture {strategy}");
    }
    let is_json = words != ["stats"];
    if is_json {
        command.extend(["--format".into(), "json".into(), "--limit".into(), "100".into()]);
    }
    let before = subject.forget_peak()?;
    subject.watch()?;
    let used = used_by(&command, &out)?;
    let (mut figures, stillness) = seen(subject, before)?;
    if is_json {
        let report: Value = serde_json::from_reader(File::open(&out)?)?;
        let took = report.pointer("/capture/strategy").and_then(Value::as_str).unwrap_or_default();
        anyhow::ensure!(took == strategy, "asked for {strategy}, heapattach used {took}");
        figures.objects = number(&report, "/heap/objects");
        figures.pause_ms = number(&report, "/capture/pause_ms");
        figures.copied = number(&report, "/capture/bytes_copied");
    }
    fill_used(&mut figures, &used);
    // fork and precopy copy while the program runs: what comes after their stop is not the analysis alone.
    if matches!(strategy, "copy" | "in-place") && stillness.native_ms >= CLEAR_PAUSE_MS {
        figures.after_ms = number(&used, "/ended_ns").map(|ended| (ended - stillness.ended_ns) / 1e6);
    }
    Ok(figures)
}

fn can_choose_capture() -> Result<bool> {
    let help = output(Command::new(target_directory().join("release/heapattach")).arg("--help"))?;
    Ok(help.contains("--capture"))
}

fn fill_used(figures: &mut Figures, used: &Value) {
    figures.wall_ms = number(used, "/wall_ms");
    figures.cpu_ms = number(used, "/cpu_ms");
    figures.peak = number(used, "/peak_kib").map(|kib| kib * 1024.0);
}

/// A file in memory, where writing costs least, for a tool that writes one.
fn outside(program: &Path, words: &[&str], subject: &Subject) -> Result<Figures> {
    let folder = tempfile::Builder::new().prefix("heapattach-bench").tempdir_in("/dev/shm")?;
    // It ends the whole group of processes, the debugger that a tool may have started included.
    let mut command = vec!["timeout".into(), LONGEST_SECONDS.to_string().into(), program.to_owned()];
    for word in words {
        command.push(if *word == "OUT" { folder.path().join("out") } else { word.into() });
    }
    command.push(subject.pid().to_string().into());
    let before = subject.forget_peak()?;
    subject.watch()?;
    let started = Instant::now();
    let used = used_by(&command, &folder.path().join("printed")).map_err(|error| {
        if started.elapsed() < Duration::from_secs(LONGEST_SECONDS) {
            return error;
        }
        anyhow::anyhow!("it did not end within {LONGEST_SECONDS} s")
    })?;
    let (mut figures, _) = seen(subject, before)?;
    fill_used(&mut figures, &used);
    Ok(figures)
}

fn inside(function: &str, subject: &mut Subject) -> Result<Figures> {
    let problem_or_loaded = subject.ask(function)?;
    if problem_or_loaded != "loaded" {
        let value: Value = serde_json::from_str(&problem_or_loaded)?;
        anyhow::bail!("{}", value["problem"].as_str().unwrap_or("it could not be loaded"));
    }
    let before = subject.forget_peak()?;
    subject.watch()?;
    let used: Value = serde_json::from_str(&subject.ask("go")?)?;
    let (mut figures, _) = seen(subject, before)?;
    figures.wall_ms = number(&used, "/wall_ms");
    figures.cpu_ms = number(&used, "/cpu_ms");
    Ok(figures)
}
