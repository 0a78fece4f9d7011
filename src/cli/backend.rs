//! What the command line needs from the rest of the program, and nothing more.

use crate::cli::capture::CaptureWishes;
use crate::cli::failure::ExitStatus;
use crate::cli::failure::Failure;
use crate::inspection::Answers;
use crate::inspection::Purpose;
use std::path::Path;
use std::path::PathBuf;

/// Something that takes time, told to the user as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done: `copying`, `finding objects`.
    pub phase: &'static str,
    /// How much is done.
    pub done: u64,
    /// How much there is to do, if known.
    pub total: Option<u64>,
}

/// A core file, if one is to be inspected.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreChoice<'a> {
    /// The file.
    pub path: Option<&'a Path>,
    /// Binaries that were given by name.
    pub executables: &'a [PathBuf],
    /// The root folder of the machine that it is from.
    pub sysroot: Option<&'a Path>,
}

/// A core file, if one is to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct SaveChoice<'a> {
    /// The file.
    pub path: Option<&'a Path>,
    /// Without the contents of str, bytes and bytearray.
    pub redact: bool,
}

/// What is to be inspected.
#[derive(Clone, Copy)]
pub struct InspectOptions<'a> {
    /// The process; 0 if it is a core file.
    pub pid: i32,
    /// The core file and what it is read with, if it is one.
    pub core: CoreChoice<'a>,
    /// Where the copy is written as a core file, and whether without contents.
    pub save: SaveChoice<'a>,
    /// Which objects and references are wanted.
    pub purpose: Purpose,
    /// Where to look for separate debug files.
    pub debug_dirs: &'a [PathBuf],
    /// Files that describe types of libraries.
    pub describe: &'a [PathBuf],
    /// Use the nearest table for a release that no table knows.
    pub best_effort: bool,
    /// How the process is stopped and its memory taken.
    pub capture: &'a CaptureWishes,
    /// Called now and then, from any thread; cheap.
    pub progress: &'a (dyn Fn(Step) + Sync),
}

/// Stops, copies and analyses a process.
pub type Inspect = dyn Fn(&InspectOptions<'_>) -> Result<Box<dyn Answers>, Failure>;

/// Finds out whether a process could be inspected, without stopping it.
pub type Examine = dyn Fn(&InspectOptions<'_>) -> Examination;

/// The state of one thing that an inspection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// As needed.
    Ok,
    /// In the way.
    Failed,
    /// Worth knowing.
    Note,
}

impl CheckState {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Note => "note",
        }
    }
}

/// One thing that an inspection needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: `ptrace scope`.
    pub name: String,
    /// How it is.
    pub state: CheckState,
    /// What was found, in one line.
    pub finding: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Everything that an inspection needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// How an inspection would end.
    pub exit: ExitStatus,
}

/// The two doors to the rest of the program.
#[derive(Clone, Copy)]
pub struct Backend<'a> {
    /// Behind every report.
    pub inspect: &'a Inspect,
    /// Behind `doctor`.
    pub examine: &'a Examine,
}
