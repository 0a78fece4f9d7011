//! The notes of a core: threads, signal, file table, auxiliary vector.
//!
//! Layouts are those of Linux `include/uapi/linux/elfcore.h` (`elf_prstatus`, `elf_prpsinfo`) and
//! `fs/binfmt_elf.c` (`NT_FILE`) on x86-64. gdb writes the same.

use crate::address::Address;
use crate::address::AddressRange;
use std::ops::Range;

pub(super) const PRSTATUS: u32 = 1;
pub(super) const FPREGSET: u32 = 2;
pub(super) const PRPSINFO: u32 = 3;
pub(super) const AUXV: u32 = 6;
pub(super) const SIGINFO: u32 = 0x5349_4749;
pub(super) const FILE: u32 = 0x4649_4c45;
pub(super) const X86_XSTATE: u32 = 0x202;
/// Who wrote the standard notes.
pub(super) const CORE: &[u8] = b"CORE";
/// Who wrote the registers beyond the standard ones.
pub(super) const LINUX: &[u8] = b"LINUX";
/// Our own notes: what a core has no place for.
pub(super) const OWN: &[u8] = b"heapattach";
/// `/proc/PID/maps` at the stop.
pub(super) const OWN_MAPS: u32 = 1;
/// What was left out, in words; see [`Notes::redacted`].
pub(super) const OWN_REDACTED: u32 = 2;
/// `/proc/PID/cmdline`.
pub(super) const OWN_COMMAND: u32 = 3;
/// `/proc/PID/exe`.
pub(super) const OWN_EXECUTABLE: u32 = 4;

/// `sizeof(struct elf_prstatus)`.
pub(super) const PRSTATUS_SIZE: usize = 336;
/// Where it has the registers: a `struct user_regs_struct`.
pub(super) const REGISTERS: usize = 112;
/// `sizeof(struct user_regs_struct)`.
pub(super) const REGISTERS_SIZE: usize = 27 * 8;
/// `sizeof(struct elf_prpsinfo)`.
pub(super) const PRPSINFO_SIZE: usize = 136;
const INSTRUCTION_POINTER: usize = REGISTERS + 16 * 8;
const STACK_POINTER: usize = REGISTERS + 19 * 8;
const THREAD_POINTER: usize = REGISTERS + 21 * 8;
/// Notes of a core are some kilobytes per thread and some tens per mapped file. Unit: bytes.
const LARGEST_NOTES: usize = 1 << 30;

/// A thread of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreThread {
    /// The kernel's thread id.
    pub id: i32,
    /// The signal it was about to receive; 0 for none.
    pub signal: i32,
    /// Its instruction pointer.
    pub instruction: Address,
    /// Its stack pointer.
    pub stack: Address,
    /// The base of its own data (`fs`): the C library's `pthread_t`.
    pub thread_pointer: Address,
}

/// What killed the process, as `NT_SIGINFO` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its number.
    pub signal: i32,
    /// `si_code`: why it was sent.
    pub code: i32,
    /// `si_addr` of a fault, else the sender's process id.
    pub detail: u64,
}

/// A row of the file table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedPiece {
    /// The addresses.
    pub range: AddressRange,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Its name.
    pub name: String,
}

/// Everything that the notes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The threads; the first is the one that crashed.
    pub threads: Vec<CoreThread>,
    /// Process id.
    pub pid: Option<i32>,
    /// The program's short name.
    pub name: String,
    /// The beginning of the command line (80 bytes).
    pub arguments: String,
    /// What killed the process.
    pub signal: Option<SignalInfo>,
    /// The mapped files, sorted by address.
    pub files: Vec<MappedPiece>,
    /// The auxiliary vector: (type, value).
    pub auxiliary: Vec<(u64, u64)>,
    /// `/proc/PID/maps`, if heapattach wrote the core.
    pub maps: Option<Vec<u8>>,
    /// What was left out on purpose, if heapattach did so.
    pub redacted: Option<String>,
    /// The whole command line, if heapattach wrote the core.
    pub command: Option<Vec<u8>>,
    /// The executable's path, if heapattach wrote the core.
    pub executable: Option<String>,
    /// Notes that do not have what they should.
    pub damaged: u64,
}

