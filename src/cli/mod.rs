//! The command line: arguments in, an exit status out. Everything between is behind two doors.

mod args;
mod backend;
mod capture;
mod connect;
mod doctor;
mod failure;
mod interrupt;
mod manual;
mod output;
mod progress;

use crate::cli::args::Arguments;
use crate::cli::args::Destination;
use crate::cli::args::Verb;
use crate::cli::interrupt::Interrupts;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::inspection::Answers;
use crate::render::PageOptions;
use crate::report::Document;
use crate::report::Report;
use anstream::AutoStream;
use anstream::ColorChoice;
use anstream::stream::RawStream;
use anstyle::AnsiColor;
use std::ffi::OsString;
use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::process::ExitCode;

pub use backend::Backend;
pub use backend::Check;
pub use backend::CheckState;
pub use backend::CoreChoice;
pub use backend::Examination;
pub use backend::Examine;
pub use backend::Inspect;
pub use backend::InspectOptions;
pub use backend::SaveChoice;
pub use backend::Step;
pub use capture::CaptureWishes;
pub use connect::examine;
pub use connect::inspect;
pub use failure::ExitStatus;
pub use failure::Failure;
pub use failure::sudo_command;

/// Widest page that a terminal is filled with.
const WIDEST_PAGE: usize = 160;
/// The page where there is no terminal, and the narrowest one.
const PAGE: usize = 80;

/// Runs the program on the arguments of the process.
pub fn main(backend: &Backend<'_>) -> ExitCode {
    let mut stdout = io::stdout().lock();
    run(std::env::args_os(), backend, &mut stdout, &mut io::stderr()).into()
}

/// Runs the program; `words` begin with its name.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    backend: &Backend<'_>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> ExitStatus {
    let arguments = match args::parse(words) {
        Ok(arguments) => arguments,
        Err(error) => return clap_exit(&error),
    };
    match execute(&arguments, backend, stdout, stderr) {
        Ok(status) => status,
        Err(failure) => {
            tell(stderr, &failure, arguments.color);
            failure.exit
        }
    }
}

/// Help and version are no errors, though clap calls them so.
fn clap_exit(error: &clap::Error) -> ExitStatus {
    // Nobody is left to be told that this could not be printed.
    let _ = error.print();
    if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done }
}

fn tell(stderr: &mut dyn Write, failure: &Failure, color: ColorChoice) {
    let text = failure.text();
    let style = AnsiColor::Red.on_default().bold();
    let _ = match text.split_once(' ') {
        Some((name, rest)) if is_colored(color, &io::stderr()) => {
            write!(stderr, "{style}{name}{style:#} {rest}")
        }
        _ => write!(stderr, "{text}"),
    };
}

/// What the user said, or what the environment and the stream suggest.
fn is_colored(color: ColorChoice, stream: &impl RawStream) -> bool {
    match color {
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => AutoStream::choice(stream) != ColorChoice::Never,
    }
}

fn execute(
    arguments: &Arguments,
    backend: &Backend<'_>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<ExitStatus, Failure> {
    let interrupts = Interrupts::listen();
    let output = Output::open(&arguments.output, stdout, &interrupts)?;
    match &arguments.verb {
        Verb::Completions(shell) => {
            deliver(output, &interrupts, |out| manual::write_completions(*shell, out))?;
            Ok(ExitStatus::Done)
        }
        Verb::Manual(verb) => {
            let page = manual::manual_page(verb.as_deref())?;
            deliver(output, &interrupts, |out| out.write_all(&page))?;
            Ok(ExitStatus::Done)
        }
        Verb::Doctor => {
            let examination = with_progress(arguments, |options| (backend.examine)(options));
            let document = doctor::document(arguments.pid, &examination);
            deliver_document(output, &interrupts, arguments, &document)?;
            Ok(examination.exit)
        }
        Verb::Report(report) => {
            let answers = with_progress(arguments, |options| (backend.inspect)(options))?;
            if arguments.verbose {
                let _ = stderr.write_all(how_it_was_read(&*answers).as_bytes());
            }
            report_on(*report, &*answers, arguments, output, &interrupts)?;
            if answers.is_complete() {
                return Ok(ExitStatus::Done);
            }
            let _ = writeln!(stderr, "heapattach: something could not be read: the result is incomplete");
            Ok(ExitStatus::Incomplete)
        }
    }
}

