//! An allocator that puts large columns on huge pages.
//!
//! A heap of 10^7 objects needs hundreds of megabytes of columns; at 4 KiB a page fault each, touching
//! them first costs as much CPU time as filling them. Measured at 5·10^6 objects: see the changelog.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;

/// Allocations from this size on are marked. Unit: bytes.
const LARGE: usize = 4 << 20;
/// Size of a huge page. Unit: bytes.
const HUGE_PAGE: usize = 2 << 20;

/// The system's allocator, with huge pages for large blocks where the kernel gives them on request.
pub struct HugePages;

/// A column of `count` zero values for threads to fill: on huge pages, which are made when they are first touched.
pub fn zeroed_column<T: Clone + Default>(count: usize) -> Vec<T> {
    let mut column = vec![T::default(); count];
    advise(column.as_mut_ptr().cast(), std::mem::size_of_val(column.as_slice()));
    column
}

/// Asks for huge pages inside a large block; a kernel that has none says so, and nothing is lost.
fn advise(block: *mut u8, size: usize) {
    if block.is_null() || size < LARGE {
        return;
    }
    let skipped = block.align_offset(HUGE_PAGE);
    let whole = size.saturating_sub(skipped) / HUGE_PAGE * HUGE_PAGE;
    let start = block.wrapping_add(skipped);
    #[expect(unsafe_code, reason = "madvise takes a raw address")]
    // SAFETY: the range lies inside the block just allocated; MADV_HUGEPAGE changes no contents.
    unsafe {
        nix::libc::madvise(start.cast(), whole, nix::libc::MADV_HUGEPAGE);
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its interface")]
// SAFETY: every call is the system allocator's own, with the caller's layout.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the system's.
        let block = unsafe { System.alloc(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Zeroed blocks are sparse tables, of which most is never touched: huge pages would fill them.
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let block = unsafe { System.realloc(block, layout, size) };
        advise(block, size);
        block
    }
}
