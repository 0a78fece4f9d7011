//! The first bytes of an ELF file, wherever they are: program headers and build id.

use crate::target::core::headers::HEADER;
use crate::target::core::headers::PROGRAM_HEADER;
use crate::target::core::notes::word32;
use crate::target::core::notes::word64;

/// No file that is loaded has more program headers.
const MOST_HEADERS: usize = 128;
/// Notes of a program are a few dozen bytes.
const LARGEST_NOTES: u64 = 64 << 10;
/// `NT_GNU_BUILD_ID`.
const BUILD_ID: u32 = 3;

/// `PT_LOAD`, `PT_DYNAMIC` and `PT_NOTE` (`elf.h`).
pub(super) const LOAD: u32 = 1;
pub(super) const DYNAMIC: u32 = 2;
const NOTE: u32 = 4;

/// A program header of a loaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoadedSegment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
}

/// Reads bytes of an ELF file by their offset; false where there are none.
pub(super) type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> bool + 'a;

/// The program headers of a 64-bit ELF file; none if it is not one, or if they are not there.
pub(super) fn segments(read: &ReadAt<'_>) -> Option<Vec<LoadedSegment>> {
    let mut header = [0; HEADER];
    if !read(0, &mut header) || !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let count = usize::from(u16::from_le_bytes([header[56], header[57]])).min(MOST_HEADERS);
    let mut table = vec![0; count * PROGRAM_HEADER];
    if !read(word64(&header, 32)?, &mut table) {
        return None;
    }
    let segment = |row: &[u8]| {
        Some(LoadedSegment {
            kind: word32(row, 0)?,
            flags: word32(row, 4)?,
            offset: word64(row, 8)?,
            address: word64(row, 16)?,
            file_size: word64(row, 32)?,
            memory_size: word64(row, 40)?,
        })
    };
    table.chunks_exact(PROGRAM_HEADER).map(segment).collect()
}

/// The build id of a file, if its notes are there.
pub(super) fn build_id(read: &ReadAt<'_>) -> Option<Vec<u8>> {
    let segments = segments(read)?;
    segments.iter().filter(|segment| segment.kind == NOTE).find_map(|segment| {
        let mut notes = vec![0; segment.file_size.min(LARGEST_NOTES) as usize];
        if !read(segment.offset, &mut notes) {
            return None;
        }
        find_build_id(&notes)
    })
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn find_build_id(notes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = notes;
    loop {
        let (name_length, length) = (word32(rest, 0)? as usize, word32(rest, 4)? as usize);
        let start = 12_usize.checked_add(name_length)?.checked_next_multiple_of(4)?;
        let end = start.checked_add(length)?;
        if word32(rest, 8)? == BUILD_ID && rest.get(12..16)? == b"GNU\0" && length > 0 {
            return Some(rest.get(start..end)?.to_vec());
        }
        rest = rest.get(end.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_system_library_has_segments_and_a_build_id() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path =
            maps.lines().find_map(|line| line.split(' ').next_back().filter(|name| name.contains("libc.so")));
        let file = File::open(path.unwrap()).unwrap();
        let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset).is_ok();
        assert!(
            segments(&read).unwrap().iter().any(|segment| segment.kind == LOAD && segment.flags & 2 != 0)
        );
        assert!(build_id(&read).unwrap().len() >= 8);
    }

    #[test]
    fn what_is_not_there_is_no_file() {
        assert_eq!(segments(&|_, _| false), None);
        let bytes = *b"\x7fELF\x02\x01";
        let read = |offset: u64, buffer: &mut [u8]| {
            buffer.fill(0xff);
            buffer[..6].copy_from_slice(&bytes);
            offset == 0
        };
        assert_eq!(build_id(&read), None);
        assert_eq!(find_build_id(&[0xff; 40]), None);
        assert_eq!(find_build_id(&[]), None);
    }
}
