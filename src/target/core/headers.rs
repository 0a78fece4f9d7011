//! The ELF headers of a core: its segments and notes, however many and however damaged.
//!
//! Read here and not by goblin's reader of whole files, which stops at 65,535 segments: with more the
//! header says so and the number is in the first section header (`PN_XNUM`, Linux `fs/binfmt_elf.c`).

use crate::address::Address;
use crate::address::AddressRange;
use goblin::container::Container;
use goblin::container::Ctx;
use goblin::container::Endian;
use goblin::elf::Elf;
use goblin::elf::ProgramHeader;
use goblin::elf::SectionHeader;
use goblin::elf::header;
use goblin::elf::program_header::PF_R;
use goblin::elf::program_header::PF_W;
use goblin::elf::program_header::PF_X;
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::program_header::PT_NOTE;
use std::ops::Range;

const CONTEXT: Ctx = Ctx { container: Container::Big, le: Endian::Little };
/// Bytes of a 64-bit program header.
pub(super) const PROGRAM_HEADER: usize = 56;
/// Bytes of a 64-bit ELF header.
pub(super) const HEADER: usize = 64;
/// `e_phnum` of a file whose first section header has the number.
pub(super) const MANY: u16 = 0xffff;
/// Program headers that are parsed at a time.
const STEP: usize = 4096;

/// One `PT_LOAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSegment {
    /// The addresses it stands for.
    pub range: AddressRange,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// Bytes that it should have in the file.
    pub promised: u64,
    /// Bytes that it has in the file.
    pub stored: u64,
    /// Readable by the process.
    pub readable: bool,
    /// Writable by the process.
    pub writable: bool,
    /// Executable by the process.
    pub executable: bool,
}

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The segments, sorted by address.
    pub segments: Vec<CoreSegment>,
    /// Where the notes are in the file.
    pub notes: Vec<Range<u64>>,
    /// How long the file should be; less than it is if something follows.
    pub expected_length: u64,
    /// Program headers that should be there and are not.
    pub missing_headers: u64,
    /// Segments that were left out because they lie over each other in the file or wrap around.
    pub senseless: u64,
}

