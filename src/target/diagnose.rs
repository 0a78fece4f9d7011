//! Whether a process may be inspected, and if not, the one reason.

use crate::target::TargetError;
use crate::target::facts::Access;
use crate::target::facts::Facts;
use crate::target::facts::SYS_PTRACE;
use crate::target::facts::user_name;
use std::io;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing stands in the way.
    Passed,
    /// Worth knowing, but no obstacle.
    Noted,
    /// This is why it does not work.
    Failed,
    /// Not looked at, because an earlier check failed.
    Skipped,
}

/// One check, for `heapattach doctor`.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at, in a few words.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found.
    pub text: String,
    /// What to do about a failure.
    pub hint: Option<String>,
}

/// All checks of one process, in the order in which causes are told apart.
#[derive(Debug)]
pub struct Diagnosis {
    /// The checks.
    pub checks: Vec<Check>,
    failure: Option<TargetError>,
}

impl Diagnosis {
    /// The first failure, if any.
    pub fn into_failure(self) -> Option<TargetError> {
        self.failure
    }

    /// The first failure, if any.
    pub fn failure(&self) -> Option<&TargetError> {
        self.failure.as_ref()
    }
}

/// What one check found.
enum Finding {
    Passed(String),
    Noted(String),
    Failed(TargetError),
}

type CheckFunction = fn(&Facts) -> Finding;

/// Every check; the first failure is the cause.
const CHECKS: &[(&str, CheckFunction)] = &[
    ("process exists", exists),
    ("process is alive", alive),
    ("process is a program", user_program),
    ("nobody else traces it", untraced),
    ("user", same_user),
    ("yama ptrace_scope", yama),
    ("dumpable", dumpable),
    ("CAP_SYS_PTRACE", capability),
    ("user namespace", user_namespace),
    ("security module", security_module),
    ("access", access),
    ("64-bit program", word_size),
    ("seccomp", seccomp),
];

/// Looks at everything that may keep us from inspecting a process. The process is not touched.
pub fn diagnose(pid: i32) -> Diagnosis {
    judge(&Facts::gather(pid))
}

/// The first reason why a process cannot be inspected, if there is one.
pub fn check(pid: i32) -> Result<(), TargetError> {
    diagnose(pid).into_failure().map_or(Ok(()), Err)
}

fn judge(facts: &Facts) -> Diagnosis {
    let mut checks = Vec::new();
    let mut failure = None;
    for &(name, function) in CHECKS {
        let (outcome, text, hint) = if failure.is_some() {
            (Outcome::Skipped, String::new(), None)
        } else {
            match function(facts) {
                Finding::Passed(text) => (Outcome::Passed, text, None),
                Finding::Noted(text) => (Outcome::Noted, text, None),
                Finding::Failed(error) => {
                    let found = (Outcome::Failed, error.to_string(), error.hint());
                    failure = Some(error);
                    found
                }
            }
        };
        checks.push(Check { name, outcome, text, hint });
    }
    Diagnosis { checks, failure }
}

/// The error for a request that the kernel refused although nothing spoke against it before.
pub(super) fn refused(pid: i32, action: &'static str, source: io::Error) -> TargetError {
    let mut facts = Facts::gather(pid);
    // It may be ourselves who trace it at this moment.
    facts.tracer.take_if(|(tracer, _)| *tracer == facts.own_pid);
    match source.raw_os_error() {
        Some(nix::libc::ESRCH | nix::libc::ENOENT) => TargetError::Gone { pid },
        _ => judge(&facts).into_failure().unwrap_or(TargetError::Refused {
            pid,
            name: facts.name,
            action,
            source,
        }),
    }
}

fn exists(facts: &Facts) -> Finding {
    let pid = facts.pid;
    let Some(status) = &facts.status else { return Finding::Failed(TargetError::NoSuchProcess { pid }) };
    if pid == facts.own_pid {
        return Finding::Failed(TargetError::Itself { pid });
    }
    if status.process != pid {
        return Finding::Failed(TargetError::IsThread { pid, process: status.process });
    }
    Finding::Passed(format!("{} ({})", pid, facts.name))
}

fn alive(facts: &Facts) -> Finding {
    let (state, parent) = facts.status.as_ref().map_or(('?', 0), |status| (status.state, status.parent));
    match state {
        'Z' | 'X' if !facts.threads_live => {
            Finding::Failed(TargetError::Zombie { pid: facts.pid, name: facts.name.clone(), parent })
        }
        'Z' => Finding::Noted("its first thread has ended, others live".to_owned()),
        'T' => Finding::Noted("it is stopped (SIGSTOP) and will be left so".to_owned()),
        state => Finding::Passed(format!("state {state}")),
    }
}

