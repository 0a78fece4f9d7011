//! Writes a capture as an ELF core file that other tools read, too: sparse, or compressed with zstd.
//!
//! A page that was not copied is in no segment's bytes: whoever reads the core finds it missing, not zero.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Capture;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::SignalWatch;
use crate::target::TargetError;
use crate::target::capture::Progress;
use crate::target::capture::Stage;
use crate::target::core::compress::compress;
use crate::target::core::headers::HEADER;
use crate::target::core::headers::MANY;
use crate::target::core::headers::PROGRAM_HEADER;
use crate::target::core::sparse;
use crate::target::core::write_notes;
use crate::target::image::PAGE;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Bytes of a section header.
const SECTION_HEADER: usize = 64;
/// Bytes that are put together before they are written or compressed; a multiple of a page.
const STEP: u64 = 4 << 20;
/// Bytes that are worth a write of their own.
const WORTH_A_WRITE: u64 = 256 << 10;
/// Pieces that are compressed at a time.
const PIECES: usize = 8;

/// How to write it.
#[derive(Clone, Copy)]
pub struct SaveOptions<'a> {
    /// The file; compressed if its name ends with `.zst`.
    pub path: &'a Path,
    /// Ranges that are written as zeros, sorted and apart from each other.
    pub blanked: &'a [AddressRange],
    /// What was left out, in words, if something was.
    pub redacted: Option<&'a str>,
    /// Told how far it is.
    pub progress: Option<&'a dyn Progress>,
    /// Signals that end it.
    pub signals: Option<&'a SignalWatch>,
}

/// A piece of the address space in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    range: AddressRange,
    /// Whether its bytes are in the file.
    stored: bool,
    /// `PF_R`, `PF_W`, `PF_X`.
    flags: u32,
}

/// Writes a capture. The file appears wholly or not at all, readable by its owner only. Gives its length,
/// uncompressed. Cost: what was copied is read once, and the constants of the mapped binaries from their files.
pub fn save(capture: &Capture, options: &SaveOptions<'_>) -> Result<u64, TargetError> {
    let mut unfinished = Unfinished::create(options.path).map_err(|source| failed(options.path, source))?;
    let pieces = pieces(capture);
    let notes = write_notes::notes(capture, options.redacted);
    let head = head(&pieces, &notes);
    let is_compressed = options.path.extension().is_some_and(|extension| extension == "zst");
    let worth_a_piece = if is_compressed { STEP } else { WORTH_A_WRITE };
    let mut content = Content { capture, options, pieces: &pieces, piece: 0, into: 0, worth_a_piece };
    let total = head.len() as u64 + stored(&pieces);
    let result = if is_compressed {
        write_compressed(&unfinished.file, &head, &mut content, total)
    } else {
        write_plain(&unfinished.file, &head, &mut content, total)
    };
    result.map_err(|error| match error {
        SaveError::Io(source) => failed(options.path, source),
        SaveError::Target(error) => error,
    })?;
    unfinished.finish(options.path).map_err(|source| failed(options.path, source))?;
    Ok(total)
}

fn failed(path: &Path, source: io::Error) -> TargetError {
    TargetError::System { action: format!("write {}", path.display()), source }
}

enum SaveError {
    Io(io::Error),
    Target(TargetError),
}

impl From<io::Error> for SaveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file under another name until it is complete.
struct Unfinished {
    file: File,
    name: Option<PathBuf>,
}

impl Unfinished {
    fn create(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let name = PathBuf::from(name);
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name);
        let file = match create() {
            // Left over from a run that was killed. A link that someone laid is not followed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&name)?;
                create()?
            }
            result => result?,
        };
        Ok(Self { file, name: Some(name) })
    }

    fn finish(&mut self, path: &Path) -> io::Result<()> {
        match self.name.take() {
            Some(name) => std::fs::rename(name, path),
            None => Ok(()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = std::fs::remove_file(name);
        }
    }
}

/// The address space in pieces, sorted: what is in the file and what is not.
fn pieces(capture: &Capture) -> Vec<Piece> {
    let image = &capture.image;
    let runs = runs(image);
    let whole = whole_files(capture);
    let mut pieces = Vec::new();
    for (mapping, whole) in capture.mappings.iter().zip(whole) {
        let flag = |has: bool, bit: u32| if has { bit } else { 0 };
        let flags = flag(mapping.readable, 4) | flag(mapping.writable, 2) | flag(mapping.executable, 1);
        let after = runs.partition_point(|run| run.end <= mapping.range.start);
        let here = runs[after..].iter().take_while(|run| run.start < mapping.range.end);
        let mut at = mapping.range.start;
        let mut push = |start: Address, end: Address, stored: bool| {
            if start < end {
                pieces.push(Piece { range: AddressRange::new(start, end), stored, flags });
            }
        };
        if let Some(end) = whole {
            push(at, end, true);
            at = end;
        } else {
            for run in here {
                let (start, end) = (run.start.max(mapping.range.start), run.end.min(mapping.range.end));
                push(at, start, false);
                push(start, end, true);
                at = end;
            }
        }
        push(at, mapping.range.end, false);
    }
    pieces
}

