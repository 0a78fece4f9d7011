//! Which variables the code of a function reads: x86-64's loads and comparisons of variables at a distance from
//! the instruction.
//!
//! Nothing is decoded from the start on, so that bytes inside another instruction may look like one: whoever
//! asks checks what is found.

/// Bytes before the address of the next instruction count from which a distance is taken.
const DISTANCE: usize = 4;

/// The addresses, in the order of the code, that 32-bit and 64-bit loads and comparisons with a small constant
/// name. `address` is that of the first byte of `code`.
pub fn variables_read(code: &[u8], address: u64) -> Vec<u64> {
    (0..code.len()).filter_map(|at| variable_read(code.get(at..)?, address.wrapping_add(at as u64))).collect()
}

fn variable_read(code: &[u8], address: u64) -> Option<u64> {
    // mov r64, [rip + n]; mov r32, [rip + n]; cmp dword [rip + n], imm8.
    let (before, after) = match code {
        [0x48 | 0x4c, 0x8b, mode, ..] if is_relative(*mode) => (3, 0),
        [0x8b, mode, ..] if is_relative(*mode) => (2, 0),
        [0x83, 0x3d, ..] => (2, 1),
        _ => return None,
    };
    let distance = i32::from_le_bytes(*code.get(before..)?.first_chunk()?);
    let next = address.wrapping_add((before + DISTANCE + after) as u64);
    Some(next.wrapping_add_signed(i64::from(distance)))
}

/// Mode 00 with register 101: the operand is at a distance from the next instruction.
const fn is_relative(mode: u8) -> bool {
    mode & 0xc7 == 0x05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_and_comparisons_name_their_variables() {
        // endbr64; mov rax, [rip + 0x10]; ret
        let load = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b, 0x05, 0x10, 0, 0, 0, 0xc3];
        // Seen once more, as a load of 32 bits, from its second byte on: the same variable.
        assert_eq!(variables_read(&load, 0x1000), [0x101b, 0x101b]);
        // push rbp; mov ebp, [rip - 0x20]; test ebp, ebp
        let narrow = [0x55, 0x8b, 0x2d, 0xe0, 0xff, 0xff, 0xff, 0x85, 0xed];
        assert_eq!(variables_read(&narrow, 0x1000), [0xfe7]);
        // cmp dword [rip + 1], 0
        assert_eq!(variables_read(&[0x83, 0x3d, 1, 0, 0, 0, 0], 0x1000), [0x1008]);
    }

    #[test]
    fn code_that_ends_early_names_none() {
        for length in 0..=5 {
            assert!(variables_read(&[0x83, 0x3d, 1, 0, 0, 0, 0][..length], 0).is_empty());
        }
        // A load of a word of the thread: mov rax, fs:[0x28].
        assert!(variables_read(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0], 0).is_empty());
        assert_eq!(
            variables_read(&[0x48, 0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f], u64::MAX),
            [0x8000_0005, 0x8000_0005]
        );
    }
}
