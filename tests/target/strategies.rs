//! Every strategy gives the same answers for the same state.

use crate::spawn::Target;
use crate::spawn::skipped;
use crate::spawn::wait_until;
use heapattach::inspection::Answers;
use heapattach::inspection::Inspection;
use heapattach::inspection::Relation;
use heapattach::inspection::Request;
use heapattach::inspection::View;
use heapattach::inspection::inspect;
use heapattach::target::CaptureOptions;
use heapattach::target::Choice;
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

/// Buffers of every kind, some of them next to containers whose insides look like buffers at first.
const BUFFERS: &str = "
import array, sys
words = array.array('Q', bytes(4096))
numbers = array.array('d', [1.5]) * 2_000_000
text = 'y' * 8_000_000
data = b'x' * 8_000_000
more = bytearray(data)
zeros = bytes(8_000_000)
integers = {number: str(number) for number in range(30_000)}
numbered = list(range(100_000))
frozen = tuple(numbered)
none = [None] * 300_000
views = [memoryview(more)[start:] for start in range(0, 8_000_000, 100_000)]
print('READY', hex(id(numbered))[2:], flush=True)
import time
time.sleep(1000)
";

/// All that can be asked.
fn everything(inspection: &Inspection) -> String {
    let mut text = format!("{:?}\n{:?}\n", inspection.totals(View::Complete), inspection.anomalies());
    for relation in [Relation::Clodo, Relation::Type] {
        for row in inspection.partition(View::Complete, relation).rows {
            writeln!(text, "{row:?}").unwrap();
        }
    }
    inspection.for_each_object(View::Complete, &mut |row| writeln!(text, "{row:?}").is_ok());
    inspection.for_each_reference(&mut |row| writeln!(text, "{row:?}").is_ok());
    text
}

fn inspected(target: &Target, capture: CaptureOptions<'_>) -> Inspection {
    let request = Request {
        pid: target.pid(),
        purpose: View::Complete.into(),
        debug_directories: Vec::new(),
        best_effort: false,
        descriptions: heapattach::descriptions::Descriptions::default(),
        capture,
    };
    inspect(&request).unwrap()
}

fn with_buffers() -> Option<Target> {
    let mut command = Command::new("python3");
    command.args(["-c", BUFFERS]);
    if Command::new("python3").arg("-V").output().is_err() {
        skipped("python3 not found");
        return None;
    }
    Some(Target::start_command(command))
}

#[test]
fn all_strategies_say_the_same() {
    let Some(target) = with_buffers() else { return };
    // It waits, so that nothing changes from one stop to the next.
    wait_until("it sleeps", || target.state().starts_with('S'));
    let whole = inspected(&target, CaptureOptions { with_buffers: true, ..CaptureOptions::default() });
    assert_eq!(whole.capture.statistics.bytes_left_out, 0);
    let expected = everything(&whole);
    assert!(expected.len() > 1_000_000, "{} bytes", expected.len());
    for choice in Choice::ALL {
        let inspection = inspected(&target, CaptureOptions { choice, ..CaptureOptions::default() });
        let statistics = &inspection.capture.statistics;
        assert!(everything(&inspection) == expected, "{choice:?} says something else: {statistics:?}");
        if choice != Choice::Auto {
            assert_eq!(statistics.strategy, choice.name(), "{:?}", statistics.notes);
        }
        assert!(inspection.is_complete(), "{statistics:?}");
        assert!(statistics.bytes_left_out > 30_000_000, "{statistics:?}");
        assert!(statistics.bytes_left_out < 60_000_000, "{statistics:?}");
        assert!(statistics.pause_ns > 0 && statistics.threads == 1, "{statistics:?}");
    }
    assert!(target.state().starts_with('S'), "it still sleeps");
}

#[test]
fn a_pause_that_is_too_long_is_refused_beforehand() {
    let Some(target) = Target::python(50_000) else { return };
    let longest_pause = Some(Duration::from_micros(500));
    for choice in Choice::ALL {
        let options = CaptureOptions { choice, longest_pause, ..CaptureOptions::default() };
        let error = heapattach::target::capture_live(target.pid(), &options).err().unwrap();
        assert!(error.to_string().contains("would stop process"), "{error}");
        assert_eq!(error.exit_status(), 1);
    }
    target.assert_runs();
}

#[test]
fn a_copy_beyond_the_memory_limit_is_refused() {
    let Some(target) = Target::python(50_000) else { return };
    let memory_limit = Some(4 << 20);
    let options = CaptureOptions { memory_limit, ..CaptureOptions::default() };
    let error = heapattach::target::capture_live(target.pid(), &options).err().unwrap();
    assert!(error.to_string().contains("only 4 MiB are available (--memory-limit)"), "{error}");
    assert!(error.hint().unwrap().contains("in-place"));
    target.assert_runs();
}

/// Read in place, it stands still until the image is released, and no longer than is allowed.
#[test]
fn a_process_read_in_place_is_let_go() {
    let Some(target) = Target::python(50_000) else { return };
    let options = CaptureOptions { choice: Choice::InPlace, ..CaptureOptions::default() };
    let address = heapattach::address::Address::new(target.address);
    let capture = heapattach::target::capture_live(target.pid(), &options).unwrap();
    assert!(target.state().starts_with('t'));
    assert!(capture.image.word(address).is_some());
    let released = capture.image.release(target.pid()).unwrap();
    target.assert_runs();
    assert!(released.bytes > 0 && released.bytes < 1 << 20, "{released:?}");
    assert!(capture.image.word(address).is_some(), "what was read stays");
    assert_eq!(capture.image.missed(), 0);
    // A page of every MiB: some are there wherever the kernel has put the memory.
    let other =
        capture.image.pages().map(|(address, _)| address).filter(|page| page.get().trailing_zeros() >= 20);
    let unread = other.filter(|&page| capture.image.word(page).is_none()).count();
    assert!(unread > 0 && capture.image.missed() > 0, "what was not is out of reach");

    let longest_pause = Some(Duration::from_secs(2));
    let capture = heapattach::target::capture_live(
        target.pid(),
        &CaptureOptions { choice: Choice::InPlace, longest_pause, ..CaptureOptions::default() },
    );
    let capture = capture.unwrap();
    wait_until("its time is up", || !target.state().starts_with('t'));
    target.assert_runs();
    assert_eq!(capture.image.word(address), None);
    let cut = capture.image.release(target.pid()).unwrap().cut.unwrap();
    assert!(cut.to_string().contains("longer than is allowed"), "{cut}");
    // Of what is out of reach every way of reading says so, and comes back.
    let page = capture.image.pages().next().unwrap().0;
    assert_eq!((capture.image.word32(page), capture.image.byte(page)), (None, None));
    assert!(!capture.image.read_page(page, &mut [0; 4096]));
    drop(heapattach::target::capture_live(target.pid(), &options).unwrap());
    target.assert_runs();
}
