//! `cargo xtask test`: prepares what the tests need and runs them all.

use crate::environments;
use crate::environments::Environment;
use crate::grid;
use crate::process::cargo;
use crate::process::project;
use crate::process::run as run_command;
use anyhow::Result;
use anyhow::bail;
use std::ffi::OsString;
use std::fs;

/// Prepares the environments, says what will be skipped, runs all tests: those that fill the grid first, so that
/// the last thing printed is cargo's own closing line.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    check_permission()?;
    let environments = environments::prepare();
    environments::write_list(&environments)?;
    let own = run_command(cargo().args(["test", "--quiet", "--package", "xtask"]));
    let documentation = run_command(cargo().args(["test", "--quiet", "--doc"]));
    grid::forget()?;
    println!("{}", summary(&environments));
    let mut live = cargo();
    let live = run_command(live.args(["test", "--test", LIVE, "--"]).args(arguments));
    println!("\n{}", grid::table(&environments)?);
    let mut others = cargo();
    others.args(["test", "--no-fail-fast", "--lib", "--bins"]);
    for target in other_targets()? {
        others.args(["--test", &target]);
    }
    own.and(documentation).and(live).and(run_command(others.arg("--").args(arguments)))
}

/// The tests that fill the grid.
const LIVE: &str = "live";

/// Every other folder or file of `tests/`.
fn other_targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(project().join("tests"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_target = path.join("main.rs").exists() || path.extension().is_some_and(|end| end == "rs");
        if is_target && name != LIVE {
            targets.push(name);
        }
    }
    targets.sort();
    targets.dedup();
    Ok(targets)
}

/// The tests attach to processes that are not their own children.
fn check_permission() -> Result<()> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root && !matches!(scope.trim(), "" | "0") {
        bail!(
            "the tests attach to processes: run them as root (kernel.yama.ptrace_scope is {})",
            scope.trim()
        );
    }
    Ok(())
}

fn summary(environments: &[Environment]) -> String {
    let line = |environment: &Environment| {
        let mut what: Vec<String> = environment.places.iter().map(|place| place.name.to_owned()).collect();
        what.extend(environment.programs.then(|| "flask, numpy, pandas".to_owned()));
        what.extend(environment.problems.iter().map(|problem| format!("SKIPPED: {problem}")));
        format!("    {:<18}{}\n", environment.name, what.join(", "))
    };
    let lines: String = environments.iter().map(line).collect();
    let skipped: usize = environments.iter().map(|environment| environment.problems.len()).sum();
    let prepared = environments.iter().filter(|environment| !environment.places.is_empty()).count();
    let is_tested =
        |environment: &Environment| !environment.places.is_empty() && is_free_threaded(environment);
    let missing = if environments.iter().any(is_tested) {
        ""
    } else {
        "NOT TESTED: free-threaded builds. None was found; name one in HEAPATTACH_PYTHONS.\n"
    };
    format!("\ninterpreters:\n{lines}{prepared} prepared, {skipped} skipped\n{missing}")
}

/// Whether it is a build without a global lock: `3.13.15t`.
fn is_free_threaded(environment: &Environment) -> bool {
    environment.name.trim_end_matches("-system").ends_with('t')
}
