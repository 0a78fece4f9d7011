//! The address space of a process, as `/proc/PID/maps` gives it.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Mapping;
use crate::target::TargetError;
use crate::target::diagnose;
use crate::target::proc_status::memory_holder;

/// Reads the mappings of a process, sorted by address.
///
/// Consistent only while the process is stopped. A failure is traced to its cause.
pub fn read_mappings(pid: i32) -> Result<Vec<Mapping>, TargetError> {
    match read_maps_text(memory_holder(pid)) {
        Ok(text) => Ok(parse_maps(&text)),
        Err(error) => Err(diagnose::check(pid).err().unwrap_or(error)),
    }
}

/// The raw text of `/proc/PID/maps`. Empty for a process that has no memory any more.
pub(super) fn read_maps_text(pid: i32) -> Result<Vec<u8>, TargetError> {
    let text = std::fs::read(format!("/proc/{pid}/maps"))
        .map_err(|error| TargetError::from_proc(pid, "maps", error))?;
    if text.is_empty() { Err(TargetError::Gone { pid }) } else { Ok(text) }
}

/// Parses the text of `/proc/PID/maps`; lines that are not understood are left out.
pub fn parse_maps(text: &[u8]) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = text.split(|&byte| byte == b'\n').filter_map(parse_line).collect();
    mappings.sort_by_key(|mapping| mapping.range.start);
    mappings
}

/// `7f5c1b1d7000-7f5c1b1f9000 r--p 00000000 08:01 1573 /usr/lib/x86_64-linux-gnu/libc.so.6`
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let trimmed = rest.trim_ascii_start();
        let end = trimmed.iter().position(|&byte| byte == b' ').unwrap_or(trimmed.len());
        let (field, after) = trimmed.split_at(end);
        rest = after;
        std::str::from_utf8(field).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?.as_bytes();
    let file_offset = u64::from_str_radix(field()?, 16).ok()?;
    let _device = field()?;
    let inode = field()?.parse().ok()?;
    let shown = rest.trim_ascii_start();
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let deleted = inode != 0 && shown.ends_with(b" (deleted)");
    let name = if deleted { &shown[..shown.len() - b" (deleted)".len()] } else { shown };
    (start < end).then(|| Mapping {
        range: AddressRange::new(Address::new(start), Address::new(end)),
        readable: permissions.first() == Some(&b'r'),
        writable: permissions.get(1) == Some(&b'w'),
        executable: permissions.get(2) == Some(&b'x'),
        shared: permissions.get(3) == Some(&b's'),
        file_offset,
        inode,
        name: unescape(name),
        deleted,
    })
}

/// Undoes the kernel's escape: of a name's bytes only the newline is written in octal
/// (`show_map_vma` in Linux `fs/proc/task_mmu.c`), so nothing else may be taken for an escape.
fn unescape(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    if name.starts_with('/') { name.replace("\\012", "\n") } else { name.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(line: &str) -> Mapping {
        let mut mappings = parse_maps(line.as_bytes());
        assert_eq!(mappings.len(), 1, "{line}");
        mappings.remove(0)
    }

    #[test]
    fn every_kind_of_name_is_understood() {
        let check = |shown: &str, name: &str, deleted: bool, is_file: bool| {
            let inode = if shown.starts_with('/') { 77 } else { 0 };
            let mapping = parse_one(&format!("1000-3000 rw-p 00002000 fd:01 {inode}    {shown}\n"));
            assert_eq!(mapping.name, name);
            assert_eq!(mapping.deleted, deleted, "{shown}");
            assert_eq!(mapping.is_file(), is_file, "{shown}");
            assert_eq!(mapping.file_offset, 0x2000);
        };
        check("", "", false, false);
        check("[heap]", "[heap]", false, false);
        check("[anon:my arena]", "[anon:my arena]", false, false);
        check("/usr/bin/python3.11", "/usr/bin/python3.11", false, true);
        check("/tmp/with two  spaces", "/tmp/with two  spaces", false, true);
        check("/tmp/gone.so (deleted)", "/tmp/gone.so", true, true);
        check("/tmp/new\\012line", "/tmp/new\nline", false, true);
        check("/tmp/not\\040escaped", "/tmp/not\\040escaped", false, true);
        check("/memfd:buffer (deleted)", "/memfd:buffer", true, true);
    }

    #[test]
    fn permissions_are_letters_at_fixed_places() {
        let text = parse_one("ffff0000-ffff1000 --xs 0 0:0 0");
        assert!(!text.readable && !text.writable && text.executable && text.shared);
        let text = parse_one("ffff0000-ffff1000 r--p 0 0:0 0");
        assert!(text.readable && !text.writable && !text.executable && !text.shared);
    }

    #[test]
    fn nonsense_is_left_out() {
        let text =
            b"\n\xff\xfe\nzz-1 r--p 0 0:0 0\n2000-1000 r--p 0 0:0 0\n1000-2000 r\n1000-2000 r--p 0 0:0 0\n";
        assert_eq!(parse_maps(text).len(), 1);
    }

    #[test]
    fn our_own_mappings_hold_our_own_code() {
        let here = our_address();
        let mappings = read_mappings(std::process::id().cast_signed()).unwrap();
        let mapping = mappings.iter().find(|mapping| mapping.range.contains(here)).unwrap();
        assert!(mapping.executable && mapping.is_file());
        assert!(mappings.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
    }

    fn our_address() -> Address {
        Address::new(our_address as fn() -> Address as usize as u64)
    }
}
