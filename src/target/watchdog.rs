//! A process of our own that ends us if we stand still while a target does.
//!
//! The kernel lets a target go when its tracer dies, but not when its tracer is stopped (SIGSTOP) or
//! waits for ever in the kernel (memory behind a dead network file system). So a small child,
//! started before the first stop, is told through a pipe when a stop begins, that we are alive in
//! it, and when it ends. If we are stopped in between, or give no sign of life for too long, it kills
//! us, and the target runs on. It ends when the pipe is closed, which is when we end, however that
//! comes about; that it is killed itself does no harm.
//!
//! The child is forked from a process that may have threads: it calls nothing but system calls on
//! memory that was made before.

use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::ForkResult;
use nix::unistd::fork;
use nix::unistd::pipe2;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

const BEGIN: u8 = b'B';
const ALIVE: u8 = b'.';
const END: u8 = b'E';
/// How often the child looks at us during a stop. Unit: milliseconds.
const LOOK_EVERY: i32 = 50;
/// Looks without a sign of life until we are ended: ten seconds. A sign comes with each few
/// megabytes copied.
const MOST_LOOKS: u32 = 200;
const MESSAGE: &[u8] =
    b"heapattach: was stopped, or hung, while the process it inspects stood still: killed, and the process runs on\n";

static WATCHDOG: OnceLock<Option<OwnedFd>> = OnceLock::new();

/// Starts the child, once in a process. Best called while we are small: forking copies page tables.
/// Without it (no more processes allowed) everything works, unwatched.
pub(super) fn start() {
    WATCHDOG.get_or_init(fork_child);
}

/// While it is held, a target stands still.
pub(super) struct Pause(());

impl Pause {
    /// Says that a stop begins.
    pub(super) fn begin() -> Self {
        start();
        tell(BEGIN);
        Self(())
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        tell(END);
    }
}

/// A sign of life: whoever holds a stop gives one at least every few seconds.
pub(super) fn alive() {
    tell(ALIVE);
}

/// Writes a byte. The pipe holds 65 536, and never blocks us: a child that was stopped is none.
fn tell(byte: u8) {
    if let Some(Some(pipe)) = WATCHDOG.get() {
        let _ = nix::unistd::write(pipe, &[byte]);
    }
}

#[expect(unsafe_code, reason = "fork has no safe form")]
fn fork_child() -> Option<OwnedFd> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
    let own = std::process::id();
    let status = CString::new(format!("/proc/{own}/stat")).ok()?;
    // SAFETY: the child runs `watch` alone, which allocates nothing, takes no lock, and does not return.
    match unsafe { fork() }.ok()? {
        ForkResult::Parent { .. } => Some(write),
        ForkResult::Child => watch(read.as_raw_fd(), own.cast_signed(), &status),
    }
}

/// What the child does.
#[expect(unsafe_code, reason = "between fork and exit only system calls may be made")]
fn watch(pipe: i32, parent: i32, status: &CString) -> ! {
    // SAFETY: system calls on numbers. The first takes us out of the reach of signals to the
    // terminal's processes; the others leave us only the pipe, as 0, and standard error, so that
    // nobody waits for us as the last writer of a pipe of theirs.
    unsafe {
        libc::setsid();
        libc::dup2(pipe, 0);
        libc::close(1);
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
        libc::prctl(libc::PR_SET_NAME, c"heapattach-dog".as_ptr());
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGTSTP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    let mut pauses = 0_u32;
    let mut looks = 0_u32;
    loop {
        let mut poll = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
        let limit = if pauses > 0 { LOOK_EVERY } else { -1 };
        // SAFETY: `poll` is one valid entry that outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, limit) };
        let mut bytes = [0_u8; 256];
        let mut count = 0;
        if ready > 0 {
            // SAFETY: the buffer is as long as is said.
            count = unsafe { libc::read(0, bytes.as_mut_ptr().cast(), bytes.len()) };
            if count == 0 {
                exit();
            }
        }
        for &byte in bytes.iter().take(usize::try_from(count).unwrap_or(0)) {
            looks = 0;
            match byte {
                BEGIN => pauses += 1,
                END => pauses = pauses.saturating_sub(1),
                _ => {}
            }
        }
        if pauses > 0 && ready == 0 {
            looks += 1;
            if looks > MOST_LOOKS || is_stopped(status) {
                kill(parent);
            }
        }
    }
}

/// Whether the process stands still because of a signal (`T`) or a debugger (`t`).
#[expect(unsafe_code, reason = "between fork and exit only system calls may be made")]
fn is_stopped(status: &CString) -> bool {
    let mut text = [0_u8; 512];
    // SAFETY: the path ends with NUL, and the buffer is as long as is said.
    let count = unsafe {
        let file = libc::open(status.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let count = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        count
    };
    let text = text.get(..usize::try_from(count).unwrap_or(0)).unwrap_or(&[]);
    // The second field is the name in parentheses, which may hold some itself.
    let end = text.iter().rposition(|&byte| byte == b')').unwrap_or(text.len());
    matches!(text.get(end.saturating_add(2)), Some(b'T' | b't'))
}

/// Ends the process that started us, if it still is that one.
#[expect(unsafe_code, reason = "between fork and exit only system calls may be made")]
fn kill(parent: i32) -> ! {
    // SAFETY: system calls on numbers and a constant text.
    unsafe {
        if libc::getppid() == parent {
            libc::kill(parent, libc::SIGKILL);
            libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
        }
    }
    exit()
}

#[expect(unsafe_code, reason = "the destructors of the process are not the child's to run")]
fn exit() -> ! {
    // SAFETY: ends the child at once.
    unsafe { libc::_exit(0) }
}