impl Notes {
    /// Reads all notes at these places of the file.
    pub(super) fn read(bytes: &[u8], places: &[Range<u64>]) -> Self {
        let mut notes = Self::default();
        for place in places {
            let (start, end) = (place.start as usize, place.end as usize);
            let region = bytes.get(start..end.min(start.saturating_add(LARGEST_NOTES))).unwrap_or(&[]);
            notes.read_region(region);
        }
        notes.files.sort_by_key(|piece| piece.range.start);
        notes
    }

    /// A value of the auxiliary vector.
    pub fn auxiliary(&self, kind: u64) -> Option<u64> {
        self.auxiliary.iter().find(|entry| entry.0 == kind).map(|entry| entry.1)
    }

    fn read_region(&mut self, region: &[u8]) {
        let mut rest = region;
        while rest.len() >= 12 {
            let Some((owner, kind, description, after)) = split_note(rest) else {
                self.damaged += 1;
                return;
            };
            if self.take(owner, kind, description).is_none() {
                self.damaged += 1;
            }
            rest = after;
        }
    }

    /// `None` if the note does not have what it should.
    fn take(&mut self, owner: &[u8], kind: u32, note: &[u8]) -> Option<()> {
        match (owner, kind) {
            (CORE, PRSTATUS) => self.threads.push(thread(note)?),
            (CORE, PRPSINFO) => {
                self.pid = Some(word32(note, 24)?.cast_signed());
                // The kernel's names have 15 bytes (`TASK_COMM_LEN`); gdb fills the 16th as well.
                self.name = text(note.get(40..55)?);
                self.arguments = text(note.get(56..PRPSINFO_SIZE)?);
            }
            // The kernel writes one, after the first thread; gdb one for each thread, the first one's first.
            (CORE, SIGINFO) if self.signal.is_none() => {
                let signal = word32(note, 0)?.cast_signed();
                self.signal = Some(SignalInfo {
                    signal,
                    code: word32(note, 8)?.cast_signed(),
                    detail: word64(note, 16)?,
                });
            }
            (CORE, AUXV) if self.auxiliary.is_empty() => {
                let pairs =
                    note.chunks_exact(16).filter_map(|pair| Some((word64(pair, 0)?, word64(pair, 8)?)));
                self.auxiliary = pairs.take_while(|pair| pair.0 != 0).collect();
            }
            (CORE, FILE) => self.files.extend(file_table(note)?),
            (OWN, OWN_MAPS) => self.maps = Some(note.to_vec()),
            (OWN, OWN_REDACTED) => self.redacted = Some(text(note)),
            (OWN, OWN_COMMAND) => self.command = Some(note.to_vec()),
            (OWN, OWN_EXECUTABLE) => self.executable = Some(text(note)),
            _ => {}
        }
        Some(())
    }
}

fn thread(note: &[u8]) -> Option<CoreThread> {
    Some(CoreThread {
        id: word32(note, 32)?.cast_signed(),
        signal: i32::from(u16::from_le_bytes(note.get(12..14)?.try_into().ok()?)),
        instruction: Address::new(word64(note, INSTRUCTION_POINTER)?),
        stack: Address::new(word64(note, STACK_POINTER)?),
        thread_pointer: Address::new(word64(note, THREAD_POINTER)?),
    })
}

