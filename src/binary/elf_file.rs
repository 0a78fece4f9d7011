//! One ELF file, read piece by piece: headers, segments, sections, notes.

use crate::binary::BinaryError;
use crate::binary::dynamic;
use goblin::container::Container;
use goblin::container::Ctx;
use goblin::container::Endian;
use goblin::elf::Elf;
use goblin::elf::Header;
use goblin::elf::ProgramHeader;
use goblin::elf::SectionHeader;
use goblin::elf::program_header::PT_DYNAMIC;
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::program_header::PT_NOTE;
use goblin::elf::section_header::SHF_COMPRESSED;
use goblin::elf::section_header::SHT_NOBITS;
use std::fs::File;
use std::os::unix::fs::FileExt;

pub(in crate::binary) const CONTEXT: Ctx = Ctx { container: Container::Big, le: Endian::Little };

/// No section that we read is larger, compressed or not (the DWARF of a debug build is 30 MB).
const LARGEST_SECTION: u64 = 1 << 30;
const LARGEST_NOTE: u64 = 1 << 20;
const ELF_CLASS_32: u8 = 1;
const COMPRESSION_HEADER: usize = 24;
const ZLIB: u32 = 1;
const BUILD_ID_NOTE: u32 = 3;

/// A section's name and header.
#[derive(Clone, Debug)]
pub struct Section {
    /// `.text`, ...
    pub name: String,
    /// Link-time address; 0 if it is not loaded.
    pub address: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Its length (in memory, or in the file while compressed). Unit: bytes.
    pub size: u64,
    /// `sh_link`: for symbols the number of their strings' section.
    pub link: usize,
    pub(in crate::binary) kind: u32,
    pub(in crate::binary) flags: u64,
}

/// A loaded segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Link-time address.
    pub address: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Bytes that the file has.
    pub file_size: u64,
    /// Bytes in memory; the rest is zero.
    pub memory_size: u64,
    /// Whether the program may write there.
    pub writable: bool,
}

/// An opened ELF file.
#[derive(Debug)]
pub struct ElfFile {
    file: File,
    length: u64,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    notes: Vec<(u64, u64)>,
    /// Link-time address and length of the dynamic linker's table.
    dynamic: Option<(u64, u64)>,
}

impl ElfFile {
    /// Reads the headers. Cost: four or five small reads.
    pub fn read(file: File) -> Result<Self, BinaryError> {
        let length = file.metadata().map_err(|source| read_error("the size of the file", source))?.len();
        let mut elf = Self {
            file,
            length,
            segments: Vec::new(),
            sections: Vec::new(),
            notes: Vec::new(),
            dynamic: None,
        };
        let start = elf.bytes_at(0, 64).map_err(|_| BinaryError::NotElf)?;
        if !start.starts_with(b"\x7fELF") {
            return Err(BinaryError::NotElf);
        }
        if start.get(4) == Some(&ELF_CLASS_32) {
            return Err(BinaryError::Not64Bit);
        }
        let header = Elf::parse_header(&start).map_err(|_| BinaryError::NotElf)?;
        if !header.endianness().is_ok_and(|endian| endian.is_little()) {
            return Err(BinaryError::NotElf);
        }
        elf.read_segments(&header)?;
        // A file without section headers is odd, and its segments are still worth having.
        if elf.read_sections(&header).is_err() {
            elf.sections.clear();
        }
        Ok(elf)
    }

