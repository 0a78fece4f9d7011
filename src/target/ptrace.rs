//! The four ptrace requests of a stop, with raw signal numbers.
//!
//! The safe calls of `nix` know no real-time signals: a thread that stops to receive one (the C
//! library uses them itself) could not be waited for, and the signal would be lost.

use nix::errno::Errno;
use nix::libc;
use std::ptr;

/// A stop by `PTRACE_INTERRUPT` where no group stop is in effect.
const INTERRUPTED: i32 = libc::PTRACE_EVENT_STOP << 8 | libc::SIGTRAP;

/// What waiting for a thread gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Nothing yet.
    Running,
    /// It stands still because it was interrupted.
    Interrupted,
    /// It stands still for another reason; the signal (or 0) must be handed to it when it is let go.
    Stopped {
        /// A signal that the thread was about to receive.
        signal: i32,
    },
    /// It has ended.
    Ended,
}

/// Attaches to a thread without stopping it. No option is set, `PTRACE_O_EXITKILL` least of all:
/// if we die, the kernel detaches and the thread runs on.
pub(super) fn seize(thread: i32) -> Result<(), Errno> {
    request(libc::PTRACE_SEIZE, thread, 0)
}

/// Asks a seized thread to stop.
pub(super) fn interrupt(thread: i32) -> Result<(), Errno> {
    request(libc::PTRACE_INTERRUPT, thread, 0)
}

/// Lets a stopped thread go, handing it a signal unless 0. A group stop stays in effect.
pub(super) fn detach(thread: i32, signal: i32) -> Result<(), Errno> {
    request(libc::PTRACE_DETACH, thread, usize::try_from(signal).unwrap_or(0))
}

#[expect(unsafe_code, reason = "nix has no request with a raw signal number")]
fn request(request: libc::c_uint, thread: i32, data: usize) -> Result<(), Errno> {
    // SAFETY: none of the three requests reads or writes memory of this process: the address is
    // ignored and the data is a number (options or a signal).
    let result = unsafe {
        libc::ptrace(
            request,
            thread,
            ptr::null_mut::<libc::c_void>(),
            ptr::without_provenance_mut::<libc::c_void>(data),
        )
    };
    Errno::result(result).map(drop)
}

/// Looks, without waiting, whether a seized thread has stopped. `leader` is the process's first
/// thread: its end is not collected, because it may be our own child and belongs to whoever
/// started it.
pub(super) fn poll(thread: i32, leader: bool) -> Result<Waited, Errno> {
    let ends = if leader { 0 } else { libc::WEXITED };
    let (who, code, status) = match look(thread, ends) {
        Ok(found) => found,
        Err(Errno::ECHILD) => return Ok(Waited::Ended),
        Err(Errno::EINTR) => return Ok(Waited::Running),
        Err(error) => return Err(error),
    };
    Ok(match (who, code) {
        (0, _) => Waited::Running,
        // An event (the interrupt, or a group stop) carries its number above the signal's byte
        // and takes no signal back; anything else is a signal on its way to the thread.
        (_, libc::CLD_TRAPPED | libc::CLD_STOPPED) if status == INTERRUPTED => Waited::Interrupted,
        (_, libc::CLD_TRAPPED | libc::CLD_STOPPED) if status >> 8 != 0 => Waited::Stopped { signal: 0 },
        (_, libc::CLD_TRAPPED | libc::CLD_STOPPED) => Waited::Stopped { signal: status & 0x7f },
        _ => Waited::Ended,
    })
}

/// Looks, without waiting, whether a traced thread has stopped, and at what: the signal, and above its byte
/// the event. Its end is not collected.
pub(super) fn status(thread: i32) -> Result<Option<i32>, Errno> {
    match look(thread, 0) {
        Ok((0, ..)) | Err(Errno::EINTR) => Ok(None),
        Ok((_, _, status)) => Ok(Some(status)),
        Err(error) => Err(error),
    }
}

/// Collects the end of a process that we trace, if it has ended. Whether it has.
pub(super) fn collect_end(process: i32) -> bool {
    match look(process, libc::WEXITED) {
        Ok((0, ..)) | Err(Errno::EINTR) => false,
        Ok((_, code, _)) => !matches!(code, libc::CLD_TRAPPED | libc::CLD_STOPPED),
        Err(_) => true,
    }
}

/// Who has changed its state, in what way, and to which status.
#[expect(unsafe_code, reason = "nix cannot express a stop by a real-time signal")]
fn look(thread: i32, ends: i32) -> Result<(i32, i32, i32), Errno> {
    let options = libc::WSTOPPED | libc::WNOHANG | libc::__WALL | ends;
    // SAFETY: siginfo_t is plain data for which all zeros is a valid value.
    let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a valid siginfo_t that outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, thread.cast_unsigned(), &raw mut found, options) };
    Errno::result(result)?;
    // SAFETY: waitid filled the fields of a child's change, or left all zeros.
    let (who, status) = unsafe { (found.si_pid(), found.si_status()) };
    Ok((who, found.si_code, status))
}
