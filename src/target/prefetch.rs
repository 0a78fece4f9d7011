//! A hint to the processor: memory that is read in no order is waited for, unless it was asked for in time.

use std::arch::x86_64::_MM_HINT_T0;
use std::arch::x86_64::_mm_prefetch;

/// Has the first bytes of a value brought near, as it will be read soon.
#[inline]
pub fn prefetch<T>(value: &T) {
    let at: *const T = value;
    #[expect(unsafe_code, reason = "the processor's hint takes a raw address")]
    // SAFETY: a hint reads nothing that the program would see, and the address is that of a value.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}
