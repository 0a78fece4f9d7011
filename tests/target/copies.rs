//! What is copied, and how the process is afterwards.

use crate::spawn::Target;
use crate::spawn::program;
use crate::spawn::skipped;
use crate::spawn::wait_until;
use heapattach::address::Address;
use heapattach::target::Capture;
use heapattach::target::CaptureOptions;
use heapattach::target::Memory;
use heapattach::target::RemoteMemory;
use heapattach::target::capture_live;
use heapattach::target::image::PAGE;
use heapattach::target::mapped_file::open_mapped_file;
use heapattach::target::proc_maps::read_mappings;
use nix::sys::signal::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

fn capture(target: &Target) -> Capture {
    capture_live(target.pid(), &CaptureOptions::default()).unwrap()
}

/// The present, private pages of a stopped process, found with the old page map.
fn anonymous_pages(target: &Target) -> Vec<u64> {
    let map = File::open(format!("/proc/{}/pagemap", target.pid())).unwrap();
    let mut pages = Vec::new();
    for mapping in read_mappings(target.pid()).unwrap() {
        if !mapping.readable || mapping.shared || mapping.name.starts_with("[v") {
            continue;
        }
        let (mut address, end) = (mapping.range.start.get(), mapping.range.end.get());
        while address < end {
            let mut entry = [0; 8];
            map.read_exact_at(&mut entry, address / PAGE * 8).unwrap();
            let entry = u64::from_le_bytes(entry);
            if entry >> 63 == 1 && entry >> 61 & 1 == 0 {
                pages.push(address);
            }
            address += PAGE;
        }
    }
    pages
}

#[test]
fn the_copy_is_what_the_kernel_says_page_by_page() {
    let Some(target) = Target::python(50_000) else { return };
    target.group_stop();
    let expected = anonymous_pages(&target);
    let capture = capture(&target);
    let memory = File::open(format!("/proc/{}/mem", target.pid())).unwrap();
    let mut count = 0;
    for (address, page) in capture.image.pages() {
        let mut bytes = [0; PAGE as usize];
        memory.read_exact_at(&mut bytes, address.get()).unwrap();
        assert!(capture.image.page_bytes(page) == bytes, "page {address} differs");
        count += 1;
    }
    assert_eq!(count * PAGE, capture.statistics.bytes_copied);
    assert_eq!(count, capture.image.page_count() as u64, "no more room than pages");
    let missing: Vec<_> =
        expected.iter().filter(|&&page| capture.image.page_of(Address::new(page)).is_none()).collect();
    assert!(missing.is_empty(), "not copied: {missing:x?}");
    assert!(expected.len() > 5000);
    assert!(target.state().starts_with('T'), "a group stop stays in effect");
    target.signal(Signal::SIGCONT);
    target.assert_runs();
}

#[test]
fn files_stand_for_what_was_not_copied() {
    let Some(target) = Target::python(10) else { return };
    let capture = capture(&target);
    let memory = File::open(format!("/proc/{}/mem", target.pid())).unwrap();
    let (mut compared, mut from_files) = (0, 0);
    for mapping in capture.mappings.iter().filter(|mapping| mapping.is_file() && !mapping.shared) {
        let mut address = mapping.range.start;
        while mapping.readable && address < mapping.range.end {
            let mut bytes = [0; PAGE as usize];
            let in_image = capture.image.piece(address).map(|piece| &piece[..piece.len().min(PAGE as usize)]);
            if !mapping.writable && memory.read_exact_at(&mut bytes, address.get()).is_ok() {
                let in_image = in_image.expect("every readable page of a file is there");
                assert_eq!(in_image, &bytes[..in_image.len()], "{address} of {}", mapping.name);
                compared += 1;
                from_files += u32::from(capture.image.page_of(address).is_none());
            } else if mapping.writable {
                assert!(capture.image.page_of(address).is_some(), "{address} of {}", mapping.name);
            }
            address = address.plus(PAGE);
        }
    }
    assert!(compared > 100 && from_files > 100, "{compared} compared, {from_files} from files");
    target.assert_runs();
}