fn user_program(facts: &Facts) -> Finding {
    if facts.kernel_thread {
        return Finding::Failed(TargetError::KernelThread { pid: facts.pid, name: facts.name.clone() });
    }
    Finding::Passed("it is no kernel thread".to_owned())
}

fn untraced(facts: &Facts) -> Finding {
    match &facts.tracer {
        Some((tracer, tracer_name)) => Finding::Failed(TargetError::AlreadyTraced {
            pid: facts.pid,
            name: facts.name.clone(),
            tracer: *tracer,
            tracer_name: tracer_name.clone(),
        }),
        None => Finding::Passed("no tracer".to_owned()),
    }
}

fn has_capability(facts: &Facts) -> bool {
    facts.own.capabilities & SYS_PTRACE != 0
}

fn same_user(facts: &Facts) -> Finding {
    let (owner, user) = (user_name(facts.owner()), user_name(facts.own_user()));
    if facts.is_ours() {
        return Finding::Passed(format!("{owner}, as we are"));
    }
    if facts.access == Access::Granted || has_capability(facts) || facts.own_user() == 0 {
        return Finding::Passed(format!(
            "it belongs to {owner}, we are {user} with the privilege to read it"
        ));
    }
    Finding::Failed(TargetError::OtherUser { pid: facts.pid, name: facts.name.clone(), owner, user })
}

fn yama(facts: &Facts) -> Finding {
    let Some(scope) = facts.yama_scope else { return Finding::Passed("not in this kernel".to_owned()) };
    let meaning = match scope {
        0 => return Finding::Passed("0: no restriction".to_owned()),
        1 => "so only its parent or root may trace it",
        2 => "so only root may trace it",
        _ => "so nobody may trace anything",
    };
    if facts.access == Access::Granted || (scope < 3 && has_capability(facts)) {
        return Finding::Passed(format!("{scope}, which does not concern us"));
    }
    Finding::Failed(TargetError::PtraceScope { pid: facts.pid, name: facts.name.clone(), scope, meaning })
}

fn dumpable(facts: &Facts) -> Finding {
    let hidden = facts.is_ours() && facts.directory_owner.is_some_and(|owner| owner != facts.own_user());
    if hidden && facts.access == Access::Denied && !has_capability(facts) {
        return Finding::Failed(TargetError::NotDumpable { pid: facts.pid, name: facts.name.clone() });
    }
    Finding::Passed(if hidden { "it is not, which does not concern us" } else { "yes" }.to_owned())
}

fn capability(facts: &Facts) -> Finding {
    if has_capability(facts) {
        return Finding::Passed("we have it".to_owned());
    }
    if facts.access == Access::Denied && facts.own_user() == 0 {
        return Finding::Failed(TargetError::MissingCapability { pid: facts.pid, name: facts.name.clone() });
    }
    Finding::Passed("we lack it and do not need it".to_owned())
}

fn user_namespace(facts: &Facts) -> Finding {
    match &facts.other_namespace {
        Some(namespace) if facts.access == Access::Denied => Finding::Failed(TargetError::UserNamespace {
            pid: facts.pid,
            name: facts.name.clone(),
            namespace: namespace.clone(),
        }),
        Some(namespace) => Finding::Noted(format!("another one ({namespace})")),
        None => Finding::Passed("ours".to_owned()),
    }
}

fn security_module(facts: &Facts) -> Finding {
    match &facts.security_label {
        Some(label) if facts.access == Access::Denied => Finding::Failed(TargetError::SecurityModule {
            pid: facts.pid,
            name: facts.name.clone(),
            label: label.clone(),
        }),
        Some(label) => Finding::Noted(format!("confined as {label}")),
        None => Finding::Passed("not confined".to_owned()),
    }
}

fn access(facts: &Facts) -> Finding {
    match facts.access {
        Access::Granted => Finding::Passed("its memory may be read".to_owned()),
        Access::Gone => Finding::Failed(TargetError::Gone { pid: facts.pid }),
        Access::Denied => Finding::Failed(TargetError::Refused {
            pid: facts.pid,
            name: facts.name.clone(),
            action: "read",
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        }),
    }
}

fn word_size(facts: &Facts) -> Finding {
    match facts.elf_class {
        Some(1) => Finding::Failed(TargetError::ThirtyTwoBit { pid: facts.pid, name: facts.name.clone() }),
        Some(2) => Finding::Passed("yes".to_owned()),
        _ => Finding::Noted("its executable cannot be read".to_owned()),
    }
}

