//! `cargo xtask check`: everything short of running tests.

use crate::callgrind;
use crate::process::cargo;
use crate::process::run as run_command;
use crate::tidy;
use anyhow::Result;

/// Formatting, lints, documentation, the project's own rules, and the instructions of the analysis.
pub(crate) fn run() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    run_command(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run_command(
        cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    tidy::run()?;
    callgrind::run(false)
}
