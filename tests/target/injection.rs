//! The strategies that execute system calls in the process: it must not notice, whatever happens to us.

use crate::spawn::Target;
use crate::spawn::injected;
use crate::spawn::wait_until;
use heapattach::address::Address;
use heapattach::target::CaptureOptions;
use heapattach::target::CaptureStatistics;
use heapattach::target::Choice;
use heapattach::target::capture_live;
use heapattach::target::image::PAGE;
use nix::sys::signal::Signal;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The strategies that execute something.
const INJECTING: [Choice; 2] = [Choice::Fork, Choice::Precopy];

fn target(mode: &str, number: usize) -> Option<Target> {
    Some(Target::start_program(injected()?, mode, number))
}

fn capture(target: &Target, choice: Choice) -> CaptureStatistics {
    let options = CaptureOptions { choice, ..CaptureOptions::default() };
    capture_live(target.pid(), &options).unwrap().statistics
}

/// Panics unless the process works, has seen nothing wrong, and nothing of ours runs beside it.
fn assert_unharmed(target: &Target, what: &str) {
    target.assert_runs();
    assert_eq!(target.word(1), 0, "{what}: something went wrong in it");
    wait_until(&format!("{what}: no duplicate runs"), || {
        children(target).iter().all(|&child| state(child).is_none_or(|state| state == 'Z'))
    });
}

