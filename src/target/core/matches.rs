//! Repetitions in memory, for the compressor of saved cores: one hash table of the places where six bytes were
//! last seen, and longer steps where nothing repeats.

use ruzstd::encoding::CompressionLevel;
use ruzstd::encoding::Matcher;
use ruzstd::encoding::Sequence;
use std::cell::Cell;

/// Bytes of a block of zstd at most.
const BLOCK: usize = 128 << 10;
/// Bytes that a repetition has at least, and that are looked up.
const SHORTEST: usize = 6;
/// Bytes that are read at a time.
const WORD: usize = 8;
/// How far back a repetition may be. Readers keep so much of a frame to themselves, and of a file that was cut it is
/// lost: not more than a little.
const WINDOW: usize = 256 << 10;
/// Places that are remembered: 2 to this.
const TABLE_BITS: u32 = 16;
/// Steps are one byte longer for every so many bytes (2 to this) without a repetition.
const PATIENCE: u32 = 6;

/// The part of a frame that was seen, and where its words are.
pub(super) struct Matches<'a> {
    /// Whether the last block was not compressed.
    is_raw: &'a Cell<bool>,
    /// The frame up to here.
    seen: Vec<u8>,
    /// Where the last block begins in it.
    block: usize,
    /// By hash: one more than the place where it was seen last.
    places: Vec<u32>,
    spare: Vec<u8>,
}

impl<'a> Matches<'a> {
    /// For frames of about so many bytes. `is_raw` is set when a block is not worth compressing.
    pub(super) fn new(length: usize, is_raw: &'a Cell<bool>) -> Self {
        let places = vec![0; 1 << TABLE_BITS];
        Self { is_raw, seen: Vec::with_capacity(length), block: 0, places, spare: Vec::new() }
    }

    fn word(&self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.seen.get(at..)?.first_chunk::<WORD>()?))
    }

    /// Notes a place; gives the one where the same was seen before, if it is the same.
    fn look_up(&mut self, at: usize, word: u64) -> Option<usize> {
        let start = word << (8 * (WORD - SHORTEST));
        let hash = start.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE_BITS);
        let place = self.places.get_mut(hash as usize)?;
        let before = std::mem::replace(place, u32::try_from(at + 1).ok()?).checked_sub(1)? as usize;
        let found = self.word(before)?;
        (at - before <= WINDOW && found << (8 * (WORD - SHORTEST)) == start).then_some(before)
    }

    /// How many bytes are the same from two places on.
    fn common(&self, before: usize, at: usize) -> usize {
        let mut length = 0;
        while let (Some(left), Some(right)) = (self.word(before + length), self.word(at + length)) {
            if left != right {
                return length + ((left ^ right).trailing_zeros() / 8) as usize;
            }
            length += WORD;
        }
        let rest = self.seen[before + length..].iter().zip(&self.seen[at + length..]);
        length + rest.take_while(|(left, right)| left == right).count()
    }
}

impl Matcher for Matches<'_> {
    fn get_next_space(&mut self) -> Vec<u8> {
        let mut space = std::mem::take(&mut self.spare);
        space.resize(BLOCK, 0);
        space
    }

    /// Asked for only to write the block as it is.
    fn get_last_space(&mut self) -> &[u8] {
        self.is_raw.set(true);
        &self.seen[self.block..]
    }

    fn commit_space(&mut self, space: Vec<u8>) {
        self.block = self.seen.len();
        self.seen.extend_from_slice(&space);
        self.spare = space;
    }

    /// What is not matched has nothing that is worth finding again.
    fn skip_matching(&mut self) {}

    fn start_matching(&mut self, mut handle_sequence: impl for<'a> FnMut(Sequence<'a>)) {
        // ruzstd 0.9 panics when no repetition of a block has letters before it: a block begins with one.
        let first = self.block + 1;
        let (mut literals, mut at) = (self.block, first);
        while let Some(word) = self.word(at) {
            let Some(before) = self.look_up(at, word) else {
                at += 1 + ((at - literals) >> PATIENCE);
                continue;
            };
            let common = self.common(before, at);
            let back = self.seen[literals.max(first)..at].iter().rev().zip(self.seen[..before].iter().rev());
            let back = back.take_while(|(left, right)| left == right).count();
            let start = at - back;
            handle_sequence(Sequence::Triple {
                literals: &self.seen[literals..start],
                offset: at - before,
                match_len: back + common,
            });
            at += common;
            literals = at;
            // The end of a repetition is often the beginning of another.
            if let Some(word) = self.word(at - 2) {
                let _ = self.look_up(at - 2, word);
            }
        }
        if literals < self.seen.len() {
            handle_sequence(Sequence::Literals { literals: &self.seen[literals..] });
        }
    }

    fn reset(&mut self, _: CompressionLevel) {
        self.seen.clear();
        self.block = 0;
        self.places.fill(0);
    }

    fn window_size(&self) -> u64 {
        WINDOW as u64
    }
}
