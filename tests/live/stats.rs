//! heapStats()'s dict of a running program: read by Python and by heapy itself, and fetched by the examples.

use crate::environments::Environment;
use crate::environments::project;
use crate::program::Program;
use crate::program::installed;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// One test of the pickles, one of the examples.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    let (pickles, examples) = (environment.clone(), environment.clone());
    let mut trials = vec![Trial::test(format!("stats::{}::pickles", environment.name), move || {
        check_pickles(&pickles.python)
    })];
    // The examples ask nothing of the version: one interpreter is enough.
    if environment.programs && environment.name.starts_with("3.12") {
        trials.push(Trial::test(format!("stats::{}::examples", environment.name), move || {
            run_examples(&examples.python)
        }));
    }
    trials
}

fn scenario(python: &Path, name: &str) -> Result<Program, Failed> {
    let file = project().join("testdata/scenarios").join(name);
    Ok(Program::start(Command::new(python).arg(file))?)
}

/// What a program said first: the process that is inspected, or a port.
fn number(program: &Program) -> u32 {
    program.numbers[0]
}

fn succeed(command: &mut Command) -> Result<String, Failed> {
    let output = command.output()?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Every protocol is what CPython's own pickler would write; heapy opens the dumps and prints the same pages.
fn check_pickles(python: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let program = scenario(python, "classes.py")?;
    let mut files: Vec<PathBuf> = Vec::new();
    for protocol in 0..=5 {
        let file = directory.path().join(format!("{protocol}.pickle"));
        succeed(
            Command::new(env!("CARGO_BIN_EXE_heapattach"))
                .args([
                    "stats",
                    "-p",
                    &number(&program).to_string(),
                    "--protocol",
                    &protocol.to_string(),
                    "-o",
                ])
                .arg(&file),
        )?;
        files.push(file);
    }
    check(python, &files)?;
    // Python 2 reads protocols 0 to 2.
    if let Some(python) = installed("2.7") {
        check(&python, &files[..3])?;
    }
    Ok(())
}

fn check(python: &Path, files: &[PathBuf]) -> Result<(), Failed> {
    let mut command = Command::new(python);
    command.arg(project().join("testdata/oracle/check_stats.py"));
    for (protocol, file) in files.iter().enumerate() {
        command.arg(protocol.to_string()).arg(file);
    }
    succeed(&mut command).map(drop)
}

/// A remote shell that stays here: what `ssh` would do with its two arguments.
const LOCAL_SHELL: &str = "#!/bin/sh\nexec sh -c \"$2\"\n";

/// All three ways give the same dict.
fn run_examples(python: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let shell = directory.path().join("ssh");
    std::fs::write(&shell, LOCAL_SHELL)?;
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755))?;
    let program = scenario(python, "classes.py")?;
    let heapattach = env!("CARGO_BIN_EXE_heapattach");
    let pid = number(&program).to_string();
    let server = Program::start(Command::new(python).arg(project().join("examples/serve_stats.py")).args([
        "--port",
        "0",
        "--pid",
        &pid,
        "--command",
        heapattach,
    ]))?;
    let url = format!("http://127.0.0.1:{}", number(&server));
    let fetch = |way: &str, place: &str, pid: &str, file: &Path| {
        succeed(
            Command::new(python)
                .arg(project().join("examples/fetch_stats.py"))
                .args([way, place, pid, "--command", heapattach, "--ssh"])
                .arg(&shell)
                .arg("--save")
                .arg(file),
        )
    };
    let mut command = Command::new(python);
    command.arg(project().join("testdata/oracle/check_stats.py"));
    for (way, place) in [("ssh", "somewhere"), ("http", &url), ("xmlrpc", &url)] {
        let file = directory.path().join(way);
        let page = fetch(way, place, &pid, &file)?;
        if !page.starts_with("Partition of a set of ") || !page.contains("Referrers by Kind") {
            return Err(format!("{way} printed {page}").into());
        }
        command.arg("2").arg(&file);
    }
    succeed(&mut command)?;
    for way in ["http", "xmlrpc"] {
        if fetch(way, &url, "1", &directory.path().join("refused")).is_ok() {
            return Err(format!("{way}: a process that was not named was given out").into());
        }
    }
    Ok(())
}
