//! System calls that a stop breaks off, and that are put right before the thread runs again.
//!
//! Most calls restart by themselves after a stop; a few (`epoll_wait` among them) return EINTR.
//! CPython tries again (PEP 475), C libraries may not. At the stop the thread stands at the end of
//! the call, and may be told to restart it as if for a signal without a handler. A real signal
//! still gives EINTR. Calls with a time limit are left alone: they would wait for the whole time
//! again.
//!
//! Some calls with a time limit (`nanosleep`, `poll`, `futex`) are continued by another call,
//! `restart_syscall`, for the time that is left. A seccomp filter that does not know that call
//! kills the process for it. So where a thread has a filter, the call is made again as it was,
//! which the filter has let pass before; a limit that is no point in time begins anew.

#[cfg(target_arch = "x86_64")]
mod registers {
    use nix::libc;
    use nix::sys::ptrace;
    use nix::unistd::Pid;

    /// The kernel's own "restart unless a handler runs" (Linux `include/linux/errno.h`).
    const RESTART_UNLESS_HANDLED: i64 = -514;
    /// The kernel's "continue by `restart_syscall`" (same file).
    const RESTART_BY_ANOTHER_CALL: i64 = -516;
    const INTERRUPTED: i64 = -(libc::EINTR as i64);
    /// The code segment of 64-bit programs (`__USER_CS` in Linux `arch/x86/include/asm/segment.h`).
    const CODE_64_BIT: u64 = 0x33;

    /// Lets an interrupted thread go back to a wait without end when it runs again, and one that
    /// has a filter (`is_filtered`) to any wait.
    pub(in crate::target) fn restart(thread: i32, is_filtered: bool) {
        let thread = Pid::from_raw(thread);
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        let restarts = match registers.rax.cast_signed() {
            INTERRUPTED => is_endless(&registers),
            RESTART_BY_ANOTHER_CALL => is_filtered && registers.cs == CODE_64_BIT && is_in_call(&registers),
            _ => false,
        };
        if restarts {
            registers.rax = RESTART_UNLESS_HANDLED.cast_unsigned();
            // If the thread was killed meanwhile there is nothing to restart.
            let _ = ptrace::setregs(thread, registers);
        }
    }

    /// Whether the thread is at the end of a call at all, and not of a call that continues another
    /// one: that one's arguments are not those of the first.
    fn is_in_call(registers: &libc::user_regs_struct) -> bool {
        let number = registers.orig_rax.cast_signed();
        number >= 0 && number != libc::SYS_restart_syscall
    }

    /// Whether the thread is at the end of a call whose time limit means "none". Outside of a call
    /// the number is negative.
    fn is_endless(registers: &libc::user_regs_struct) -> bool {
        let forever = |limit: u64| limit == 0;
        registers.cs == CODE_64_BIT
            && match registers.orig_rax.cast_signed() {
                libc::SYS_epoll_wait | libc::SYS_epoll_pwait => (registers.r10 as u32).cast_signed() < 0,
                libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => forever(registers.r10),
                libc::SYS_rt_sigtimedwait => forever(registers.rdx),
                libc::SYS_semop => true,
                _ => false,
            }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use registers::restart;

/// Elsewhere such a call returns EINTR, as it does after any stop.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn restart(_thread: i32, _is_filtered: bool) {}
