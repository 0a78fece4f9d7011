//! Separate debug information: found by build id, then by the name that `.gnu_debuglink` gives.
//!
//! The rules are gdb's (its manual, "Separate Debug Files"): a file found by build id must carry
//! that id, one found by name must have the checksum that the link says.

use crate::binary::BinaryError;
use crate::binary::elf_file::ElfFile;
use crate::binary::module::hexadecimal;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

/// Where distributions install debug files.
pub const SYSTEM_DIRECTORY: &str = "/usr/lib/debug";

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugSearch {
    /// Folders like `/usr/lib/debug`, in order of preference.
    pub directories: Vec<PathBuf>,
    /// What the target's paths are relative to, if it sees other files than we do (`/proc/PID/root`).
    pub root: Option<PathBuf>,
}

impl DebugSearch {
    /// The folders that were asked for, then the system's, ours and the target's.
    pub fn new(directories: &[PathBuf], root: Option<PathBuf>) -> Self {
        let mut all = directories.to_vec();
        all.push(PathBuf::from(SYSTEM_DIRECTORY));
        all.extend(root.as_deref().map(|root| below(root, Path::new(SYSTEM_DIRECTORY))));
        Self { directories: all, root }
    }

    /// The debug file of a binary, if it is installed. Cost: a few failed opens; a found debug link
    /// is read wholly for its checksum.
    pub fn find(&self, elf: &ElfFile, path: &Path) -> Option<(PathBuf, ElfFile)> {
        self.find_by_build_id(elf).or_else(|| self.find_by_link(elf, path))
    }

    fn find_by_build_id(&self, elf: &ElfFile) -> Option<(PathBuf, ElfFile)> {
        let id = elf.build_id()?;
        let (first, rest) = id.split_at_checked(1)?;
        let name = format!(".build-id/{}/{}.debug", hexadecimal(first), hexadecimal(rest));
        self.directories.iter().find_map(|directory| {
            let path = directory.join(&name);
            let found = open(&path).ok()?;
            (found.build_id().as_ref() == Some(&id)).then_some((path, found))
        })
    }

    fn find_by_link(&self, elf: &ElfFile, path: &Path) -> Option<(PathBuf, ElfFile)> {
        let (name, checksum) = read_link(&elf.section_data(elf.section(".gnu_debuglink")?).ok()?)?;
        let folder = path.parent()?;
        let beside = match &self.root {
            Some(root) => below(root, folder),
            None => folder.to_owned(),
        };
        let mut places = vec![beside.join(&name), beside.join(".debug").join(&name)];
        places.extend(self.directories.iter().map(|directory| below(directory, folder).join(&name)));
        places.into_iter().find_map(|place| {
            let bytes = std::fs::read(&place).ok()?;
            (crc32(&bytes) == checksum).then_some(())?;
            Some((place.clone(), open(&place).ok()?))
        })
    }
}

/// An absolute path, taken as one below `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn open(path: &Path) -> Result<ElfFile, BinaryError> {
    let file =
        File::open(path).map_err(|source| BinaryError::Io { what: path.display().to_string(), source })?;
    ElfFile::read(file)
}

/// `.gnu_debuglink`: a file name, NUL, padding to four bytes, the file's CRC-32.
fn read_link(section: &[u8]) -> Option<(String, u32)> {
    let end = section.iter().position(|&byte| byte == 0)?;
    let name = std::str::from_utf8(section.get(..end)?).ok()?;
    let at = (end + 1).checked_next_multiple_of(4)?;
    let checksum = u32::from_le_bytes(section.get(at..at.checked_add(4)?)?.try_into().ok()?);
    // A name with a folder in it could lead anywhere.
    (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), checksum))
}

/// CRC-32 as zlib has it (polynomial 0xedb88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (value, entry) in (0_u32..).zip(table.iter_mut()) {
        *entry = (0..8).fold(value, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    }
    let step = |crc: u32, &byte: &u8| table[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8;
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_link_is_a_plain_name() {
        let link = |name: &[u8]| {
            let mut bytes = name.to_vec();
            bytes.resize((name.len() + 1).next_multiple_of(4), 0);
            bytes.extend(7_u32.to_le_bytes());
            read_link(&bytes)
        };
        assert_eq!(link(b"python.debug"), Some(("python.debug".to_owned(), 7)));
        assert_eq!(link(b"../../etc/passwd"), None);
        assert_eq!(link(b""), None);
        assert_eq!(read_link(b"name"), None);
    }

    #[test]
    fn a_target_in_another_root_is_searched_there_too() {
        let search = DebugSearch::new(&[PathBuf::from("/a")], Some(PathBuf::from("/proc/7/root")));
        let expected = ["/a", "/usr/lib/debug", "/proc/7/root/usr/lib/debug"];
        assert_eq!(search.directories, expected.map(PathBuf::from));
    }
}
