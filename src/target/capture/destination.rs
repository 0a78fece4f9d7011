//! Where the copy goes: one anonymous mapping, its pages made before the stop.

use crate::target::TargetError;
use crate::target::image::Backing;
use memmap2::Advice;
use memmap2::MmapMut;
use memmap2::MmapOptions;
use std::io;

/// Bytes made at a time, so that a signal is noticed in between.
const STEP: usize = 32 << 20;
/// What the kernel clears at once. Unit: bytes.
const HUGE_PAGE: usize = 2 << 20;

/// Room for the copy. Reserving costs nothing; a page costs memory once it is made.
pub(super) struct Destination {
    map: MmapMut,
    made: usize,
}

impl Destination {
    /// Reserves room for `capacity` bytes.
    pub(super) fn reserve(capacity: u64) -> Result<Self, TargetError> {
        let length = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        let map = MmapOptions::new().len(length).no_reserve_swap().map_anon().map_err(|source| {
            TargetError::System { action: format!("reserve {length} bytes for the copy"), source }
        })?;
        // Without large pages it is only slower.
        let _ = map.advise(Advice::HugePage);
        Ok(Self { map, made: 0 })
    }

    /// Bytes of room.
    pub(super) fn capacity(&self) -> u64 {
        self.map.len() as u64
    }

    /// Makes the pages up to `wanted`, so that copying will not have to; `between` is called
    /// every now and then with the bytes made so far and may end it.
    pub(super) fn make(
        &mut self,
        wanted: u64,
        between: &mut dyn FnMut(u64) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.map.len());
        while self.made < wanted {
            between(self.made as u64)?;
            let step = STEP.min(wanted - self.made);
            match self.populate(self.made, step) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Older than Linux 5.14.
                Err(_) => {
                    for byte in self.map[self.made..self.made + step].iter_mut().step_by(4096) {
                        *byte = 0;
                    }
                }
            }
            self.made += step;
        }
        Ok(())
    }

    /// Has the kernel make pages: clearing them takes longer than the copy, so two threads share it.
    fn populate(&self, start: usize, length: usize) -> io::Result<()> {
        let half = length / 2 / HUGE_PAGE * HUGE_PAGE;
        if half == 0 {
            return self.map.advise_range(Advice::PopulateWrite, start, length);
        }
        let (ours, theirs) = std::thread::scope(|scope| {
            let other = scope.spawn(|| self.map.advise_range(Advice::PopulateWrite, start, half));
            let ours = self.map.advise_range(Advice::PopulateWrite, start + half, length - half);
            (ours, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        ours.and(theirs)
    }

    /// All the room.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// Gives back what was not needed.
    pub(super) fn into_backing(mut self, used: u64) -> Backing {
        let used = usize::try_from(used).unwrap_or(usize::MAX).min(self.map.len());
        if used == 0 {
            return Backing::Owned(Vec::new());
        }
        #[expect(unsafe_code, reason = "memmap2 calls every remap unsafe")]
        // SAFETY: an anonymous mapping is made shorter in place; nothing borrows it here.
        let shortened = unsafe { self.map.remap(used, memmap2::RemapOptions::new()) };
        // If the kernel will not, the tail stays reserved, and unused.
        drop(shortened);
        Backing::Anonymous(self.map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_and_given_back() {
        let mut destination = Destination::reserve(1 << 30).unwrap();
        let mut calls = 0;
        let count = &mut |_| {
            calls += 1;
            Ok(())
        };
        destination.make(65 << 20, count).unwrap();
        destination.bytes()[0] = 7;
        assert_eq!(calls, 3);
        assert_eq!(destination.capacity(), 1 << 30);
        let backing = destination.into_backing(12288);
        assert_eq!(backing.length(), 12288);
        assert_eq!(backing.present()[0], 7);
    }

    #[test]
    fn nothing_needs_no_mapping() {
        assert_eq!(Destination::reserve(0).unwrap().into_backing(0).length(), 0);
    }
}
