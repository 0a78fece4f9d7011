//! `cargo xtask grid`: every interpreter in every place against the oracle, as one table.
//!
//! The cells are tests (`tests/live/oracle.rs`); each leaves its counts in `target/grid/`.

use crate::environments;
use crate::environments::Environment;
use crate::process::cargo;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Columns, in order.
const PLACES: &[&str] = &["live", "stripped", "debug file", "other root"];
/// What is counted in a cell, in order, and must be none.
const COUNTS: &[&str] =
    &["missing", "extra", "sizes", "labels", "references", "stats", "anomalies", "failed"];

const BEGIN: &str = "<!-- grid -->\n";
const END: &str = "<!-- end of grid -->\n";

/// Prepares the environments, runs the cells and prints the table; writes it into README.md if wanted.
pub(crate) fn run(write: bool) -> Result<()> {
    let environments = environments::prepare();
    environments::write_list(&environments)?;
    forget()?;
    let tests = run_command(cargo().args(["test", "--quiet", "--test", "live", "--", "oracle::"]));
    let table = table(&environments)?;
    println!("\n{table}");
    if write {
        let path = project().join("README.md");
        let text = fs::read_to_string(&path)?;
        let (before, rest) = text.split_once(BEGIN).context("README.md has no mark for the grid")?;
        let (_, after) = rest.split_once(END).context("README.md has no mark for the grid's end")?;
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
    }
    tests
}

/// Throws away what earlier runs left.
pub(crate) fn forget() -> Result<()> {
    let folder = target_directory().join("grid");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// The table in Markdown, with what was skipped below it.
pub(crate) fn table(environments: &[Environment]) -> Result<String> {
    let mut cells: BTreeMap<(String, String), Value> = BTreeMap::new();
    let folder = target_directory().join("grid");
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let interpreter = name.split("--").next().unwrap_or_default().to_owned();
        let found: BTreeMap<String, Value> = serde_json::from_str(&fs::read_to_string(&path)?)?;
        cells.extend(found.into_iter().map(|(place, counts)| ((interpreter.clone(), place), counts)));
    }
    let mut text = format!("| CPython | objects | references | {} |\n", PLACES.join(" | "));
    writeln!(text, "|---|---:|---:|{}", "---|".repeat(PLACES.len()))?;
    for environment in environments.iter().filter(|environment| !environment.places.is_empty()) {
        let cell = |place: &str| cells.get(&(environment.name.clone(), place.to_owned()));
        let number =
            |name: &str| cell("live").map_or("-".to_owned(), |counts| thousands(count(counts, name)));
        write!(text, "| {} ", environment.name)?;
        let is_guppy_there = cell("live").is_some_and(|counts| count(counts, "heapy compared") > 0);
        write!(text, "{}", if is_guppy_there { "" } else { "\u{b9} " })?;
        write!(text, "| {} | {} |", number("complete compared"), number("references compared"))?;
        for place in PLACES {
            write!(text, " {} |", cell(place).map_or("-".to_owned(), summary))?;
        }
        text.push('\n');
    }
    text.push_str(
        "\n\u{b9} There is no guppy3 for it: judged by the collector, `getsizeof` and heapy's rules alone.\n",
    );
    for environment in environments {
        for problem in &environment.problems {
            println!("SKIPPED {}: {problem}", environment.name);
        }
    }
    Ok(text)
}

/// `0`, or what is not none.
fn summary(counts: &Value) -> String {
    let found = COUNTS.iter().filter_map(|&name| {
        let count = count(counts, name);
        (count > 0).then(|| format!("{count} {name}"))
    });
    let words: Vec<String> = found.collect();
    let text = if words.is_empty() { "0".to_owned() } else { words.join(", ") };
    match count(counts, "explained") {
        0 => text,
        explained => format!("{text} ({explained} explained)"),
    }
}

fn count(counts: &Value, name: &str) -> u64 {
    counts.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_is_not_none() {
        assert_eq!(summary(&serde_json::json!({"objects": 5, "missing": 0})), "0");
        assert_eq!(
            summary(&serde_json::json!({"missing": 2, "failed": 1, "explained": 3})),
            "2 missing, 1 failed (3 explained)"
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
