//! A system call executed by a stopped thread of the target: only when the user allows it.
//!
//! The thread is never left to our mercy. Before its registers are changed, frames are written below its
//! stack, in memory that belongs to nobody; the call is made on instructions of the C library, `syscall; ret`,
//! with the stack pointer on the frame. If we vanish at any moment, the thread returns from the call into
//! the C library's own return from a signal handler, which restores everything from the frame. A child that
//! nobody traces ends itself the same way.

mod frame;
mod gadgets;
mod requests;
mod vector;

use crate::target::Mapping;
use crate::target::Memory;
use crate::target::RemoteMemory;
use crate::target::ptrace;
use crate::target::watchdog;
use nix::errno::Errno;
use nix::libc;
use nix::libc::user_regs_struct;
use nix::sys::ptrace::Options;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_writev;
use nix::unistd::Pid;
use std::io::IoSlice;
use std::time::Duration;
use std::time::Instant;

use frame::Frames;
use gadgets::Gadgets;

/// How long a call may take before the thread is left to restore itself.
const DEADLINE: Duration = Duration::from_secs(20);
/// The code segment of 64-bit programs (`__USER_CS` in Linux `arch/x86/include/asm/segment.h`).
const CODE_64_BIT: u64 = 0x33;
/// Bytes that must be free below the stack pointer: a signal handler needs as much.
const STACK_ROOM: u64 = 64 << 10;
/// Stops of other kinds that are passed over before a call is given up.
const MOST_STOPS: u32 = 64;

/// A stop at the beginning or the end of a system call, with `PTRACE_O_TRACESYSGOOD`.
const AT_CALL: i32 = libc::SIGTRAP | 0x80;
const AT_CLONE: i32 = libc::PTRACE_EVENT_CLONE << 8 | libc::SIGTRAP;

