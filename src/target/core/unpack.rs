//! Compressed cores: recognised by their first bytes, decompressed once into a temporary file without a name.
//!
//! Zeros are not written, so that the temporary file is as sparse as the core was.

use crate::target::SignalWatch;
use crate::target::capture::Progress;
use crate::target::capture::Stage;
use crate::target::core::CoreError;
use crate::target::core::headers;
use crate::target::core::sparse;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Bytes decompressed at a time.
const STEP: usize = 1 << 20;
/// The largest window that a zstd frame may ask for (`zstd --long=30`). Unit: bytes.
const LARGEST_WINDOW: u64 = 1 << 30;
/// The most memory that an xz stream may ask for. Unit: kibibytes.
const LARGEST_DICTIONARY: u32 = 2 << 20;

/// A way in which a core may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Zstd,
    Lz4,
    Xz,
    Gzip,
}

impl Compression {
    /// What the first bytes of a file say.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let skippable = matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable {
            Some(Self::Zstd)
        } else if start.starts_with(&[0x04, 0x22, 0x4d, 0x18]) {
            Some(Self::Lz4)
        } else if start.starts_with(b"\xfd7zXZ\0") {
            Some(Self::Xz)
        } else if start.starts_with(&[0x1f, 0x8b, 8]) {
            Some(Self::Gzip)
        } else {
            None
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Gzip => "gzip",
        }
    }
}

/// A decompressed core.
pub(super) struct Unpacked {
    /// The temporary file.
    pub(super) file: File,
    /// Why decompressing ended early, if it did.
    pub(super) cut: Option<String>,
}

/// Whom to tell, and who may end it.
#[derive(Clone, Copy, Default)]
pub(super) struct Watchers<'a> {
    pub(super) progress: Option<&'a dyn Progress>,
    pub(super) signals: Option<&'a SignalWatch>,
}

/// Decompresses a file. No more than its own ELF headers promise is taken out of it. Cost: the whole file
/// is read once; disk space for what is not zero.
pub(super) fn unpack(
    path: &Path,
    file: File,
    compression: Compression,
    watchers: Watchers<'_>,
) -> Result<Unpacked, CoreError> {
    let directory = std::env::temp_dir();
    let temporary = |source| CoreError::Temporary { directory: directory.clone(), source };
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let count = Arc::new(AtomicU64::new(0));
    let source = BufReader::with_capacity(1 << 20, Counted { file, count: Arc::clone(&count) });
    let mut decoder = Decoder::new(source, compression);
    let sink = tempfile::tempfile_in(&directory).map_err(temporary)?;
    let mut buffer = vec![0; STEP];
    let (mut at, mut limit) = (0, u64::MAX);
    let mut cut = None;
    while at < limit {
        watchers.signals.map_or(Ok(()), SignalWatch::check)?;
        let wanted = STEP.min(usize::try_from(limit - at).unwrap_or(STEP));
        let (filled, failure) = fill(&mut decoder, &mut buffer[..wanted]);
        sparse::write_at(&sink, at, &buffer[..filled]).map_err(temporary)?;
        if at == 0 {
            limit = headers::expected_length(&buffer[..filled]).unwrap_or(u64::MAX);
        }
        at += filled as u64;
        if let Some(progress) = watchers.progress {
            progress.advance(Stage::Decompressing, count.load(Ordering::Relaxed), total);
        }
        if let Some(source) = failure {
            if at == 0 {
                return Err(CoreError::Compressed {
                    path: path.to_owned(),
                    format: compression.name(),
                    source,
                });
            }
            cut = Some(source.to_string());
            break;
        }
        if filled < wanted {
            break;
        }
    }
    sink.set_len(at).map_err(temporary)?;
    Ok(Unpacked { file: sink, cut })
}