#[test]
fn data_that_nobody_wrote_to_is_copied_too() {
    let Some(target) = Target::program("data", 0) else { return };
    let capture = capture(&target);
    let text = capture.image.read_c_string(Address::new(target.address), 100).unwrap();
    assert_eq!(text, b"initial data, never written to");
    assert!(capture.image.page_of(Address::new(target.address + 4096)).is_some());
    assert_eq!(capture.description.pid, target.pid());
    assert!(capture.description.command.iter().any(|argument| argument == "data"));
}

#[test]
fn a_deleted_program_can_still_be_read() {
    let Some(program) = program() else { return };
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("soon gone");
    Target::copy_program(program, &copy);
    let target = Target::start_program(&copy, "threads", 0);
    std::fs::remove_file(&copy).unwrap();
    let capture = capture(&target);
    let address = Address::new(target.address);
    assert_eq!(capture.image.page_of(address), None, "it is in the file");
    assert_eq!(capture.image.read_c_string(address, 100).unwrap(), b"greetings from read-only data");
    let mapping = capture.mappings.iter().find(|mapping| mapping.range.contains(address)).unwrap();
    assert!(mapping.deleted && mapping.name.ends_with("/soon gone"), "{mapping:?}");
    assert!(open_mapped_file(target.pid(), mapping).is_ok());
    target.assert_runs();
}

#[test]
fn a_hundred_threads_run_on() {
    let Some(target) = Target::program("threads", 100) else { return };
    let capture = capture(&target);
    assert_eq!(capture.statistics.threads, 101);
    assert_eq!(capture.description.threads, 101);
    for index in 0..=100 {
        target.assert_counts(index);
    }
    target.assert_runs();
}

#[test]
fn threads_that_come_and_go_are_no_problem() {
    let Some(target) = Target::program("churn", 0) else { return };
    for _ in 0..30 {
        capture(&target);
        target.assert_counts(2);
    }
    target.assert_runs();
}

#[test]
fn a_running_collector_is_waited_for() {
    let Some(target) = Target::program("busy", 900) else { return };
    let busy_flags = vec![Address::new(target.address)];
    let options = CaptureOptions { busy_flags, retries: 100, ..CaptureOptions::default() };
    let capture = capture_live(target.pid(), &options).unwrap();
    assert!(capture.statistics.retries > 0);
    assert!(!capture.statistics.collecting);
    assert_eq!(capture.image.word32(Address::new(target.address)), Some(0));
    target.assert_runs();
}

#[test]
fn a_collector_that_never_ends_is_not_waited_for_forever() {
    let Some(target) = Target::program("busy", 0) else { return };
    let busy_flags = vec![Address::new(8), Address::new(target.address)];
    let options = CaptureOptions { busy_flags, retries: 3, ..CaptureOptions::default() };
    let capture = capture_live(target.pid(), &options).unwrap();
    assert_eq!(capture.statistics.retries, 3);
    assert!(capture.statistics.collecting);
    assert!(capture.statistics.longest_pause_ns >= capture.statistics.pause_ns);
    target.assert_runs();
}

#[test]
fn a_thread_that_hangs_in_the_kernel_counts_as_stopped() {
    let Some(target) = Target::program("vfork", 0) else { return };
    wait_until("it waits for its vfork child", || target.state().starts_with('D'));
    for _ in 0..2 {
        let started = Instant::now();
        let statistics = capture(&target).statistics;
        let pause = Duration::from_nanos(statistics.pause_ns);
        assert_eq!(statistics.threads, 2);
        assert!(pause < Duration::from_millis(500), "{pause:?} of {:?}", started.elapsed());
    }
    assert!(target.state().starts_with('D'));
    target.assert_counts(1);
    target.assert_runs();
}