/// Told the name of each step, before it is done: tests die at each.
pub type StepWatch<'a> = &'a (dyn Fn(&'static str) + Sync);

/// What is found out about a process before it is stopped.
pub(super) struct Means {
    gadgets: Gadgets,
    format: vector::FrameFormat,
    /// The stack of its first thread.
    stack: crate::address::AddressRange,
}

/// Why nothing can be executed in a process.
pub(super) type Obstacle = String;

impl Means {
    /// Looks whether a call could be executed in a running process.
    pub(super) fn find(pid: i32, mappings: &[Mapping]) -> Result<Self, Obstacle> {
        if !cfg!(target_arch = "x86_64") {
            return Err("this is known for x86-64 only".to_owned());
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map_or("", str::trim);
        if line("Seccomp:") != "0" {
            return Err(
                "the process is under a seccomp filter, which might kill it for a system call".to_owned()
            );
        }
        if line("x86_Thread_features:").contains("shstk") {
            return Err("the process uses a shadow stack".to_owned());
        }
        if line("State:").starts_with(['T', 'Z', 'X']) {
            return Err("the process is stopped already, or its first thread has ended".to_owned());
        }
        let memory = RemoteMemory::new(pid);
        let gadgets = Gadgets::find(&memory, mappings)
            .ok_or("no C library was found whose instructions could be used")?;
        let format = vector::frame_format().ok_or("the processor has no XSAVE")?;
        let stack = mappings.iter().find(|mapping| mapping.name == "[stack]" && mapping.writable);
        let stack = stack.ok_or("its first thread has no ordinary stack")?.range;
        Ok(Self { gadgets, format, stack })
    }
}

/// A thread that executes calls for us, until this is ended or dropped.
pub(super) struct Injection<'a> {
    thread: i32,
    registers: user_regs_struct,
    signal_mask: u64,
    call: u64,
    own_stack: u64,
    child_stack: u64,
    watch: Option<StepWatch<'a>>,
    is_changed: bool,
    /// A SIGSTOP came meanwhile.
    is_to_stop: bool,
}

impl<'a> Injection<'a> {
    /// Prepares the first thread of a process, which stands still at our interrupt. Nothing of it is changed
    /// but bytes below its stack.
    pub(super) fn begin(pid: i32, means: &Means, watch: Option<StepWatch<'a>>) -> Result<Self, Obstacle> {
        let failed = |error: Errno| format!("its registers cannot be read: {error}");
        let registers = nix::sys::ptrace::getregs(Pid::from_raw(pid)).map_err(failed)?;
        if registers.cs != CODE_64_BIT {
            return Err("it runs 32-bit code at this moment".to_owned());
        }
        let vector = requests::vector_state(pid).map_err(failed)?;
        if vector::holds_tiles(&vector) {
            return Err("it uses matrix registers at this moment".to_owned());
        }
        let stack = means.stack;
        let is_on_stack =
            stack.start.get().saturating_add(STACK_ROOM) < registers.rsp && registers.rsp < stack.end.get();
        if !is_on_stack {
            return Err("its first thread is not on its ordinary stack at this moment".to_owned());
        }
        if is_in_restartable_sequence(pid, registers.rip) {
            return Err("it is in a restartable sequence at this moment".to_owned());
        }
        let signal_mask = requests::signal_mask(pid).map_err(failed)?;
        let Gadgets { call, restore } = means.gadgets;
        let state = frame::State { registers, signal_mask, vector: &vector };
        let frames = Frames::new(&state, call, restore, means.format)
            .ok_or("its vector registers have an unknown format")?;
        let injection = Self {
            thread: pid,
            registers,
            signal_mask,
            call,
            own_stack: frames.own,
            child_stack: frames.child,
            watch,
            is_changed: false,
            is_to_stop: false,
        };
        injection.step("writing the frames");
        let place = [RemoteIoVec { base: frames.start as usize, len: frames.bytes.len() }];
        match process_vm_writev(Pid::from_raw(pid), &[IoSlice::new(&frames.bytes)], &place) {
            Ok(count) if count == frames.bytes.len() => Ok(injection),
            _ => Err("its stack cannot be written to".to_owned()),
        }
    }

    fn step(&self, name: &'static str) {
        if let Some(watch) = self.watch {
            watch(name);
        }
    }

    /// The stack on which a child must be started: it ends itself unless it is traced.
    pub(super) fn child_stack(&self) -> u64 {
        self.child_stack
    }

    /// Executes a call. Gives its result, negative for an error, and the id of the process that it started.
    pub(super) fn call(&mut self, number: i64, arguments: [u64; 5]) -> Result<(i64, Option<i32>), Obstacle> {
        let failed = |error: Errno| format!("a system call could not be executed: {error}");
        let thread = Pid::from_raw(self.thread);
        let mut registers = self.registers;
        registers.rip = self.call;
        registers.rsp = self.own_stack;
        registers.rax = number.cast_unsigned();
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8] = arguments;
        self.step("options");
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
        nix::sys::ptrace::setoptions(thread, options).map_err(failed)?;
        self.step("registers");
        nix::sys::ptrace::setregs(thread, registers).map_err(failed)?;
        self.is_changed = true;
        // After the registers: the frame restores the mask, too.
        self.step("signal mask");
        requests::set_signal_mask(self.thread, u64::MAX).map_err(failed)?;
        let mut child = None;
        let mut calls = 0;
        for _ in 0..MOST_STOPS {
            self.step("resuming");
            nix::sys::ptrace::syscall(thread, None).map_err(failed)?;
            self.step("waiting");
            match self.wait()? {
                AT_CLONE => {
                    let id = nix::sys::ptrace::getevent(thread).map_err(failed)?;
                    child = i32::try_from(id).ok();
                }
                AT_CALL if calls == 0 => calls = 1,
                AT_CALL => {
                    self.step("result");
                    let registers = nix::sys::ptrace::getregs(thread).map_err(failed)?;
                    return Ok((registers.rax.cast_signed(), child));
                }
                // Only SIGSTOP gets through the mask; it comes again when all is over.
                libc::SIGSTOP => self.is_to_stop = true,
                _ => {}
            }
        }
        Err("it stops again and again".to_owned())
    }

    /// Waits for the next stop of the thread.
    fn wait(&self) -> Result<i32, Obstacle> {
        let started = Instant::now();
        for round in 0_u32.. {
            match ptrace::status(self.thread) {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(error) => return Err(format!("it cannot be waited for: {error}")),
            }
            if round < 200 {
                std::thread::yield_now();
                continue;
            }
            std::thread::sleep(Duration::from_micros(50));
            if round % 4096 == 0 {
                watchdog::alive();
            }
            if round % 64 == 0
                && crate::target::proc_status::thread_state(self.thread, self.thread)
                    .is_none_or(|state| matches!(state, 'Z' | 'X'))
            {
                return Err("it has ended".to_owned());
            }
            if started.elapsed() > DEADLINE {
                break;
            }
        }
        Err("a system call takes too long; the process goes on by itself".to_owned())
    }

    /// Puts everything back. The thread stands still at an interrupt again.
    pub(super) fn end(mut self) -> Result<(), Obstacle> {
        self.put_back()
    }

    fn put_back(&mut self) -> Result<(), Obstacle> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        let failed = |error: Errno| format!("its registers could not be put back: {error}");
        let thread = Pid::from_raw(self.thread);
        // The mask before the registers: until these are back, the frame would restore both.
        self.step("mask back");
        requests::set_signal_mask(self.thread, self.signal_mask).map_err(failed)?;
        // The interrupt before the registers: the thread must pass the place where the kernel restarts
        // system calls, also if we are gone by then.
        self.step("interrupt");
        ptrace::interrupt(self.thread).map_err(failed)?;
        self.step("registers back");
        nix::sys::ptrace::setregs(thread, self.registers).map_err(failed)?;
        self.step("options back");
        nix::sys::ptrace::setoptions(thread, Options::empty()).map_err(failed)?;
        self.step("to the interrupt");
        nix::sys::ptrace::cont(thread, None).map_err(failed)?;
        self.step("at the interrupt");
        let stopped = self.wait().map(drop);
        if std::mem::take(&mut self.is_to_stop) {
            // If it fails, the process is gone.
            let _ = nix::sys::signal::kill(thread, nix::sys::signal::Signal::SIGSTOP);
        }
        stopped
    }
}

impl Drop for Injection<'_> {
    fn drop(&mut self) {
        // If this fails, the thread restores itself.
        let _ = self.put_back();
    }
}

/// Whether the thread is in the middle of instructions that the kernel would begin again from the start if it
/// were interrupted (`struct rseq_cs`, Linux `include/uapi/linux/rseq.h`): they must not be left and entered again.
fn is_in_restartable_sequence(pid: i32, instruction: u64) -> bool {
    let Some(area) = requests::restartable_sequence(pid) else { return false };
    let memory = RemoteMemory::new(pid);
    let read = |address: u64| memory.read_u64(crate::address::Address::new(address));
    let Ok(section) = read(area.wrapping_add(8)) else { return true };
    if section == 0 {
        return false;
    }
    match (read(section.wrapping_add(8)), read(section.wrapping_add(16))) {
        (Ok(start), Ok(length)) => instruction.wrapping_sub(start) < length,
        _ => true,
    }
}
