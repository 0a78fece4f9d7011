//! The stop: every thread of a process stands still while a closure runs, and is let go whatever
//! happens to us.
//!
//! ptrace belongs to threads: only the one that attached may detach, and when it ends the kernel
//! detaches for it, even from a thread that has not stopped. So each stop has a thread of its own.

use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::diagnose::refused;
use crate::target::interrupted_call;
use crate::target::priority;
use crate::target::proc_status::Status;
use crate::target::proc_status::thread_state;
use crate::target::ptrace;
use crate::target::ptrace::Waited;
use crate::target::watchdog;
use nix::errno::Errno;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

/// After this long a thread that sleeps uninterruptibly in the kernel counts as stopped: the
/// pending interrupt catches it before it runs one more instruction of its own.
const UNINTERRUPTIBLE_AFTER: Duration = Duration::from_millis(5);

/// How long another stop of ours may take to be undone by the kernel.
const LEFTOVER_DEADLINE: Duration = Duration::from_millis(500);

/// How often the watchdog is told that we are alive while a process is held.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How often new threads are looked for before the stop; those that come later are found in it.
const SEIZE_ROUNDS: u32 = 4;

/// What limits the waiting for a stop.
#[derive(Clone, Copy)]
pub struct StopLimits<'a> {
    /// The longest time that all threads together may take to stop.
    pub deadline: Duration,
    /// Signals that end the waiting.
    pub signals: Option<&'a SignalWatch>,
}

impl StopLimits<'_> {
    fn check_signals(&self) -> Result<(), TargetError> {
        self.signals.map_or(Ok(()), SignalWatch::check)
    }
}

/// How a stop went.
#[derive(Clone, Copy, Debug)]
pub struct StopStatistics {
    /// From the first interrupt to the last detach.
    pub pause: Duration,
    /// Threads that stood still.
    pub threads: usize,
}

/// Stops all threads of a process, runs `work` and lets them go: also if `work` fails or panics.
/// Threads that a group stop (SIGSTOP) holds stay stopped afterwards.
pub fn while_stopped<T: Send>(
    pid: i32,
    limits: StopLimits<'_>,
    work: impl FnOnce() -> Result<T, TargetError> + Send,
) -> Result<(T, StopStatistics), TargetError> {
    on_a_thread(|| {
        let mut live = Live::seize(pid, limits)?;
        live.stop()?;
        priority::raise();
        let result = work();
        let statistics = live.release();
        result.map(|value| (value, statistics))
    })
}

/// Runs `work` on a thread of its own: what it traces is let go when it ends.
pub(super) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A process that stands still until this is released or dropped, or its time is up.
pub struct HeldStop {
    /// Closing it lets the process go.
    held: Option<Sender<()>>,
    thread: Option<JoinHandle<StopStatistics>>,
    is_over: Arc<AtomicBool>,
}

impl HeldStop {
    /// Stops a process; after `longest` it is let go in any case.
    pub fn begin(pid: i32, deadline: Duration, longest: Duration) -> Result<Self, TargetError> {
        let (held, release) = channel::<()>();
        let (tell, told) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let work = move || {
            let limits = StopLimits { deadline, signals: None };
            let stopped = Live::seize(pid, limits).and_then(|mut live| live.stop().map(|()| live));
            let live = match stopped {
                Ok(live) => live,
                Err(error) => {
                    // Whoever waits for the answer holds the other end.
                    let _ = tell.send(Err(error));
                    return StopStatistics { pause: Duration::ZERO, threads: 0 };
                }
            };
            let _ = tell.send(Ok(()));
            while live.elapsed() < longest {
                let wait = SIGN_OF_LIFE.min(longest.saturating_sub(live.elapsed()));
                if release.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                watchdog::alive();
            }
            // In this order: nothing that is read later may count.
            over.store(true, Ordering::SeqCst);
            live.release()
        };
        let thread = std::thread::Builder::new()
            .spawn(work)
            .map_err(|source| TargetError::System { action: "start a thread".to_owned(), source })?;
        let held = Self { held: Some(held), thread: Some(thread), is_over };
        match told.recv() {
            Ok(result) => result.map(|()| held),
            Err(_) => Err(TargetError::Gone { pid }),
        }
    }

