//! Processes that cannot be inspected, and what is said about it.

use crate::spawn::Target;
use crate::spawn::skipped;
use crate::spawn::wait_until;
use heapattach::target::CaptureOptions;
use heapattach::target::TargetError;
use heapattach::target::capture_live;
use heapattach::target::diagnose::Outcome;
use heapattach::target::diagnose::diagnose;
use heapattach::target::proc_maps::read_mappings;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::process::Command;

fn refusal(pid: i32) -> TargetError {
    let error = capture_live(pid, &CaptureOptions::default()).err().expect("this process cannot be captured");
    if let Err(same) = read_mappings(pid) {
        assert_eq!(same.to_string(), error.to_string());
    }
    error
}

#[test]
fn there_is_no_such_process() {
    for pid in [i32::MAX, 0, -1] {
        let error = refusal(pid);
        assert_eq!(error.to_string(), format!("there is no process {pid}"));
        assert_eq!(error.exit_status(), 5);
    }
}

#[test]
fn a_zombie_has_no_memory() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id().cast_signed();
    let ended = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ");
    wait_until("the child has ended", ended);
    let error = refusal(pid);
    assert!(matches!(error, TargetError::Zombie { .. }), "{error}");
    assert!(error.hint().unwrap().contains(&std::process::id().to_string()));
    assert!(child.wait().unwrap().success(), "its status was left for its parent");
}

#[test]
fn a_kernel_thread_is_no_program() {
    if std::fs::read_to_string("/proc/2/comm").unwrap_or_default() != "kthreadd\n" {
        return skipped("kernel threads cannot be seen from here");
    }
    let error = refusal(2);
    assert_eq!(error.to_string(), "process 2 (kthreadd) is a kernel thread: it has no memory of its own");
    assert_eq!(error.exit_status(), 3);
}

#[test]
fn we_do_not_stop_ourselves() {
    assert!(matches!(refusal(std::process::id().cast_signed()), TargetError::Itself { .. }));
}

#[test]
fn a_thread_is_no_process() {
    let Some(target) = Target::program("threads", 1) else { return };
    let threads = std::fs::read_dir(format!("/proc/{}/task", target.pid())).unwrap();
    let mut ids = threads.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let thread = ids.find(|&id: &i32| id != target.pid()).unwrap();
    assert_eq!(refusal(thread).hint().unwrap(), format!("heapattach -p {}", target.pid()));
}

#[test]
fn somebody_else_traces_it() {
    let Some(target) = Target::program("threads", 3) else { return };
    let pid = Pid::from_raw(target.pid());
    ptrace::seize(pid, ptrace::Options::empty()).unwrap();
    let error = refusal(target.pid());
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    assert_eq!(error.exit_status(), 4);
    // A debugger of one thread only is noticed at the stop, and nothing is left stopped.
    ptrace::interrupt(pid).unwrap();
    wait_until("it is stopped", || target.state().starts_with('t'));
    ptrace::detach(pid, None).unwrap();
    target.assert_runs();
    capture_live(target.pid(), &CaptureOptions::default()).unwrap();
    target.assert_runs();
}

#[test]
fn another_thread_of_it_is_traced() {
    let Some(target) = Target::program("threads", 3) else { return };
    let threads = std::fs::read_dir(format!("/proc/{}/task", target.pid())).unwrap();
    let last =
        threads.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).max().unwrap();
    // What a thread traces is let go when it ends.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ptrace::seize(Pid::from_raw(last), ptrace::Options::empty()).unwrap();
            let error = refusal(target.pid());
            assert_eq!(error.exit_status(), 4, "{error}");
        });
    });
    target.assert_runs();
}

#[test]
fn doctor_lists_every_check() {
    let Some(target) = Target::program("threads", 0) else { return };
    let diagnosis = diagnose(target.pid());
    assert!(diagnosis.failure().is_none());
    assert!(diagnosis.checks.len() > 10);
    assert!(diagnosis.checks.iter().all(|check| !check.text.is_empty() && check.outcome != Outcome::Skipped));
    let diagnosis = diagnose(i32::MAX);
    assert_eq!(diagnosis.checks[0].outcome, Outcome::Failed);
    assert!(diagnosis.checks[1..].iter().all(|check| check.outcome == Outcome::Skipped));
}

/// Runs `as_another_user` below, in this very program, with other privileges.
fn refusal_as(arguments: &[&str], pid: i32) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    // The program may lie where others cannot reach it.
    let program = directory.path().join("tests");
    Target::copy_program(&std::env::current_exe().unwrap(), &program);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let output = Command::new("setpriv")
        .args(arguments)
        .arg(&program)
        .args(["--exact", "refusals::as_another_user", "--nocapture"])
        .env("HEAPATTACH_TEST_REFUSED", pid.to_string())
        .current_dir("/")
        .output();
    let Ok(output) = output else {
        skipped("setpriv not found");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let from = text
        .find("refused: ")
        .unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    text[from..].lines().next().map(str::to_owned)
}

/// No test of its own: what `refusal_as` runs.
#[test]
fn as_another_user() {
    let Some(pid) = std::env::var("HEAPATTACH_TEST_REFUSED").ok().and_then(|pid| pid.parse().ok()) else {
        return;
    };
    let error = refusal(pid);
    println!("refused: {error}; {}; {}", error.hint().unwrap_or_default(), error.exit_status());
}

#[test]
fn it_belongs_to_somebody_else() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root to become somebody else");
    }
    let Some(target) = Target::program("threads", 0) else { return };
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let Some(text) = refusal_as(&nobody, target.pid()) else { return };
    assert!(text.contains("it belongs to user root (uid 0) and you are"), "{text}");
    assert!(text.contains("(uid 65534); sudo heapattach -p"), "{text}");
    assert!(text.ends_with("; 4"), "{text}");
    target.assert_runs();
}

#[test]
fn root_of_a_container_lacks_the_capability() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root to drop a capability");
    }
    let Some(target) = Target::program("threads", 0) else { return };
    // A process with a capability that we lack is out of reach, even with the same user.
    let without = ["--inh-caps=-all", "--bounding-set=-sys_ptrace"];
    let Some(text) = refusal_as(&without, target.pid()) else { return };
    assert!(text.contains("CAP_SYS_PTRACE is missing in this container; start the container with"), "{text}");
    assert!(text.ends_with("; 4"), "{text}");
    target.assert_runs();
}

/// The smallest 32-bit program: it waits for a signal, forever.
const THIRTY_TWO_BIT: &[u8] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0\
    \x54\x80\x04\x08\x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\x80\x04\x08\0\x80\x04\x08\x5d\0\0\0\x5d\0\0\0\x05\0\0\0\0\x10\0\0\
    \xb8\x1d\0\0\0\xcd\x80\xeb\xf7";

#[test]
fn a_32_bit_program_is_not_supported() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("small");
    std::fs::write(&program, THIRTY_TWO_BIT).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    let Ok(mut child) = Command::new(&program).spawn() else {
        return skipped("the kernel runs no 32-bit programs");
    };
    let error = refusal(child.id().cast_signed());
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running, "it was left alone");
    assert!(error.to_string().contains("is a 32-bit program"), "{error}");
    assert_eq!(error.exit_status(), 3);
}
