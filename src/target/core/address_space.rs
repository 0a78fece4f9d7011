//! The address space of a crashed process: what the segments and the file table of its core say together.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::Memory;
use crate::target::core::elf_pages;
use crate::target::core::elf_pages::LOAD;
use crate::target::core::headers::CoreSegment;
use crate::target::core::link_map;
use crate::target::core::notes::MappedPiece;
use crate::target::core::notes::Notes;
use crate::target::image::PAGE;
use crate::target::proc_maps::parse_maps;
use rustc_hash::FxHashMap;

/// `AT_SYSINFO_EHDR`: where the kernel's own pages begin (`include/uapi/linux/auxvec.h`).
const VDSO: u64 = 33;
/// `AT_RANDOM`: sixteen bytes at the top of the first thread's stack.
const RANDOM: u64 = 25;

/// Where the list of mappings came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MappingSource {
    /// The list that heapattach wrote when it copied the process.
    Saved,
    /// Segments and file table.
    #[default]
    FileTable,
    /// Segments alone, and the dynamic linker's list: the file table is missing.
    LinkMap,
}

/// The mappings, sorted by address.
pub(super) fn mappings(
    segments: &[CoreSegment],
    notes: &Notes,
    image: &Image,
) -> (Vec<Mapping>, MappingSource) {
    if let Some(maps) = &notes.maps {
        return (parse_maps(maps), MappingSource::Saved);
    }
    let (files, source) = if notes.files.is_empty() {
        (link_map::pieces(segments, image), MappingSource::LinkMap)
    } else {
        (notes.files.clone(), MappingSource::FileTable)
    };
    let mut inodes = FxHashMap::default();
    let mut mappings: Vec<Mapping> =
        files.iter().map(|piece| file_mapping(piece, segments, &mut inodes)).collect();
    mappings.extend(anonymous_mappings(segments, &files, notes));
    mappings.sort_by_key(|mapping| mapping.range.start);
    mark_programs(&mut mappings, image);
    (mappings, source)
}

/// The segment that has the first address of a range, if any.
fn segment_at(segments: &[CoreSegment], address: Address) -> Option<&CoreSegment> {
    let after = segments.partition_point(|segment| segment.range.start <= address);
    segments.get(after.checked_sub(1)?).filter(|segment| segment.range.contains(address))
}

fn file_mapping(
    piece: &MappedPiece,
    segments: &[CoreSegment],
    inodes: &mut FxHashMap<String, u64>,
) -> Mapping {
    let (name, deleted) = match piece.name.strip_suffix(" (deleted)") {
        Some(name) => (name.to_owned(), true),
        None => (piece.name.clone(), false),
    };
    let segment = segment_at(segments, piece.range.start);
    // The numbers stand for those of the file system: all pieces of a file have the same.
    let next = inodes.len() as u64 + 1;
    let inode = *inodes.entry(name.clone()).or_insert(next);
    Mapping {
        range: piece.range,
        readable: segment.is_none_or(|segment| segment.readable),
        writable: segment.is_some_and(|segment| segment.writable),
        executable: segment.is_some_and(|segment| segment.executable),
        shared: is_shared(&name),
        file_offset: piece.offset,
        inode,
        name,
        deleted,
    }
}

/// Files that only shared memory has. A core does not say what is shared.
fn is_shared(name: &str) -> bool {
    ["/dev/shm/", "/dev/zero", "/SYSV", "/memfd:"].iter().any(|start| name.starts_with(start))
}

