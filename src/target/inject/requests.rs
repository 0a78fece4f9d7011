//! The ptrace requests of an injection that no library has.

use nix::errno::Errno;
use nix::libc;

/// `NT_X86_XSTATE` (Linux `include/uapi/linux/elf.h`).
const VECTOR_STATE: usize = 0x202;
/// Largest vector state of any processor so far is 11 KiB.
const LARGEST_STATE: usize = 64 << 10;
/// `PTRACE_GET_RSEQ_CONFIGURATION` (Linux `include/uapi/linux/ptrace.h`).
const GET_RESTARTABLE_SEQUENCE: libc::c_uint = 0x420f;

#[expect(unsafe_code, reason = "ptrace takes raw addresses")]
fn request(
    request: libc::c_uint,
    thread: i32,
    address: usize,
    data: *mut libc::c_void,
) -> Result<i64, Errno> {
    // SAFETY: every caller in this file hands a `data` that is valid for what its request reads or writes.
    let result = unsafe {
        libc::ptrace(request, thread, std::ptr::without_provenance_mut::<libc::c_void>(address), data)
    };
    Errno::result(result)
}

/// The vector registers of a stopped thread, in the standard format of XSAVE.
pub(super) fn vector_state(thread: i32) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0_u8; LARGEST_STATE];
    let mut place = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_GETREGSET, thread, VECTOR_STATE, (&raw mut place).cast())?;
    bytes.truncate(place.iov_len);
    Ok(bytes)
}

/// The signals that a stopped thread blocks, a bit each.
pub(super) fn signal_mask(thread: i32) -> Result<u64, Errno> {
    let mut mask = 0_u64;
    request(libc::PTRACE_GETSIGMASK, thread, size_of::<u64>(), (&raw mut mask).cast())?;
    Ok(mask)
}

/// Makes a stopped thread block these signals.
pub(super) fn set_signal_mask(thread: i32, mut mask: u64) -> Result<(), Errno> {
    request(libc::PTRACE_SETSIGMASK, thread, size_of::<u64>(), (&raw mut mask).cast()).map(drop)
}

/// Where the thread keeps its restartable sequence (`struct rseq`); `None` if it has none, or the kernel
/// cannot tell.
pub(super) fn restartable_sequence(thread: i32) -> Option<u64> {
    // struct ptrace_rseq_configuration: address, size, signature, flags, padding.
    let mut configuration = [0_u64; 3];
    let size = size_of_val(&configuration);
    request(GET_RESTARTABLE_SEQUENCE, thread, size, configuration.as_mut_ptr().cast()).ok()?;
    (configuration[0] != 0).then_some(configuration[0])
}
