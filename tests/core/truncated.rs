//! Cores that end too early: at every power of two, ours, gdb's and the kernel's, and compressed ones.

use crate::environments::Environment;
use crate::environments::project;
use crate::process::Outcome;
use crate::process::Program;
use crate::process::has;
use crate::process::no_kernel_cores;
use crate::process::report;
use crate::process::run;
use crate::process::succeed;
use libtest_mimic::Trial;
use std::fs::OpenOptions;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Bytes by which an ELF file, or one that zstd wrote, is known.
const MAGIC: u64 = 4;

/// Processes that are tried: a compressed core loses whole blocks, and where the kernel puts the memory of a process
/// decides whether the interpreter's own data is in the last of them, as in one process out of seven.
const PACKED: u32 = 6;

/// One test for each writer.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    let mut writers = vec!["saved", "packed"];
    // Equality has already said which of these are not there.
    writers.extend(has("gcore").then_some("gdb"));
    writers.extend(no_kernel_cores().is_none().then_some("kernel"));
    let trial = |writer: &'static str| {
        let python = environment.python.clone();
        Trial::test(format!("truncated::{writer}"), move || {
            let attempts = if writer == "packed" { PACKED } else { 1 };
            let mut answered = 0;
            for _ in 0..attempts {
                let folder = tempfile::tempdir()?;
                answered = answered.max(cut(&write(&python, writer, folder.path())?)?);
                if answered >= 2 {
                    return Ok(());
                }
            }
            Err(format!("{answered} truncated cores of {attempts} processes were answered").into())
        })
    };
    writers.into_iter().map(trial).collect()
}

fn write(python: &Path, writer: &str, folder: &Path) -> Result<PathBuf, String> {
    let file = project().join("testdata/programs/has_secrets.py");
    let program = Program::start(Command::new(python).arg(file), folder)?;
    let name = if writer == "packed" { "saved.core.zst" } else { "saved.core" };
    let path = folder.join(name);
    match writer {
        "kernel" => program.abort(folder),
        "gdb" => {
            succeed(Command::new("gcore").arg("-o").arg(folder.join("gdb")).arg(program.pid()))?;
            Ok(folder.join(format!("gdb.{}", program.pid())))
        }
        _ => report(&["-p", &program.pid(), "--save", path.to_str().unwrap_or("")]).map(|_| path),
    }
}

/// From long to short: each is answered, or it is said why not. Gives how many are answered.
fn cut(core: &Path) -> Result<u32, String> {
    let path = core.to_str().unwrap_or("");
    let whole = run(&["--core", path])?;
    let length = core.metadata().map_err(|error| error.to_string())?.len();
    if whole.status != Some(0) || whole.stdout.contains("truncated") {
        return Err(format!("the whole core: {:?} {}", whole.status, whole.stderr));
    }
    let file = OpenOptions::new().write(true).open(core).map_err(|error| error.to_string())?;
    let mut answered = 0;
    let powers = (0..40).rev().map(|power| 1_u64 << power).filter(|&size| size < length);
    // The third is without the notes, which gdb writes last; the next may lack the interpreter's own data.
    let long = [length - 1, length - 2048, length - 32 * 1024, length - length / 20];
    for size in long.into_iter().chain(powers) {
        file.set_len(size).map_err(|error| error.to_string())?;
        let Outcome { status, stdout, stderr } = run(&["--core", path])?;
        if stderr.contains("panicked") {
            return Err(format!("{size} bytes: {stderr}"));
        }
        match status {
            Some(6) if stdout.starts_with("truncated") => answered += 1,
            Some(1) if stdout.is_empty() && says_what_is_missing(&stderr) => {}
            // Nobody can tell any more what it was.
            Some(3) if size < MAGIC && stdout.is_empty() && stderr.contains("is not a core file") => {}
            _ => return Err(format!("{size} bytes of {length}: {status:?}\n{stdout}{stderr}")),
        }
    }
    Ok(answered)
}

/// Where nothing can be answered, that the rest is missing is what is said first: not that it is no Python.
fn says_what_is_missing(stderr: &str) -> bool {
    let first = stderr.lines().next().unwrap_or("");
    let words = ["is truncated", "is too short", "cannot decompress"];
    first.starts_with("heapattach: ") && words.iter().any(|word| first.contains(word))
}
