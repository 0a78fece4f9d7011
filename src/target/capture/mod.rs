//! Freezing a process: what is wanted of its memory, room for it, the stop, the copy; in one of several
//! ways, which all give the same image of the same state.

mod buffers;
mod choice;
mod copy;
mod destination;
mod files;
mod forecast;
mod fork;
mod in_place;
mod plan;
mod precopy;
mod preparation;
mod scatter;
mod slots;
mod stop_and_copy;
mod tracking;

use crate::address::Address;
use crate::target::Capture;
use crate::target::CaptureStatistics;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::inject::StepWatch;
use crate::target::process_state::ProcessState;
use std::time::Duration;

pub use choice::Choice;
pub use choice::capture_live;
pub use forecast::Forecast;
pub use forecast::forecast;

/// What a capture is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Making room for the copy; the target runs.
    Preparing,
    /// The target stands still and is copied.
    Copying,
    /// A compressed core is decompressed.
    Decompressing,
    /// A core is written.
    Saving,
}

/// Told how far a capture is. Never called while the target stands still: drawing would make the
/// pause longer.
pub trait Progress: Sync {
    /// `done` of `total` bytes of this stage are finished.
    fn advance(&self, stage: Stage, done: u64, total: u64);

    /// Something that the user must know before it happens, in one sentence.
    fn warn(&self, _text: &str) {}
}

/// How to capture.
#[derive(Clone)]
pub struct CaptureOptions<'a> {
    /// Addresses of `int`s that are non-zero while the garbage collector runs, when its lists
    /// cannot be read.
    pub busy_flags: Vec<Address>,
    /// How often the process is let go again because the collector runs; the stop after that is
    /// used as it is.
    pub retries: u32,
    /// The longest time that all threads together may take to stop.
    pub stop_deadline: Duration,
    /// Told how far we are.
    pub progress: Option<&'a dyn Progress>,
    /// Also take what a core file has beside memory: registers, the auxiliary vector.
    pub with_state: bool,
    /// Signals that end the capture. Without it a signal ends us, which is just as harmless.
    pub signals: Option<&'a SignalWatch>,
    /// Which strategy.
    pub choice: Choice,
    /// Whether system calls may be executed in the target where that makes the pause much shorter.
    pub may_inject: bool,
    /// The longest pause: what is expected to take longer is refused, and what does take longer is given up.
    pub longest_pause: Option<Duration>,
    /// The most memory that the copy may take, in bytes.
    pub memory_limit: Option<u64>,
    /// Copy large buffers, too, although they hold no pointers.
    pub with_buffers: bool,
    /// Told the name of each step in which the target is changed, before it is done: for tests, which die
    /// at each of them.
    pub step_watch: Option<StepWatch<'a>>,
}

impl Default for CaptureOptions<'_> {
    fn default() -> Self {
        Self {
            busy_flags: Vec::new(),
            retries: 8,
            stop_deadline: Duration::from_secs(2),
            progress: None,
            with_state: false,
            signals: None,
            choice: Choice::Auto,
            may_inject: false,
            longest_pause: None,
            memory_limit: None,
            with_buffers: false,
            step_watch: None,
        }
    }
}

impl CaptureOptions<'_> {
    fn report(&self, stage: Stage, done: u64, total: u64) {
        if let Some(progress) = self.progress {
            progress.advance(stage, done, total);
        }
    }

    fn warn(&self, text: &str) {
        if let Some(progress) = self.progress {
            progress.warn(text);
        }
    }

    fn check_signals(&self) -> Result<(), TargetError> {
        self.signals.map_or(Ok(()), SignalWatch::check)
    }
}

/// What a strategy took.
struct Taken {
    image: Image,
    mappings: Vec<Mapping>,
    /// Registers and the like, if they were asked for.
    state: Option<Box<ProcessState>>,
}

/// Why a strategy gave nothing.
enum Setback {
    /// It does not work here, for this reason; another strategy may.
    Unusable(String),
    /// No strategy would do better.
    Failed(TargetError),
}

impl From<TargetError> for Setback {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}

/// What is known of a process before one of the strategies is chosen.
struct Subject<'a> {
    pid: i32,
    /// What its memory is asked from: the process, or a thread of it.
    holder: i32,
    options: &'a CaptureOptions<'a>,
    /// Bytes of it in memory, and threads, as of now.
    forecast: Forecast,
}

/// A way of taking the memory of a process.
trait Strategy: Sync {
    /// The word for it, in options and in output.
    fn name(&self) -> &'static str;
    /// How long the process will stand still, or why this does not work here. Nothing is stopped for it.
    fn expected_pause(&self, subject: &Subject<'_>) -> Result<Duration, Setback>;
    /// Does it, and notes how it went.
    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback>;
}

/// Notes a stop: the longest one, whatever became of it.
fn note_stop(statistics: &mut CaptureStatistics, pause: Duration) -> u64 {
    let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
    statistics.longest_pause_ns = statistics.longest_pause_ns.max(pause);
    pause
}

/// Puts the parts together.
fn capture(
    taken: Taken,
    subject: &Subject<'_>,
    statistics: CaptureStatistics,
) -> Result<Capture, TargetError> {
    let mut description = crate::target::proc_status::describe(subject.pid)?;
    description.threads = statistics.threads;
    description.state = taken.state;
    Ok(Capture { image: taken.image, mappings: taken.mappings, description, statistics })
}
