//! The binaries behind a core: its own first page of each says which file it was, by build id, and the
//! very same file stands for the pages that were left out.

use crate::address::AddressRange;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::Memory;
use crate::target::core::CoreError;
use crate::target::core::address_space::gaps;
use crate::target::core::elf_pages;
use crate::target::core::elf_pages::hexadecimal;
use crate::target::core::rebuild;
use crate::target::image::FileOverlay;
use crate::target::image::PAGE;
use rustc_hash::FxHashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// Pages that are looked for in all missing binaries together: more are a damaged table.
const MOST_PAGES: u64 = 1 << 26;
/// Where distributions and debug servers keep files by build id.
const BY_BUILD_ID: &str = "/usr/lib/debug";

/// Where to look for binaries.
#[derive(Clone, Copy, Debug, Default)]
pub struct BinarySearch<'a> {
    /// Files given by name: the program, or libraries.
    pub executables: &'a [PathBuf],
    /// A folder that has the file system of the machine that crashed.
    pub sysroot: Option<&'a Path>,
    /// Folders like `/usr/lib/debug`, which may have binaries by build id.
    pub debug_directories: &'a [PathBuf],
}

/// How sure it is that a file is the one that was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The build ids are the same.
    BuildId,
    /// There is no build id, and the first page is the same byte for byte.
    FirstPage,
    /// The core has neither, and the user named the file.
    Named,
}

/// What stands behind one mapped binary.
pub enum Found {
    /// The file, and why it is believed.
    File(Arc<File>, PathBuf, Match),
    /// The core has enough of it to tell what it is.
    Rebuilt(Arc<File>),
    /// Nothing.
    Missing,
}

/// One mapped binary.
pub struct Binary {
    /// Its name in the process.
    pub name: String,
    /// Its build id, if its first page is in the core.
    pub build_id: Option<Vec<u8>>,
    /// What was found of it.
    pub found: Found,
    /// Pages of it that are nowhere, if there is no file. Unit: bytes.
    pub missing_bytes: u64,
}

/// All mapped binaries.
#[derive(Default)]
pub struct Binaries {
    /// In order of address.
    pub binaries: Vec<Binary>,
    by_file: FxHashMap<FileKey, usize>,
}

/// What tells mapped files apart: a number that may belong to another file system, too, and a name.
type FileKey = (u64, String);

fn key(mapping: &Mapping) -> FileKey {
    (mapping.inode, mapping.name.clone())
}

/// A file that the user gave.
struct Given {
    path: PathBuf,
    file: Arc<File>,
}

impl Binaries {
    /// Looks for every binary. Cost: a few opens for each.
    pub(super) fn find(
        image: &Image,
        mappings: &[Mapping],
        search: BinarySearch<'_>,
    ) -> Result<Self, CoreError> {
        search.sysroot.map_or(Ok(()), check_folder)?;
        let given: Vec<Given> =
            search.executables.iter().map(|path| open_given(path)).collect::<Result<_, _>>()?;
        let mut groups: Vec<Vec<&Mapping>> = Vec::new();
        let mut numbers: FxHashMap<FileKey, usize> = FxHashMap::default();
        for mapping in mappings.iter().filter(|mapping| mapping.is_file() && !mapping.shared) {
            let number = *numbers.entry(key(mapping)).or_insert(groups.len());
            match groups.get_mut(number) {
                Some(group) => group.push(mapping),
                None => groups.push(vec![mapping]),
            }
        }
        let mut found = Self::default();
        let programs = groups.iter().filter(|group| group.iter().any(|mapping| mapping.executable));
        let mut budget = MOST_PAGES;
        for group in programs {
            let mut binary = find_one(image, group, &given, search);
            if !matches!(binary.found, Found::File(..)) {
                binary.missing_bytes = missing_bytes(image, group, &mut budget);
            }
            found.by_file.insert(key(group[0]), found.binaries.len());
            found.binaries.push(binary);
        }
        name_the_program(&mut found.binaries, &given);
        Ok(found)
    }

    fn of(&self, mapping: &Mapping) -> Option<&Binary> {
        self.binaries.get(*self.by_file.get(&key(mapping))?)
    }

    /// The file behind a mapping.
    pub fn open(&self, mapping: &Mapping) -> io::Result<File> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the file is not on this machine");
        let binary = self.of(mapping).ok_or_else(missing)?;
        match &binary.found {
            Found::File(file, ..) | Found::Rebuilt(file) => file.try_clone(),
            Found::Missing => Err(missing()),
        }
    }

    /// What stands behind the pages that the core leaves out. A page that it should have and that was
    /// cut off is another matter: the process may have written there, so that no file has its bytes.
    pub(super) fn overlays(&self, mappings: &[Mapping], cut: &[AddressRange]) -> Vec<FileOverlay> {
        let mut overlays = Vec::new();
        for mapping in mappings.iter().filter(|mapping| mapping.is_file() && mapping.readable) {
            let Some(Found::File(file, ..)) = self.of(mapping).map(|binary| &binary.found) else { continue };
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            let after = cut.partition_point(|range| range.end <= mapping.range.start);
            let here = cut.get(after..).unwrap_or(&[]).iter().copied();
            let here = here.take_while(|range| range.start < mapping.range.end);
            for piece in gaps(mapping.range, here) {
                let into = piece.start.get() - mapping.range.start.get();
                let Some(offset) = mapping.file_offset.checked_add(into) else { continue };
                // A damaged table can claim any size.
                let there = length.saturating_sub(offset).min(piece.length());
                let piece = AddressRange::new(piece.start, piece.start.plus(there));
                overlays.push(FileOverlay::new(piece, Arc::clone(file), offset));
            }
        }
        overlays
    }
}