/// Fills the buffer as far as the stream goes; what came before a failure is kept.
fn fill(decoder: &mut Decoder, buffer: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match decoder.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

/// A file that counts what was read of it.
struct Counted {
    file: File,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

type Source = BufReader<Counted>;
type Zstd = ruzstd::decoding::StreamingDecoder<Source, ruzstd::decoding::FrameDecoder>;

/// One of the decompressors; all of them go on with a second stream after the first.
enum Decoder {
    /// The frame that is being read; none before the first and between two.
    Zstd {
        frame: Option<Box<Zstd>>,
        source: Option<Source>,
    },
    Lz4(Box<lz4_flex::frame::FrameDecoder<Source>>),
    Xz(Box<lzma_rust2::XzReader<Source>>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Source>>),
}

impl Decoder {
    fn new(source: Source, compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::Zstd { frame: None, source: Some(source) },
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(source))),
            Compression::Xz => {
                Self::Xz(Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, LARGEST_DICTIONARY)))
            }
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zstd { frame, source } => read_zstd(frame, source, buffer),
            Self::Lz4(decoder) => read_lz4(decoder, buffer),
            Self::Xz(decoder) => decoder.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

/// A zstd file is a sequence of frames, some of which may be there to be skipped.
fn read_zstd(
    frame: &mut Option<Box<Zstd>>,
    source: &mut Option<Source>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        if let Some(decoder) = frame {
            let count = decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            *source = frame.take().map(|decoder| decoder.into_inner());
        }
        let Some(mut rest) = source.take() else { return Ok(0) };
        skip_frames(&mut rest)?;
        if rest.fill_buf()?.is_empty() {
            return Ok(0);
        }
        let opened = Zstd::new_with_max_window_size(rest, LARGEST_WINDOW).map_err(io::Error::other)?;
        *frame = Some(Box::new(opened));
    }
}

/// Passes over skippable frames: a magic number, a length, so many bytes.
fn skip_frames(source: &mut Source) -> io::Result<()> {
    while matches!(source.fill_buf()?, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        let mut head = [0; 8];
        source.read_exact(&mut head)?;
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        io::copy(&mut source.by_ref().take(length), &mut io::sink())?;
    }
    Ok(())
}

/// The decoder says zero at the end of each frame, and starts the next one when asked again.
fn read_lz4(decoder: &mut lz4_flex::frame::FrameDecoder<Source>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let count = decoder.read(buffer)?;
        if count > 0 || decoder.get_mut().fill_buf()?.is_empty() {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn check(compression: Compression, packed: &[u8], expected: &[u8]) {
        assert_eq!(Compression::of(packed), Some(compression));
        let unpacked = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            unpack(Path::new("x"), file, compression, Watchers::default())
        };
        let whole = unpacked(packed).unwrap();
        let mut found = vec![0; expected.len()];
        whole.file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == expected && whole.cut.is_none(), "{compression:?}");
        assert_eq!(whole.file.metadata().unwrap().len(), expected.len() as u64);
        // Cut anywhere: an error, or what came before.
        for length in [3, 7, 20, packed.len() / 2, packed.len() - 9] {
            if let Ok(part) = unpacked(&packed[..length.min(packed.len())]) {
                assert!(part.cut.is_some() || part.file.metadata().unwrap().len() < expected.len() as u64);
            }
        }
    }

    fn sample() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..3_u32 << 18).flat_map(|number| (number / 7).to_le_bytes()).collect();
        bytes[100_000..2_000_000].fill(0);
        bytes
    }

    #[test]
    fn every_format_is_read_also_in_several_streams() {
        let bytes = sample();
        let (first, second) = bytes.split_at(1_000_000);
        let zstd =
            |bytes| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
        let skipped = [0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        check(Compression::Zstd, &[&skipped[..], &zstd(first), &skipped, &zstd(second)].concat(), &bytes);
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        check(Compression::Gzip, &[gzip(first), gzip(second)].concat(), &bytes);
        let lz4 = |bytes: &[u8]| {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        check(Compression::Lz4, &[lz4(first), lz4(second)].concat(), &bytes);
    }

    #[test]
    fn other_files_are_not_compressed() {
        for start in [&b"\x7fELF"[..], b"", b"\x1f", b"PK\x03\x04"] {
            assert_eq!(Compression::of(start), None);
        }
    }
}