/// Does something that takes long, with a progress bar.
fn with_progress<T>(arguments: &Arguments, work: impl FnOnce(&InspectOptions<'_>) -> T) -> T {
    let progress = Progress::new(arguments.progress);
    let step = |step: Step| progress.step(step);
    let result = work(&InspectOptions {
        pid: arguments.pid,
        core: CoreChoice {
            path: arguments.core.as_deref(),
            executables: &arguments.executables,
            sysroot: arguments.sysroot.as_deref(),
        },
        save: SaveChoice { path: arguments.save.as_deref(), redact: arguments.redact },
        purpose: arguments.purpose(),
        debug_dirs: &arguments.debug_dirs,
        describe: &arguments.describe,
        best_effort: arguments.best_effort,
        capture: &arguments.capture,
        progress: &step,
    });
    progress.clear();
    result
}

fn report_on(
    report: &dyn Report,
    answers: &dyn Answers,
    arguments: &Arguments,
    output: Output<'_>,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    if let Some(signal) = interrupts.received() {
        return Err(interrupted(signal));
    }
    let options = &arguments.options;
    if let Some(refusal) = report.refusal(answers, options) {
        return Err(Failure::new(ExitStatus::AnalysisFailed, refusal));
    }
    let document = report.build(answers, options);
    deliver_document(output, interrupts, arguments, &document)
}

fn deliver_document(
    output: Output<'_>,
    interrupts: &Interrupts,
    arguments: &Arguments,
    document: &Document<'_>,
) -> Result<(), Failure> {
    let page = page_options(arguments);
    deliver(output, interrupts, |out| arguments.format.write(document, &page, out))
}

/// Writes everything and closes the output. A reader who has seen enough is no failure.
fn deliver(
    mut output: Output<'_>,
    interrupts: &Interrupts,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let called = output.called();
    let result = write(output.writer()).and_then(|()| output.finish());
    match (result, interrupts.received()) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(signal)) => Err(interrupted(signal)),
        (Err(error), None) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        (Err(error), None) => {
            let message = format!("cannot write {called}");
            Err(Failure::new(ExitStatus::AnalysisFailed, message).because_of(Some(&error)))
        }
    }
}

fn interrupted(signal: u8) -> Failure {
    Failure::new(ExitStatus::Interrupted(signal), "interrupted")
}

fn page_options(arguments: &Arguments) -> PageOptions {
    let terminal = arguments.output == Destination::Stdout && io::stdout().is_terminal();
    let columns = terminal_size::terminal_size_of(io::stdout()).filter(|_| terminal);
    let width = columns.map_or(PAGE, |(width, _)| usize::from(width.0)).clamp(PAGE, WIDEST_PAGE);
    let color = match arguments.output {
        Destination::Stdout => is_colored(arguments.color, &io::stdout()),
        Destination::File(_) => arguments.color == ColorChoice::Always,
    };
    PageOptions { width, color }
}

/// What `--verbose` tells.
fn how_it_was_read(answers: &dyn Answers) -> String {
    let interpreter = answers.interpreter();
    let capture = answers.capture();
    let lines = [
        format!("layout from {}", interpreter.layout_source),
        format!("interpreter in {}", interpreter.image_path),
        format!("build id {}", interpreter.build_id.as_deref().unwrap_or("unknown")),
        format!("{} mappings, {} threads stopped", answers.mappings().len(), capture.threads),
        format!(
            "strategy {}, {} bytes copied, {} retries",
            capture.strategy, capture.bytes_copied, capture.retries
        ),
        format!(
            "stopped for {} us, at most {} us in any try",
            capture.pause_ns / 1000,
            capture.longest_pause_ns / 1000
        ),
    ];
    lines.map(|line| format!("heapattach: {}\n", line.replace(char::is_control, " "))).concat()
}
