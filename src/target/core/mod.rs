//! A core file as a capture: what crashed, and its memory, mapped and never read whole.

mod address_space;
mod compress;
mod describe;
mod elf_pages;
pub mod error;
pub mod files;
pub mod headers;
mod link_map;
mod matches;
pub mod notes;
mod rebuild;
mod sparse;
mod unpack;
pub mod write;
mod write_notes;

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Capture;
use crate::target::CaptureStatistics;
use crate::target::Image;
use crate::target::SignalWatch;
use crate::target::capture::Progress;
use crate::target::image::Backing;
use crate::target::image::PAGE;
use crate::target::image::Segment;
use memmap2::Mmap;
use memmap2::MmapOptions;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

pub use address_space::MappingSource;
pub use error::CoreError;
pub use files::Binaries;
pub use files::BinarySearch;
pub use files::Found;
pub use files::Match;
pub use headers::CoreSegment;
pub use headers::Headers;
pub use notes::CoreThread;
pub use notes::Notes;
pub use notes::SignalInfo;
pub use write::SaveOptions;
pub use write::save;

use elf_pages::hexadecimal;
use headers::Refusal;
use unpack::Compression;
use unpack::Watchers;

/// A core file and what it is read with.
#[derive(Clone, Copy)]
pub struct CoreOptions<'a> {
    /// The file.
    pub path: &'a Path,
    /// Where to look for binaries.
    pub search: BinarySearch<'a>,
    /// Told how far decompressing is.
    pub progress: Option<&'a dyn Progress>,
    /// Signals that end it.
    pub signals: Option<&'a SignalWatch>,
}

/// A core file, opened.
pub struct OpenCore {
    /// Its memory.
    pub capture: Capture,
    /// The binaries behind it.
    pub binaries: Binaries,
}

/// What became of a binary that was mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryState {
    /// Its name in the process.
    pub name: String,
    /// Its build id in hexadecimal, if the core has it.
    pub build_id: Option<String>,
    /// The file that stands for it here, if there is one.
    pub file: Option<PathBuf>,
    /// Why that file is believed to be the one.
    pub matched: Option<Match>,
    /// Whether the core has its headers, so that it is not wholly unknown.
    pub has_headers: bool,
    /// Constants and variables of it that are nowhere. Unit: bytes.
    pub missing_bytes: u64,
}

/// What there is to say about a core file, for the head of the report.
#[derive(Clone, Debug, Default)]
pub struct CoreDescription {
    /// The file.
    pub path: PathBuf,
    /// `zstd`, `lz4`, `xz`, `gzip`; `None` if it is not compressed.
    pub compression: Option<&'static str>,
    /// Why decompressing ended early.
    pub cut: Option<String>,
    /// Its length, decompressed. Unit: bytes.
    pub length: u64,
    /// How long its headers say that it is. Unit: bytes.
    pub expected_length: u64,
    /// Whether part of it is missing.
    pub truncated: bool,
    /// Number of segments.
    pub segments: usize,
    /// Segments that make no sense, notes that do not have what they should.
    pub damaged: u64,
    /// What killed the process; `None` if nothing did, because it was copied while it ran.
    pub signal: Option<SignalInfo>,
    /// Its threads; the first is the one that crashed.
    pub threads: Vec<CoreThread>,
    /// Where the list of mappings came from.
    pub mapping_source: MappingSource,
    /// What was left out of it on purpose, in words.
    pub redacted: Option<String>,
    /// C types whose names are in a binary that is missing and that no module names. Found by the analysis.
    pub unnamed_types: u64,
    /// The binaries that were mapped.
    pub binaries: Vec<BinaryState>,
    /// Files that were given by name and are none of them.
    pub strangers: Vec<PathBuf>,
}

/// Signals that end a process with a core (signal(7)).
const FATAL: [i32; 10] = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31];

