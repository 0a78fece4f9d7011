//! What a core file has beside memory: the registers of every thread, the auxiliary vector, who it is.
//!
//! Taken only when a core is to be written, while the process stands still: some microseconds per thread.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::proc_status::Status;
use crate::target::proc_status::memory_holder;
use crate::target::proc_status::stat_field;
use nix::errno::Errno;
use nix::libc;

/// `NT_PRSTATUS`, `NT_PRFPREG` and `NT_X86_XSTATE` (Linux `include/uapi/linux/elf.h`): sets of registers.
const GENERAL: u32 = 1;
const FLOATING: u32 = 2;
const EXTENDED: u32 = 0x202;
/// No processor has more state than this: AMX needs 11 KiB. Unit: bytes.
const LARGEST_SET: usize = 64 << 10;
/// Registers of more threads than this are left out.
const MOST_THREADS: usize = 1 << 20;

/// The registers of one thread, as the kernel gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadRegisters {
    /// The kernel's thread id.
    pub id: i32,
    /// `struct user_regs_struct`; empty if the thread hangs in the kernel and cannot be asked.
    pub general: Vec<u8>,
    /// `struct user_fpregs_struct`.
    pub floating: Vec<u8>,
    /// The state beyond it, as `XSAVE` writes it.
    pub extended: Vec<u8>,
}

/// Everything that only the kernel knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessState {
    /// Every thread, the first one of the process first.
    pub threads: Vec<ThreadRegisters>,
    /// `/proc/PID/auxv`.
    pub auxiliary: Vec<u8>,
    /// `/proc/PID/cmdline`.
    pub command: Vec<u8>,
    /// Where the kernel put its arguments.
    pub arguments: AddressRange,
    /// Where the kernel put its environment.
    pub environment: AddressRange,
    /// Its parent.
    pub parent: i32,
    /// Real user.
    pub user: u32,
}

/// Asks for it. Called by the thread that holds the process stopped; nobody else may ask for registers.
pub(super) fn read(pid: i32) -> ProcessState {
    let holder = memory_holder(pid);
    let file = |name: &str| std::fs::read(format!("/proc/{holder}/{name}")).unwrap_or_default();
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut ids: Vec<i32> = ids.take(MOST_THREADS).collect();
    ids.sort_by_key(|&id| (id != pid, id));
    let stat = file("stat");
    let field = |number| {
        stat_field(&stat, number).and_then(|text| text.parse().ok()).map_or(Address::NULL, Address::new)
    };
    // arg_start, arg_end, env_start, env_end: proc(5).
    let range = |first| AddressRange::new(field(first), field(first + 1));
    let status = Status::read(pid).unwrap_or_default();
    ProcessState {
        threads: ids.into_iter().map(registers).collect(),
        auxiliary: file("auxv"),
        command: file("cmdline"),
        arguments: range(48),
        environment: range(50),
        parent: status.parent,
        user: status.users[0],
    }
}

fn registers(id: i32) -> ThreadRegisters {
    let set = |kind| register_set(id, kind).unwrap_or_default();
    let general = set(GENERAL);
    // A thread that does not answer to the first question is not asked the others.
    let others = |kind| if general.is_empty() { Vec::new() } else { set(kind) };
    ThreadRegisters { id, floating: others(FLOATING), extended: others(EXTENDED), general }
}

#[expect(unsafe_code, reason = "nix knows the general registers only")]
fn register_set(thread: i32, kind: u32) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0_u8; LARGEST_SET];
    let mut place = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel writes at most `iov_len` bytes to `iov_base`, which is a live buffer of that length,
    // and the length that it wrote to `place`. The thread is another one than ours.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET,
            thread,
            std::ptr::without_provenance_mut::<libc::c_void>(kind as usize),
            (&raw mut place).cast::<libc::c_void>(),
        )
    };
    Errno::result(result)?;
    bytes.truncate(place.iov_len);
    Ok(bytes)
}