fn seccomp(facts: &Facts) -> Finding {
    let theirs = facts.status.as_ref().map_or(0, |status| status.seccomp);
    match (facts.own.seccomp, theirs) {
        (0, 0) => Finding::Passed("no filter".to_owned()),
        (0, _) => Finding::Noted(
            "it has a filter; it will execute no system call that it did not make itself".to_owned(),
        ),
        _ => Finding::Noted("we run under a filter, which may forbid ptrace".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::proc_status::Status;

    /// A user (uid 1000) looks at a process of their own, and nothing is wrong.
    fn plain() -> Facts {
        let status = |process| Status { state: 'S', process, users: [1000; 4], ..Status::default() };
        Facts {
            pid: 42,
            own_pid: 7,
            name: "python3".to_owned(),
            status: Some(status(42)),
            own: status(7),
            threads_live: true,
            kernel_thread: false,
            tracer: None,
            directory_owner: Some(1000),
            yama_scope: None,
            other_namespace: None,
            security_label: None,
            access: Access::Granted,
            elf_class: Some(2),
        }
    }

    fn check(change: impl FnOnce(&mut Facts), message: &str, status: u8, hint: &str) {
        let mut facts = plain();
        change(&mut facts);
        let diagnosis = judge(&facts);
        assert_eq!(diagnosis.checks.len(), CHECKS.len());
        let failure = diagnosis.into_failure().expect("a failure");
        assert!(failure.to_string().contains(message), "{failure}");
        assert_eq!(failure.exit_status(), status, "{failure}");
        assert!(failure.hint().unwrap_or_default().contains(hint), "{:?}", failure.hint());
    }

    fn theirs(facts: &mut Facts) -> &mut Status {
        facts.status.as_mut().expect("plain facts have a status")
    }

    #[test]
    fn nothing_wrong_is_no_failure() {
        assert!(judge(&plain()).failure().is_none());
        let mut facts = plain();
        facts.yama_scope = Some(1);
        facts.other_namespace = Some("user:[1]".to_owned());
        assert!(judge(&facts).failure().is_none(), "access was granted all the same");
    }

    #[test]
    fn what_the_process_is_comes_first() {
        check(|facts| facts.status = None, "there is no process 42", 5, "pgrep");
        check(|facts| facts.own_pid = 42, "this heapattach itself", 3, "");
        check(|facts| theirs(facts).process = 41, "a thread of process 41", 5, "-p 41");
        let zombie = |facts: &mut Facts| {
            *theirs(facts) = Status { state: 'Z', parent: 9, process: 42, ..Status::default() };
            facts.threads_live = false;
            facts.access = Access::Gone;
        };
        check(zombie, "zombie", 5, "pid 9");
        check(|facts| facts.kernel_thread = true, "kernel thread", 3, "");
        check(|facts| facts.tracer = Some((8, "gdb".into())), "traced by gdb (pid 8)", 4, "gdb");
        check(|facts| facts.elf_class = Some(1), "32-bit", 3, "");
    }

    #[test]
    fn who_we_are_comes_second() {
        let denied = |change: fn(&mut Facts)| {
            move |facts: &mut Facts| {
                facts.access = Access::Denied;
                change(facts);
            }
        };
        check(denied(|facts| theirs(facts).users = [0; 4]), "it belongs to user root (uid 0)", 4, "sudo");
        check(denied(|facts| theirs(facts).users[2] = 0), "user root", 4, "sudo");
        for scope in [1, 2] {
            let change = |facts: &mut Facts| {
                facts.access = Access::Denied;
                facts.yama_scope = Some(scope);
            };
            check(change, &format!("ptrace_scope is {scope}"), 4, "sudo heapattach -p 42");
        }
        check(denied(|facts| facts.yama_scope = Some(3)), "ptrace_scope is 3", 4, "next boot");
        check(denied(|facts| facts.directory_owner = Some(0)), "not dumpable", 4, "sudo");
        let container = |facts: &mut Facts| {
            facts.own.users = [0; 4];
            facts.directory_owner = Some(0);
        };
        let contained = move |facts: &mut Facts| {
            facts.access = Access::Denied;
            container(facts);
        };
        check(contained, "CAP_SYS_PTRACE is missing", 4, "--cap-add");
        check(
            denied(|facts| facts.other_namespace = Some("user:[1]".into())),
            "user namespace",
            4,
            "nsenter",
        );
        check(denied(|facts| facts.security_label = Some("docker".into())), "(docker)", 4, "profile");
        check(denied(|_| {}), "cannot read process 42 (python3)", 4, "");
    }
}