    /// Whether the process still stands still.
    pub fn is_held(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    /// Lets the process go.
    pub fn release(mut self) -> StopStatistics {
        self.let_go().unwrap_or(StopStatistics { pause: Duration::ZERO, threads: 0 })
    }

    fn let_go(&mut self) -> Option<StopStatistics> {
        drop(self.held.take());
        self.thread.take()?.join().ok()
    }
}

impl Drop for HeldStop {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// At our interrupt, and nothing else.
    Interrupted,
    Stopped {
        signal: i32,
    },
    /// In the kernel, and will not come back before it is let go.
    Uninterruptible,
    Ended,
}

#[derive(Clone, Copy)]
struct Thread {
    id: i32,
    state: State,
    /// Whether a seccomp filter looks at its system calls.
    is_filtered: bool,
}

/// The guard: dropping it lets every thread go. For one thread of ours only (see above).
pub(super) struct Live<'a> {
    pid: i32,
    limits: StopLimits<'a>,
    threads: Vec<Thread>,
    known: FxHashSet<i32>,
    interrupted: Option<Instant>,
    /// Held from the first interrupt to the last detach: who stops for longer must say that it is alive.
    pause: Option<watchdog::Pause>,
}

impl<'a> Live<'a> {
    fn nothing(pid: i32, limits: StopLimits<'a>) -> Self {
        priority::be_ordinary();
        let (threads, known) = (Vec::new(), FxHashSet::default());
        Self { pid, limits, threads, known, interrupted: None, pause: None }
    }

    /// Attaches to all threads without stopping them.
    pub(super) fn seize(pid: i32, limits: StopLimits<'a>) -> Result<Self, TargetError> {
        let mut live = Self::nothing(pid, limits);
        for _ in 0..SEIZE_ROUNDS {
            limits.check_signals()?;
            if live.seize_new()? == 0 {
                break;
            }
        }
        Ok(live)
    }

    /// Attaches to the first thread of a process only.
    pub(super) fn seize_leader(pid: i32, limits: StopLimits<'a>) -> Result<Self, TargetError> {
        let mut live = Self::nothing(pid, limits);
        let state = live.seize_thread(pid)?.ok_or(TargetError::Gone { pid })?;
        live.known.insert(pid);
        let is_filtered = Status::read(pid).is_ok_and(|status| status.seccomp != 0);
        live.threads.push(Thread { id: pid, state, is_filtered });
        Ok(live)
    }

    /// Interrupts the threads that are attached to, and no others.
    pub(super) fn stop_known(&mut self) -> Result<(), TargetError> {
        watchdog::start();
        self.interrupted.get_or_insert_with(Instant::now);
        self.pause.get_or_insert_with(watchdog::Pause::begin);
        self.interrupt_from(0)
    }

    fn interrupt_from(&mut self, first: usize) -> Result<(), TargetError> {
        let started = *self.interrupted.get_or_insert_with(Instant::now);
        for thread in &mut self.threads[first..] {
            if thread.state == State::Running && ptrace::interrupt(thread.id).is_err() {
                thread.state = State::Ended;
            }
        }
        for index in first..self.threads.len() {
            self.wait(index, started)?;
        }
        Ok(())
    }