/// `count`, `page_size`, `count` times `start`, `end`, `offset` (in pages), then the names, each with a NUL.
/// A table whose end is cut gives the rows whose names are there.
fn file_table(note: &[u8]) -> Option<Vec<MappedPiece>> {
    let count = usize::try_from(word64(note, 0)?).ok()?;
    let page = word64(note, 8)?;
    let rows = note.get(16..)?;
    let names = rows.get(count.checked_mul(24)?..)?;
    let mut pieces = Vec::new();
    for (row, name) in rows.chunks_exact(24).take(count).zip(names.split(|&byte| byte == 0)) {
        let (start, end) = (Address::new(word64(row, 0)?), Address::new(word64(row, 8)?));
        if start < end {
            let offset = word64(row, 16)?.saturating_mul(page);
            let name = String::from_utf8_lossy(name).into_owned();
            pieces.push(MappedPiece { range: AddressRange::new(start, end), offset, name });
        }
    }
    Some(pieces)
}

/// Owner without NULs, type, description, and what follows.
type SplitNote<'a> = (&'a [u8], u32, &'a [u8], &'a [u8]);

/// The first note: owner without NULs, type, description, and what follows it. Padding is to four bytes,
/// also in 64-bit files.
fn split_note(notes: &[u8]) -> Option<SplitNote<'_>> {
    let (owner_length, length) = (word32(notes, 0)? as usize, word32(notes, 4)? as usize);
    let kind = word32(notes, 8)?;
    let owner = notes.get(12..12_usize.checked_add(owner_length)?)?;
    let start = 12_usize.checked_add(owner_length.checked_next_multiple_of(4)?)?;
    let description = notes.get(start..start.checked_add(length)?)?;
    let after = start.checked_add(length.checked_next_multiple_of(4)?)?;
    let end = owner.iter().position(|&byte| byte == 0).unwrap_or(owner.len());
    Some((&owner[..end], kind, description, notes.get(after..).unwrap_or(&[])))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
}

pub(super) fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((owner.len() as u32 + 1).to_le_bytes());
        bytes.extend((description.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(owner);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(description);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Notes {
        Notes::read(bytes, std::slice::from_ref(&(0..bytes.len() as u64)))
    }

    fn table(count: u64, names: &[u8]) -> Vec<u8> {
        let mut bytes = [count, 4096, 0x1000, 0x3000, 2, 0x5000, 0x6000, 0].map(u64::to_le_bytes).concat();
        bytes.extend(names);
        bytes
    }

    #[test]
    fn a_file_table_is_read() {
        let bytes = note(CORE, FILE, &table(2, b"/bin/a\0/lib/b c\0"));
        let notes = read(&bytes);
        let found: Vec<_> = notes.files.iter().map(|piece| (piece.name.as_str(), piece.offset)).collect();
        assert_eq!(found, [("/bin/a", 0x2000), ("/lib/b c", 0)]);
        assert_eq!(notes.damaged, 0);
    }

    #[test]
    fn damage_is_counted() {
        for (count, length) in [(u64::MAX, 80), (1 << 60, 80), (3, 80), (2, 30)] {
            let bytes = note(CORE, FILE, &table(count, b"/bin/a\0")[..length.min(71)]);
            let notes = read(&bytes);
            assert_eq!((notes.files.len(), notes.damaged), (0, 1), "{count} {length}");
        }
        let mut cut = note(CORE, PRSTATUS, &[0; PRSTATUS_SIZE]);
        cut.truncate(200);
        assert_eq!(read(&cut).damaged, 1);
        assert_eq!(read(&[0xff; 64]).damaged, 1);
        assert_eq!(Notes::read(&[0; 8], std::slice::from_ref(&(4..400))).damaged, 0);
    }

    #[test]
    fn the_first_thread_comes_first() {
        let mut status = vec![0; PRSTATUS_SIZE];
        status[12] = 11;
        status[32] = 77;
        status[INSTRUCTION_POINTER] = 9;
        let bytes = [note(CORE, PRSTATUS, &status), note(CORE, PRSTATUS, &[0; PRSTATUS_SIZE])].concat();
        let notes = read(&bytes);
        assert_eq!(notes.threads.len(), 2);
        assert_eq!((notes.threads[0].id, notes.threads[0].signal), (77, 11));
        assert_eq!(notes.threads[0].instruction, Address::new(9));
    }
}
