//! `cargo xtask bench-core`: how fast a core file is saved, opened and reported, and what it costs in memory.

use crate::bench;
use crate::process::Program;
use crate::process::cargo;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// How often a process or a core is reported; the best time counts, since the others waited for somebody.
const ROUNDS: u32 = 3;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Ways to save: what they are called, how their files end, and the arguments.
const WAYS: [(&str, &str, &[&str]); 3] = [
    ("--save with --redact", "redacted.core", &["--redact"]),
    ("--save, compressed", "core.zst", &[]),
    ("--save", "core", &[]),
];
/// What is promised of a core in the page cache: bytes in a second, and memory for an object.
const AIMS: (f64, f64) = (1e9, 100.0);

/// What one run took.
struct Cost {
    wall: Duration,
    /// The most anonymous memory at any look. Unit: bytes. What is mapped of the core is not in it.
    anonymous: u64,
}

/// Saves a core of a heap of so many objects beside so many bytes of other data, and reports it; prints a table and
/// writes it in docs/.
pub(crate) fn run(objects: u64, gib: f64, python: Option<&str>, folder: &Path) -> Result<()> {
    run_command(cargo().args(["build", "--release", "--quiet", "--bin", "heapattach"]))?;
    let interpreter = bench::choose(python)?;
    let conditions = bench::conditions(&interpreter)?;
    let program = start(&interpreter.path, objects, gib)?;
    let pid = program.pid().to_string();
    let mut lines = Vec::new();
    lines.push(("report of the process".to_owned(), best(&["-p", &pid])?, None));
    let core = tempfile_in(folder, WAYS[WAYS.len() - 1].1);
    for (name, end, more) in WAYS {
        let file = tempfile_in(folder, end);
        let arguments = [&["-p", &pid, "--save", &file], more].concat();
        lines.push((name.to_owned(), heapattach(&arguments)?, Some(std::fs::metadata(&file)?.len())));
        if file != core {
            std::fs::remove_file(&file)?;
        }
    }
    drop(program);
    lines.push(("report of the core".to_owned(), best(&["--core", &core])?, None));
    let length = std::fs::metadata(&core)?.len() as f64;
    std::fs::remove_file(&core)?;
    let report: Value = serde_json::from_reader(File::open(report_file())?)?;
    let found = report.pointer("/heap/objects").and_then(Value::as_f64).context("no objects")?;
    let cost = &lines[lines.len() - 1].1;
    let (speed, memory) = (length / cost.wall.as_secs_f64(), cost.anonymous as f64 / found);
    let mut page = "# Benchmark of core files\n\nWritten by `cargo xtask bench-core`.\n\n".to_owned();
    conditions.iter().try_for_each(|line| writeln!(page, "- {line}"))?;
    let is_kept = speed >= AIMS.0 && memory < AIMS.1;
    write!(
        page,
        "\nA core of {:.2} GiB with {found:.0} objects, from the page cache: {:.2} GB a second, {memory:.1} bytes an \
         object beyond the pages of the core. The aim, 1 GB a second and fewer than 100 bytes, is {}.\n\n{}",
        length / GIB,
        speed / 1e9,
        if is_kept { "reached" } else { "missed" },
        table(&lines)?
    )?;
    print!("{page}");
    Ok(std::fs::write(project().join("docs/benchmark-core.md"), page)?)
}

fn table(lines: &[(String, Cost, Option<u64>)]) -> Result<String> {
    let mut table = "| what | s | MiB of memory | MiB of file |\n|---|--:|--:|--:|\n".to_owned();
    for (name, cost, file) in lines {
        let mib = |bytes: u64| bytes >> 20;
        let file = file.map_or_else(|| "-".to_owned(), |bytes| mib(bytes).to_string());
        writeln!(table, "| {name} | {:.2} | {} | {file} |", cost.wall.as_secs_f64(), mib(cost.anonymous))?;
    }
    table.push_str("\nMemory is anonymous memory at its most: a process's copy is in it, a core's pages are not. What is saved is reported, too.\n");
    Ok(table)
}

/// The fastest of several runs, with the most memory of any.
fn best(arguments: &[&str]) -> Result<Cost> {
    let mut best = heapattach(arguments)?;
    for _ in 1..ROUNDS {
        let cost = heapattach(arguments)?;
        best = Cost { wall: best.wall.min(cost.wall), anonymous: best.anonymous.max(cost.anonymous) };
    }
    Ok(best)
}

fn tempfile_in(folder: &Path, end: &str) -> String {
    folder.join(format!("heapattach-bench-{}.{end}", std::process::id())).to_string_lossy().into_owned()
}

fn report_file() -> std::path::PathBuf {
    target_directory().join("bench-core.json")
}

/// The heap of the other measurements, with ballast until the process has about so many bytes.
fn start(python: &Path, objects: u64, gib: f64) -> Result<Program> {
    let heap = project().join("testdata/programs/heap.py");
    // Some 62 bytes an object, pools and lists included.
    let ballast = (gib * GIB - objects as f64 * 62.0).max(0.0);
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