    /// Attaches to the threads that we do not have yet; says how many there were.
    fn seize_new(&mut self) -> Result<usize, TargetError> {
        let before = self.threads.len();
        let path = format!("/proc/{}/task", self.pid);
        let failed = |error| TargetError::from_proc(self.pid, "task", error);
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let id = match entry {
                Ok(entry) => entry.file_name().to_str().and_then(|name| name.parse().ok()),
                Err(error) => return Err(TargetError::from_proc(self.pid, "task", error)),
            };
            if let Some(id) = id
                && !self.known.contains(&id)
                && let Some(state) = self.seize_thread(id)?
            {
                self.known.insert(id);
                let is_filtered = Status::read(id).is_ok_and(|status| status.seccomp != 0);
                self.threads.push(Thread { id, state, is_filtered });
            }
        }
        Ok(self.threads.len() - before)
    }

    /// `None` if the thread ended meanwhile.
    fn seize_thread(&self, id: i32) -> Result<Option<State>, TargetError> {
        let started = Instant::now();
        loop {
            let error = match ptrace::seize(id) {
                Ok(()) => return Ok(Some(State::Running)),
                Err(Errno::ESRCH) => return Ok(None),
                Err(error) => error,
            };
            match thread_state(self.pid, id) {
                None | Some('X') => return Ok(None),
                Some('Z') => return Ok(Some(State::Ended)),
                Some(_) => {}
            }
            if !is_traced_by_us(id) || started.elapsed() > LEFTOVER_DEADLINE {
                return Err(refused(self.pid, "stop", error.into()));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Interrupts all threads and waits until they stand still; new ones included.
    pub(super) fn stop(&mut self) -> Result<(), TargetError> {
        watchdog::start();
        let started = *self.interrupted.get_or_insert_with(Instant::now);
        self.pause.get_or_insert_with(watchdog::Pause::begin);
        let mut first_new = 0;
        loop {
            self.interrupt_from(first_new)?;
            // Only a thread that was not known yet can have started another one.
            first_new = self.threads.len();
            if self.seize_new()? == 0 {
                break;
            }
            self.check_deadline(started.elapsed())?;
        }
        if self.standing() == 0 { Err(TargetError::Gone { pid: self.pid }) } else { Ok(()) }
    }

    fn wait(&mut self, index: usize, started: Instant) -> Result<(), TargetError> {
        let thread = self.threads[index];
        if thread.state != State::Running {
            return Ok(());
        }
        for round in 0_u32.. {
            let state =
                match self.poll(thread).map_err(|error| refused(self.pid, "wait for", error.into()))? {
                    State::Running if round < 50 => State::Running,
                    State::Running => self.look_closer(thread.id, started.elapsed())?,
                    state => state,
                };
            if state != State::Running {
                self.threads[index].state = state;
                break;
            }
            // A thread that waits for a processor must get one to stop.
            if round < 50 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        Ok(())
    }

    /// Looks, without waiting, whether a thread has stopped.
    fn poll(&self, thread: Thread) -> Result<State, Errno> {
        let Thread { id, is_filtered, .. } = thread;
        Ok(match ptrace::poll(id, id == self.pid)? {
            Waited::Running => State::Running,
            Waited::Interrupted => {
                interrupted_call::restart(id, is_filtered);
                State::Interrupted
            }
            Waited::Stopped { signal } => State::Stopped { signal },
            Waited::Ended => State::Ended,
        })
    }

    /// Decides about a thread that takes long to stop.
    fn look_closer(&self, id: i32, elapsed: Duration) -> Result<State, TargetError> {
        self.limits.check_signals()?;
        match thread_state(self.pid, id) {
            None | Some('Z' | 'X') => return Ok(State::Ended),
            Some('D') if elapsed > UNINTERRUPTIBLE_AFTER => return Ok(State::Uninterruptible),
            Some(_) => {}
        }
        self.check_deadline(elapsed)?;
        Ok(State::Running)
    }

    fn check_deadline(&self, elapsed: Duration) -> Result<(), TargetError> {
        if elapsed <= self.limits.deadline {
            return Ok(());
        }
        Err(TargetError::StopTimeout {
            pid: self.pid,
            running: self.threads.iter().filter(|thread| thread.state == State::Running).count(),
            threads: self.threads.len(),
            deadline: self.limits.deadline,
        })
    }

    /// How long it has stood still.
    pub(super) fn elapsed(&self) -> Duration {
        self.interrupted.map_or(Duration::ZERO, |interrupted| interrupted.elapsed())
    }

    /// Whether a thread stands at an interrupt of ours: not in a group stop, nor on its way to a signal.
    pub(super) fn is_interrupted(&self, thread: i32) -> bool {
        let found = self.threads.iter().find(|known| known.id == thread);
        found.is_some_and(|found| found.state == State::Interrupted)
    }

    /// Whether every thread stands still in reach of ptrace: none hangs in the kernel.
    pub(super) fn is_complete(&self) -> bool {
        !self.threads.iter().any(|thread| matches!(thread.state, State::Running | State::Uninterruptible))
    }

    fn standing(&self) -> usize {
        self.threads.iter().filter(|thread| !matches!(thread.state, State::Running | State::Ended)).count()
    }

    pub(super) fn release(mut self) -> StopStatistics {
        let threads = self.standing();
        self.detach_all();
        StopStatistics { pause: self.elapsed(), threads }
    }

    /// Detaches from every thread that stands still. From the others the kernel does when our
    /// thread ends; they run anyway.
    fn detach_all(&mut self) {
        for thread in std::mem::take(&mut self.threads) {
            let state = match thread.state {
                State::Running | State::Uninterruptible => self.poll(thread).unwrap_or(State::Ended),
                state => state,
            };
            let signal = match state {
                State::Interrupted => 0,
                State::Stopped { signal } => signal,
                State::Running | State::Uninterruptible | State::Ended => continue,
            };
            // It fails only if the thread was killed, which needs no detaching.
            let _ = ptrace::detach(thread.id, signal);
        }
        self.pause = None;
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.detach_all();
    }
}

/// Whether a thread of ours, or one that has just ended, still holds `thread`.
fn is_traced_by_us(thread: i32) -> bool {
    let Ok(status) = Status::read(thread) else { return false };
    let own = std::process::id().cast_signed();
    // 0: the tracer detached between our attempt and now.
    status.tracer == 0 || Status::read(status.tracer).map_or(true, |tracer| tracer.process == own)
}
