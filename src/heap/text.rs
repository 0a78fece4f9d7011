//! The header of a `str`: how many characters of which width, and where.

use crate::address::Address;
use crate::heap::space::Space;

/// What a `str` says about its characters.
#[derive(Clone, Copy, Debug)]
pub struct TextHeader {
    /// Number of characters.
    pub length: u64,
    /// Bytes a character: 1, 2 or 4.
    pub kind: u64,
    /// Whether all characters are ASCII.
    pub is_ascii: bool,
    /// Whether the characters follow the header.
    pub is_compact: bool,
    /// Where they start in a compact one, in bytes.
    pub data_offset: u64,
}

/// The word at `offset`; the bytes behind the end of the object are zero.
#[inline]
fn unit(object: &[u8], offset: u64) -> Option<u64> {
    let piece = object.get(usize::try_from(offset).ok()?..)?;
    if let Some(word) = piece.first_chunk::<8>() {
        return Some(u64::from_le_bytes(*word));
    }
    let mut bytes = [0; 8];
    bytes[..piece.len()].copy_from_slice(piece);
    Some(u64::from_le_bytes(bytes))
}

impl Space<'_> {
    /// Reads the header from the bytes of a `str`; `None` if it says what no `str` can.
    /// `Include/cpython/unicodeobject.h`: `PyASCIIObject.state`.
    pub fn text_header_in(&self, object: &[u8]) -> Option<TextHeader> {
        let layout = &self.layouts.ascii_string;
        let length = unit(object, layout.length)?;
        let kind = layout.kind.of(unit(object, layout.kind.offset)?);
        let is_compact = layout.compact.of(unit(object, layout.compact.offset)?) != 0;
        let is_ascii = layout.ascii.of(unit(object, layout.ascii.offset)?) != 0;
        let known = matches!(kind, 1 | 2 | 4) || (kind == 0 && !is_compact);
        if !known || length > u64::MAX / 8 || (is_ascii && kind > 1) {
            return None;
        }
        let data_offset = if is_ascii { layout.sizeof } else { self.layouts.compact_string.sizeof };
        Some(TextHeader { length, kind, is_ascii, is_compact, data_offset })
    }

    /// Reads the header of the `str` at `object`.
    pub fn text_header(&self, object: Address) -> Option<TextHeader> {
        let mut bytes = [0; 96];
        let length = usize::try_from(self.layouts.ascii_string.sizeof).ok()?.min(bytes.len());
        if let Some(bytes) = self.image.bytes(object, length) {
            return self.text_header_in(bytes);
        }
        crate::target::Memory::read_into(self.image, object, &mut bytes[..length]).ok()?;
        self.text_header_in(&bytes[..length])
    }

    /// The characters of the `str` at `object`, at most `limit` of them; not checked to be one.
    pub fn read_text(&self, object: Address, limit: u64) -> Option<String> {
        let header = self.text_header(object)?;
        let start = if header.is_compact {
            object.plus(header.data_offset)
        } else {
            self.image.pointer(object.plus(self.layouts.legacy_string.data))?
        };
        let count = header.length.min(limit);
        let mut bytes = vec![0; usize::try_from(count.checked_mul(header.kind)?).ok()?];
        crate::target::Memory::read_into(self.image, start, &mut bytes).ok()?;
        let characters = bytes.chunks_exact(usize::try_from(header.kind).ok()?.max(1)).map(|unit| {
            let code = unit.iter().rev().fold(0_u32, |code, &byte| code << 8 | u32::from(byte));
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        });
        Some(characters.collect())
    }
}
