//! A binary that is missing, put together from what the core has of it.
//!
//! The result is a sparse file that can be read as the binary could: headers, notes, variables, and where the
//! core has them the exported symbols. It has no section headers: they are not loaded.

use crate::target::Image;
use crate::target::Mapping;
use crate::target::image::PAGE;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A binary with more loaded bytes than this is not put together.
const LARGEST: u64 = 1 << 30;

/// The file, if the core has its first page. Cost: its loaded pages are copied.
pub(super) fn rebuild(image: &Image, group: &[&Mapping]) -> Option<File> {
    let first = group.iter().find(|mapping| mapping.file_offset == 0)?;
    let total = group.iter().fold(0, |sum: u64, mapping| sum.saturating_add(mapping.range.length()));
    image.byte(first.range.start)?;
    if total > LARGEST {
        return None;
    }
    let file = tempfile::tempfile().ok()?;
    // Where a page of the file is mapped twice, what is read-only is what the file has.
    for writable in [true, false] {
        for mapping in group.iter().filter(|mapping| mapping.writable == writable) {
            copy_mapping(image, mapping, &file)?;
        }
    }
    let end =
        group.iter().filter_map(|mapping| mapping.file_offset.checked_add(mapping.range.length())).max()?;
    file.set_len(end).ok()?;
    Some(file)
}

fn copy_mapping(image: &Image, mapping: &Mapping, file: &File) -> Option<()> {
    for index in 0..mapping.range.length() / PAGE {
        let address = mapping.range.start.plus(index * PAGE);
        if let Some(page) = image.page_of(address) {
            let offset = mapping.file_offset.checked_add(index * PAGE)?;
            if i64::try_from(offset).is_err() {
                return None;
            }
            file.write_all_at(image.page_bytes(page), offset).ok()?;
        }
    }
    Some(())
}
