//! `cargo xtask demo`: a sample service that leaks, and the report on it.

use crate::interpreters;
use crate::interpreters::Interpreter;
use crate::process::Program;
use crate::process::cargo;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Result;
use anyhow::bail;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long the service may leak before it is looked at.
const LEAK_FOR: Duration = Duration::from_secs(3);

/// Builds, starts the service, attaches, ends the service.
pub(crate) fn run() -> Result<()> {
    run_command(cargo().args(["build", "--release", "--quiet", "--bin", "heapattach"]))?;
    let interpreter = choose()?;
    let service = project().join("testdata/demo/service.py");
    println!("$ {} {} &", interpreter.path.display(), relative(&service));
    let mut program = Program::start(Command::new(&interpreter.path).arg(&service))?;
    println!("the service answers requests (CPython {}); it leaks", interpreter.name);
    std::thread::sleep(LEAK_FOR);
    let binary = target_directory().join("release/heapattach");
    run_command(Command::new(&binary).arg("-p").arg(program.pid().to_string()))?;
    if !program.is_alive() {
        bail!("the service has ended while it was inspected");
    }
    println!("\nthe service went on all the while; now it is stopped");
    Ok(())
}

/// The first `python3` that heapattach reads, otherwise the newest interpreter that it reads.
fn choose() -> Result<Interpreter> {
    if let Ok(first) = interpreters::inspect(Path::new("python3"))
        && first.is_supported()
    {
        return Ok(first);
    }
    match interpreters::find().into_iter().rev().find(Interpreter::is_supported) {
        Some(interpreter) => Ok(interpreter),
        None => bail!(
            "there is no CPython that heapattach reads: install python3, or name one in HEAPATTACH_PYTHONS"
        ),
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(project()).unwrap_or(path).display().to_string()
}
