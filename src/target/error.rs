//! Why a process could not be inspected: one variant per cause, each with its own hint.

use std::io;
use std::time::Duration;
use thiserror::Error;

/// A failure of this layer. The text is one line; [`TargetError::hint`] is what to do about it.
#[derive(Debug, Error)]
pub enum TargetError {
    /// There is no such process.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// The pid asked for.
        pid: i32,
    },
    /// The number is that of a thread, not of a process.
    #[error("{pid} is a thread of process {process}, not a process")]
    IsThread {
        /// The number asked for.
        pid: i32,
        /// The process it belongs to.
        process: i32,
    },
    /// The process has ended and waits for its parent.
    #[error("process {pid} ({name}) has ended and is a zombie: it has no memory any more")]
    Zombie {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// Who should collect it.
        parent: i32,
    },
    /// A thread of the kernel: it has no memory of its own.
    #[error("process {pid} ({name}) is a kernel thread: it has no memory of its own")]
    KernelThread {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
    },
    /// A process cannot stop itself.
    #[error("process {pid} is this heapattach itself")]
    Itself {
        /// The process.
        pid: i32,
    },
    /// A debugger or tracer is attached: there can only be one.
    #[error("process {pid} ({name}) is already traced by {tracer_name} (pid {tracer})")]
    AlreadyTraced {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// Who traces it.
        tracer: i32,
        /// The tracer's short name.
        tracer_name: String,
    },
    /// It belongs to somebody else and we have no privilege.
    #[error("cannot read process {pid} ({name}): it belongs to {owner} and you are {user}")]
    OtherUser {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// `user ana (uid 1000)`.
        owner: String,
        /// The same of ourselves.
        user: String,
    },
    /// The Yama security module forbids it.
    #[error("cannot read process {pid} ({name}): kernel.yama.ptrace_scope is {scope}, {meaning}")]
    PtraceScope {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// 1, 2 or 3.
        scope: u32,
        /// What the number means.
        meaning: &'static str,
    },
    /// The process protects itself (`prctl(PR_SET_DUMPABLE, 0)`, or it changed its user).
    #[error("cannot read process {pid} ({name}): it is yours but not dumpable")]
    NotDumpable {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
    },
    /// Root without the capability: a container.
    #[error("cannot read process {pid} ({name}): CAP_SYS_PTRACE is missing in this container")]
    MissingCapability {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
    },
    /// The process lives in another user namespace, where our privileges do not count.
    #[error("cannot read process {pid} ({name}): it is in another user namespace ({namespace})")]
    UserNamespace {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// Its namespace, as `/proc/PID/ns/user` names it.
        namespace: String,
    },
    /// The kernel refused and a security module is the only explanation left.
    #[error("cannot read process {pid} ({name}): a security module confines it ({label})")]
    SecurityModule {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// The label in `/proc/PID/attr/current`.
        label: String,
    },
    /// The kernel refused and we found no reason.
    #[error("cannot {action} process {pid} ({name}): {source}")]
    Refused {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
        /// What was being done.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A 32-bit program.
    #[error("process {pid} ({name}) is a 32-bit program: only 64-bit ones are supported")]
    ThirtyTwoBit {
        /// The process.
        pid: i32,
        /// Its short name.
        name: String,
    },
    /// It ended while it was being read.
    #[error("process {pid} ended while it was being read")]
    Gone {
        /// The process.
        pid: i32,
    },
    /// Threads did not stop in time; the process was let go again.
    #[error("{running} of {threads} threads of process {pid} did not stop within {} ms", .deadline.as_millis())]
    StopTimeout {
        /// The process.
        pid: i32,
        /// Threads that did not stop.
        running: usize,
        /// All threads.
        threads: usize,
        /// How long we waited.
        deadline: Duration,
    },
    /// It would not fit.
    #[error("{purpose} process {pid} needs {} and only {} are available ({limit})", megabytes(*.needed), megabytes(*.available))]
    NotEnoughMemory {
        /// The process.
        pid: i32,
        /// What the memory is for: `the copy of`, `the analysis of 5 objects of`.
        purpose: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
        /// What limits us: `memory of the machine`, or a control group.
        limit: String,
    },
    /// The pause would be longer than is allowed.
    #[error("{strategy} would stop process {pid} for about {} ms, and at most {} ms are allowed", .expected.as_millis(), .longest.as_millis())]
    PauseTooLong {
        /// The process.
        pid: i32,
        /// The first strategy that was thought of.
        strategy: &'static str,
        /// The pause that it would take, an estimate.
        expected: Duration,
        /// The longest pause that is allowed.
        longest: Duration,
    },
    /// The pause became longer than is allowed; the process was let go.
    #[error("process {pid} was let go: stopping it took longer than is allowed")]
    PauseExceeded {
        /// The process.
        pid: i32,
    },
    /// No strategy works here.
    #[error("the memory of process {pid} cannot be taken: {reasons}")]
    NoStrategy {
        /// The process.
        pid: i32,
        /// Why each of them does not work.
        reasons: String,
    },
    /// It grew faster than we could make room.
    #[error("process {pid} grows faster than room can be made for its copy")]
    GrowsTooFast {
        /// The process.
        pid: i32,
    },
    /// A signal asked us to stop.
    #[error("interrupted by {}", signal_name(*.signal))]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// Something else failed in the system.
    #[error("cannot {action}: {source}")]
    System {
        /// What was being done.
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

impl TargetError {
    /// A failure to read a file of `/proc/PID`: the process is gone if the file is.
    pub(super) fn from_proc(pid: i32, file: &str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(nix::libc::ENOENT | nix::libc::ESRCH) => Self::Gone { pid },
            _ => Self::System { action: format!("read /proc/{pid}/{file}"), source },
        }
    }

    /// The one thing to do about it, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuchProcess { .. } => "list the Python processes with: pgrep -a python".to_owned(),
            Self::IsThread { process, .. } => format!("heapattach -p {process}"),
            Self::Zombie { parent, .. } => format!("its parent, pid {parent}, has not collected it yet"),
            Self::AlreadyTraced { tracer, tracer_name, .. } => {
                format!("let {tracer_name} (pid {tracer}) detach first")
            }
            Self::PtraceScope { scope: 3, .. } => {
                "it cannot be lowered before the next boot; analyse a core file instead".to_owned()
            }
            Self::OtherUser { pid, .. } | Self::NotDumpable { pid, .. } | Self::PtraceScope { pid, .. } => {
                sudo(*pid)
            }
            Self::MissingCapability { .. } => "start the container with --cap-add=SYS_PTRACE \
                (docker, podman), or use kubectl debug --profile=general"
                .to_owned(),
            Self::UserNamespace { pid, .. } => {
                format!("run it as root of the host, or inside: sudo nsenter -t {pid} -U -p -m")
            }
            Self::SecurityModule { .. } => {
                "allow ptrace in its profile, or run heapattach outside of the confinement".to_owned()
            }
            Self::Gone { .. } => "was it restarted? look for its new pid".to_owned(),
            Self::StopTimeout { .. } => "the machine is overloaded or a thread hangs in the kernel; \
                try again"
                .to_owned(),
            Self::NotEnoughMemory { .. } => {
                "run heapattach outside of that limit, or free memory first; --capture in-place makes no copy, \
                 and stops the process for as long as the analysis takes"
                    .to_owned()
            }
            Self::PauseTooLong { .. } => {
                "allow more with --max-pause, or try --allow-inject, which needs a shorter pause".to_owned()
            }
            Self::PauseExceeded { .. } => "try again, or allow more with --max-pause".to_owned(),
            Self::GrowsTooFast { .. } => "try again when it allocates less".to_owned(),
            Self::KernelThread { .. }
            | Self::Itself { .. }
            | Self::Refused { .. }
            | Self::ThirtyTwoBit { .. }
            | Self::Interrupted { .. }
            | Self::NoStrategy { .. }
            | Self::System { .. } => return None,
        })
    }

    /// The exit status of the command: 3 unsupported, 4 permission, 5 no such process,
    /// 128 + signal when interrupted, 1 otherwise.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::KernelThread { .. } | Self::Itself { .. } | Self::ThirtyTwoBit { .. } => 3,
            Self::AlreadyTraced { .. }
            | Self::OtherUser { .. }
            | Self::PtraceScope { .. }
            | Self::NotDumpable { .. }
            | Self::MissingCapability { .. }
            | Self::UserNamespace { .. }
            | Self::SecurityModule { .. }
            | Self::Refused { .. } => 4,
            Self::NoSuchProcess { .. } | Self::IsThread { .. } | Self::Zombie { .. } | Self::Gone { .. } => 5,
            Self::Interrupted { signal } => {
                u8::try_from(*signal).map_or(1, |signal| signal.saturating_add(128))
            }
            Self::StopTimeout { .. }
            | Self::NotEnoughMemory { .. }
            | Self::PauseTooLong { .. }
            | Self::PauseExceeded { .. }
            | Self::NoStrategy { .. }
            | Self::GrowsTooFast { .. }
            | Self::System { .. } => 1,
        }
    }
}

