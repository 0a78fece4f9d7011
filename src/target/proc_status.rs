//! Who a process is: `/proc/PID/{status,stat,comm,cmdline,exe}`.

use crate::target::TargetDescription;
use crate::target::TargetError;
use std::io;

/// `PF_KTHREAD` of the flags in `/proc/PID/stat` (Linux `include/linux/sched.h`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The lines of `/proc/PID/status` that we need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The program's short name.
    pub name: String,
    /// One letter: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, ...
    pub state: char,
    /// The process this thread belongs to.
    pub process: i32,
    /// The parent's pid.
    pub parent: i32,
    /// Who traces it; 0 for nobody (or somebody whom we cannot see).
    pub tracer: i32,
    /// Real, effective, saved and file system user.
    pub users: [u32; 4],
    /// Effective capabilities, as a bit set.
    pub capabilities: u64,
    /// 0 none, 1 strict, 2 filtered.
    pub seccomp: u32,
}

impl Status {
    /// Reads the status of a process (or of one thread by its id).
    pub fn read(pid: i32) -> io::Result<Self> {
        std::fs::read(format!("/proc/{pid}/status")).map(|text| Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Reads our own.
    pub fn read_own() -> io::Result<Self> {
        std::fs::read("/proc/self/status").map(|text| Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key {
                "Name" => value.clone_into(&mut status.name),
                "State" => status.state = value.chars().next().unwrap_or('?'),
                "Tgid" => status.process = value.parse().unwrap_or(0),
                "PPid" => status.parent = value.parse().unwrap_or(0),
                "TracerPid" => status.tracer = value.parse().unwrap_or(0),
                "Uid" => {
                    for (user, field) in status.users.iter_mut().zip(value.split_whitespace()) {
                        *user = field.parse().unwrap_or(u32::MAX);
                    }
                }
                "CapEff" => status.capabilities = u64::from_str_radix(value, 16).unwrap_or(0),
                "Seccomp" => status.seccomp = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        status
    }
}

/// Whether the flags in `/proc/PID/stat` say that this is a thread of the kernel.
pub(super) fn is_kernel_thread(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| stat_field(&text, 9)?.parse::<u64>().ok())
        .is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

/// The state letter of one thread, if it still exists.
pub(super) fn thread_state(pid: i32, thread: i32) -> Option<char> {
    let text = std::fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
    stat_field(&text, 3)?.chars().next()
}

/// The thread through which a process's memory is reached: itself, unless its first thread has
/// ended while others live on. Then `/proc/PID/maps` is empty, and theirs is not.
pub(super) fn memory_holder(pid: i32) -> i32 {
    if thread_state(pid, pid) != Some('Z') {
        return pid;
    }
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut ids = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let lives = |&thread: &i32| thread_state(pid, thread).is_some_and(|state| !matches!(state, 'Z' | 'X'));
    ids.find(lives).unwrap_or(pid)
}

/// A field of a `stat` line, numbered from 1 as in proc(5), from the third on: the second is the
/// name in parentheses, which may itself hold spaces and parentheses.
pub(super) fn stat_field(text: &[u8], number: usize) -> Option<String> {
    let after_name = text.iter().rposition(|&byte| byte == b')')?.checked_add(1)?;
    let rest = String::from_utf8_lossy(text.get(after_name..)?);
    rest.split_whitespace().nth(number.checked_sub(3)?).map(str::to_owned)
}

/// The program's short name, `?` if it cannot be read.
pub(super) fn short_name(pid: i32) -> String {
    std::fs::read(format!("/proc/{pid}/comm"))
        .map_or_else(|_| String::from("?"), |text| String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// Who the process is, for the head of every report. The thread count is that of this moment.
pub fn describe(pid: i32) -> Result<TargetDescription, TargetError> {
    let holder = memory_holder(pid);
    let command = std::fs::read(format!("/proc/{holder}/cmdline"))
        .map_err(|error| TargetError::from_proc(pid, "cmdline", error))?;
    Ok(TargetDescription {
        pid,
        command: split_command(&command),
        name: short_name(pid),
        executable: std::fs::read_link(format!("/proc/{holder}/exe")).ok(),
        threads: std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count),
        core: None,
        state: None,
    })
}

/// Arguments end with NUL; a program that wrote a title over its arguments may have lost the last one.
/// Arguments as the kernel keeps them, each with a NUL.
pub(super) fn split_command(text: &[u8]) -> Vec<String> {
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let text = &text[..end];
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_parsed() {
        let text = "Name:\tpython3\nState:\tS (sleeping)\nTgid:\t42\nPPid:\t7\nTracerPid:\t0\n\
                    Uid:\t1000\t1001\t1002\t1003\nCapEff:\t000001fffeffffff\nSeccomp:\t2\nnonsense\n";
        let status = Status::parse(text);
        assert_eq!(status.name, "python3");
        assert_eq!((status.state, status.process, status.parent), ('S', 42, 7));
        assert_eq!(status.users, [1000, 1001, 1002, 1003]);
        assert_eq!((status.capabilities, status.seccomp), (0x1ff_feff_ffff, 2));
    }

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let text = b"42 (a) R (b c) S 1 2 3 4 5 4194560 0";
        assert_eq!(stat_field(text, 3).as_deref(), Some("S"));
        assert_eq!(stat_field(text, 9).as_deref(), Some("4194560"));
        assert_eq!(stat_field(b"no parenthesis", 3), None);
    }

    #[test]
    fn a_command_line_keeps_empty_arguments_inside() {
        assert_eq!(split_command(b"python\0-c\0\0x\0"), ["python", "-c", "", "x"]);
        assert_eq!(split_command(b"a title\0\0\0\0"), ["a title"]);
        assert!(split_command(b"\0\0").is_empty() && split_command(b"").is_empty());
    }

    #[test]
    fn we_are_no_kernel_thread() {
        let own = std::process::id().cast_signed();
        assert!(!is_kernel_thread(own));
        assert!(is_kernel_thread(2) || Status::read(2).is_err() || short_name(2) != "kthreadd");
        assert_eq!(describe(own).unwrap().pid, own);
    }
}
