//! The two doors, opened: from the command line's wishes to an inspected process.

use crate::cli::backend::Check;
use crate::cli::backend::CheckState;
use crate::cli::backend::Examination;
use crate::cli::backend::InspectOptions;
use crate::cli::backend::Step;
use crate::cli::failure::ExitStatus;
use crate::cli::failure::Failure;
use crate::descriptions::Descriptions;
use crate::inspection;
use crate::inspection::Answers;
use crate::inspection::CoreRequest;
use crate::inspection::InspectionError;
use crate::inspection::Request;
use crate::inspection::locate::Located;
use crate::layout::LayoutError;
use crate::runtime::interpreters::RuntimeError;
use crate::target::capture::CaptureOptions;
use crate::target::capture::Progress;
use crate::target::capture::Stage;
use crate::target::core;
use crate::target::core::BinarySearch;
use crate::target::core::CoreOptions;
use crate::target::diagnose::Outcome;
use crate::target::diagnose::diagnose;
use crate::target::error::TargetError;
use crate::target::forecast;
use crate::target::signals::SignalWatch;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

struct Steps<'a>(&'a (dyn Fn(Step) + Sync));

impl Progress for Steps<'_> {
    fn advance(&self, stage: Stage, done: u64, total: u64) {
        let phase = match stage {
            Stage::Preparing => "preparing",
            Stage::Copying => "copying",
            Stage::Decompressing => "decompressing",
            Stage::Saving => "saving",
        };
        (self.0)(Step { phase, done, total: Some(total) });
    }

    fn warn(&self, text: &str) {
        // Nobody is left to be told that this could not be written.
        let _ = writeln!(std::io::stderr(), "heapattach: warning: {text}");
    }
}

/// Stops, copies and analyses a process.
pub fn inspect(options: &InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure> {
    let descriptions = read_descriptions(options.describe)?;
    if let Some(path) = options.core.path {
        return inspect_core(options, path, descriptions);
    }
    if let Some(error) = diagnose(options.pid).into_failure() {
        return Err(failure(&InspectionError::Target(error)));
    }
    let signals = SignalWatch::install().ok();
    let steps = Steps(options.progress);
    let capture =
        CaptureOptions { signals: signals.as_ref(), progress: Some(&steps), ..options.capture.options() };
    let request = Request {
        pid: options.pid,
        purpose: options.purpose,
        debug_directories: options.debug_dirs.to_vec(),
        best_effort: options.best_effort,
        descriptions,
        capture,
    };
    let result = match options.save.path {
        Some(path) => inspection::inspect_and_save(&request, path, options.save.redact),
        None => inspection::inspect(&request),
    };
    result.map(|inspection| Box::new(inspection) as Box<dyn Answers>).map_err(|error| failure(&error))
}

fn core_request<'a>(
    options: &InspectOptions<'a>,
    path: &'a Path,
    progress: &'a dyn Progress,
    signals: Option<&'a SignalWatch>,
    descriptions: Descriptions,
) -> CoreRequest<'a> {
    let search = BinarySearch {
        executables: options.core.executables,
        sysroot: options.core.sysroot,
        debug_directories: options.debug_dirs,
    };
    let core = CoreOptions { path, search, progress: Some(progress), signals };
    CoreRequest { core, purpose: options.purpose, best_effort: options.best_effort, descriptions }
}

/// Opens and analyses a core file.
fn inspect_core(
    options: &InspectOptions<'_>,
    path: &Path,
    descriptions: Descriptions,
) -> Result<Box<dyn Answers>, Failure> {
    let signals = SignalWatch::install().ok();
    let steps = Steps(options.progress);
    let request = core_request(options, path, &steps, signals.as_ref(), descriptions);
    inspection::inspect_core(&request).map(|inspection| Box::new(inspection) as Box<dyn Answers>).map_err(
        |error| match error {
            // No running process is of any help.
            InspectionError::NotPython => failure(&error).hint(Some(
                "if it is one of Python, give its program and its libpython with --exe".to_owned(),
            )),
            error => failure(&error),
        },
    )
}