/// Why these are no headers of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is something else.
    Other(&'static str),
    /// It is for another processor.
    Machine(String),
    /// It ends too soon.
    Short(&'static str),
}

/// Reads the headers of a file of which `bytes` is the beginning that is there (all of it, if it is
/// mapped). Cost: one step per segment.
pub(super) fn read(bytes: &[u8]) -> Result<Headers, Refusal> {
    let elf = check(bytes)?;
    let mut headers = Headers::default();
    let promised = program_header_count(bytes, &elf);
    let start = usize::try_from(elf.e_phoff).unwrap_or(usize::MAX);
    let there = bytes.get(start..).unwrap_or(&[]);
    let count = promised.min((there.len() / PROGRAM_HEADER) as u64) as usize;
    headers.missing_headers = promised - count as u64;
    headers.expected_length = elf.e_phoff.saturating_add(promised.saturating_mul(PROGRAM_HEADER as u64));
    let sections = u64::from(elf.e_shnum) * u64::from(elf.e_shentsize);
    if sections > 0 {
        headers.expected_length = headers.expected_length.max(elf.e_shoff.saturating_add(sections));
    }
    if promised == 0 || count == 0 {
        return Err(Refusal::Short("it has no segments"));
    }
    for piece in there[..count * PROGRAM_HEADER].chunks(STEP * PROGRAM_HEADER) {
        let parsed = ProgramHeader::parse(piece, 0, piece.len() / PROGRAM_HEADER, CONTEXT);
        for segment in parsed.unwrap_or_default() {
            headers.add(&segment, bytes.len() as u64);
        }
    }
    headers.drop_overlapping(bytes.len() as u64);
    headers.segments.sort_by_key(|segment| segment.range.start);
    Ok(headers)
}

/// How long the file must be to have everything its headers promise, if its first bytes say so.
pub(super) fn expected_length(bytes: &[u8]) -> Option<u64> {
    let headers = read(bytes).ok()?;
    (headers.missing_headers == 0).then_some(headers.expected_length)
}

impl Headers {
    fn add(&mut self, segment: &ProgramHeader, length: u64) {
        let end = segment.p_offset.saturating_add(segment.p_filesz);
        let there = segment.p_offset.min(length)..end.min(length);
        if segment.p_type == PT_NOTE || segment.p_type == PT_LOAD {
            self.expected_length = self.expected_length.max(end);
        }
        match segment.p_type {
            PT_NOTE => self.notes.push(there),
            PT_LOAD => {
                let size = segment.p_memsz.max(segment.p_filesz);
                let Some(end) = segment.p_vaddr.checked_add(size) else {
                    self.senseless += 1;
                    return;
                };
                let flag = |flag: u32| segment.p_flags & flag != 0;
                self.segments.push(CoreSegment {
                    range: AddressRange::new(Address::new(segment.p_vaddr), Address::new(end)),
                    offset: segment.p_offset,
                    promised: segment.p_filesz,
                    stored: there.end - there.start,
                    readable: flag(PF_R),
                    writable: flag(PF_W),
                    executable: flag(PF_X),
                });
            }
            _ => {}
        }
    }

    /// In a sound core each byte of the file belongs to one segment. Segments that together have more
    /// bytes than the file has would let a small file stand for any amount of memory.
    fn drop_overlapping(&mut self, length: u64) {
        let mut left = length;
        let before = self.segments.len();
        self.segments.retain(|segment| match left.checked_sub(segment.stored) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        self.senseless += (before - self.segments.len()) as u64;
    }
}

fn check(bytes: &[u8]) -> Result<goblin::elf::Header, Refusal> {
    if !bytes.starts_with(header::ELFMAG) {
        return Err(Refusal::Other(kind_of(bytes)));
    }
    let (Some(&class), Some(&order)) = (bytes.get(header::EI_CLASS), bytes.get(header::EI_DATA)) else {
        return Err(Refusal::Short("its ELF header is cut"));
    };
    if bytes.len() < HEADER {
        return Err(Refusal::Short("its ELF header is cut"));
    }
    if order == header::ELFDATA2MSB {
        return Err(Refusal::Machine("a big-endian processor".to_owned()));
    }
    if class == header::ELFCLASS32 {
        let machine = bytes.get(18..20).map_or(0, |field| u16::from_le_bytes([field[0], field[1]]));
        return Err(Refusal::Machine(format!("{}, 32 bits", machine_name(machine))));
    }
    let elf = Elf::parse_header(bytes).map_err(|_| Refusal::Other("an ELF file with a damaged header"))?;
    match elf.e_type {
        header::ET_CORE => {}
        header::ET_EXEC | header::ET_DYN => return Err(Refusal::Other("a program or a library")),
        header::ET_REL => return Err(Refusal::Other("an object file")),
        _ => return Err(Refusal::Other("an ELF file of another kind")),
    }
    if elf.e_machine != header::EM_X86_64 {
        return Err(Refusal::Machine(machine_name(elf.e_machine)));
    }
    if elf.e_phentsize as usize != PROGRAM_HEADER {
        return Err(Refusal::Other("an ELF file with a damaged header"));
    }
    Ok(elf)
}

fn machine_name(machine: u16) -> String {
    match machine {
        header::EM_AARCH64 => "aarch64".to_owned(),
        header::EM_X86_64 => "x86-64".to_owned(),
        header::EM_386 => "i386".to_owned(),
        header::EM_ARM => "arm".to_owned(),
        header::EM_RISCV => "riscv".to_owned(),
        header::EM_PPC64 => "ppc64".to_owned(),
        header::EM_S390 => "s390".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

fn program_header_count(bytes: &[u8], elf: &goblin::elf::Header) -> u64 {
    if elf.e_phnum != MANY {
        return u64::from(elf.e_phnum);
    }
    let offset = usize::try_from(elf.e_shoff).ok().filter(|&offset| offset != 0);
    let section = offset.and_then(|offset| bytes.get(offset..offset.checked_add(64)?));
    let first = section.and_then(|section| SectionHeader::parse_from(section, 0, 1, CONTEXT).ok());
    first
        .and_then(|sections| Some(u64::from(sections.first()?.sh_info)))
        .or_else(|| count_up_to_notes(bytes, elf))
        .unwrap_or(u64::from(MANY))
}

/// The kernel writes that section header last, so that a truncated core has none. It writes the notes
/// right after the program headers, the first of which says where.
fn count_up_to_notes(bytes: &[u8], elf: &goblin::elf::Header) -> Option<u64> {
    let start = usize::try_from(elf.e_phoff).ok()?;
    let first = bytes.get(start..start.checked_add(PROGRAM_HEADER)?)?;
    let first = ProgramHeader::parse(first, 0, 1, CONTEXT).ok()?.into_iter().next()?;
    let count = first.p_offset.checked_sub(elf.e_phoff)? / PROGRAM_HEADER as u64;
    (first.p_type == PT_NOTE && (u64::from(MANY)..=u64::from(u32::MAX)).contains(&count)).then_some(count)
}

/// What a file is that is no ELF file.
fn kind_of(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(4096)];
    if head.starts_with(b"#!") {
        "a script"
    } else if head.starts_with(b"KDUMP   ") || head.starts_with(b"makedumpfile") {
        "a dump of a kernel"
    } else if head.starts_with(b"MDMP") {
        "a minidump"
    } else if head.starts_with(b"PK\x03\x04") {
        "a zip archive"
    } else if head.iter().all(|&byte| byte == 0) {
        "nothing but zeros"
    } else if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) {
        "a text"
    } else {
        "no ELF file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and `count` program headers, each of one page.
    fn file_with(count: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16..18].copy_from_slice(&header::ET_CORE.to_le_bytes());
        bytes[18..20].copy_from_slice(&header::EM_X86_64.to_le_bytes());
        bytes[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        bytes[54..56].copy_from_slice(&(PROGRAM_HEADER as u16).to_le_bytes());
        bytes[56..58].copy_from_slice(&count.to_le_bytes());
        for index in 0..u64::from(count) {
            bytes.extend([1, 0, 0, 0, 6, 0, 0, 0]);
            for word in [0x1000 * (index + 1), 0x1000 * (index + 1), 0, 0x1000, 0x1000, 0x1000] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn segments_that_are_cut_keep_what_is_there() {
        let mut bytes = file_with(2);
        bytes.resize(0x2800, 7);
        let headers = read(&bytes).unwrap();
        assert_eq!(headers.expected_length, 0x3000);
        let stored: Vec<_> = headers.segments.iter().map(|segment| segment.stored).collect();
        assert_eq!(stored, [0x1000, 0x800]);
        assert!(headers.segments[0].writable && !headers.segments[0].executable);
    }

    #[test]
    fn segments_over_each_other_are_left_out() {
        let mut bytes = file_with(3);
        for index in 0..3 {
            let at = HEADER + index * PROGRAM_HEADER + 8;
            bytes[at..at + 8].copy_from_slice(&0x1000_u64.to_le_bytes());
        }
        bytes.resize(0x2000, 7);
        let headers = read(&bytes).unwrap();
        assert_eq!((headers.segments.len(), headers.senseless), (2, 1));
    }

    #[test]
    fn other_files_are_named() {
        let check = |bytes: &[u8], what| assert_eq!(read(bytes), Err(Refusal::Other(what)));
        check(b"#!/bin/sh\n", "a script");
        check(b"hello", "a text");
        check(&[0; 100], "nothing but zeros");
        check(&[1, 2, 0xff], "no ELF file");
        let own = std::fs::read("/proc/self/exe").unwrap();
        check(&own, "a program or a library");
        let mut other = file_with(1);
        other[18..20].copy_from_slice(&header::EM_AARCH64.to_le_bytes());
        assert_eq!(read(&other), Err(Refusal::Machine("aarch64".into())));
        other[4] = 1;
        assert_eq!(read(&other), Err(Refusal::Machine("aarch64, 32 bits".into())));
        assert!(matches!(read(b"\x7fELF"), Err(Refusal::Short(_))));
        assert!(matches!(read(&file_with(0)), Err(Refusal::Short(_))));
    }
}
