//! What is known about a process and about ourselves, before anything is judged.

use crate::target::proc_status::Status;
use crate::target::proc_status::is_kernel_thread;
use crate::target::proc_status::memory_holder;
use crate::target::proc_status::short_name;
use crate::target::proc_status::thread_state;
use nix::unistd::Uid;
use nix::unistd::User;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// `CAP_SYS_PTRACE` as a bit (Linux `include/uapi/linux/capability.h`).
pub(super) const SYS_PTRACE: u64 = 1 << 19;

/// Whether the kernel lets us read the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It does.
    Granted,
    /// It does not.
    Denied,
    /// There is no such process any more.
    Gone,
}

/// Everything that the diagnosis looks at.
pub(super) struct Facts {
    pub(super) pid: i32,
    pub(super) own_pid: i32,
    pub(super) name: String,
    /// `None` if there is no such process.
    pub(super) status: Option<Status>,
    pub(super) own: Status,
    /// Whether any thread has not ended.
    pub(super) threads_live: bool,
    pub(super) kernel_thread: bool,
    /// Pid and name of who traces it.
    pub(super) tracer: Option<(i32, String)>,
    /// Who owns `/proc/PID`: root if the process is not dumpable.
    pub(super) directory_owner: Option<u32>,
    /// `kernel.yama.ptrace_scope`, where the kernel has it.
    pub(super) yama_scope: Option<u32>,
    /// The target's user namespace, if it is not ours.
    pub(super) other_namespace: Option<String>,
    /// What a security module calls it, if it confines it.
    pub(super) security_label: Option<String>,
    pub(super) access: Access,
    /// 1 for 32 bits, 2 for 64, of the executable.
    pub(super) elf_class: Option<u8>,
}

impl Facts {
    /// Reads them all.
    pub(super) fn gather(pid: i32) -> Self {
        let directory = format!("/proc/{pid}");
        let status = if pid > 0 { Status::read(pid).ok() } else { None };
        let tracer =
            status.as_ref().map(|status| status.tracer).filter(|&tracer| tracer != 0).map(|tracer| {
                // The kernel gives the thread that traces; people know processes.
                let process = Status::read(tracer).map_or(tracer, |status| status.process);
                (process, short_name(process))
            });
        Self {
            pid,
            own_pid: std::process::id().cast_signed(),
            name: short_name(pid),
            threads_live: any_thread_lives(pid),
            kernel_thread: is_kernel_thread(pid),
            tracer,
            directory_owner: std::fs::metadata(&directory).ok().map(|metadata| metadata.uid()),
            yama_scope: std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            other_namespace: other_namespace(pid),
            security_label: security_label(pid),
            access: access(pid),
            elf_class: elf_class(Path::new(&directory)),
            status,
            own: Status::read_own().unwrap_or_default(),
        }
    }

    /// Our effective user.
    pub(super) fn own_user(&self) -> u32 {
        self.own.users[1]
    }

    /// The target's user: the first of its users that is not us, if there is one.
    pub(super) fn owner(&self) -> u32 {
        let users = self.status.as_ref().map_or([0; 4], |status| status.users);
        let others = users.into_iter().take(3).find(|&user| user != self.own_user());
        others.unwrap_or(users[0])
    }

    /// Whether real, effective and saved user of the target are all ours, as the kernel asks for
    /// (`__ptrace_may_access` in Linux `kernel/ptrace.c`).
    pub(super) fn is_ours(&self) -> bool {
        self.owner() == self.own_user()
    }
}

/// `user ana (uid 1000)`.
pub(super) fn user_name(user: u32) -> String {
    match User::from_uid(Uid::from_raw(user)) {
        Ok(Some(found)) => format!("user {} (uid {user})", found.name),
        _ => format!("uid {user}"),
    }
}

fn any_thread_lives(pid: i32) -> bool {
    let thread = memory_holder(pid);
    thread_state(pid, thread).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn other_namespace(pid: i32) -> Option<String> {
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
    let ours = std::fs::read_link("/proc/self/ns/user").ok()?;
    (theirs != ours).then(|| theirs.display().to_string())
}

fn security_label(pid: i32) -> Option<String> {
    let label = std::fs::read(format!("/proc/{pid}/attr/current")).ok()?;
    let label = String::from_utf8_lossy(&label).trim_end_matches(['\0', '\n']).to_owned();
    let free = label.is_empty() || label == "unconfined" || label.contains(":unconfined_t:");
    (!free).then_some(label)
}

/// Opening the memory file asks the kernel the very question that attaching will ask.
fn access(pid: i32) -> Access {
    match File::open(format!("/proc/{}/mem", memory_holder(pid))) {
        Ok(_) => Access::Granted,
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied) => Access::Denied,
        Err(_) => Access::Gone,
    }
}

fn elf_class(directory: &Path) -> Option<u8> {
    let mut identification = [0; 5];
    File::open(directory.join("exe")).ok()?.read_exact(&mut identification).ok()?;
    identification.starts_with(b"\x7fELF").then_some(identification[4])
}
