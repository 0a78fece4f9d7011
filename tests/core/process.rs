//! Programs that are stopped, copied and killed, and heapattach run on what is left of them.

use serde_json::Value;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that said READY. It ends with this value.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it in a folder, where the kernel will write its core, and waits for `READY`.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Result<Self, String> {
        let child = command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut program =
            Self { child: child.map_err(|error| format!("cannot start {command:?}: {error}"))? };
        let mut line = String::new();
        let output = program.child.stdout.take().ok_or("standard output is piped")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.starts_with("READY") { Ok(program) } else { Err(format!("{command:?} said {line:?}")) }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Stops it (SIGSTOP), so that everybody who looks sees the same.
    pub(crate) fn hold(&self) -> Result<(), String> {
        self.signal("-STOP")?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("it does not stop".to_owned())
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        succeed(Command::new("kill").arg(name).arg(self.pid())).map(drop)
    }

    /// Tells it to die, as programs that know how do, and waits for its end.
    pub(crate) fn die(mut self) -> Result<(), String> {
        self.signal("-USR1")?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("it does not die".to_owned())
    }

    /// Lets the kernel write a core of it, and gives its place.
    pub(crate) fn abort(mut self, folder: &Path) -> Result<PathBuf, String> {
        succeed(Command::new("prlimit").args(["--core=unlimited", "--pid"]).arg(self.pid()))?;
        self.signal("-ABRT")?;
        self.signal("-CONT")?;
        self.child.wait().map_err(|error| error.to_string())?;
        kernel_core(folder)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The core that the kernel wrote to a folder.
pub(crate) fn kernel_core(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_core = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name == "core" || name.strip_prefix("core.").is_some_and(|pid| pid.parse::<u32>().is_ok())
    };
    names.into_iter().find(is_core).ok_or_else(|| "the kernel wrote no core".to_owned())
}

/// Why the kernel would not leave a core in the program's folder, if it would not.
pub(crate) fn no_kernel_cores() -> Option<String> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    let is_plain = pattern == "core" || pattern == "core.%p";
    (!is_plain).then(|| format!("kernel.core_pattern is {pattern:?}: cores of the kernel are not compared"))
}

/// Whether a program can be found.
pub(crate) fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a command that must succeed; gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?}: {}: {}{text}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// heapattach, with its options.
pub(crate) fn heapattach(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapattach"));
    command.args(arguments);
    command
}

/// How a run of heapattach ended.
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs heapattach; it must end in time.
pub(crate) fn run(arguments: &[&str]) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = |name: &str| File::create(folder.path().join(name)).map_err(|error| error.to_string());
    let mut command = heapattach(arguments);
    command.stdout(file("out")?).stderr(file("err")?);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{arguments:?} does not end"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |name: &str| {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Outcome { status: status.code(), stdout: text("out"), stderr: text("err") })
}

/// A report as JSON; heapattach may say that it is incomplete.
pub(crate) fn report(arguments: &[&str]) -> Result<Value, String> {
    let arguments = [&["-f", "json"], arguments].concat();
    let outcome = run(&arguments)?;
    if !matches!(outcome.status, Some(0 | 6)) {
        return Err(format!("{arguments:?}: {:?}: {}", outcome.status, outcome.stderr));
    }
    serde_json::from_str(&outcome.stdout).map_err(|error| format!("{arguments:?}: {error}"))
}

/// A number in a report.
pub(crate) fn number(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or(u64::MAX)
}
