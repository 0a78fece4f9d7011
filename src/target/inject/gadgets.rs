//! Instructions of the target that an injected system call runs on: nothing is written into its code.

use crate::address::Address;
use crate::target::Mapping;
use crate::target::Memory;
use crate::target::RemoteMemory;

/// `syscall; ret`.
const CALL: &[u8] = b"\x0f\x05\xc3";
/// `mov $15, %rax; syscall`: how every C library for x86-64 returns from a signal handler
/// (`__restore_rt` of glibc and musl).
const RETURN: &[u8] = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05";
/// Larger text is not searched: both are in the C library.
const LARGEST: u64 = 64 << 20;
const PIECE: u64 = 1 << 20;

/// Where the two are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gadgets {
    /// A system call, and a return to the address on the stack.
    pub(super) call: u64,
    /// A return from a signal handler, with the frame on the stack.
    pub(super) restore: u64,
}

impl Gadgets {
    /// Looks through the executable files of a running process. Cost: a few milliseconds.
    pub(super) fn find(memory: &RemoteMemory, mappings: &[Mapping]) -> Option<Self> {
        let is_text = |mapping: &&Mapping| {
            mapping.executable && mapping.readable && !mapping.writable && mapping.is_file()
        };
        let mut text: Vec<&Mapping> = mappings.iter().filter(is_text).collect();
        // The C library first.
        text.sort_by_key(|mapping| !(mapping.name.contains("libc") || mapping.name.contains("ld-")));
        let (mut call, mut restore) = (None, None);
        for mapping in text.iter().filter(|mapping| mapping.range.length() <= LARGEST) {
            let mut start = mapping.range.start;
            while start < mapping.range.end && (call.is_none() || restore.is_none()) {
                // Pieces overlap, so that nothing lies across two of them.
                let end = start.plus(PIECE + RETURN.len() as u64).min(mapping.range.end);
                let mut bytes = vec![0; usize::try_from(start.distance_to(end)?).ok()?];
                if memory.read_into(start, &mut bytes).is_ok() {
                    call = call.or_else(|| position(&bytes, CALL, start));
                    restore = restore.or_else(|| position(&bytes, RETURN, start));
                }
                start = start.plus(PIECE);
            }
        }
        Some(Self { call: call?, restore: restore? })
    }
}

fn position(bytes: &[u8], wanted: &[u8], start: Address) -> Option<u64> {
    let index = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    Some(start.plus(index as u64).get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_c_library_has_both() {
        let pid = std::process::id().cast_signed();
        let mappings = crate::target::proc_maps::read_mappings(pid).unwrap();
        let memory = RemoteMemory::new(pid);
        let gadgets = Gadgets::find(&memory, &mappings).unwrap();
        let mut bytes = [0; 9];
        memory.read_into(Address::new(gadgets.call), &mut bytes[..3]).unwrap();
        assert_eq!(&bytes[..3], CALL);
        memory.read_into(Address::new(gadgets.restore), &mut bytes).unwrap();
        assert_eq!(bytes, RETURN);
        assert_eq!(Gadgets::find(&memory, &[]), None);
    }
}
