//! Being first in line for the processor while a process stands still.

use nix::libc;
use std::time::Duration;
use std::time::Instant;

/// How long everything else on the machine may wait for us. A stop of this length is already one
/// that people notice, and starving what serves them besides would make it worse.
const LONGEST_TURN: Duration = Duration::from_millis(250);
/// Threads that copy at the same time.
const COPYING_THREADS: usize = 2;

/// Makes the calling thread, and threads that it starts, ordinary ones, if we may: heapattach may have been started
/// with `nice` or `chrt --idle`, so that its analysis takes what others leave. What it keeps from running must not wait
/// for that. Only for a thread that ends soon.
pub(super) fn be_ordinary() {
    if policy() == i64::from(libc::SCHED_IDLE) {
        set(libc::SCHED_OTHER, 0);
    }
    #[expect(unsafe_code, reason = "no safe call exists")]
    // SAFETY: two system calls on numbers; 0 is the calling thread.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) > 0 {
            let _refused = libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
    }
}

/// Puts the calling thread, and threads that it starts, before all ordinary ones, if we may.
///
/// The lowest real-time priority: niceness does not count between sessions where the kernel
/// groups them (`sched_autogroup`), and on a busy machine the stop was 2.6 times longer without.
/// Only for a thread that ends soon, and only once the target stands still: its threads need a
/// processor themselves to stop.
pub(super) fn raise() {
    set(libc::SCHED_FIFO, 1);
}

fn set(policy: i32, priority: i32) {
    let parameter = libc::sched_param { sched_priority: priority };
    #[expect(unsafe_code, reason = "no safe call exists; that of the musl C library does nothing")]
    // SAFETY: the kernel reads one sched_param, which outlives the call; 0 is the calling thread.
    let _refused = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameter) };
}

/// The time for which threads that copy are first in line.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// `None` where a processor is left for others.
    started: Option<Instant>,
}

impl Turn {
    /// It begins.
    pub(super) fn begin() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { started: (processors <= COPYING_THREADS).then(Instant::now) }
    }

    /// Puts the calling thread back among the ordinary ones when it had its turn. Cost: looks at the clock.
    pub(super) fn end_if_long(self) {
        if self.started.is_some_and(|started| started.elapsed() > LONGEST_TURN) {
            lower();
        }
    }
}

/// Puts the calling thread back among the ordinary ones.
pub(super) fn lower() {
    // Whoever was not raised keeps what its user gave it.
    if policy() == i64::from(libc::SCHED_FIFO) {
        set(libc::SCHED_OTHER, 0);
    }
}

/// That of the calling thread.
fn policy() -> i64 {
    #[expect(unsafe_code, reason = "no safe call exists")]
    // SAFETY: a system call on numbers; 0 is the calling thread.
    unsafe {
        libc::syscall(libc::SYS_sched_getscheduler, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn a_thread_that_may_only_have_what_others_leave_becomes_an_ordinary_one() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: only root may always leave SCHED_IDLE");
            return;
        }
        std::thread::spawn(|| {
            set(libc::SCHED_IDLE, 0);
            assert_eq!(policy(), i64::from(libc::SCHED_IDLE));
            be_ordinary();
            assert_eq!(policy(), i64::from(libc::SCHED_OTHER));
        })
        .join()
        .unwrap();
    }
}
