//! What this kernel puts into a signal frame on this processor: seen in a signal of our own.

use nix::libc;
use std::mem::zeroed;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Size and features of the vector state in a signal frame of an ordinary thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameFormat {
    /// Bytes of the state, without what the kernel adds behind it.
    pub(super) size: u32,
    /// Its features, a bit each (`XCR0`).
    pub(super) features: u64,
}

/// The bit of AMX tiles in the features (Intel SDM volume 1, chapter 13).
const TILES: u64 = 1 << 18;
/// Where the header with the features in use begins.
const HEADER: usize = 512;
/// `FP_XSTATE_MAGIC1` lies here, and the two numbers after it.
const SOFTWARE_BYTES: usize = 464;
const MAGIC: u32 = 0x4650_5853;

static SIZE: AtomicU32 = AtomicU32::new(0);
static FEATURES: AtomicU64 = AtomicU64::new(0);

/// Whether the thread holds tiles: then its frame would be larger than an ordinary one.
pub(super) fn holds_tiles(vector: &[u8]) -> bool {
    let header = vector.get(HEADER..HEADER + 8).and_then(|bytes| bytes.try_into().ok());
    header.is_none_or(|header| u64::from_le_bytes(header) & TILES != 0)
}

/// The format, looked at once. `None` if the kernel saves nothing beyond the oldest registers.
pub(super) fn frame_format() -> Option<FrameFormat> {
    static FORMAT: OnceLock<Option<FrameFormat>> = OnceLock::new();
    *FORMAT.get_or_init(|| {
        raise();
        let format =
            FrameFormat { size: SIZE.load(Ordering::SeqCst), features: FEATURES.load(Ordering::SeqCst) };
        (format.size > 0).then_some(format)
    })
}

#[expect(unsafe_code, reason = "a frame can only be seen from a signal handler")]
extern "C" fn look(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO the context that it has written on the stack.
    let state = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.fpregs }.cast::<u8>();
    if state.is_null() {
        return;
    }
    // SAFETY: the legacy part of the state is 512 bytes long, and these lie inside it.
    let bytes = unsafe { state.add(SOFTWARE_BYTES).cast::<[u8; 20]>().read() };
    let [m0, m1, m2, m3, _, _, _, _, f0, f1, f2, f3, f4, f5, f6, f7, s0, s1, s2, s3] = bytes;
    if u32::from_le_bytes([m0, m1, m2, m3]) == MAGIC {
        FEATURES.store(u64::from_le_bytes([f0, f1, f2, f3, f4, f5, f6, f7]), Ordering::SeqCst);
        SIZE.store(u32::from_le_bytes([s0, s1, s2, s3]), Ordering::SeqCst);
    }
}

/// Sends this thread a signal that nobody else uses, and puts back what was set for it.
#[expect(unsafe_code, reason = "no safe call takes a handler with a context")]
fn raise() {
    let signal = libc::SIGRTMAX() - 1;
    // SAFETY: all zeros are a valid sigaction; `look` has the type that SA_SIGINFO asks for, and does only
    // what a handler may; every pointer is to a value that outlives its call.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = look as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO;
        let mut before: libc::sigaction = zeroed();
        if libc::sigaction(signal, &raw const action, &raw mut before) == 0 {
            libc::raise(signal);
            libc::sigaction(signal, &raw const before, std::ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_our_own_has_at_least_the_oldest_registers() {
        if let Some(format) = frame_format() {
            assert!(format.size >= 576 && format.features & 3 == 3, "{format:?}");
            assert_eq!(frame_format(), Some(format));
        }
    }

    #[test]
    fn tiles_are_seen_in_the_header() {
        let mut vector = vec![0; 1024];
        assert!(!holds_tiles(&vector));
        vector[HEADER + 2] = 4;
        assert!(holds_tiles(&vector) && holds_tiles(&[0; 100]));
    }
}
