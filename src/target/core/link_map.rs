//! The mapped files of a core whose file table is missing: ELF headers in memory say what is loaded where,
//! the dynamic linker's list (`struct link_map`, glibc `include/link.h`) what it is called.
//!
//! gdb writes the notes last, so that every truncated core of its lacks them.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Image;
use crate::target::Memory;
use crate::target::core::elf_pages;
use crate::target::core::elf_pages::DYNAMIC;
use crate::target::core::elf_pages::LOAD;
use crate::target::core::elf_pages::LoadedSegment;
use crate::target::core::elf_pages::hexadecimal;
use crate::target::core::headers::CoreSegment;
use crate::target::core::notes::MappedPiece;
use crate::target::image::PAGE;
use rustc_hash::FxHashMap;

/// No process has more files loaded.
const MOST_FILES: usize = 100_000;
const MOST_ENTRIES: u64 = 4096;
const LONGEST_NAME: usize = 4096;
/// `DT_DEBUG` (`elf.h`): where the program's dynamic section has the linker's list.
const DEBUG: u64 = 21;

/// A file found by its header.
struct Loaded {
    /// What to add to its link-time addresses.
    bias: u64,
    segments: Vec<LoadedSegment>,
    build_id: Option<Vec<u8>>,
}

impl Loaded {
    fn dynamic(&self) -> Option<(Address, u64)> {
        let dynamic = self.segments.iter().find(|segment| segment.kind == DYNAMIC)?;
        Some((Address::new(dynamic.address.wrapping_add(self.bias)), dynamic.memory_size))
    }

    /// What it would be called in the file table, one piece for each segment.
    fn pieces(&self, name: &str) -> impl Iterator<Item = MappedPiece> {
        let loaded = self.segments.iter().filter(|segment| segment.kind == LOAD && segment.file_size > 0);
        loaded.filter_map(move |segment| {
            let start = segment.address.wrapping_add(self.bias);
            let end = start.checked_add(segment.file_size)?.checked_next_multiple_of(PAGE)?;
            let start = start - start % PAGE;
            Some(MappedPiece {
                range: AddressRange::new(Address::new(start), Address::new(end)),
                offset: segment.offset - segment.offset % PAGE,
                name: name.to_owned(),
            })
        })
    }
}

/// A file table made from memory, sorted by address. Cost: a look at the start of each segment.
pub(super) fn pieces(segments: &[CoreSegment], image: &Image) -> Vec<MappedPiece> {
    let starts = segments.iter().filter(|segment| segment.stored > 0).map(|segment| segment.range.start);
    let files: Vec<Loaded> = starts.filter_map(|start| loaded_at(image, start)).take(MOST_FILES).collect();
    let names = names(&files, image);
    let mut pieces = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let known = file.dynamic().and_then(|(address, _)| names.get(&address));
        // A name that no file has; what tells files apart is their build id.
        let unknown = || {
            let id = file.build_id.as_deref().unwrap_or(&[]);
            if id.is_empty() { format!("/unnamed/{index}") } else { format!("/unnamed/{}", hexadecimal(id)) }
        };
        let name = known.cloned().unwrap_or_else(unknown);
        pieces.extend(file.pieces(&name));
    }
    pieces.sort_by_key(|piece| piece.range.start);
    pieces
}

fn loaded_at(image: &Image, start: Address) -> Option<Loaded> {
    let read = |offset: u64, buffer: &mut [u8]| image.read_into(start.plus(offset), buffer).is_ok();
    let segments = elf_pages::segments(&read)?;
    let first = segments.iter().find(|segment| segment.kind == LOAD && segment.offset < PAGE)?;
    let bias = start.get().wrapping_sub(first.address - first.address % PAGE);
    Some(Loaded { bias, build_id: elf_pages::build_id(&read), segments })
}

/// Names by the address of the dynamic section.
fn names(files: &[Loaded], image: &Image) -> FxHashMap<Address, String> {
    let mut names = FxHashMap::default();
    for list in files.iter().filter_map(|file| linker_list(file, image)) {
        let mut next = list;
        for _ in 0..MOST_FILES {
            let entry = next;
            let (Some(name), Some(dynamic), Some(following)) =
                (image.pointer(entry.plus(8)), image.pointer(entry.plus(16)), image.pointer(entry.plus(24)))
            else {
                break;
            };
            if let Ok(name) = image.read_c_string(name, LONGEST_NAME)
                && name.starts_with(b"/")
            {
                names.entry(dynamic).or_insert_with(|| String::from_utf8_lossy(&name).into_owned());
            }
            if following.is_null() {
                break;
            }
            next = following;
        }
    }
    names
}

/// `r_debug.r_map`, if this is the program and the linker has told it.
fn linker_list(file: &Loaded, image: &Image) -> Option<Address> {
    let (dynamic, size) = file.dynamic()?;
    let entry = (0..(size / 16).min(MOST_ENTRIES))
        .map(|index| dynamic.plus(16 * index))
        .find(|entry| image.word(*entry) == Some(DEBUG))?;
    let debug = image.pointer(entry.plus(8)).filter(|debug| !debug.is_null())?;
    image.pointer(debug.plus(8)).filter(|list| !list.is_null())
}
