//! A bound on the work that a heap can ask for.
//!
//! In a sound heap nearly every word of memory belongs to one object and is read a few times. A damaged
//! one may claim the same long array for every object, or link blocks in a ring; then the time and
//! memory that we need must still be a multiple of what was captured.

use crate::target::Image;
use crate::target::image::PAGE;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// So often every captured word may be read as part of something long.
const READS_OF_A_WORD: u64 = 4;
/// Words that are granted however little was captured.
const BASE_WORDS: u64 = 1 << 22;
/// Anything of at most so many words is free: there are no more such parts than there are objects.
pub const FREE_WORDS: u64 = 64;

/// Words that may still be read, shared by all threads. What is cut off once it is used up depends on the
/// order of the threads; until then nothing does.
#[derive(Debug)]
pub struct Work {
    limit: u64,
    spent: AtomicU64,
    was_exhausted: AtomicBool,
}

impl Work {
    /// What an image of this size grants.
    pub fn of(image: &Image) -> Self {
        let words = image.page_count() as u64 * (PAGE / 8);
        let limit = words.saturating_mul(READS_OF_A_WORD).saturating_add(BASE_WORDS);
        Self { limit, spent: AtomicU64::new(0), was_exhausted: AtomicBool::new(false) }
    }

    /// Takes `words` of what is left; whether anything was.
    #[inline]
    pub fn take(&self, words: u64) -> bool {
        // Several threads may be granted the last words at once: a few more than the limit, at most.
        let may = self.spent.load(Ordering::Relaxed) < self.limit;
        if may {
            self.spent.fetch_add(words.min(self.limit), Ordering::Relaxed);
        }
        may
    }

    /// Takes what a part of `words` words costs.
    #[inline]
    pub fn take_long(&self, words: u64) -> bool {
        words <= FREE_WORDS || self.take(words)
    }

    /// Whether something was cut off.
    pub fn is_exhausted(&self) -> bool {
        self.was_exhausted.load(Ordering::Relaxed) || self.spent.load(Ordering::Relaxed) >= self.limit
    }

    /// Grants as much again, for another pass: so that names are found in spite of a heap that used all up.
    pub fn renew(&self) {
        self.was_exhausted.store(self.is_exhausted(), Ordering::Relaxed);
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Words taken so far.
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Words granted in all.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}
