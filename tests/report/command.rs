//! The command line: through the real binary where no process is needed, through the library with
//! a process that was never there otherwise.

use crate::report::fake::Fake;
use assert_cmd::Command;
use heapattach::cli;
use heapattach::cli::Backend;
use heapattach::cli::Check;
use heapattach::cli::CheckState;
use heapattach::cli::Examination;
use heapattach::cli::ExitStatus;
use heapattach::cli::Failure;
use heapattach::cli::InspectOptions;
use heapattach::inspection::Answers;
use std::ffi::OsString;
use std::io;
use std::io::Write;

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_heapattach"))
}

/// What came out of a run.
struct Outcome {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

type FakeInspect = fn(&InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure>;

fn run(line: &str, inspect: FakeInspect) -> Outcome {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let words = std::iter::once("heapattach").chain(line.split(' ')).map(OsString::from);
    let backend = Backend { inspect: &inspect, examine: &examine };
    let status = cli::run(words, &backend, &mut stdout, &mut stderr);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { status, stdout: text(stdout), stderr: text(stderr) }
}

#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
fn service(options: &InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure> {
    assert_eq!(options.pid, 4242);
    Ok(Box::new(Fake::service()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
fn large(_: &InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure> {
    Ok(Box::new(Fake::large()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
fn incomplete(_: &InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure> {
    Ok(Box::new(Fake::incomplete()))
}

fn refused(_: &InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure> {
    let hint = Some("sudo heapattach -p 4242".to_owned());
    Err(Failure::new(ExitStatus::Permission, "cannot stop process 4242").hint(hint))
}

fn examine(options: &InspectOptions<'_>) -> Examination {
    let check = |name: &str, state, finding: &str| Check {
        name: name.to_owned(),
        state,
        finding: finding.to_owned(),
        hint: (state == CheckState::Failed).then(|| "sudo heapattach doctor -p 4242".to_owned()),
    };
    let checks = vec![
        check("process", CheckState::Ok, &format!("{} is there", options.pid)),
        check("owner", CheckState::Failed, "it belongs to user www-data (33) and you are ana (1000)"),
        check("seccomp", CheckState::Note, "a filter is in place"),
    ];
    Examination { checks, exit: ExitStatus::Permission }
}

#[test]
fn help_is_one_screen_and_the_long_one_begins_with_examples() {
    let short = binary().arg("-h").assert().success().get_output().stdout.clone();
    let short = String::from_utf8(short).unwrap();
    assert!(short.lines().count() <= 50, "{short}");
    assert!(short.lines().all(|line| line.len() <= 80), "{short}");
    let long = binary().arg("--help").assert().success().get_output().stdout.clone();
    let long = String::from_utf8(long).unwrap();
    assert!(long.starts_with("EXAMPLES\n"), "{long}");
    assert!(long.contains("EXIT STATUS\n  0  done\n"), "{long}");
    assert!(!long.contains("  man "), "{long}");
    binary().args(["objects", "-h"]).assert().success();
    binary().arg("--version").assert().success();
}

#[test]
fn nonsense_on_the_command_line_is_status_two() {
    for line in
        [&[][..], &["objects"], &["-p", "x"], &["-p", "0"], &["-p", "1", "--format", "xml"], &["dance"]]
    {
        let output = binary().args(line).assert().code(2).get_output().clone();
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn every_shell_gets_completions_and_every_verb_a_page() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = binary().args(["completions", shell]).assert().success().get_output().clone();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("objects") && script.contains("debug-dir"), "{shell}");
    }
    for verb in [&["man"][..], &["man", "objects"], &["man", "doctor"]] {
        let output = binary().args(verb).assert().success().get_output().clone();
        assert!(String::from_utf8(output.stdout).unwrap().contains(".SH OPTIONS"), "{verb:?}");
    }
    binary().args(["man", "dance"]).assert().code(2);
}

#[test]
fn the_report_goes_to_standard_output() {
    let outcome = run("-p 4242", service);
    assert_eq!(outcome.status, ExitStatus::Done);
    assert!(outcome.stdout.starts_with("process     4242 "));
    assert_eq!(outcome.stderr, "");
    assert!(run("objects -p 4242 --format csv", service).stdout.starts_with("address,type,bytes,"));
    assert!(run("--format csv -p 4242 objects", service).stdout.starts_with("address,type,bytes,"));
    assert!(run("-p 4242 -v", service).stderr.contains("heapattach: layout from table 3.11\n"));
    let outcome = run("-p 4242", incomplete);
    assert_eq!(outcome.status, ExitStatus::Incomplete);
    assert!(
        outcome.stdout.contains("incomplete  ") && outcome.stderr.ends_with("the result is incomplete\n")
    );
}

#[test]
fn a_failure_is_told_with_its_hint() {
    let outcome = run("-p 4242", refused);
    assert_eq!(outcome.status, ExitStatus::Permission);
    assert_eq!(outcome.stdout, "");
    assert_eq!(outcome.stderr, "heapattach: cannot stop process 4242\nhint: sudo heapattach -p 4242\n");
}

#[test]
fn a_file_is_written_wholly_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objects.json");
    let line = format!("-p 4242 objects -o {}", path.display());
    assert_eq!(run(&line, refused).status, ExitStatus::Permission);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    let outcome = run(&line, service);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (ExitStatus::Done, ""));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["report"], "objects");
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_output_that_cannot_be_opened_is_told_before_the_process_is_stopped() {
    let outcome = run("-p 4242 -o /no/such/place/a.json", |_| panic!("inspected in vain"));
    assert_eq!(outcome.status, ExitStatus::AnalysisFailed);
    assert!(outcome.stderr.starts_with("heapattach: cannot write to /no/such/place/a.json\ncaused by: "));
}

#[test]
fn colours_are_used_when_they_are_asked_for() {
    assert!(run("-p 4242 --color always", service).stdout.contains("\u{1b}[1m"));
    assert!(!run("-p 4242 --color never", service).stdout.contains('\u{1b}'));
    assert!(!run("-p 4242 --color always --format json", service).stdout.contains('\u{1b}'));
}

#[test]
fn errors_are_coloured_as_the_environment_says() {
    let stderr = |variable: &str| {
        // Larger than any process id of Linux.
        let mut command = binary();
        command
            .args(["-p", "2147483647"])
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env(variable, "1");
        String::from_utf8(command.assert().failure().get_output().stderr.clone()).unwrap()
    };
    assert!(stderr("NO_COLOR").starts_with("heapattach: "));
    assert!(stderr("CLICOLOR_FORCE").starts_with("\u{1b}["));
}

#[test]
fn the_doctor_tells_what_is_wrong() {
    let outcome = run("doctor -p 4242", service);
    assert_eq!(outcome.status, ExitStatus::Permission);
    assert!(outcome.stdout.contains("failed      owner: it belongs to user www-data"), "{}", outcome.stdout);
    let outcome = run("doctor -p 4242 -f json", service);
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(json["checks"][1]["state"], "failed");
}

/// A reader that goes away after some bytes.
struct Closed(usize);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk without room, after some bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    for line in ["stats -p 4242", "stats -p 4242 -f json", "heap -p 4242 -f csv"] {
        let words = std::iter::once("heapattach").chain(line.split(' ')).map(OsString::from);
        let inspect: FakeInspect = large;
        let mut stderr = Vec::new();
        let backend = Backend { inspect: &inspect, examine: &examine };
        let status = cli::run(words, &backend, &mut Full(100), &mut stderr);
        assert_eq!(status, ExitStatus::AnalysisFailed, "{line}");
        assert!(stderr.starts_with(b"heapattach: cannot write the result\ncaused by: "), "{line}");
    }
}

#[test]
fn nothing_is_left_of_a_dict_that_cannot_be_given() {
    let directory = tempfile::tempdir().unwrap();
    let line = format!("heap -p 4242 --only nobody -o {}", directory.path().join("a.json").display());
    let outcome = run(&line, service);
    assert_eq!(outcome.status, ExitStatus::AnalysisFailed);
    assert_eq!(outcome.stderr, "heapattach: no row by clodo has the label 'nobody'\n");
    let line = format!("stats -p 4242 -o {}", directory.path().join("a.pickle").display());
    assert_eq!(run(&line, refused).status, ExitStatus::Permission);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    assert_eq!(run(&line, service).status, ExitStatus::Done);
    let pickle = std::fs::read(directory.path().join("a.pickle")).unwrap();
    assert!(pickle.starts_with(b"\x80\x02}q\0") && pickle.ends_with(b"u."));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lines = [
        "-p 4242",
        "-p 4242 -f json",
        "objects -p 4242 -f csv",
        "objects -p 4242 -f json",
        "doctor -p 4242",
        "stats -p 4242",
        "stats -p 4242 -f json",
    ];
    for line in lines {
        for room in [0, 10, 300_000] {
            let words = std::iter::once("heapattach").chain(line.split(' ')).map(OsString::from);
            let inspect: FakeInspect = large;
            let mut stderr = Vec::new();
            let backend = Backend { inspect: &inspect, examine: &examine };
            let status = cli::run(words, &backend, &mut Closed(room), &mut stderr);
            assert!(matches!(status, ExitStatus::Done | ExitStatus::Permission), "{line}");
            assert_eq!(stderr, b"", "{line}");
        }
    }
}

#[test]
fn a_description_that_cannot_be_read_is_told_before_anything_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("types.toml");
    std::fs::write(&file, "format = 1\n\n[[type]]\nname = 'a.B'\nbufers = []\n").unwrap();
    let run = |file: &std::path::Path| {
        // Nobody needs to be able to inspect this process: the file comes first.
        let output = binary().args(["buffers", "-p", "1", "--describe"]).arg(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = run(&file);
    assert_eq!(status, Some(2));
    assert!(said.contains("types.toml, line 5: unknown field `bufers`"), "{said}");
    let (status, said) = run(&directory.path().join("none.toml"));
    assert_eq!(status, Some(5));
    assert!(said.contains("none.toml"), "{said}");
}

#[test]
fn a_picture_is_drawn_of_the_map_only() {
    for (line, expected) in [
        ("map -p 4242 --format svg", ExitStatus::Done),
        ("map -p 4242 --format svg --bands recipe", ExitStatus::Usage),
        ("objects -p 4242 --format svg", ExitStatus::Usage),
        ("map -p 4242 --bands recipe", ExitStatus::Done),
    ] {
        assert_eq!(run(line, service).status, expected, "{line}");
    }
    assert!(run("map -p 4242 -f svg", service).stdout.starts_with("<svg"));
}
