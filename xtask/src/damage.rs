//! `cargo xtask damage`: cores damaged by the hundred thousand, and what became of them.

use crate::interpreters;
use crate::interpreters::Interpreter;
use crate::process::cargo;
use crate::process::output;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Seeds that one process is given at a time: half a minute.
const PIECE: u64 = 2000;
/// Columns of the table that are numbers of cores.
const COUNTS: usize = 6;

/// What is to be done.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Damaged cores of each interpreter.
    #[arg(default_value_t = 100_000)]
    mutations: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only of these interpreters (`3.11.7`).
    #[arg(long)]
    python: Vec<String>,
    /// Begin nothing new after so many minutes, and say with which seed to go on.
    #[arg(long, default_value_t = 600)]
    minutes: u64,
    /// Processes at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// A row of the table: counts, then milliseconds in all, the slowest and the most memory, each with its seed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    counts: [u64; COUNTS],
    milliseconds: f64,
    slowest: (u64, u64),
    largest: (u64, u64),
}

/// Rows by kind of damage, in the order in which they came.
type Rows = Vec<(String, Row)>;

/// Damages and prints a table for each interpreter; fails if any core was not survived.
pub(crate) fn run(options: &Options) -> Result<()> {
    let program = build()?;
    let victims = target_directory().join("damage");
    std::fs::create_dir_all(&victims)?;
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let mut failures = Vec::new();
    let is_wanted = |found: &Interpreter| options.python.is_empty() || options.python.contains(&found.name);
    for interpreter in interpreters::find().into_iter().filter(Interpreter::is_supported).filter(is_wanted) {
        let (rows, next, failed) = damage(options, &program, (&interpreter.path, &victims), end);
        print(&interpreter.name, &rows);
        if next < options.first + options.mutations {
            println!("not all: go on with --first {next}");
        }
        failures.extend(failed);
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// Builds the test and gives its program.
fn build() -> Result<PathBuf> {
    let arguments = ["test", "--profile", "campaign", "--test", "robustness", "--no-run"];
    let messages = output(cargo().args(arguments).args(["--message-format", "json"]))?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    programs.next_back().context("cargo names no program")
}

/// All pieces of one interpreter; gives the next seed, too, and what did not end well.
fn damage(
    options: &Options,
    program: &Path,
    places: (&Path, &Path),
    end: Instant,
) -> (Rows, u64, Vec<String>) {
    let last = options.first + options.mutations;
    let next = AtomicU64::new(options.first);
    let result: Mutex<(Rows, Vec<String>)> = Mutex::default();
    // The first process makes the cores that all others damage.
    let is_made = AtomicBool::new(false);
    let work = || {
        while Instant::now() < end {
            let first = next.fetch_add(PIECE, Ordering::Relaxed).min(last);
            let count = PIECE.min(last - first);
            if count == 0 {
                break;
            }
            let piece = piece(program, places, (first, count));
            is_made.store(true, Ordering::Relaxed);
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            match piece {
                Ok(rows) => rows.into_iter().for_each(|(kind, row)| add(&mut result.0, kind, &row)),
                Err(error) => result.1.push(format!("seeds from {first} on: {error:#}")),
            }
        }
    };
    std::thread::scope(|scope| {
        for job in 0..options.jobs.max(1) {
            let is_made = &is_made;
            scope.spawn(move || {
                while job > 0 && !is_made.load(Ordering::Relaxed) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(50));
                }
                work();
            });
        }
    });
    let (rows, failed) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    (rows, next.into_inner().min(last), failed)
}

/// Runs one process; its table, or what it said if it failed.
fn piece(program: &Path, (python, victims): (&Path, &Path), (first, count): (u64, u64)) -> Result<Rows> {
    let mut command = Command::new(program);
    command.arg("--nocapture").env("RAYON_NUM_THREADS", "1");
    command.env("HEAPATTACH_PYTHONS", python).env("HEAPATTACH_VICTIMS", victims);
    command.env("HEAPATTACH_SEED", first.to_string()).env("HEAPATTACH_MUTATIONS", count.to_string());
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let rows: Rows = text.lines().filter_map(parse).collect();
    if output.status.success() && !rows.is_empty() {
        return Ok(rows);
    }
    let failures: Vec<&str> =
        text.lines().filter(|line| line.contains("FAILED") || line.contains("SKIPPED")).collect();
    bail!(
        "{}: {}",
        output.status,
        if failures.is_empty() { text.trim().to_owned() } else { failures.join("\n") }
    )
}

/// A line of the table that `tests/robustness/tally.rs` writes.
fn parse(line: &str) -> Option<(String, Row)> {
    let mut words = line.split_whitespace();
    let kind = words.next()?.to_owned();
    let mut row = Row::default();
    for count in &mut row.counts {
        *count = words.next()?.parse().ok()?;
    }
    let mean: f64 = words.next()?.parse().ok()?;
    row.milliseconds = mean * row.counts[0] as f64;
    let mut number = || words.next()?.parse::<u64>().ok();
    row.slowest = (number()?, number()?);
    row.largest = (number()?, number()?);
    Some((kind, row))
}

fn add(rows: &mut Rows, kind: String, row: &Row) {
    let Some((_, sum)) = rows.iter_mut().find(|(known, _)| *known == kind) else {
        return rows.push((kind, row.clone()));
    };
    for (sum, count) in sum.counts.iter_mut().zip(row.counts) {
        *sum += count;
    }
    sum.milliseconds += row.milliseconds;
    sum.slowest = sum.slowest.max(row.slowest);
    sum.largest = sum.largest.max(row.largest);
}

fn print(name: &str, rows: &Rows) {
    println!(
        "\n| {name} | cores | whole | partly | little | refused | failed | ms | slowest, seed | MiB, seed |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut all = Row::default();
    for (kind, row) in rows {
        print_row(kind, row);
        let mut sum = vec![(String::new(), all)];
        add(&mut sum, String::new(), row);
        all = sum.swap_remove(0).1;
    }
    print_row("all", &all);
}

fn print_row(kind: &str, row: &Row) {
    let counts = row.counts.map(|count| count.to_string()).join(" | ");
    let mean = row.milliseconds / row.counts[0].max(1) as f64;
    let ((slowest, slow_seed), (largest, large_seed)) = (row.slowest, row.largest);
    println!("| {kind} | {counts} | {mean:.1} | {slowest}, {slow_seed} | {largest}, {large_seed} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_added() {
        let line = "DictTable   451  450  1  0  0  0   23.0   211   1473   266   3777  little: [1]";
        let (kind, row) = parse(line).unwrap();
        assert_eq!((kind.as_str(), row.counts), ("DictTable", [451, 450, 1, 0, 0, 0]));
        assert_eq!((row.slowest, row.largest), ((211, 1473), (266, 3777)));
        assert_eq!(parse("damage cores whole partly little refused failed mean ms"), None);
        assert_eq!(parse("3.8.18 few_objects"), None);
        let mut rows = vec![(kind.clone(), row.clone())];
        add(&mut rows, kind, &Row { slowest: (300, 2), ..row });
        assert_eq!((rows.len(), rows[0].1.counts[0], rows[0].1.slowest), (1, 902, (300, 2)));
    }
}