/// The command that would do the same as root. The full path is given because root's search path
/// lacks virtual environments and `~/.cargo/bin`.
fn sudo(pid: i32) -> String {
    let program = std::env::current_exe()
        .ok()
        .filter(|path| path.file_name().is_some_and(|name| name == "heapattach"))
        .map_or_else(|| "heapattach".to_owned(), |path| path.display().to_string());
    format!("sudo {program} -p {pid}")
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_the_documented_ones() {
        let name = String::from("x");
        assert_eq!(TargetError::NoSuchProcess { pid: 1 }.exit_status(), 5);
        assert_eq!(TargetError::NotDumpable { pid: 1, name: name.clone() }.exit_status(), 4);
        assert_eq!(TargetError::ThirtyTwoBit { pid: 1, name }.exit_status(), 3);
        assert_eq!(TargetError::Interrupted { signal: 2 }.exit_status(), 130);
        assert_eq!(TargetError::Interrupted { signal: 15 }.exit_status(), 143);
    }

    #[test]
    fn messages_are_one_lower_case_line_without_a_full_stop() {
        let errors = [
            TargetError::StopTimeout { pid: 7, running: 1, threads: 3, deadline: Duration::from_secs(2) },
            TargetError::NotEnoughMemory {
                pid: 7,
                purpose: "the copy of".into(),
                needed: 3 << 20,
                available: 1,
                limit: "machine".into(),
            },
            TargetError::Interrupted { signal: 2 },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
            assert!(text.starts_with(|first: char| first.is_lowercase() || first.is_numeric()), "{text}");
        }
        assert_eq!(TargetError::Interrupted { signal: 2 }.to_string(), "interrupted by SIGINT");
    }
}
