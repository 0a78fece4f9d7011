//! Marks on objects while their number is still growing, set by several threads.
//!
//! A byte each: it is written without a lock, and no thread can undo what another one marks.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

/// Objects in a block of those whose number was not known at first.
const BLOCK: usize = 1 << 16;
/// Ids are 32 bits.
const BLOCKS: usize = 1 << 16;

type Block = Box<[AtomicU8]>;

fn block(count: usize) -> Block {
    std::iter::repeat_with(AtomicU8::default).take(count).collect()
}

/// A mark for each object, by id.
pub struct Marks {
    /// Those of the objects that were known at first.
    first: Block,
    /// Those of all others, a block when the first of its objects is marked.
    others: Vec<OnceLock<Block>>,
}

impl Marks {
    /// No mark on any object; `known` of them are numbered already.
    pub fn new(known: usize) -> Self {
        Self { first: block(known), others: std::iter::repeat_with(OnceLock::new).take(BLOCKS).collect() }
    }

    /// Marks an object; whether it was new. Two threads that mark one at the same time may both be told so.
    /// Nothing but the mark is shared, so the order is relaxed.
    #[inline]
    pub fn set(&self, id: u32) -> bool {
        let mark = match self.first.get(id as usize) {
            Some(mark) => mark,
            None => match self.other(id) {
                Some(mark) => mark,
                None => return false,
            },
        };
        let is_new = mark.load(Ordering::Relaxed) == 0;
        if is_new {
            mark.store(1, Ordering::Relaxed);
        }
        is_new
    }

    /// Whether an object is marked.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        let mark = self.first.get(id as usize).or_else(|| {
            let index = id as usize - self.first.len();
            self.others.get(index / BLOCK)?.get()?.get(index % BLOCK)
        });
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) != 0)
    }

    #[inline]
    fn other(&self, id: u32) -> Option<&AtomicU8> {
        let index = id as usize - self.first.len();
        self.others.get(index / BLOCK)?.get_or_init(|| block(BLOCK)).get(index % BLOCK)
    }

    /// Zero or one for each of the objects that were known at first.
    pub fn of_known(&mut self) -> impl Iterator<Item = u8> {
        self.first.iter_mut().map(|mark| *mark.get_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_marked_whether_or_not_they_were_known() {
        let mut marks = Marks::new(100);
        let ids = [0, 99, 100, 99 + BLOCK as u32, 100 + BLOCK as u32, u32::MAX];
        for id in ids {
            assert!(!marks.contains(id));
            assert!(marks.set(id), "{id} is new");
            assert!(!marks.set(id), "{id} is not new");
            assert!(marks.contains(id));
        }
        assert!(!marks.contains(101) && !marks.contains(50));
        assert_eq!(marks.of_known().map(usize::from).sum::<usize>(), 2);
    }
}