/// The segments, or parts of them, that no file is mapped to.
fn anonymous_mappings<'a>(
    segments: &'a [CoreSegment],
    files: &'a [MappedPiece],
    notes: &'a Notes,
) -> impl Iterator<Item = Mapping> + 'a {
    let vdso = notes.auxiliary(VDSO).map(Address::new);
    let random = notes.auxiliary(RANDOM).map(Address::new);
    segments.iter().flat_map(move |segment| {
        let after = files.partition_point(|piece| piece.range.end <= segment.range.start);
        let covering = files.get(after..).unwrap_or(&[]).iter();
        let covering = covering.take_while(|piece| piece.range.start < segment.range.end);
        let name = if vdso.is_some_and(|address| segment.range.contains(address)) {
            "[vdso]"
        } else if random.is_some_and(|address| segment.range.contains(address)) {
            "[stack]"
        } else {
            ""
        };
        gaps(segment.range, covering.map(|piece| piece.range)).into_iter().map(move |range| Mapping {
            range,
            readable: segment.readable,
            writable: segment.writable,
            executable: segment.executable,
            shared: false,
            file_offset: 0,
            inode: 0,
            name: name.to_owned(),
            deleted: false,
        })
    })
}

/// What is left of a range without some sorted ones.
pub(super) fn gaps(range: AddressRange, covering: impl Iterator<Item = AddressRange>) -> Vec<AddressRange> {
    let mut gaps = Vec::new();
    let mut start = range.start;
    for covered in covering {
        if start < covered.start {
            gaps.push(AddressRange::new(start, covered.start.min(range.end)));
        }
        start = start.max(covered.end);
    }
    if start < range.end {
        gaps.push(AddressRange::new(start, range.end));
    }
    gaps
}

/// gdb writes no segment for what it leaves out, and with it go its permissions: the file's own program
/// headers have them, too.
fn mark_programs(mappings: &mut [Mapping], image: &Image) {
    let mut start: Option<(u64, Vec<elf_pages::LoadedSegment>)> = None;
    for mapping in mappings.iter_mut().filter(|mapping| mapping.inode != 0) {
        if mapping.file_offset == 0 {
            let base = mapping.range.start;
            let read = |offset: u64, buffer: &mut [u8]| image.read_into(base.plus(offset), buffer).is_ok();
            start = elf_pages::segments(&read).map(|segments| (mapping.inode, segments));
        }
        let Some((_, segments)) = start.as_ref().filter(|(inode, _)| *inode == mapping.inode) else {
            continue;
        };
        let loaded = segments.iter().filter(|segment| segment.kind == LOAD);
        let here =
            loaded.clone().find(|segment| segment.offset - segment.offset % PAGE == mapping.file_offset);
        if here.is_some_and(|segment| segment.flags & 1 != 0) && !mapping.writable {
            mapping.executable = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::image::Backing;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(Address::new(start), Address::new(end))
    }

    fn segment(start: u64, end: u64) -> CoreSegment {
        CoreSegment {
            range: range(start, end),
            offset: 0,
            promised: 0,
            stored: 0,
            readable: true,
            writable: true,
            executable: false,
        }
    }

    #[test]
    fn segments_and_files_are_put_together() {
        let piece =
            |start, end, name: &str| MappedPiece { range: range(start, end), offset: 0, name: name.into() };
        let notes = Notes {
            files: vec![piece(0x2000, 0x3000, "/lib/a (deleted)"), piece(0x9000, 0xa000, "/dev/shm/b")],
            auxiliary: vec![(VDSO, 0x5000)],
            ..Notes::default()
        };
        let segments = [segment(0x1000, 0x4000), segment(0x5000, 0x6000)];
        let image = Image::new(Backing::Owned(Vec::new()), &[], Vec::new());
        let (found, source) = mappings(&segments, &notes, &image);
        let found: Vec<_> = found
            .iter()
            .map(|mapping| (mapping.range.start.get(), mapping.range.end.get(), mapping.name.as_str()))
            .collect();
        let expected = [
            (0x1000, 0x2000, ""),
            (0x2000, 0x3000, "/lib/a"),
            (0x3000, 0x4000, ""),
            (0x5000, 0x6000, "[vdso]"),
            (0x9000, 0xa000, "/dev/shm/b"),
        ];
        assert_eq!(found, expected);
        assert_eq!(source, MappingSource::FileTable);
    }
}