/// Opens a core file. Cost: its headers and notes are read, and a page of each mapped binary; a compressed
/// one is decompressed first.
pub fn open(options: &CoreOptions<'_>) -> Result<OpenCore, CoreError> {
    let (file, mut description) = open_file(options)?;
    let (headers, notes) = {
        let map = map(&file, 0).map_err(|source| open_error(options.path, source))?;
        let headers = headers::read(&map).map_err(|refusal| refused(options.path, refusal))?;
        let notes = Notes::read(&map, &headers.notes);
        (headers, notes)
    };
    let image = image(&file, &headers.segments).map_err(|source| open_error(options.path, source))?;
    let (mappings, mapping_source) = address_space::mappings(&headers.segments, &notes, &image);
    let binaries = Binaries::find(&image, &mappings, options.search)?;
    let cut = cut_ranges(&headers.segments);
    let mut image = image;
    // Without all program headers nobody knows what was written.
    if headers.missing_headers == 0 {
        image.set_overlays(binaries.overlays(&mappings, &cut));
    }
    let cut_bytes = cut.iter().fold(0, |sum: u64, range| sum.saturating_add(range.length()));
    description.length = file.metadata().map_or(0, |metadata| metadata.len());
    description.expected_length = headers.expected_length;
    description.truncated = cut_bytes > 0
        || headers.missing_headers > 0
        || description.cut.is_some()
        || description.length < headers.expected_length;
    description.segments = headers.segments.len();
    description.damaged = headers.senseless.saturating_add(notes.damaged);
    description.signal = fatal_signal(&notes);
    description.threads.clone_from(&notes.threads);
    description.mapping_source = mapping_source;
    description.redacted.clone_from(&notes.redacted);
    description.binaries = binary_states(&binaries);
    let is_used =
        |path: &PathBuf| description.binaries.iter().any(|binary| binary.file.as_ref() == Some(path));
    let given = options.search.executables.iter();
    description.strangers = given.filter(|path| !is_used(path)).cloned().collect();
    let mut target = describe::describe(&notes, &mappings, &image);
    let statistics = CaptureStatistics {
        strategy: "core",
        threads: notes.threads.len(),
        pages_skipped: cut_bytes.div_ceil(PAGE).saturating_add(headers.missing_headers),
        ..CaptureStatistics::default()
    };
    target.core = Some(Box::new(description));
    Ok(OpenCore { capture: Capture { image, mappings, description: target, statistics }, binaries })
}

fn open_error(path: &Path, source: io::Error) -> CoreError {
    CoreError::Open { path: path.to_owned(), source }
}

fn refused(path: &Path, refusal: Refusal) -> CoreError {
    let path = path.to_owned();
    match refusal {
        Refusal::Other(what) => CoreError::NotCore { path, what },
        Refusal::Machine(machine) => CoreError::OtherMachine { path, machine },
        Refusal::Short(what) => CoreError::TooShort { path, what },
    }
}

/// The file, decompressed if need be.
fn open_file(options: &CoreOptions<'_>) -> Result<(File, CoreDescription), CoreError> {
    let path = options.path;
    let mut description = CoreDescription { path: path.to_owned(), ..CoreDescription::default() };
    let metadata = std::fs::metadata(path).map_err(|source| open_error(path, source))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
        return Err(CoreError::NotCore { path: path.to_owned(), what });
    }
    let file = File::open(path).map_err(|source| open_error(path, source))?;
    if metadata.len() == 0 {
        return Err(CoreError::Empty(path.to_owned()));
    }
    let mut start = [0; 8];
    let count = file.read_at(&mut start, 0).map_err(|source| open_error(path, source))?;
    let Some(compression) = Compression::of(&start[..count]) else { return Ok((file, description)) };
    let watchers = Watchers { progress: options.progress, signals: options.signals };
    let unpacked = unpack::unpack(path, file, compression, watchers)?;
    description.compression = Some(compression.name());
    description.cut = unpacked.cut;
    Ok((unpacked.file, description))
}

#[expect(unsafe_code, reason = "a file that is mapped may be changed by others")]
fn map(file: &File, offset: u64) -> io::Result<Mmap> {
    // SAFETY: the bytes are only ever read as bytes, each time anew, and nothing is concluded from having
    // read them before: a file that is written meanwhile gives other numbers. One that is made shorter
    // ends us by SIGBUS, as it would any program that maps it.
    unsafe { MmapOptions::new().offset(offset).map(file) }
}

