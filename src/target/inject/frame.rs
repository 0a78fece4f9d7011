//! Signal frames: what a thread restores itself from when nobody is left to do it.
//!
//! `rt_sigreturn` takes all registers, the signal mask and the vector state from a frame on the stack
//! (`struct rt_sigframe`, Linux `arch/x86/include/asm/sigframe.h`; `struct ucontext`,
//! `arch/x86/include/uapi/asm/ucontext.h`; `struct sigcontext`, `arch/x86/include/uapi/asm/sigcontext.h`).

use crate::target::inject::vector::FrameFormat;
use nix::libc::user_regs_struct;

/// Bytes below the stack pointer that a function may use without moving it (System V ABI for x86-64).
const RED_ZONE: u64 = 128;
/// Bytes of a frame without its vector state: the return address and the context.
const FRAME: usize = 8 + 304;
/// Bytes set aside for a frame.
const FRAME_ROOM: u64 = 512;

/// Offsets in the frame.
const FLAGS: usize = 8;
const ALTERNATE_STACK_FLAGS: usize = 8 + 24;
const REGISTERS: usize = 8 + 40;
const SEGMENTS: usize = REGISTERS + 18 * 8;
const VECTOR_POINTER: usize = REGISTERS + 23 * 8;
const SIGNAL_MASK: usize = 8 + 40 + 256;

/// `UC_FP_XSTATE`, `UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`.
const HAS_VECTOR_STATE: u64 = 1;
const HAS_STACK_SEGMENT: u64 = 2 | 4;
/// No valid flags: the alternate signal stack stays as it is.
const LEAVE_ALTERNATE_STACK: u32 = 0x7fff_ffff;

/// `struct _fpx_sw_bytes` lies here in the legacy part of the vector state.
const SOFTWARE_BYTES: usize = 464;
/// `FP_XSTATE_MAGIC1` and `FP_XSTATE_MAGIC2`.
const MAGIC_BEFORE: u32 = 0x4650_5853;
const MAGIC_AFTER: u32 = 0x4650_5845;

/// What the kernel wants a system call restarted with (Linux `include/linux/errno.h`).
const RESTART: [i64; 3] = [-512, -513, -514];
const RESTART_BY_BLOCK: i64 = -516;
/// Length of the instruction `syscall`.
const CALL_LENGTH: u64 = 2;

/// The state of a thread.
pub(super) struct State<'a> {
    pub(super) registers: user_regs_struct,
    pub(super) signal_mask: u64,
    /// As `PTRACE_GETREGSET` gives it: the standard format of XSAVE.
    pub(super) vector: &'a [u8],
}

/// Two frames and the state of the vector registers, as they lie in the target's stack.
pub(super) struct Frames {
    /// Where the bytes begin.
    pub(super) start: u64,
    /// Everything to write there.
    pub(super) bytes: Vec<u8>,
    /// The stack pointer with which the thread restores itself.
    pub(super) own: u64,
    /// The stack pointer with which a child ends itself.
    pub(super) child: u64,
}

impl Frames {
    /// The frames for a thread, below its stack pointer. `call` and `restore` are the addresses of the
    /// instructions.
    pub(super) fn new(state: &State<'_>, call: u64, restore: u64, format: FrameFormat) -> Option<Self> {
        let top = state.registers.rsp.checked_sub(RED_ZONE)?;
        let vector_at = top.checked_sub(state.vector.len() as u64 + 64)? & !63;
        let own = vector_at.checked_sub(FRAME_ROOM)? & !63;
        let child = own.checked_sub(FRAME_ROOM)? & !63;
        let length = usize::try_from(vector_at - child).ok()?.checked_add(state.vector.len() + 4)?;
        let mut frames = Self { start: child, bytes: vec![0; length], own, child };
        let vector = frames.at(vector_at);
        put_vector_state(frames.bytes.get_mut(vector..)?, state.vector, format)?;
        let mut restored = state.registers;
        restart_by_hand(&mut restored);
        let own_at = frames.at(own);
        let own_frame = frames.bytes.get_mut(own_at..own_at + FRAME)?;
        put_frame(own_frame, &restored, state.signal_mask, (restore, vector_at));
        let mut ending = state.registers;
        ending.rax = nix::libc::SYS_exit_group.cast_unsigned();
        ending.rdi = 0;
        ending.rip = call;
        ending.rsp = child + 256;
        put_frame(frames.bytes.get_mut(..FRAME)?, &ending, u64::MAX, (restore, 0));
        Some(frames)
    }

    fn at(&self, address: u64) -> usize {
        usize::try_from(address - self.start).unwrap_or(usize::MAX)
    }
}

fn put(bytes: &mut [u8], offset: usize, value: u64) {
    if let Some(place) = bytes.get_mut(offset..offset + 8) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn put32(bytes: &mut [u8], offset: usize, value: u32) {
    if let Some(place) = bytes.get_mut(offset..offset + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn put_frame(frame: &mut [u8], registers: &user_regs_struct, mask: u64, (restore, vector): (u64, u64)) {
    put(frame, 0, restore);
    put(frame, FLAGS, HAS_STACK_SEGMENT | if vector == 0 { 0 } else { HAS_VECTOR_STATE });
    put32(frame, ALTERNATE_STACK_FLAGS, LEAVE_ALTERNATE_STACK);
    let r = registers;
    let order = [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax,
        r.rcx, r.rsp, r.rip, r.eflags,
    ];
    for (index, value) in order.into_iter().enumerate() {
        put(frame, REGISTERS + index * 8, value);
    }
    // The code segment, two that are not used, the stack segment: 16 bits each.
    put(frame, SEGMENTS, r.cs & 0xffff | (r.ss & 0xffff) << 48);
    put(frame, VECTOR_POINTER, vector);
    put(frame, SIGNAL_MASK, mask);
}

/// The kernel believes the vector state only if its size and its features are those that it would have
/// written itself; else it restores the oldest part of it and resets the rest.
fn put_vector_state(bytes: &mut [u8], vector: &[u8], format: FrameFormat) -> Option<()> {
    bytes.get_mut(..vector.len())?.copy_from_slice(vector);
    put32(bytes, SOFTWARE_BYTES, MAGIC_BEFORE);
    put32(bytes, SOFTWARE_BYTES + 4, format.size + 4);
    put(bytes, SOFTWARE_BYTES + 8, format.features);
    put32(bytes, SOFTWARE_BYTES + 16, format.size);
    bytes.get_mut(SOFTWARE_BYTES + 20..SOFTWARE_BYTES + 48)?.fill(0);
    let size = usize::try_from(format.size).ok()?;
    if size > vector.len() {
        return None;
    }
    put32(bytes, size, MAGIC_AFTER);
    // A thread that may use more (AMX) and does not: the kernel looks behind the whole.
    put32(bytes, vector.len(), MAGIC_AFTER);
    Some(())
}

/// A thread that restores itself does not pass the place where the kernel restarts system calls. A wait
/// that the kernel would continue with the time left ends with EINTR, as it does after any handler.
fn restart_by_hand(registers: &mut user_regs_struct) {
    let number = registers.orig_rax.cast_signed();
    let result = registers.rax.cast_signed();
    if number >= 0 {
        let again =
            RESTART.contains(&result) || (result == RESTART_BY_BLOCK && number == nix::libc::SYS_futex);
        if again {
            registers.rax = registers.orig_rax;
            registers.rip = registers.rip.wrapping_sub(CALL_LENGTH);
        } else if result == RESTART_BY_BLOCK {
            registers.rax = i64::from(-nix::libc::EINTR).cast_unsigned();
        }
    }
    registers.orig_rax = u64::MAX;
}
