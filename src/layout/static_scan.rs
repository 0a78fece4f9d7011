//! Variables of 3.6 that neither a name nor code leads to, found by what they must look like: see
//! [`crate::layout::static_runtime`].

use crate::address::Address;
use crate::address::AddressRange;
use crate::binary::interpreter_image::read_what_is_there;
use crate::layout::static_runtime::Generations;
use crate::layout::static_runtime::Offsets;
use crate::target::Memory;

/// Bytes of variables that are read at a time; a multiple of a page.
const STEP: u64 = 64 << 10;
/// Variables of an interpreter are a few megabytes; a damaged file may claim any number of ranges. Unit: bytes.
const MOST_BYTES: u64 = 1 << 28;
/// Longer lists of interpreters are loops.
const MOST_INTERPRETERS: usize = 10_000;
/// `interp_head` and `autoInterpreterState` (Python/pystate.c), and copies of programs.
const MOST_CANDIDATES: usize = 64;

/// `interp_head`: of the variables that point to an interpreter the one from which most interpreters follow, since
/// the newest is first.
pub(super) fn interpreters(
    memory: &dyn Memory,
    ranges: &[AddressRange],
    offsets: Offsets,
) -> Option<Address> {
    let mut candidates: Vec<(Address, Address)> = Vec::new();
    for_each_word(memory, ranges, |place, word| {
        let interpreter = Address::new(word);
        if offsets.is_interpreter(memory, interpreter) {
            candidates.push((place, interpreter));
        }
        candidates.len() < MOST_CANDIDATES
    });
    let following = |first: Address| {
        let next = |at: &Address| memory.read_address(at.plus(offsets.next)).ok();
        let list = std::iter::successors(Some(first), next);
        list.take_while(|&at| offsets.is_interpreter(memory, at)).take(MOST_INTERPRETERS).count()
    };
    // Of equal ones the first: `max_by_key` takes the last.
    candidates.into_iter().rev().max_by_key(|&(_, first)| following(first)).map(|(place, _)| place)
}

/// `generations`: three heads in a row, each in a ring.
pub(super) fn generations(memory: &dyn Memory, ranges: &[AddressRange]) -> Option<Generations> {
    let mut found = None;
    for_each_word(memory, ranges, |place, word| {
        if word % 8 == 0 {
            found = Generations::at(memory, place);
        }
        found.is_none()
    });
    found
}

/// Calls `visit` with the place and the value of every aligned word that is not zero, until it says false.
fn for_each_word(memory: &dyn Memory, ranges: &[AddressRange], mut visit: impl FnMut(Address, u64) -> bool) {
    let mut buffer = vec![0; STEP as usize];
    let mut budget = MOST_BYTES;
    for range in ranges {
        let Some(mut at) = range.start.get().checked_next_multiple_of(8).map(Address::new) else { continue };
        while let Some(left) = at.distance_to(range.end).filter(|&left| left >= 8 && budget > 0) {
            let piece = &mut buffer[..left.min(STEP) as usize / 8 * 8];
            budget = budget.saturating_sub(STEP);
            piece.fill(0);
            // Page by page where not all of it is there.
            read_what_is_there(memory, at, piece);
            for (index, word) in (0_u64..).zip(piece.chunks_exact(8)) {
                let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
                if word != 0 && !visit(at.plus(8 * index), word) {
                    return;
                }
            }
            at = at.plus(piece.len() as u64);
        }
    }
}
