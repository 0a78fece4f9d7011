//! Processes to attach to.

use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// Builds objects, then counts in a shared file, where word 1 is the longest gap between two
/// counts, in nanoseconds, since SIGUSR1, of which word 2
/// counts. Arguments: the file, the number of objects.
const PYTHON: &str = "
import mmap, signal, sys, time
objects = [{'name': 'user-%d' % i, 'tags': [i, str(i)], 'score': i / 3} for i in range(int(sys.argv[2]))]
file = open(sys.argv[1], 'w+b')
file.truncate(4096)
words = memoryview(mmap.mmap(file.fileno(), 4096)).cast('Q')
last = 0
def forget(*_):
    global last
    last = words[1] = 0
    words[2] += 1
signal.signal(signal.SIGUSR1, forget)
print('READY', hex(id(objects))[2:], flush=True)
while True:
    words[0] += 1
    now = time.monotonic_ns()
    words[1] = max(words[1], now - last if last else 0)
    last = now
    time.sleep(0.0005)
";

/// A process of ours with a file that it counts in. Killed on drop.
pub(crate) struct Target {
    pub(crate) child: Child,
    /// The address that it printed.
    pub(crate) address: u64,
    directory: TempDir,
}

impl Target {
    /// Starts a mode of `programs.c`; `None` (and a loud word) without a C compiler.
    pub(crate) fn program(mode: &str, number: usize) -> Option<Self> {
        Some(Self::start_program(program()?, mode, number))
    }

    /// A copy of a program, to be run.
    ///
    /// `cp` writes it: a file that this process had open for writing could still be open in a child that another
    /// test starts at that moment, and Linux runs no file that is open for writing (`ETXTBSY`).
    pub(crate) fn copy_program(program: &Path, copy: &Path) {
        let status = Command::new("cp").arg(program).arg(copy).status().unwrap();
        assert!(status.success(), "cp failed: {status}");
    }

    pub(crate) fn start_program(program: &Path, mode: &str, number: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg(mode).arg(directory.path().join("words")).arg(number.to_string());
        Self::start(command, directory)
    }

    /// Starts a Python with that many objects; `None` (and a loud word) without one.
    pub(crate) fn python(objects: usize) -> Option<Self> {
        Self::python_in(objects, |_| {})
    }

    /// The same; `place` is told its pid before it has made the objects.
    pub(crate) fn python_in(objects: usize, place: impl FnOnce(i32)) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]).arg(directory.path().join("words")).arg(objects.to_string());
        if Command::new("python3").arg("-V").output().is_err() {
            skipped("python3 not found");
            return None;
        }
        Some(Self::start_in(command, directory, place))
    }

    /// A program given as a command, which prints READY and an address.
    pub(crate) fn start_command(command: Command) -> Self {
        Self::start(command, tempfile::tempdir().unwrap())
    }

    fn start(command: Command, directory: TempDir) -> Self {
        Self::start_in(command, directory, |_| {})
    }

    fn start_in(mut command: Command, directory: TempDir, place: impl FnOnce(i32)) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        place(child.id().cast_signed());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("READY ").unwrap_or_else(|| panic!("no READY: {line:?}"));
        let address = u64::from_str_radix(address, 16).unwrap();
        Self { child, address, directory }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// A word that the process counts in.
    pub(crate) fn word(&self, index: usize) -> u64 {
        let bytes = std::fs::read(self.directory.path().join("words")).unwrap();
        u64::from_ne_bytes(bytes[index * 8..index * 8 + 8].try_into().unwrap())
    }

    /// Panics unless the word grows soon.
    pub(crate) fn assert_counts(&self, index: usize) {
        let before = self.word(index);
        wait_until(&format!("word {index} of {} grows", self.pid()), || self.word(index) > before);
    }

    /// Panics unless the process runs, untraced, and counts.
    pub(crate) fn assert_runs(&self) {
        wait_until("no tracer is left", || self.status("TracerPid") == "0");
        self.assert_counts(0);
        assert!(!self.state().starts_with(['t', 'T']), "state {}", self.state());
    }

    /// A line of `/proc/PID/status`.
    pub(crate) fn status(&self, key: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    pub(crate) fn state(&self) -> String {
        self.status("State")
    }

    /// Sends a signal, by name.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Stops it as `kill -STOP` does.
    pub(crate) fn group_stop(&self) {
        self.signal(nix::sys::signal::Signal::SIGSTOP);
        wait_until("it is stopped", || self.state().starts_with('T'));
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that happens soon.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_secs(10), "not seen in ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Says so when a test could not be run.
pub(crate) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// `programs.c`, compiled once.
pub(crate) fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("programs")).as_deref()
}

/// `injected.c`, compiled once.
pub(crate) fn injected() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("injected")).as_deref()
}

fn compile(name: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/target/{name}.c"));
    let fresh = directory.join(format!("{name}-{}", std::process::id()));
    let compiler = Command::new("gcc").args(["-O1", "-pthread", "-o"]).arg(&fresh).arg(source).status();
    if let Ok(status) = compiler {
        assert!(status.success(), "{name}.c does not compile");
        // Another run of the tests may be using it.
        let program = directory.join(name);
        std::fs::rename(fresh, &program).unwrap();
        Some(program)
    } else {
        skipped("gcc not found");
        None
    }
}