#[test]
fn no_signal_is_lost() {
    let Some(target) = Target::program("signals", 0) else { return };
    let real_time = nix::libc::SIGRTMIN() + 3;
    let sender = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("for i in $(seq 300); do kill -{real_time} {}; sleep 0.001; done", target.pid()))
        .spawn();
    let mut sender = sender.unwrap();
    let mut captures = 0;
    while sender.try_wait().unwrap().is_none() {
        capture(&target);
        captures += 1;
    }
    wait_until("all 300 signals have arrived", || target.word(2) == 300);
    assert!(captures > 10, "{captures} captures");
    target.assert_runs();
}

/// Word 1 counts the times that epoll_wait was broken off, word 2 the signals handled.
#[test]
#[cfg(target_arch = "x86_64")]
fn an_endless_wait_is_not_broken_off() {
    let Some(target) = Target::program("epoll", 0) else { return };
    for _ in 0..20 {
        wait_until("it waits", || target.state().starts_with('S'));
        capture(&target);
    }
    wait_until("it waits", || target.state().starts_with('S'));
    assert_eq!(target.word(1), 0);
    let signal = nix::libc::SIGRTMIN() + 3;
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", target.pid())).status();
    assert!(kill.unwrap().success());
    wait_until("a real signal still breaks it off", || (target.word(1), target.word(2)) == (1, 1));
}

#[test]
fn a_process_whose_first_thread_has_ended_can_be_read() {
    let Some(target) = Target::program("leaderless", 0) else { return };
    wait_until("the first thread has ended", || target.state().starts_with('Z'));
    let capture = capture(&target);
    assert_eq!(capture.statistics.threads, 2);
    assert!(capture.description.command.iter().any(|argument| argument == "leaderless"));
    let text = capture.image.read_c_string(Address::new(target.address), 100).unwrap();
    assert_eq!(text, b"initial data, never written to");
    assert_eq!(
        RemoteMemory::new(target.pid()).read_c_string(Address::new(target.address), 7).unwrap(),
        b"initial"
    );
    target.assert_counts(1);
    target.assert_counts(2);
}

#[test]
fn a_process_that_grows_can_be_copied() {
    let Some(target) = Target::program("growth", 1 << 30) else { return };
    let mut largest = 0;
    for _ in 0..10 {
        let capture = capture(&target);
        assert_eq!(capture.image.pages().count() as u64 * PAGE, capture.statistics.bytes_copied);
        largest = largest.max(capture.statistics.bytes_copied);
    }
    assert!(largest > 10 << 20, "{largest} bytes");
    target.assert_runs();
}

#[test]
fn a_program_in_another_mount_namespace_can_be_read() {
    let Some(program) = program() else { return };
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root for a mount namespace");
    }
    // A file system of its own, over a place where we see something else.
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    let script =
        "mount -t tmpfs none \"$1\" && cp \"$0\" \"$1/hidden\" && exec \"$1/hidden\" threads \"$2\" 0";
    command.args(["-m", "sh", "-c", script]).arg(program).arg(directory.path());
    let words = tempfile::NamedTempFile::new().unwrap();
    let target = Target::start_command({
        command.arg(words.path());
        command
    });
    assert!(!directory.path().join("hidden").exists());
    let capture = capture(&target);
    let address = Address::new(target.address);
    assert_eq!(capture.image.read_c_string(address, 100).unwrap(), b"greetings from read-only data");
    let mapping = capture.mappings.iter().find(|mapping| mapping.range.contains(address)).unwrap();
    assert!(mapping.name.ends_with("/hidden"), "{mapping:?}");
    assert!(open_mapped_file(target.pid(), mapping).is_ok());
}

/// A heartbeat in the target sees the pause that we report.
#[test]
fn the_pause_is_as_long_as_we_say() {
    let Some(target) = Target::python(300_000) else { return };
    capture(&target);
    target.signal(Signal::SIGUSR1);
    wait_until("the longest gap is forgotten", || target.word(2) == 1);
    let capture = capture(&target);
    let said = capture.statistics.pause_ns;
    wait_until("the target has seen the pause", || target.word(1) > said / 10 * 9);
    let seen = target.word(1);
    // The rest is waiting for a processor.
    assert!(seen < said + 1_000_000_000, "{seen} ns seen, {said} ns said");
}
