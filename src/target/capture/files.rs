//! The files behind the mappings, opened before the stop.

use crate::target::Mapping;
use crate::target::image::FileOverlay;
use crate::target::mapped_file::open_mapped_file;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;
use rustc_hash::FxHashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What a mapped file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A program or library.
    Elf,
    /// Anything else.
    Other,
    /// It cannot be opened.
    Unavailable,
    /// It was mapped in the last moment; nobody has looked.
    Unseen,
}

struct Opened {
    file: Arc<File>,
    kind: FileKind,
}

/// Each mapped file once, however many mappings it has.
#[derive(Default)]
pub(super) struct MappedFiles {
    /// By inode and name. `None`: it cannot be opened.
    opened: FxHashMap<(u64, String), Option<Opened>>,
}

impl MappedFiles {
    /// Opens the files of the mappings that are not open yet.
    pub(super) fn open(&mut self, pid: i32, mappings: &[Mapping]) {
        allow_many_files();
        for mapping in mappings.iter().filter(|mapping| is_private_file(mapping)) {
            self.opened.entry(key(mapping)).or_insert_with(|| {
                let file = open_mapped_file(pid, mapping).ok()?;
                let mut magic = [0; 4];
                let is_elf = file.read_exact_at(&mut magic, 0).is_ok() && &magic == b"\x7fELF";
                let kind = if is_elf { FileKind::Elf } else { FileKind::Other };
                Some(Opened { file: Arc::new(file), kind })
            });
        }
    }

    /// What the file behind a mapping is.
    pub(super) fn kind(&self, mapping: &Mapping) -> FileKind {
        // Devices, and what the kernel names so although it is anonymous memory.
        if mapping.name.starts_with("/dev/") {
            return FileKind::Other;
        }
        match self.opened.get(&key(mapping)) {
            Some(Some(opened)) => opened.kind,
            Some(None) => FileKind::Unavailable,
            None => FileKind::Unseen,
        }
    }

    /// The file standing for a mapping, if it is open.
    pub(super) fn overlay(&self, mapping: &Mapping) -> Option<FileOverlay> {
        let opened = self.opened.get(&key(mapping))?.as_ref()?;
        Some(FileOverlay::new(mapping.range, Arc::clone(&opened.file), mapping.file_offset))
    }
}

/// A process may have more libraries mapped than we may have files open by default (1024).
fn allow_many_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it fails, files that cannot be opened are copied instead.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn key(mapping: &Mapping) -> (u64, String) {
    (mapping.inode, mapping.name.clone())
}

/// Whether a file is mapped here so that its bytes may stand for what was not copied.
pub(super) fn is_private_file(mapping: &Mapping) -> bool {
    mapping.is_file() && mapping.readable && !mapping.shared
}