/// Maps the file so that the pages of the process are whole pages of the image. gdb's cores have them at
/// odd offsets, the same for all segments.
fn image(file: &File, segments: &[CoreSegment]) -> io::Result<Image> {
    let mut shifts: BTreeMap<u64, u64> = BTreeMap::new();
    for segment in segments.iter().filter_map(whole_pages) {
        *shifts.entry(segment.local % PAGE).or_default() += segment.range.length();
    }
    let Some(shift) = shifts.iter().max_by_key(|(_, bytes)| **bytes).map(|(shift, _)| *shift) else {
        return Ok(Image::new(Backing::Owned(Vec::new()), &[], Vec::new()));
    };
    if shifts.len() > 1 {
        return realigned(file, segments);
    }
    let aligned: Vec<Segment> = segments.iter().filter_map(whole_pages).collect();
    let local = |segment: &Segment| Segment { range: segment.range, local: segment.local - shift };
    let aligned: Vec<Segment> = aligned.iter().map(local).collect();
    Ok(Image::new(Backing::File(map(file, shift)?), &aligned, Vec::new()))
}

/// The whole pages of a segment that are in the file, and where.
fn whole_pages(segment: &CoreSegment) -> Option<Segment> {
    let first = segment.range.start.get().checked_next_multiple_of(PAGE)?;
    let into = first - segment.range.start.get();
    let length = segment.stored.checked_sub(into)? / PAGE * PAGE;
    let start = Address::new(first);
    let usable = length > 0 && segment.readable && first.checked_add(length)? <= 1 << 47;
    usable.then(|| Segment {
        range: AddressRange::new(start, start.plus(length)),
        local: segment.offset + into,
    })
}

/// The segments one after the other in a temporary file: for a core that has them at offsets which no one
/// mapping can make whole pages of.
fn realigned(file: &File, segments: &[CoreSegment]) -> io::Result<Image> {
    let target = tempfile::tempfile()?;
    let mut at = 0;
    let mut moved = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    for segment in segments.iter().filter_map(whole_pages) {
        let length = segment.range.length();
        let mut done = 0;
        while done < length {
            let step = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
            file.read_exact_at(&mut buffer[..step], segment.local + done)?;
            target.write_all_at(&buffer[..step], at + done)?;
            done += step as u64;
        }
        moved.push(Segment { range: segment.range, local: at });
        at += length;
    }
    Ok(Image::new(Backing::File(map(&target, 0)?), &moved, Vec::new()))
}

/// What the segments should have and the file has not, sorted.
fn cut_ranges(segments: &[CoreSegment]) -> Vec<AddressRange> {
    let cut = segments.iter().filter(|segment| segment.stored < segment.promised);
    cut.map(|segment| {
        let start = segment.range.start;
        AddressRange::new(start.plus(segment.stored), start.plus(segment.promised).min(segment.range.end))
    })
    .collect()
}

/// What killed the process. A core that was written while it ran has a signal, too, or none.
fn fatal_signal(notes: &Notes) -> Option<SignalInfo> {
    let signal = notes.threads.first().map_or(0, |thread| thread.signal);
    let known = notes.signal.filter(|info| info.signal == signal || signal == 0);
    let info = known.unwrap_or(SignalInfo { signal, code: 0, detail: 0 });
    FATAL.contains(&info.signal).then_some(info)
}

fn binary_states(binaries: &Binaries) -> Vec<BinaryState> {
    let state = |binary: &files::Binary| {
        let (file, matched) = match &binary.found {
            Found::File(_, path, why) => (Some(path.clone()), Some(*why)),
            Found::Rebuilt(_) | Found::Missing => (None, None),
        };
        BinaryState {
            name: binary.name.clone(),
            build_id: binary.build_id.as_deref().map(hexadecimal),
            has_headers: matches!(binary.found, Found::Rebuilt(_)),
            missing_bytes: binary.missing_bytes,
            file,
            matched,
        }
    };
    binaries.binaries.iter().map(state).collect()
}