/// Ranges of pages that were copied, sorted.
fn runs(image: &Image) -> Vec<AddressRange> {
    let mut runs: Vec<AddressRange> = Vec::new();
    for (address, _) in image.pages() {
        match runs.last_mut() {
            Some(run) if run.end == address => run.end = address.plus(PAGE),
            _ => runs.push(AddressRange::new(address, address.plus(PAGE))),
        }
    }
    runs
}

/// Of each mapping up to where its file is written, too: the constants of programs and libraries, so that
/// names and symbols are there where the files are not. Code is left out, unless everything is in one
/// segment with it.
fn whole_files(capture: &Capture) -> Vec<Option<Address>> {
    let image = &capture.image;
    let key = |mapping: &Mapping| (mapping.inode, mapping.name.clone());
    let is_candidate = |mapping: &&Mapping| mapping.is_file() && mapping.readable && !mapping.shared;
    // By file: whether its start is mapped executable, if it is an ELF file that is mapped executable at all.
    let mut programs: FxHashMap<(u64, String), bool> = FxHashMap::default();
    let executable: rustc_hash::FxHashSet<_> =
        capture.mappings.iter().filter(|mapping| mapping.executable).map(key).collect();
    for mapping in capture.mappings.iter().filter(is_candidate) {
        let is_elf = mapping.file_offset == 0
            && executable.contains(&key(mapping))
            && image.bytes(mapping.range.start, 4) == Some(b"\x7fELF");
        if is_elf {
            programs.insert(key(mapping), mapping.executable);
        }
    }
    let end_of = |mapping: &Mapping| {
        let is_wanted = match programs.get(&key(mapping)) {
            Some(starts_executable) => *starts_executable || !mapping.executable,
            None => false,
        };
        let readable = image.readable_up_to(mapping.range);
        (is_wanted && is_candidate(&mapping) && !mapping.writable).then_some(readable)
    };
    capture.mappings.iter().map(end_of).collect()
}

fn stored(pieces: &[Piece]) -> u64 {
    pieces.iter().filter(|piece| piece.stored).map(|piece| piece.range.length()).sum()
}

/// ELF header, program headers, the section header that has their number if they are many, notes; up to a
/// page boundary.
fn head(pieces: &[Piece], notes: &[u8]) -> Vec<u8> {
    let count = pieces.len() + 1;
    let is_many = count >= usize::from(MANY);
    let table_end = HEADER + count * PROGRAM_HEADER;
    let notes_at = table_end + if is_many { SECTION_HEADER } else { 0 };
    let data_at = (notes_at + notes.len()).next_multiple_of(PAGE as usize);
    let mut head = Vec::with_capacity(data_at);
    head.extend(elf_header(count, is_many.then_some(table_end as u64)));
    // PT_NOTE
    head.extend(program_header((4, 4), notes_at as u64, (0, 0), (notes.len() as u64, 4)));
    let mut offset = data_at as u64;
    for piece in pieces {
        let length = piece.range.length();
        let size = if piece.stored { length } else { 0 };
        head.extend(program_header(
            (1, piece.flags),
            offset,
            (piece.range.start.get(), length),
            (size, PAGE),
        ));
        offset += size;
    }
    if is_many {
        let mut section = [0; SECTION_HEADER];
        section[32..40].copy_from_slice(&1_u64.to_le_bytes());
        section[44..48].copy_from_slice(&(count as u32).to_le_bytes());
        head.extend(section);
    }
    head.extend(notes);
    head.resize(data_at, 0);
    head
}

fn elf_header(count: usize, section_at: Option<u64>) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &4_u16.to_le_bytes()); // ET_CORE
    put(18, &62_u16.to_le_bytes()); // EM_X86_64
    put(20, &1_u32.to_le_bytes());
    put(32, &(HEADER as u64).to_le_bytes());
    put(52, &(HEADER as u16).to_le_bytes());
    put(54, &(PROGRAM_HEADER as u16).to_le_bytes());
    let shown = if section_at.is_some() { MANY } else { u16::try_from(count).unwrap_or(MANY) };
    put(56, &shown.to_le_bytes());
    if let Some(at) = section_at {
        put(40, &at.to_le_bytes());
        put(58, &(SECTION_HEADER as u16).to_le_bytes());
        put(60, &1_u16.to_le_bytes());
    }
    header
}

