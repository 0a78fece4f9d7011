//! The process runs on, whatever happens to us or to it.

use crate::spawn::Target;
use crate::spawn::wait_until;
use heapattach::target::CaptureOptions;
use heapattach::target::SignalWatch;
use heapattach::target::TargetError;
use heapattach::target::capture_live;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Starts another process that captures the target again and again.
fn start_capturing(target: &Target) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "survival::again_and_again", "--nocapture"])
        .env("HEAPATTACH_TEST_CAPTURED", target.pid().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut began = lines.map_while(Result::ok).filter(|line| line.contains("capturing"));
    assert!(began.next().is_some(), "the other process has started");
    child
}

/// No test of its own: what `start_capturing` runs. Ends when a signal interrupts it.
#[test]
fn again_and_again() {
    let Some(pid) = std::env::var("HEAPATTACH_TEST_CAPTURED").ok().and_then(|pid| pid.parse().ok()) else {
        return;
    };
    let signals = SignalWatch::install().unwrap();
    let options = CaptureOptions { signals: Some(&signals), ..CaptureOptions::default() };
    println!("capturing");
    loop {
        match capture_live(pid, &options) {
            Ok(_) => {}
            Err(error @ TargetError::Interrupted { .. }) => {
                eprintln!("{error}");
                std::process::exit(i32::from(error.exit_status()));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Not random, but spread: the same in every run, and all within a few captures.
fn moments(count: u64) -> impl Iterator<Item = Duration> {
    (0..count).map(|index| Duration::from_micros(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 150_000))
}

#[test]
fn being_killed_at_any_moment_leaves_it_running() {
    let Some(target) = Target::python(200_000) else { return };
    for moment in moments(30) {
        let mut child = start_capturing(&target);
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        target.assert_runs();
    }
}

#[test]
fn being_interrupted_at_any_moment_leaves_it_running() {
    let Some(target) = Target::python(200_000) else { return };
    let mut clean = 0;
    for (index, moment) in moments(30).enumerate() {
        let (signal, status) =
            [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)][index % 3];
        let mut child = start_capturing(&target);
        std::thread::sleep(moment);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let ended = child.wait().unwrap();
        // Between two captures a signal has its usual effect.
        assert!(ended.code() == Some(status) || ended.signal() == Some(signal as i32), "{signal}: {ended}");
        clean += usize::from(ended.code() == Some(status));
        target.assert_runs();
    }
    assert!(clean > 10, "only {clean} of 30 signals came during a capture");
}

#[test]
fn being_stopped_waits_until_it_runs() {
    let Some(target) = Target::python(200_000) else { return };
    let mut child = start_capturing(&target);
    let pid = Pid::from_raw(child.id().cast_signed());
    for moment in moments(20) {
        std::thread::sleep(moment / 4);
        kill(pid, Signal::SIGTSTP).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        // Whether the other process stands still now or went on, the target is not frozen with it.
        target.assert_counts(0);
        kill(pid, Signal::SIGCONT).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    target.assert_runs();
}

/// No test of its own: what the next one runs. Holds the target in a stop.
#[test]
fn in_a_long_stop() {
    use heapattach::target::live::StopLimits;
    use heapattach::target::live::while_stopped;
    let Some(pid) = std::env::var("HEAPATTACH_TEST_HELD").ok().and_then(|pid| pid.parse().ok()) else {
        return;
    };
    let limits = StopLimits { deadline: Duration::from_secs(1), signals: None };
    let held = || -> Result<(), TargetError> {
        println!("holding");
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    };
    while_stopped(pid, limits, held).unwrap();
}

/// What catches no signal (SIGSTOP), too, leaves the target running: a process of ours sees to that.
#[test]
fn being_stopped_for_good_in_a_stop_lets_it_go() {
    let Some(target) = Target::program("threads", 5) else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "survival::in_a_long_stop", "--nocapture"])
        .env("HEAPATTACH_TEST_HELD", target.pid().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("holding")), "it holds the target");
    assert!(target.state().starts_with('t'), "state {}", target.state());
    let stopped = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGSTOP).unwrap();
    target.assert_runs();
    assert!(stopped.elapsed() < Duration::from_secs(2), "it stood still for {:?}", stopped.elapsed());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the process runs on"), "{said}");
}

#[test]
fn it_may_end_while_it_is_captured() {
    for moment in moments(30) {
        let Some(mut target) = Target::python(20_000) else { return };
        let pid = target.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment / 4);
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        });
        let started = Instant::now();
        let error = loop {
            match capture_live(pid, &CaptureOptions::default()) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
        assert_eq!(error.exit_status(), 5, "{error}");
        killer.join().unwrap();
        let status = target.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "left for its parent");
    }
}

#[test]
fn a_panic_while_it_stands_still_lets_it_go() {
    use heapattach::target::live::StopLimits;
    use heapattach::target::live::while_stopped;
    let Some(target) = Target::program("threads", 5) else { return };
    let limits = StopLimits { deadline: Duration::from_secs(1), signals: None };
    let pid = target.pid();
    let result = std::panic::catch_unwind(|| {
        while_stopped(pid, limits, || -> Result<(), TargetError> {
            wait_until("it is stopped", || {
                std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") t ")
            });
            panic!("on purpose");
        })
    });
    assert!(result.is_err());
    target.assert_runs();
}
