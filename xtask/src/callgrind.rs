//! `cargo xtask callgrind`: counts the instructions of the analysis on a fixed heap and holds them against the
//! committed figures. Unlike time they do not depend on what else the machine does.

use crate::process::cargo;
use crate::process::output;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A rise beyond this share of the committed figure fails.
const TOLERATED: f64 = 0.05;
/// How many functions are printed where there was a rise.
const TOP: usize = 25;
/// What the measured functions of `tests/synthetic/analysis.rs` are called in the profile.
const STEP: &str = "analysis::step_";

/// Instructions of each step, by its name.
type Counts = BTreeMap<String, u64>;

/// Measures and compares; with `accept` writes the figures down instead.
pub(crate) fn run(accept: bool) -> Result<()> {
    if output(Command::new("valgrind").arg("--version")).is_err() {
        if accept {
            bail!("there is no valgrind on this machine: nothing was measured");
        }
        println!(
            "callgrind: SKIPPED: there is no valgrind on this machine (Debian: apt-get install valgrind)"
        );
        return Ok(());
    }
    let profile = measure()?;
    let counts = step_counts(&annotate(&profile, &["--inclusive=yes", "--threshold=100"])?)?;
    let compiler = output(Command::new("rustc").arg("--version"))?.trim().to_owned();
    if accept {
        let text = serde_json::to_string_pretty(&json!({ "compiler": compiler, "instructions": counts }))?;
        fs::write(figures_path(), text + "\n")?;
        println!("callgrind: wrote {}", figures_path().display());
        return Ok(());
    }
    compare(&counts, &compiler, &profile)
}

fn figures_path() -> PathBuf {
    project().join("testdata/expected/callgrind.json")
}

/// Runs the program under valgrind and gives the path of the profile.
fn measure() -> Result<PathBuf> {
    // Numbers must not depend on the flags that a developer or a machine prefers.
    let mut build = cargo();
    build
        .args(["build", "--release", "--quiet", "--package", "xtask", "--bin", "analysis"])
        .env_remove("RUSTFLAGS");
    run_command(&mut build)?;
    let profile = target_directory().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{STEP}*"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(target_directory().join("release/analysis"))
        .env("RAYON_NUM_THREADS", "1");
    run_command(&mut command)?;
    Ok(profile)
}

fn annotate(profile: &Path, options: &[&str]) -> Result<String> {
    output(Command::new("callgrind_annotate").args(options).arg(profile))
}

/// Reads `1,234,567 (12.34%)  file:crate::analysis::step_report [...]`.
fn step_counts(annotated: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in annotated.lines() {
        let Some((before, name)) = line.split_once(STEP) else { continue };
        let name = name.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).next();
        let number = before.split_whitespace().next().map(|number| number.replace(',', ""));
        let number = number.and_then(|number| number.parse::<u64>().ok());
        if let (Some(name), Some(number)) = (name.filter(|name| !name.is_empty()), number) {
            // A function that is listed once for each of its callers: the largest is all of it.
            let count = counts.entry(name.to_owned()).or_default();
            *count = number.max(*count);
        }
    }
    if counts.is_empty() {
        bail!("the profile names no function {STEP}*");
    }
    Ok(counts)
}

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    Rose,
    Fell,
    /// One of the two figures is missing.
    Unknown,
}

fn verdict(committed: Option<u64>, counted: Option<u64>) -> Verdict {
    let (Some(committed), Some(counted)) = (committed, counted) else { return Verdict::Unknown };
    let change = counted as f64 / committed.max(1) as f64 - 1.0;
    match change {
        change if change > TOLERATED => Verdict::Rose,
        change if change < -TOLERATED => Verdict::Fell,
        _ => Verdict::Kept,
    }
}

fn compare(counts: &Counts, compiler: &str, profile: &Path) -> Result<()> {
    let path = figures_path();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let figures: Value = serde_json::from_str(&text)?;
    let committed: Counts = serde_json::from_value(figures["instructions"].clone())?;
    let measured_with = figures["compiler"].as_str().unwrap_or("an unknown compiler");
    let (mut failures, mut can_fall) = (0, false);
    for step in committed.keys().chain(counts.keys().filter(|step| !committed.contains_key(*step))) {
        let (before, now) = (committed.get(step).copied(), counts.get(step).copied());
        let verdict = verdict(before, now);
        println!("{}", line(step, before, now, verdict));
        failures += usize::from(matches!(verdict, Verdict::Rose | Verdict::Unknown));
        can_fall |= verdict == Verdict::Fell;
    }
    if compiler != measured_with {
        println!("callgrind: NOT COMPARED: the figures are those of {measured_with}, this is {compiler}");
        return Ok(());
    }
    if failures > 0 {
        let functions = annotate(profile, &["--threshold=90"])?;
        println!("\nwhere the instructions are:\n{}", top_functions(&functions));
        bail!(
            "callgrind: {failures} steps rose by more than {:.0} % or are not in {}; if that is meant: `cargo xtask callgrind --accept`",
            TOLERATED * 100.0,
            path.strip_prefix(project()).unwrap_or(&path).display()
        );
    }
    if can_fall {
        println!("callgrind: some steps fell; `cargo xtask callgrind --accept` keeps them there");
    }
    Ok(())
}

fn line(step: &str, committed: Option<u64>, counted: Option<u64>, verdict: Verdict) -> String {
    let show = |count: Option<u64>| {
        count.map_or_else(|| "-".to_owned(), |count| format!("{:.2}", count as f64 / 1e6))
    };
    let change = match (committed, counted) {
        (Some(before), Some(now)) => format!("{:+.1} %", (now as f64 / before.max(1) as f64 - 1.0) * 100.0),
        _ => String::new(),
    };
    let verdict = match verdict {
        Verdict::Kept => "",
        Verdict::Rose => "ROSE",
        Verdict::Fell => "fell",
        Verdict::Unknown => "MISSING",
    };
    format!(
        "callgrind: {step:<16} {:>10} million instructions, committed {:>10} {change:>9} {verdict}",
        show(counted),
        show(committed)
    )
    .trim_end()
    .to_owned()
}

/// The first functions of the list of functions.
fn top_functions(annotated: &str) -> String {
    let is_function = |line: &&str| line.contains("%)") && !line.contains("PROGRAM TOTALS");
    annotated.lines().filter(is_function).take(TOP).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_from_an_annotated_profile() {
        let text = "\
Ir
1,000,000 (100.0%)  PROGRAM TOTALS
  900,123 (90.0%)  ???:analysis::step_walk_complete [/x/analysis]
  900,001 (90.0%)  src/x.rs:analysis::step_walk_complete'2 [/x/analysis]
   99,877 (9.99%)  ???:analysis::step_report::h0123 [/x/analysis]
      100 (0.01%)  ???:analysis::walk [/x/analysis]
";
        let counts = step_counts(text).unwrap();
        let expected = [("report".to_owned(), 99_877), ("walk_complete".to_owned(), 900_123)];
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
        assert!(step_counts("1 (1%) ???:main").is_err());
        assert_eq!(top_functions(text).lines().count(), 4);
    }

    #[test]
    fn a_rise_of_more_than_the_tolerated_share_is_one() {
        assert_eq!(verdict(Some(1000), Some(1049)), Verdict::Kept);
        assert_eq!(verdict(Some(1000), Some(1051)), Verdict::Rose);
        assert_eq!(verdict(Some(1000), Some(940)), Verdict::Fell);
        assert_eq!(verdict(Some(1000), None), Verdict::Unknown);
        assert_eq!(verdict(None, Some(1000)), Verdict::Unknown);
    }
}
