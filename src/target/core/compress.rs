//! Compresses with zstd.

use crate::target::core::matches::Matches;
use ruzstd::encoding::CompressionLevel;
use ruzstd::encoding::FrameCompressor;
use std::cell::Cell;
use std::io;
use std::io::Read;

/// Bytes that end where a frame has to.
struct Source<'a> {
    rest: &'a [u8],
    ends: &'a Cell<bool>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ends.get() { Ok(0) } else { self.rest.read(buffer) }
    }
}

/// The bytes in as many frames as needed, which readers take one after the other.
///
/// After a block that it writes as it is, ruzstd 0.9 may still refer to the code of that block's letters, which no
/// reader has seen: nothing refers back beyond a frame, so such a block is the last of its own.
pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let ends = Cell::new(false);
    let matches = Matches::new(bytes.len(), &ends);
    let mut compressor = FrameCompressor::new_with_matcher(matches, CompressionLevel::Fastest);
    compressor.set_drain(Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        ends.set(false);
        compressor.set_source(Source { rest, ends: &ends });
        compressor.compress();
        rest = compressor.take_source().map_or(&[], |source| source.rest);
    }
    compressor.take_drain().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::decoding::StreamingDecoder;
    use std::io::Read;

    fn unpacked(mut packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !packed.is_empty() {
            StreamingDecoder::new(&mut packed).unwrap().read_to_end(&mut bytes).unwrap();
        }
        bytes
    }

    /// Numbers without a pattern.
    fn noise(count: usize) -> impl Iterator<Item = u64> {
        let mut state = 1_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 11
        })
        .take(count)
    }

    #[test]
    fn what_was_compressed_comes_back() {
        const SIZE: usize = 600_000;
        let random: Vec<u8> = noise(SIZE).map(|number| number as u8).collect();
        let pointers: Vec<u8> =
            noise(SIZE / 8).flat_map(|number| (number % 5000 * 48).to_le_bytes()).collect();
        // Blocks of noise and of pointers in turns: the former are written as they are.
        let mixed: Vec<u8> = random
            .chunks(150_000)
            .zip(pointers.chunks(150_000))
            .flat_map(|(left, right)| [left, right].concat())
            .collect();
        let periods =
            (1..300).map(|period| random[..period].iter().copied().cycle().take(SIZE / 2).collect());
        let skewed = (1..20).map(|rarity| {
            noise(SIZE)
                .map(|number| if number % (8 * rarity) == 0 { 0 } else { (number >> 20) as u8 })
                .collect()
        });
        let inputs: [Vec<u8>; 6] = [Vec::new(), vec![1], random.clone(), pointers, mixed, vec![7; SIZE]];
        for (index, input) in inputs.into_iter().chain(periods.step_by(7)).chain(skewed).enumerate() {
            let packed = compress(&input);
            assert!(unpacked(&packed) == input, "{index}");
            assert!(packed.len() <= input.len() + input.len() / 1000 + 64, "{index}");
        }
    }

    #[test]
    fn what_repeats_is_small() {
        let pointers: Vec<u8> =
            noise(100_000).flat_map(|number| (0x7f00_0000_0000 + number % 500 * 48).to_le_bytes()).collect();
        let packed = compress(&pointers);
        assert!(packed.len() * 3 < pointers.len(), "{}", packed.len());
    }
}