/// The descriptions that come with the program, and the user's before them.
fn read_descriptions(paths: &[PathBuf]) -> Result<Descriptions, Failure> {
    let mut descriptions = Descriptions::default();
    for path in paths {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let exit = match error.kind() {
                std::io::ErrorKind::NotFound => ExitStatus::NotFound,
                std::io::ErrorKind::PermissionDenied => ExitStatus::Permission,
                _ => ExitStatus::Usage,
            };
            Failure::new(exit, format!("cannot read the descriptions in {name}")).because_of(Some(&error))
        })?;
        let failed = |error| Failure::from_error(ExitStatus::Usage, &error);
        descriptions.add(&name, &text).map_err(failed)?;
    }
    Ok(descriptions)
}

fn exit_status(error: &InspectionError) -> ExitStatus {
    match error {
        InspectionError::Target(error) => from_code(error.exit_status()),
        InspectionError::Core(error) => from_code(error.exit_status()),
        InspectionError::NotPython
        | InspectionError::UnknownVersion { .. }
        | InspectionError::Layout(_)
        | InspectionError::Runtime(RuntimeError::DoesNotFit { .. }) => ExitStatus::NotPython,
        InspectionError::Truncated { .. } | InspectionError::Runtime(_) => ExitStatus::AnalysisFailed,
    }
}

const fn from_code(code: u8) -> ExitStatus {
    match code {
        3 => ExitStatus::NotPython,
        4 => ExitStatus::Permission,
        5 => ExitStatus::NotFound,
        129.. => ExitStatus::Interrupted(code - 128),
        _ => ExitStatus::AnalysisFailed,
    }
}

fn hint(error: &InspectionError) -> Option<String> {
    let text = match error {
        InspectionError::Target(TargetError::OtherUser { .. } | TargetError::PtraceScope { .. }) => {
            return Some(crate::cli::failure::sudo_command());
        }
        InspectionError::Target(error) => return error.hint(),
        InspectionError::Core(error) => return error.hint(),
        InspectionError::NotPython => "list the Python processes with: pgrep -a python",
        // Neither debug information nor a guess helps.
        InspectionError::Layout(LayoutError::TooOld { .. }) => return None,
        InspectionError::Layout(LayoutError::TracedReferences { .. } | LayoutError::NoRuntime { .. }) => {
            "give the directory of its debug file with --debug-dir"
        }
        InspectionError::UnknownVersion { .. } | InspectionError::Layout(_) => {
            "give the directory of its debug file with --debug-dir, or try --best-effort"
        }
        InspectionError::Truncated { .. } => {
            "was there room for it? look at the limit (ulimit -c) and at the disk"
        }
        InspectionError::Runtime(RuntimeError::NotStarted) => "try again in a moment",
        InspectionError::Runtime(RuntimeError::DoesNotFit { .. }) => {
            "it may be a build with other options: give the directory of its debug file with --debug-dir"
        }
        InspectionError::Runtime(_) => return None,
    };
    Some(text.to_owned())
}

fn failure(error: &InspectionError) -> Failure {
    Failure::from_error(exit_status(error), error).hint(hint(error))
}

/// Finds out whether a process could be inspected, without stopping it.
pub fn examine(options: &InspectOptions<'_>) -> Examination {
    if let Some(path) = options.core.path {
        return examine_core(options, path);
    }
    let diagnosis = diagnose(options.pid);
    let mut checks: Vec<Check> = diagnosis
        .checks
        .iter()
        .map(|check| Check {
            name: check.name.to_owned(),
            state: match check.outcome {
                Outcome::Passed => CheckState::Ok,
                Outcome::Noted | Outcome::Skipped => CheckState::Note,
                Outcome::Failed => CheckState::Failed,
            },
            finding: check.text.clone(),
            hint: check.hint.clone(),
        })
        .collect();
    if let Some(error) = diagnosis.into_failure() {
        return Examination { checks, exit: exit_status(&InspectionError::Target(error)) };
    }
    let exit = examine_interpreter(options, &mut checks);
    Examination { checks, exit }
}

