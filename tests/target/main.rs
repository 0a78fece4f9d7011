//! Stopping and copying real processes.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground gives way")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they skip, and talk to each other"
)]
#![expect(clippy::exit, reason = "a test that runs as another process ends with that process's status")]

mod control_groups;
mod copies;
#[cfg(target_arch = "x86_64")]
mod injection;
mod refusals;
mod spawn;
mod strategies;
mod survival;