    fn read_segments(&mut self, header: &Header) -> Result<(), BinaryError> {
        let count = usize::from(header.e_phnum);
        let bytes = self.bytes_at(header.e_phoff, (count * ProgramHeader::size(CONTEXT)) as u64)?;
        let headers = ProgramHeader::parse(&bytes, 0, count, CONTEXT)
            .map_err(|_| BinaryError::Damaged("program headers"))?;
        for segment in headers {
            match segment.p_type {
                PT_LOAD => self.segments.push(Segment {
                    address: segment.p_vaddr,
                    offset: segment.p_offset,
                    file_size: segment.p_filesz,
                    memory_size: segment.p_memsz,
                    writable: segment.is_write(),
                }),
                PT_DYNAMIC => self.dynamic = Some((segment.p_vaddr, segment.p_memsz.min(LARGEST_NOTE))),
                PT_NOTE => self.notes.push((segment.p_offset, segment.p_filesz.min(LARGEST_NOTE))),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_sections(&mut self, header: &Header) -> Result<(), BinaryError> {
        const DAMAGED: BinaryError = BinaryError::Damaged("section headers");
        let count = usize::from(header.e_shnum);
        if count == 0 {
            return Ok(());
        }
        let bytes = self.bytes_at(header.e_shoff, (count * SectionHeader::size(CONTEXT)) as u64)?;
        let headers = SectionHeader::parse_from(&bytes, 0, count, CONTEXT).map_err(|_| DAMAGED)?;
        let names = headers.get(usize::from(header.e_shstrndx)).ok_or(DAMAGED)?;
        let names = self.bytes_at(names.sh_offset, names.sh_size)?;
        for section in headers {
            let name = names.get(section.sh_name..).unwrap_or(&[]).split(|&byte| byte == 0).next();
            self.sections.push(Section {
                name: String::from_utf8_lossy(name.unwrap_or(&[])).into_owned(),
                address: section.sh_addr,
                offset: section.sh_offset,
                size: section.sh_size,
                link: section.sh_link as usize,
                kind: section.sh_type,
                flags: section.sh_flags,
            });
        }
        Ok(())
    }

    /// For a file without section headers (one that was put together from memory, or stripped of
    /// them): finds the exported symbols as the dynamic linker does. Where the linker has written,
    /// addresses are those of a process in which the file is loaded with this bias.
    pub fn find_dynamic_sections(&mut self, bias: u64) {
        if self.sections.is_empty()
            && let Some(sections) = dynamic::exported_symbols(self, bias)
        {
            self.sections = sections;
        }
    }

    /// Bytes of the file, wholly or not at all.
    pub fn bytes_at(&self, offset: u64, length: u64) -> Result<Vec<u8>, BinaryError> {
        let end = offset.checked_add(length).ok_or(BinaryError::Damaged("an offset overflows"))?;
        if end > self.length || length > LARGEST_SECTION {
            return Err(BinaryError::Damaged("something lies outside of the file"));
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| read_error("the file", source))?;
        Ok(bytes)
    }

    /// The dynamic linker's table: pairs of tag and value. Cost: one small read.
    pub(in crate::binary) fn dynamic_table(&self) -> Option<Vec<u8>> {
        let (address, length) = self.dynamic?;
        self.bytes_at_address(address, length).ok()
    }

    /// Where the file has the byte that is loaded at a link-time address.
    pub(in crate::binary) fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = address.checked_sub(segment.address).filter(|&into| into < segment.file_size)?;
            segment.offset.checked_add(into)
        })
    }

    /// The loaded segments, in order of address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The sections; empty if the file has no section headers.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// A section's content, decompressed. Cost: reads it all.
    pub fn section_data(&self, section: &Section) -> Result<Vec<u8>, BinaryError> {
        if section.kind == SHT_NOBITS {
            return Ok(Vec::new());
        }
        let bytes = self.bytes_at(section.offset, section.size)?;
        if section.flags & u64::from(SHF_COMPRESSED) == 0 { Ok(bytes) } else { inflate(&bytes, section) }
    }

    /// Bytes at a link-time address, from the file: what is there before the program runs.
    pub fn bytes_at_address(&self, address: u64, length: u64) -> Result<Vec<u8>, BinaryError> {
        let segment = self
            .segments
            .iter()
            .find(|segment| address.checked_sub(segment.address).is_some_and(|into| into < segment.file_size))
            .ok_or(BinaryError::Damaged("an address is in no segment of the file"))?;
        let into = address - segment.address;
        self.bytes_at(segment.offset.saturating_add(into), length.min(segment.file_size - into))
    }