fn children(target: &Target) -> Vec<i32> {
    let pid = target.pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn state(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn vector_registers_stay_as_they_are() {
    let Some(target) = target("vectors", 0) else { return };
    for choice in INJECTING {
        for _ in 0..10 {
            let statistics = capture(&target, choice);
            assert_eq!(statistics.strategy, choice.name(), "{:?}", statistics.notes);
            assert!(statistics.notes.is_empty(), "{:?}", statistics.notes);
            assert_unharmed(&target, choice.name());
        }
        assert!(children(&target).is_empty(), "{}", choice.name());
    }
}

#[test]
fn no_wait_is_broken_off() {
    for which in 0..=10 {
        let Some(target) = target("waits", which) else { return };
        for choice in [Choice::Copy].into_iter().chain(INJECTING) {
            for _ in 0..3 {
                wait_until("it waits", || target.state().starts_with('S'));
                let statistics = capture(&target, choice);
                assert_eq!(statistics.strategy, choice.name(), "{:?}", statistics.notes);
                target.assert_counts(0);
                assert_eq!(target.word(1), 0, "wait {which} was broken off by {}", choice.name());
            }
        }
    }
}

#[test]
fn its_own_children_are_all_that_it_sees() {
    let Some(target) = target("children", 0) else { return };
    for choice in INJECTING {
        for _ in 0..20 {
            capture(&target, choice);
        }
        assert_unharmed(&target, choice.name());
    }
    assert!(target.word(2) > 20);
}

/// See `sweeps` in the program: what an instant looks like.
#[test]
fn every_copy_is_of_one_instant() {
    const PAGES: u64 = 2000;
    let Some(target) = target("sweeps", 0) else { return };
    wait_until("it has written to all pages", || target.word(0) > 4 * PAGES);
    for choice in [Choice::Copy].into_iter().chain(INJECTING) {
        // On a busy machine a round may take so long that another strategy is better.
        let mut as_wanted = 0;
        for _ in 0..10 {
            let options = CaptureOptions { choice, with_buffers: true, ..CaptureOptions::default() };
            let capture = capture_live(target.pid(), &options).unwrap();
            as_wanted += u32::from(capture.statistics.strategy == choice.name());
            let number = |page: u64| {
                let address = target.address + page * PAGE + page % PAGES % 512 * 8;
                capture.image.word(Address::new(address)).unwrap_or(0)
            };
            let numbers: Vec<u64> = (0..2 * PAGES).map(number).collect();
            let (first, second) = numbers.split_at(PAGES as usize);
            let newest = first[0];
            let new = first.partition_point(|&number| number == newest);
            assert!(first[new..].iter().all(|&number| number == newest - 1), "{choice:?}: {first:?}");
            if new < first.len() {
                assert!(second.iter().all(|&number| number == newest - 1), "{choice:?}: {second:?}");
            } else {
                let new = second.partition_point(|&number| number == newest);
                let is_old = |old: u64| second[new..].iter().all(|&number| number == old);
                assert!(is_old(0) || (new == 0 && is_old(newest - 1)), "{choice:?}: {second:?}");
            }
        }
        assert!(as_wanted > 0, "{choice:?} was never used");
    }
    target.assert_runs();
}

#[test]
fn a_filter_that_kills_for_a_system_call_is_respected() {
    let Some(target) = target("filtered", 0) else { return };
    for choice in INJECTING {
        let statistics = capture(&target, choice);
        if (choice, statistics.strategy) != (Choice::Precopy, "precopy") {
            assert_eq!(statistics.strategy, "copy");
            let is_said = statistics.notes.iter().any(|note| note.contains("seccomp filter"));
            assert!(is_said, "{:?}", statistics.notes);
        }
        // Otherwise soft-dirty bits did it: the process lives, so nothing was executed in it.
        target.assert_runs();
    }
}

#[test]
fn a_process_in_another_pid_namespace_is_duplicated_and_collected() {
    let Some(program) = injected() else { return };
    if !nix::unistd::geteuid().is_root() {
        return crate::spawn::skipped("needs root for a process namespace");
    }
    let words = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--kill-child"]).arg(program).arg("vectors").arg(words.path());
    let outer = Target::start_command(command);
    let inner = children(&outer)[0];
    for choice in INJECTING {
        let options = CaptureOptions { choice, ..CaptureOptions::default() };
        let statistics = capture_live(inner, &options).unwrap().statistics;
        assert_eq!(statistics.strategy, choice.name(), "{:?}", statistics.notes);
        assert!(statistics.notes.is_empty(), "{:?}", statistics.notes);
        let text = std::fs::read_to_string(format!("/proc/{inner}/task/{inner}/children")).unwrap();
        assert_eq!(text, "");
    }
    let word = |index: usize| {
        let bytes = std::fs::read(words.path()).unwrap();
        u64::from_ne_bytes(bytes[index * 8..index * 8 + 8].try_into().unwrap())
    };
    let before = word(0);
    wait_until("it works", || word(0) > before);
    assert_eq!(word(1), 0);
}

/// The steps of a whole capture in which the process is changed.
fn steps(target: &Target, choice: Choice) -> Vec<&'static str> {
    let steps = Mutex::new(Vec::new());
    let watch = |name: &'static str| steps.lock().unwrap().push(name);
    let options = CaptureOptions { choice, step_watch: Some(&watch), ..CaptureOptions::default() };
    let statistics = capture_live(target.pid(), &options).unwrap().statistics;
    assert_eq!(statistics.strategy, choice.name(), "{:?}", statistics.notes);
    steps.into_inner().unwrap()
}

/// Starts another process that captures the target and kills itself before a step.
fn start_dying(target: &Target, choice: Choice, step: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "injection::dying", "--nocapture"])
        .env("HEAPATTACH_TEST_DYING", format!("{} {} {step}", target.pid(), choice.name()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// No test of its own: what `start_dying` runs.
#[test]
fn dying() {
    let Ok(text) = std::env::var("HEAPATTACH_TEST_DYING") else { return };
    let words: Vec<&str> = text.split(' ').collect();
    let last: usize = words[2].parse().unwrap();
    let choice = Choice::ALL.into_iter().find(|choice| choice.name() == words[1]).unwrap();
    let count = AtomicUsize::new(0);
    let watch = |_: &'static str| {
        if count.fetch_add(1, Ordering::SeqCst) == last {
            nix::sys::signal::raise(Signal::SIGKILL).unwrap();
        }
    };
    let options = CaptureOptions { choice, step_watch: Some(&watch), ..CaptureOptions::default() };
    let pid = words[0].parse().unwrap();
    while capture_live(pid, &options).is_ok() {}
}

#[test]
fn being_killed_before_any_step_leaves_it_unharmed() {
    let Some(target) = target("vectors", 0) else { return };
    for choice in INJECTING {
        let steps = steps(&target, choice);
        // With soft-dirty bits nothing is executed in it.
        let by_bits = ["registered", "a round is done", "unregistering"];
        let is_injected = choice == Choice::Fork || steps.iter().any(|step| !by_bits.contains(step));
        assert!(steps.len() > if is_injected { 15 } else { 2 }, "{steps:?}");
        for (index, step) in steps.iter().enumerate() {
            let ended = start_dying(&target, choice, index).wait().unwrap();
            assert!(!ended.success(), "{index} {step}");
            assert_unharmed(&target, &format!("{}, killed before step {index} ({step})", choice.name()));
        }
        // And it can still be inspected.
        assert_eq!(capture(&target, choice).strategy, choice.name());
        assert_unharmed(&target, "afterwards");
    }
}

#[test]
fn being_killed_at_any_moment_leaves_it_unharmed() {
    let Some(target) = target("children", 0) else { return };
    for choice in INJECTING {
        for moment in 0..20_u64 {
            let mut child = start_dying(&target, choice, usize::MAX);
            std::thread::sleep(Duration::from_micros(moment.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 80_000));
            child.kill().unwrap();
            child.wait().unwrap();
            target.assert_runs();
            assert_eq!(target.word(1), 0, "{}", choice.name());
        }
    }
}
