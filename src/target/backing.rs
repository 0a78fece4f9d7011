//! The local bytes behind an image, and where they are.

use crate::target::on_demand::OnDemand;
use crate::target::prefetch::prefetch;

/// The local bytes behind an image.
pub enum Backing {
    /// Memory of our own.
    Owned(Vec<u8>),
    /// An anonymous mapping, as the live capture fills it.
    Anonymous(memmap2::MmapMut),
    /// A mapped core file.
    File(memmap2::Mmap),
    /// A process that stands still, read where somebody looks.
    OnDemand(Box<OnDemand>),
}

impl Backing {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        match self {
            Self::OnDemand(memory) => memory.length(),
            Self::Owned(_) | Self::Anonymous(_) | Self::File(_) => self.present().len(),
        }
    }

    /// The bytes that are there without asking anybody: all or none.
    pub(super) fn present(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Anonymous(map) => map,
            Self::File(map) => map,
            Self::OnDemand(_) => &[],
        }
    }
}

/// A backing whose place was looked up once: a read of one of 10^8 words is a comparison and a load, whatever
/// keeps the bytes.
pub(super) struct Located {
    /// `backing.present()`.
    start: *const u8,
    length: usize,
    /// Never changed: what `start` points to belongs to it.
    backing: Backing,
}

// `start` and `length` are a shared slice of what `backing` owns, which itself may be sent and shared.
#[expect(unsafe_code, reason = "a pointer into memory of our own is neither Send nor Sync by itself")]
// SAFETY: a `Vec`, a mapping and `OnDemand` may be sent, and the bytes do not move when they are.
unsafe impl Send for Located {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: the bytes are only read.
unsafe impl Sync for Located {}

impl Located {
    pub(super) fn new(backing: Backing) -> Self {
        let present = backing.present();
        Self { start: present.as_ptr(), length: present.len(), backing }
    }

    pub(super) fn backing(&self) -> &Backing {
        &self.backing
    }

    /// `length` bytes from `start` on, if they are all there.
    #[inline]
    pub(super) fn bytes(&self, start: usize, length: usize) -> Option<&[u8]> {
        let end = start.checked_add(length)?;
        if end > self.length {
            return self.ask(start, length);
        }
        #[expect(unsafe_code, reason = "the slice of a field cannot be kept beside it")]
        // SAFETY: the range lies inside `backing.present()`, whose bytes stay where they are as long as `backing`
        // lives, which is as long as the result borrows; nobody writes to them, as `backing` is never changed.
        Some(unsafe { std::slice::from_raw_parts(self.start.add(start), length) })
    }

    /// Tells the processor that the bytes at a place will be wanted soon. Nothing is read from a process.
    #[inline]
    pub(super) fn prefetch(&self, at: usize) {
        if at < self.length
            && let Some(byte) = self.bytes(at, 1).and_then(<[u8]>::first)
        {
            prefetch(byte);
        }
    }

    /// What is not there: beyond the end, or in a process.
    #[cold]
    fn ask(&self, start: usize, length: usize) -> Option<&[u8]> {
        if let Backing::OnDemand(memory) = &self.backing { memory.bytes(start, length) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_are_kept() {
        let mut map = memmap2::MmapMut::map_anon(4096).unwrap();
        map[..3].copy_from_slice(b"abc");
        for backing in [Backing::Owned(b"abc".to_vec()), Backing::Anonymous(map)] {
            let length = backing.length();
            // Moved, as an image is.
            let located = Box::new(Located::new(backing));
            assert_eq!(located.bytes(1, 2), Some(&b"bc"[..]));
            assert_eq!(located.bytes(length, 0), Some(&[][..]));
            for (start, count) in [(length, 1), (length - 1, 2), (usize::MAX, 1), (0, usize::MAX)] {
                assert_eq!(located.bytes(start, count), None, "{start} {count}");
            }
        }
    }
}