/// Finds out whether a core file could be inspected. A compressed one is decompressed.
fn examine_core(options: &InspectOptions<'_>, path: &Path) -> Examination {
    let steps = Steps(options.progress);
    let request = core_request(options, path, &steps, None, Descriptions::default());
    let mut checks = Vec::new();
    let mut add = |name: &str, state: CheckState, finding: String, hint: Option<String>| {
        checks.push(Check { name: name.to_owned(), state, finding, hint });
    };
    let opened = match core::open(&request.core) {
        Ok(opened) => opened,
        Err(error) => {
            let error = InspectionError::Core(error);
            add("core file", CheckState::Failed, error.to_string(), hint(&error));
            return Examination { checks, exit: exit_status(&error) };
        }
    };
    if let Some(found) = opened.capture.description.core.as_deref() {
        let (state, whole) =
            if found.truncated { (CheckState::Note, "truncated") } else { (CheckState::Ok, "whole") };
        add(
            "core file",
            state,
            format!("{whole}, {} bytes, {} segments", found.length, found.segments),
            None,
        );
        for binary in &found.binaries {
            let id = binary.build_id.as_deref().unwrap_or("unknown");
            match &binary.file {
                Some(file) => add("binary", CheckState::Ok, file.display().to_string(), None),
                None if binary.missing_bytes == 0 => {
                    add("binary", CheckState::Ok, format!("{}, in the core", binary.name), None);
                }
                None => {
                    let finding = format!("{} (build id {id}) is not on this machine", binary.name);
                    let hint = "give it with --exe, --sysroot or --debug-dir".to_owned();
                    add("binary", CheckState::Note, finding, Some(hint));
                }
            }
        }
    }
    let located = inspection::post_mortem::find_interpreter(
        &opened.capture,
        &opened.binaries,
        &inspection::post_mortem::layout_options(&request),
    );
    let exit = add_interpreter(&mut checks, located);
    Examination { checks, exit }
}

fn examine_interpreter(options: &InspectOptions<'_>, checks: &mut Vec<Check>) -> ExitStatus {
    let request = Request {
        pid: options.pid,
        purpose: options.purpose,
        debug_directories: options.debug_dirs.to_vec(),
        best_effort: options.best_effort,
        descriptions: Descriptions::default(),
        capture: CaptureOptions::default(),
    };
    let status = add_interpreter(checks, inspection::assemble::find_interpreter(&request));
    if let Ok(forecast) = forecast(options.pid) {
        let pause = (forecast.pause.as_secs_f64() * 1000.0).ceil();
        let finding = format!("about {pause:.0} ms (an estimate) for {} MiB", forecast.bytes >> 20);
        let name = "expected pause".to_owned();
        checks.push(Check { name, state: CheckState::Note, finding, hint: None });
    }
    status
}

/// What was found out about the interpreter, or why there is none.
fn add_interpreter(checks: &mut Vec<Check>, located: Result<Located, InspectionError>) -> ExitStatus {
    let mut add = |name: &str, state: CheckState, finding: String, hint: Option<String>| {
        checks.push(Check { name: name.to_owned(), state, finding, hint });
    };
    match located {
        Ok(located) => {
            add("interpreter", CheckState::Ok, located.image_path.clone(), None);
            add("version", CheckState::Ok, format!("CPython {} ({})", located.version, located.build), None);
            let build_id = located.build_id.clone().unwrap_or_else(|| "none".to_owned());
            add("build id", CheckState::Note, build_id, None);
            add("layout", CheckState::Ok, located.resolved.source.clone(), None);
            for disagreement in &located.resolved.disagreements {
                let text = format!(
                    "{}: the table says {}, {} says {}",
                    disagreement.field, disagreement.table, disagreement.source, disagreement.used
                );
                add("layout", CheckState::Note, text, None);
            }
            for other in &located.others {
                add("other interpreter", CheckState::Note, format!("{other}, which is not looked at"), None);
            }
            ExitStatus::Done
        }
        Err(error) => {
            add("interpreter", CheckState::Failed, error.to_string(), hint(&error));
            exit_status(&error)
        }
    }
}
