//! `cargo xtask bench-core`: how fast a core file is saved, opened and reported, and what it costs in memory.

use crate::environments;
use crate::process::Program;
use crate::process::cargo;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// How often the core is reported; the best time counts, since the others waited for somebody.
const ROUNDS: u32 = 3;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What one run took.
struct Cost {
    wall: Duration,
    /// The most anonymous memory at any look. Unit: bytes. What is mapped of the core is not in it.
    anonymous: u64,
}

/// Saves a core of a heap of so many objects beside so many bytes of other data, and reports it.
pub(crate) fn run(objects: u64, gib: f64, python: Option<&str>, folder: &Path) -> Result<()> {
    run_command(cargo().args(["build", "--release", "--quiet", "--bin", "heapattach"]))?;
    let environments = environments::prepare();
    let mut chosen =
        environments.iter().filter(|environment| python.is_none_or(|name| environment.name == name));
    let python = chosen.find_map(|environment| environment.python()).context("no interpreter")?;
    let core = tempfile_in(folder);
    let program = start(python, objects, gib)?;
    let pid = program.pid().to_string();
    let saved = heapattach(&["-p", &pid, "--save", &core])?;
    drop(program);
    let length = std::fs::metadata(&core)?.len() as f64;
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        costs.push(heapattach(&["--core", &core])?);
    }
    let report: Value = serde_json::from_reader(File::open(report_file())?)?;
    std::fs::remove_file(&core)?;
    let found = report.pointer("/heap/objects").and_then(Value::as_f64).context("no objects")?;
    let best = costs.iter().map(|cost| cost.wall).min().unwrap_or_default().as_secs_f64();
    let peak = costs.iter().map(|cost| cost.anonymous).max().unwrap_or(0) as f64;
    println!("core file                      {:>10.2} GiB, {found:.0} objects", length / GIB);
    println!("inspect and save               {:>10.2} s", saved.wall.as_secs_f64());
    println!("open and report, page cache    {best:>10.2} s, {:.2} GB/s", length / 1e9 / best);
    println!(
        "peak beyond mapped pages       {:>10.0} MiB, {:.1} bytes per object",
        peak / f64::from(1 << 20),
        peak / found
    );
    Ok(())
}

fn tempfile_in(folder: &Path) -> String {
    folder.join(format!("heapattach-bench-{}.core", std::process::id())).to_string_lossy().into_owned()
}

fn report_file() -> std::path::PathBuf {
    target_directory().join("bench-core.json")
}

/// The heap of the other measurements, with ballast until the process has about so many bytes.
fn start(python: &Path, objects: u64, gib: f64) -> Result<Program> {
    let heap = project().join("testdata/programs/heap.py");
    // Some 90 bytes an object, pools and lists included.
    let ballast = (gib * GIB - objects as f64 * 90.0).max(0.0);
    let code = format!(
        "import sys; sys.argv = ['heap.py', '{objects}']; ballast = b'x' * {ballast:.0}; exec(open('{}').read())",
        heap.display()
    );
    Program::start(Command::new(python).args(["-c", &code]))
}

/// Runs heapattach and looks at its memory every few milliseconds.
fn heapattach(arguments: &[&str]) -> Result<Cost> {
    let begun = Instant::now();
    let mut child = Command::new(target_directory().join("release/heapattach"))
        .args(arguments)
        .args(["--format", "json", "--no-progress"])
        .stdout(Stdio::from(File::create(report_file())?))
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut anonymous = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        anonymous = anonymous.max(now << 10);
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !ended.success() {
        bail!("heapattach {} failed: {ended}", arguments.join(" "));
    }
    Ok(Cost { wall: begun.elapsed(), anonymous })
}
