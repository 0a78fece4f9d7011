//! The program that is measured: a heap of a given size, with two heartbeats inside it.

use crate::process::Program;
use crate::process::project;
use anyhow::Context;
use anyhow::Result;
use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// How long a heartbeat may take to notice that it is to begin anew: a thread of a busy interpreter comes late.
const PATIENCE: Duration = Duration::from_secs(10);
/// So that a gap that has just ended is noted.
const SETTLE: Duration = Duration::from_millis(30);
/// Where the words of the two heartbeats begin (heartbeat.c, heap.py), in bytes.
const NATIVE: u64 = 0;
const PYTHON: u64 = 64;

/// What kind of program is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scene {
    /// About so many objects.
    pub(super) objects: u64,
    /// Whether objects were replaced at random before.
    pub(super) aged: bool,
    /// Whether its threads replace objects meanwhile.
    pub(super) mutating: bool,
    /// Threads besides the main one.
    pub(super) threads: u32,
}

impl Scene {
    /// A heap that is as it was built, in a program that sleeps.
    pub(super) const fn fresh(objects: u64) -> Self {
        Self { objects, aged: false, mutating: false, threads: 1 }
    }
}

/// How long a program stood still, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stillness {
    /// The longest gap in a thread that knows nothing of Python.
    pub(super) native_ms: f64,
    /// The longest gap in a thread of Python.
    pub(super) python_ms: f64,
    /// All of the first thread's gaps of more than a millisecond.
    pub(super) stood_ms: f64,
    /// When the longest of them ended, in nanoseconds of the monotonic clock.
    pub(super) ended_ns: f64,
}

/// A running program.
pub(super) struct Subject {
    program: Program,
    beat: File,
}

impl Subject {
    /// Starts one and waits until its heap is built.
    pub(super) fn start(python: &Path, heartbeat: &Path, scene: Scene) -> Result<Self> {
        let beat_file = PathBuf::from(format!("/dev/shm/heapattach-beat-{}", std::process::id()));
        let mut command = Command::new(python);
        command.arg(project().join("testdata/programs/heap.py")).arg(scene.objects.to_string());
        command.args(["--threads", &scene.threads.to_string()]);
        command.args(scene.aged.then_some("--aged")).args(scene.mutating.then_some("--mutate"));
        let program = Program::start(command.env("LD_PRELOAD", heartbeat).env("HEARTBEAT_FILE", &beat_file))?;
        let beat = File::options().read(true).write(true).open(&beat_file)?;
        fs::remove_file(&beat_file)?;
        Ok(Self { program, beat })
    }

    pub(super) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Begins to watch anew; comes back when both heartbeats have noticed.
    pub(super) fn watch(&self) -> Result<()> {
        for place in [NATIVE, PYTHON] {
            self.beat.write_all_at(&1_u64.to_ne_bytes(), place)?;
        }
        let start = Instant::now();
        while self.word(NATIVE)? != 0 || self.word(PYTHON)? != 0 {
            anyhow::ensure!(
                start.elapsed() < PATIENCE,
                "the heartbeats of process {} stand still",
                self.pid()
            );
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What was seen since.
    pub(super) fn stillness(&self) -> Result<Stillness> {
        sleep(SETTLE);
        Ok(Stillness {
            native_ms: self.word(NATIVE + 8)? as f64 / 1e6,
            python_ms: self.word(PYTHON + 8)? as f64 / 1e6,
            stood_ms: self.word(NATIVE + 24)? as f64 / 1e6,
            ended_ns: self.word(NATIVE + 32)? as f64,
        })
    }

    fn word(&self, at: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.beat.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Sends a line and gives the answer.
    pub(super) fn ask(&mut self, line: &str) -> Result<String> {
        self.program.tell(line)?;
        let answer = self.program.line()?;
        anyhow::ensure!(!answer.is_empty(), "the program ended over {line:?}");
        Ok(answer)
    }

    /// Begins to count its memory's peak anew and gives what it has now, in bytes.
    pub(super) fn forget_peak(&self) -> Result<f64> {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5")?;
        self.memory("VmRSS:")
    }

    /// The most memory that it had since, in bytes.
    pub(super) fn peak(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, key: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib =
            line.and_then(|rest| rest.split_whitespace().next()).context("the process has no memory")?;
        Ok(kib.parse::<f64>()? * 1024.0)
    }
}
