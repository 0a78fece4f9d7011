//! The interpreter's own copies of its arguments: wide characters in blocks of `malloc`, those that it has freed
//! among them (`PyConfig.argv`, `PyConfig.orig_argv`, `_PyRuntime.orig_argv`, Python/initconfig.c).

use crate::address::Address;
use crate::address::AddressRange;
use crate::inspection::Inspection;
use crate::target::Image;
use crate::target::Memory;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Bytes of a `wchar_t`.
const WIDE: usize = 4;
/// Alignment of `malloc`, and what it overwrites of a block that was freed. Unit: bytes.
const STEP: usize = 16;
/// Characters in one step: shorter arguments are options and numbers.
const HEAD: usize = STEP / WIDE;

/// What an argument looks like from some character on, its terminator included.
type Tails = FxHashMap<[u8; STEP], Vec<Vec<u8>>>;

/// Where arguments after the first are. Cost: one pass over all that was copied.
pub(super) fn copies(inspection: &Inspection) -> Vec<AddressRange> {
    let tails = tails(inspection.capture.description.command.iter().skip(1));
    if tails.is_empty() {
        return Vec::new();
    }
    let image = &inspection.capture.image;
    let pages: Vec<_> = image.pages().collect();
    let found = pages.par_iter().flat_map_iter(|&(start, page)| {
        let steps = image.page_bytes(page).as_chunks::<STEP>().0.iter().enumerate();
        let heads = steps.filter_map(|(index, step)| {
            let tails = tails.get(step).filter(|_| is_text(step))?;
            found_at(image, start.plus((index * STEP) as u64), tails)
        });
        heads.collect::<Vec<_>>()
    });
    found.collect()
}

/// Four characters: most of memory is told apart without a look at the table.
fn is_text(step: &[u8; STEP]) -> bool {
    step.as_chunks::<WIDE>().0.iter().all(|letter| letter[3] == 0 && *letter != [0; WIDE])
}

fn found_at(image: &Image, at: Address, tails: &[Vec<u8>]) -> Option<AddressRange> {
    let is_there = |tail: &&Vec<u8>| {
        let mut bytes = vec![0; tail.len()];
        image.read_into(at, &mut bytes).is_ok() && bytes == **tail
    };
    // The terminator may stay.
    let length = tails.iter().find(is_there)?.len() - WIDE;
    Some(AddressRange::new(at, at.plus(length as u64)))
}

/// Of each argument all of it, and what is left when the beginning of its block was overwritten.
fn tails<'a>(arguments: impl Iterator<Item = &'a String>) -> Tails {
    let mut tails = Tails::default();
    for argument in arguments {
        let wide: Vec<u8> =
            argument.chars().chain(['\0']).flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
        for tail in [0, HEAD].into_iter().filter_map(|skipped| wide.get(skipped * WIDE..)) {
            // The terminator is none of the four.
            if let Some(head) = tail.first_chunk::<STEP>().filter(|_| tail.len() > STEP) {
                tails.entry(*head).or_default().push(tail.to_vec());
            }
        }
    }
    tails
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    #[test]
    fn whole_and_half_overwritten_copies_are_found() {
        let argument = "token=secret".to_owned();
        let tails = tails([&argument, &"-x".to_owned()].into_iter());
        let wide: Vec<u8> = argument.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
        let mut bytes = vec![0; 4096];
        bytes[160..208].copy_from_slice(&wide);
        bytes[1024 + 16..1024 + 48].copy_from_slice(&wide[16..]);
        let range = AddressRange::new(Address::new(0x10000), Address::new(0x11000));
        let image = Image::new(Backing::Owned(bytes.clone()), &[Segment { range, local: 0 }], Vec::new());
        let steps = bytes.as_chunks::<STEP>().0.iter().enumerate().filter(|(_, step)| is_text(step));
        let found: Vec<_> = steps
            .filter_map(|(index, step)| {
                found_at(&image, range.start.plus((index * STEP) as u64), tails.get(step)?)
            })
            .map(|range| (range.start.get() - 0x10000, range.length()))
            .collect();
        assert_eq!(found, [(160, 48), (176, 32), (1040, 32)]);
    }
}