    /// The build id, as `ld --build-id` wrote it.
    pub fn build_id(&self) -> Option<Vec<u8>> {
        let places = self.notes.iter().copied();
        let section = self.section(".note.gnu.build-id").map(|section| (section.offset, section.size));
        places.chain(section).find_map(|(offset, size)| {
            find_note(&self.bytes_at(offset, size.min(LARGEST_NOTE)).ok()?, b"GNU\0", BUILD_ID_NOTE)
        })
    }
}

fn read_error(what: &str, source: std::io::Error) -> BinaryError {
    BinaryError::Io { what: what.to_owned(), source }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The description of the first note of that owner and type.
fn find_note(notes: &[u8], owner: &[u8], kind: u32) -> Option<Vec<u8>> {
    let mut rest = notes;
    loop {
        let (name_length, length) = (u32_at(rest, 0)? as usize, u32_at(rest, 4)? as usize);
        let name_end = 12_usize.checked_add(name_length)?;
        let start = name_end.checked_next_multiple_of(4)?;
        let end = start.checked_add(length)?;
        if u32_at(rest, 8)? == kind && rest.get(12..name_end)? == owner {
            return Some(rest.get(start..end)?.to_vec());
        }
        rest = rest.get(end.checked_next_multiple_of(4)?..)?;
    }
}

/// Undoes `SHF_COMPRESSED` (`Elf64_Chdr`: type, reserved, size, alignment).
fn inflate(bytes: &[u8], section: &Section) -> Result<Vec<u8>, BinaryError> {
    let unknown = || BinaryError::Compression(section.name.clone());
    let size = bytes.get(8..16).and_then(|size| size.try_into().ok()).map(u64::from_le_bytes);
    let size = size.filter(|&size| size <= LARGEST_SECTION).ok_or_else(unknown)?;
    if u32_at(bytes, 0) != Some(ZLIB) {
        return Err(unknown());
    }
    let data = bytes.get(COMPRESSION_HEADER..).ok_or_else(unknown)?;
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(data, size as usize).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn our_own_file_has_segments_and_sections() {
        let elf = ElfFile::read(File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.segments().iter().any(|segment| segment.writable));
        let data = elf.section_data(elf.section(".rodata").unwrap()).unwrap();
        assert!(!data.is_empty());
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(ElfFile::read(file_with(b"#!/bin/sh\n")), Err(BinaryError::NotElf)));
        assert!(matches!(ElfFile::read(file_with(&[0; 4096])), Err(BinaryError::NotElf)));
        let mut header = [0; 64];
        header[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        assert!(matches!(ElfFile::read(file_with(&header)), Err(BinaryError::Not64Bit)));
    }

    /// Deterministic damage: no panic, no endless loop, no huge allocation.
    #[test]
    fn a_damaged_file_gives_an_error_or_less() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let head = &whole[..whole.len().min(64 * 1024)];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..500 {
            let mut bytes = head.to_vec();
            for _ in 0..8 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = seed as usize % 1024;
                bytes[at] = (seed >> 32) as u8;
            }
            if let Ok(elf) = ElfFile::read(file_with(&bytes)) {
                let _ = elf.build_id();
                for section in elf.sections() {
                    let _ = elf.section_data(section);
                }
            }
        }
    }

    #[test]
    fn notes_end_where_their_bytes_end() {
        let note = [&[4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0][..], b"GNU\0", &[0xab, 0xcd]].concat();
        assert_eq!(find_note(&note, b"GNU\0", 3), Some(vec![0xab, 0xcd]));
        assert_eq!(find_note(&note[..17], b"GNU\0", 3), None);
        assert_eq!(find_note(&[0xff; 64], b"GNU\0", 3), None);
    }
}
