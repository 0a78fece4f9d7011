//! Runs one command and says what it used: a process of its own, because the kernel adds up all children.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use nix::sys::time::TimeValLike;
use nix::time::ClockId;
use nix::time::clock_gettime;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs `command`, its output in `output`, and prints `{"wall_ms", "cpu_ms", "peak_kib", "ended_ns"}`: the last one
/// by the monotonic clock.
pub(crate) fn run(output: &Path, command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let file = File::create(output)?;
    let started = Instant::now();
    let status = Command::new(program).args(arguments).stdout(file).status()?;
    let wall = started.elapsed();
    let ended = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    if !status.success() {
        bail!("{} failed: {status}", program.to_string_lossy());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time() + usage.system_time();
    println!(
        "{}",
        serde_json::json!({
            "wall_ms": wall.as_secs_f64() * 1e3,
            "cpu_ms": cpu.num_microseconds() as f64 / 1e3,
            "peak_kib": usage.max_rss(),
            "ended_ns": ended.num_nanoseconds(),
        })
    );
    Ok(())
}