/// Type and flags, offset, address and length in memory, length in the file and alignment.
fn program_header(
    (kind, flags): (u32, u32),
    offset: u64,
    (address, memory): (u64, u64),
    (size, alignment): (u64, u64),
) -> Vec<u8> {
    let words = [offset, address, 0, size, memory, alignment];
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    kind.to_le_bytes().into_iter().chain(flags.to_le_bytes()).chain(words).collect()
}

/// The bytes of the stored pieces, one after the other.
struct Content<'a> {
    capture: &'a Capture,
    options: &'a SaveOptions<'a>,
    pieces: &'a [Piece],
    piece: usize,
    into: u64,
    /// Bytes that are given as they are where they are in one piece; fewer are put together.
    worth_a_piece: u64,
}

impl<'a> Content<'a> {
    /// The next bytes, as many as fit into a step; empty at the end.
    fn next(&mut self) -> Cow<'a, [u8]> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.pieces.get(self.piece) {
            if !piece.stored || self.into == piece.range.length() {
                (self.piece, self.into) = (self.piece + 1, 0);
                continue;
            }
            let room = STEP - bytes.len() as u64;
            if room == 0 {
                break;
            }
            let length = room.min(piece.range.length() - self.into);
            let start = piece.range.start.plus(self.into);
            let range = AddressRange::new(start, start.plus(length));
            if bytes.is_empty()
                && let Some(stored) = self.as_stored(range)
            {
                self.into += stored.len() as u64;
                return Cow::Borrowed(stored);
            }
            bytes.reserve_exact((STEP as usize).saturating_sub(bytes.len()));
            self.append(&mut bytes, range);
            self.into += length;
        }
        Cow::Owned(bytes)
    }

    /// The beginning of a range as it was copied, if it is long enough and nothing in it is blanked.
    fn as_stored(&self, range: AddressRange) -> Option<&'a [u8]> {
        let after = self.options.blanked.partition_point(|blank| blank.end <= range.start);
        let blank = self.options.blanked.get(after).map_or(range.end, |blank| blank.start.min(range.end));
        let end = Address::new(blank.max(range.start).get() / PAGE * PAGE);
        let wanted = AddressRange::new(range.start, end);
        let is_enough = |bytes: &&[u8]| bytes.len() as u64 >= self.worth_a_piece;
        self.capture.image.run(wanted).filter(is_enough)
    }

    fn append(&self, bytes: &mut Vec<u8>, range: AddressRange) {
        let first = bytes.len();
        let image = &self.capture.image;
        let mut at = range.start;
        while at < range.end {
            let run = image.run(AddressRange::new(at, range.end)).unwrap_or(&[]);
            if run.is_empty() {
                let mut page = [0; PAGE as usize];
                image.read_page(at, &mut page);
                bytes.extend_from_slice(&page);
                at = at.plus(PAGE);
            } else {
                bytes.extend_from_slice(run);
                at = at.plus(run.len() as u64);
            }
        }
        let blanked = self.options.blanked;
        let after = blanked.partition_point(|blank| blank.end <= range.start);
        for blank in blanked[after..].iter().take_while(|blank| blank.start < range.end) {
            let start = blank.start.max(range.start).get() - range.start.get();
            let end = blank.end.min(range.end).get() - range.start.get();
            bytes[first + start as usize..first + end as usize].fill(0);
        }
    }

    fn check(&self, done: u64, total: u64) -> Result<(), SaveError> {
        if let Some(progress) = self.options.progress {
            progress.advance(Stage::Saving, done, total);
        }
        self.options.signals.map_or(Ok(()), SignalWatch::check).map_err(SaveError::Target)
    }
}

fn write_plain(file: &File, head: &[u8], content: &mut Content<'_>, total: u64) -> Result<(), SaveError> {
    sparse::write_at(file, 0, head)?;
    let mut at = head.len() as u64;
    loop {
        content.check(at, total)?;
        let bytes = content.next();
        if bytes.is_empty() {
            break;
        }
        sparse::write_at(file, at, &bytes)?;
        at += bytes.len() as u64;
    }
    Ok(file.set_len(at)?)
}

/// Frames for each step, so that they can be compressed side by side; readers take frames as they come.
fn write_compressed(
    mut file: &File,
    head: &[u8],
    content: &mut Content<'_>,
    total: u64,
) -> Result<(), SaveError> {
    file.write_all(&compress(head))?;
    let mut done = head.len() as u64;
    loop {
        content.check(done, total)?;
        let steps: Vec<Cow<'_, [u8]>> = std::iter::repeat_with(|| content.next())
            .take(PIECES)
            .take_while(|bytes| !bytes.is_empty())
            .collect();
        if steps.is_empty() {
            return Ok(());
        }
        done += steps.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        let frames: Vec<Vec<u8>> = steps.par_iter().map(|bytes| compress(bytes)).collect();
        for frame in frames {
            file.write_all(&frame)?;
        }
    }
}
