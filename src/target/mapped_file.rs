//! Opening the file behind a mapping, also when it was deleted or lies in another mount namespace.

use crate::target::Mapping;
use crate::target::Memory;
use crate::target::proc_status::memory_holder;
use nix::sys::memfd::MFdFlags;
use nix::sys::memfd::memfd_create;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// No more of a file is put together from memory: headers and exported symbols come first.
const MOST_REBUILT: u64 = 64 << 20;
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;

/// Opens the very file that is mapped.
///
/// `/proc/PID/map_files` gives it whatever has happened to its name, but only to the privileged;
/// else it may be the program itself (`/proc/PID/exe`), or the name is looked up below
/// `/proc/PID/root`, and believed if the inode is the same.
pub fn open_mapped_file(pid: i32, mapping: &Mapping) -> io::Result<File> {
    open_through(pid, mapping).or_else(|error| match memory_holder(pid) {
        holder if holder != pid => open_through(holder, mapping),
        _ => Err(error),
    })
}

fn open_through(pid: i32, mapping: &Mapping) -> io::Result<File> {
    let range = mapping.range;
    let link = PathBuf::from(format!("/proc/{pid}/map_files/{:x}-{:x}", range.start.get(), range.end.get()));
    let program = || open_regular(&PathBuf::from(format!("/proc/{pid}/exe")), mapping.inode);
    open_regular(&link, mapping.inode).or_else(|error| {
        if mapping.deleted {
            return program().map_err(|_| error);
        }
        open_regular(&PathBuf::from(format!("/proc/{pid}/root{}", mapping.name)), mapping.inode)
            .or_else(|_| program())
            .map_err(|_| error)
    })
}

/// Puts together what is mapped of a file, for one that was deleted and that we may not open: each
/// mapping's bytes at their place in the file. Sections that are not loaded (names of sections,
/// symbols that are not exported, debug information) are missing, and variables have the values
/// that the process gave them. `first` is the first of its mappings among all. Cost: copies up to 64 MiB.
pub fn rebuild_mapped_file(memory: &dyn Memory, mappings: &[Mapping], first: &Mapping) -> io::Result<File> {
    let file = File::from(memfd_create("mapped", MFdFlags::MFD_CLOEXEC)?);
    let mut left = MOST_REBUILT;
    let from_first = mappings.iter().skip_while(|mapping| *mapping != first);
    let of_file = from_first.filter(|mapping| mapping.inode == first.inode && mapping.name == first.name);
    // The file may be mapped a second time: from its start again.
    let once = of_file.take_while(|mapping| *mapping == first || mapping.file_offset != 0);
    for mapping in once.filter(|mapping| mapping.readable) {
        let length = mapping.range.length().min(left);
        left -= length;
        let mut buffer = vec![0; PIECE];
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
            let (address, place) = (mapping.range.start.plus(done), mapping.file_offset.checked_add(done));
            let place = place.ok_or(io::ErrorKind::InvalidData)?;
            // Pages behind the end of the file cannot be read: those before them can.
            let (count, is_read) = match memory.read_into(address, &mut buffer[..wanted]) {
                Ok(()) => (wanted, true),
                Err(_) => {
                    (wanted.min(PAGE), memory.read_into(address, &mut buffer[..wanted.min(PAGE)]).is_ok())
                }
            };
            if is_read {
                file.write_all_at(&buffer[..count], place)?;
            }
            done += count as u64;
        }
    }
    Ok(file)
}

/// Opens a regular file with the given inode. Devices and pipes are not even opened, because
/// that may block or have effects.
fn open_regular(path: &PathBuf, inode: u64) -> io::Result<File> {
    let is_it = |metadata: &std::fs::Metadata| metadata.is_file() && metadata.ino() == inode;
    let other = || io::Error::new(io::ErrorKind::NotFound, "another file has this name now");
    if !is_it(&std::fs::metadata(path)?) {
        return Err(other());
    }
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if is_it(&file.metadata()?) { Ok(file) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::RemoteMemory;
    use crate::target::proc_maps::read_mappings;
    use std::io::Read;

    fn own_first_file() -> (i32, Mapping) {
        let pid = std::process::id().cast_signed();
        let mapping = read_mappings(pid).unwrap().into_iter().find(Mapping::is_file).unwrap();
        (pid, mapping)
    }

    #[test]
    fn our_own_executable_is_an_elf_file() {
        let (pid, mapping) = own_first_file();
        let mut magic = [0; 4];
        open_mapped_file(pid, &mapping).unwrap().read_exact(&mut magic).unwrap();
        assert_eq!(&magic, b"\x7fELF");
    }

    #[test]
    fn another_file_of_the_same_name_is_refused() {
        let (pid, mut mapping) = own_first_file();
        mapping.inode += 1;
        assert!(open_mapped_file(pid, &mapping).is_err());
    }

    #[test]
    fn a_file_put_together_from_memory_has_what_is_mapped() {
        let (pid, first) = own_first_file();
        let mappings = read_mappings(pid).unwrap();
        let rebuilt = rebuild_mapped_file(&RemoteMemory::new(pid), &mappings, &first).unwrap();
        let (mut ours, mut real) = (vec![0; 4096], vec![0; 4096]);
        for mapping in mappings.iter().filter(|mapping| mapping.name == first.name && !mapping.writable) {
            rebuilt.read_exact_at(&mut ours, mapping.file_offset).unwrap();
            open_mapped_file(pid, mapping).unwrap().read_exact_at(&mut real, mapping.file_offset).unwrap();
            // What the dynamic linker has relocated is no longer what the file says.
            assert!(ours == real || mapping.file_offset != 0, "at {:#x}", mapping.file_offset);
        }
    }

    #[test]
    fn a_device_is_refused() {
        let inode = std::fs::metadata("/dev/zero").unwrap().ino();
        assert!(open_regular(&PathBuf::from("/dev/zero"), inode).is_err());
    }
}