fn open_given(path: &Path) -> Result<Given, CoreError> {
    let failed = |source| CoreError::Executable { path: path.to_owned(), source };
    let file = open_regular(path).map_err(failed)?;
    if elf_pages::segments(&reader(&file)).is_none() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is no 64-bit ELF file")));
    }
    Ok(Given { path: path.to_owned(), file: Arc::new(file) })
}

fn check_folder(path: &Path) -> Result<(), CoreError> {
    let not_a_folder = || Err(io::Error::from(io::ErrorKind::NotADirectory));
    let checked =
        std::fs::metadata(path).and_then(|found| if found.is_dir() { Ok(()) } else { not_a_folder() });
    checked.map_err(|source| CoreError::Executable { path: path.to_owned(), source })
}

fn reader(file: &File) -> impl Fn(u64, &mut [u8]) -> bool + '_ {
    |offset, buffer| file.read_exact_at(buffer, offset).is_ok()
}

/// Devices and pipes are not even opened: that may block or have effects.
fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

fn find_one(image: &Image, group: &[&Mapping], given: &[Given], search: BinarySearch<'_>) -> Binary {
    let first = group[0];
    let start = group.iter().find(|mapping| mapping.file_offset == 0).map(|mapping| mapping.range.start);
    let read = |offset: u64, buffer: &mut [u8]| {
        start.is_some_and(|start| image.read_into(start.plus(offset), buffer).is_ok())
    };
    let build_id = elf_pages::build_id(&read);
    let mut page = vec![0; PAGE as usize];
    let page = read(0, &mut page).then_some(page);
    let check = |file: &File| -> Option<Match> {
        match (&build_id, &page) {
            (Some(id), _) => {
                (elf_pages::build_id(&reader(file)).as_ref() == Some(id)).then_some(Match::BuildId)
            }
            (None, Some(page)) => has_page(file, page).then_some(Match::FirstPage),
            (None, None) => None,
        }
    };
    let named = given.iter().find_map(|given| {
        let why = check(&given.file)?;
        Some(Found::File(Arc::clone(&given.file), given.path.clone(), why))
    });
    let looked_up = || {
        candidates(&first.name, build_id.as_deref(), search).into_iter().find_map(|path| {
            let file = open_regular(&path).ok()?;
            let why = check(&file)?;
            Some(Found::File(Arc::new(file), path, why))
        })
    };
    let rebuilt = || rebuild::rebuild(image, group).map(|file| Found::Rebuilt(Arc::new(file)));
    let found = named.or_else(looked_up).or_else(rebuilt).unwrap_or(Found::Missing);
    Binary { name: first.name.clone(), build_id, found, missing_bytes: 0 }
}

fn has_page(file: &File, page: &[u8]) -> bool {
    let mut bytes = vec![0; page.len()];
    file.read_exact_at(&mut bytes, 0).is_ok() && bytes == page
}

fn candidates(name: &str, build_id: Option<&[u8]>, search: BinarySearch<'_>) -> Vec<PathBuf> {
    let below = |root: &Path| root.join(name.trim_start_matches('/'));
    let mut candidates: Vec<PathBuf> = search.sysroot.map(below).into_iter().collect();
    candidates.push(PathBuf::from(name));
    if let Some((first, rest)) = build_id.and_then(|id| id.split_first()) {
        let file = format!(".build-id/{first:02x}/{}", hexadecimal(rest));
        let folders = search.debug_directories.iter().map(PathBuf::as_path).chain([Path::new(BY_BUILD_ID)]);
        candidates.extend(folders.map(|folder| folder.join(&file)));
    }
    candidates
}

/// A core without first pages says nothing about its files: what the user calls the program is believed
/// where the name is the same.
fn name_the_program(binaries: &mut [Binary], given: &[Given]) {
    for binary in binaries
        .iter_mut()
        .filter(|binary| binary.build_id.is_none() && matches!(binary.found, Found::Missing))
    {
        let same = |given: &&Given| given.path.file_name() == Path::new(&binary.name).file_name();
        if let Some(given) = given.iter().find(same) {
            binary.found = Found::File(Arc::clone(&given.file), given.path.clone(), Match::Named);
            binary.missing_bytes = 0;
        }
    }
}

/// Constants and variables of a file that the core does not have. Unit: bytes.
fn missing_bytes(image: &Image, group: &[&Mapping], budget: &mut u64) -> u64 {
    let mut missing = 0;
    // Nothing reads code. A file that is loaded in one piece has its constants there, too.
    let in_one_piece = group.iter().any(|mapping| mapping.executable && mapping.file_offset == 0);
    let is_wanted = |mapping: &&&Mapping| mapping.readable && (in_one_piece || !mapping.executable);
    for mapping in group.iter().filter(is_wanted) {
        let pages = (mapping.range.length() / PAGE).min(*budget);
        *budget -= pages;
        let start = mapping.range.start;
        missing +=
            (0..pages).filter(|index| image.page_of(start.plus(index * PAGE)).is_none()).count() as u64;
    }
    missing * PAGE
}
