//! Files with holes: zeros are not written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are a hole if all of them are zero.
const HOLE: usize = 4096;
static ZEROS: [u8; HOLE] = [0; HOLE];

/// Writes bytes to a file that has nothing there, leaving out blocks of zeros.
pub(super) fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    let is_zero = |piece: &[u8]| *piece == ZEROS[..piece.len()];
    let piece = |from: usize| &bytes[from..bytes.len().min(from + HOLE)];
    let mut start = 0;
    while start < bytes.len() {
        let mut end = start;
        while end < bytes.len() && !is_zero(piece(end)) {
            end += piece(end).len();
        }
        file.write_all_at(&bytes[start..end], at + start as u64)?;
        while end < bytes.len() && is_zero(piece(end)) {
            end += piece(end).len();
        }
        start = end;
    }
    Ok(())
}
