//! The strategy `precopy`: the memory is copied while the process runs, in rounds, each for the pages that it has
//! written to since the round before; then it stands still for the last of them.

use crate::address::AddressRange;
use crate::target::CaptureStatistics;
use crate::target::Image;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Stage;
use crate::target::capture::Strategy;
use crate::target::capture::Subject;
use crate::target::capture::Taken;
use crate::target::capture::copy::Limits;
use crate::target::capture::note_stop;
use crate::target::capture::plan::total;
use crate::target::capture::preparation::Preparation;
use crate::target::capture::preparation::wait_for_collector;
use crate::target::capture::scatter;
use crate::target::capture::slots::Slots;
use crate::target::capture::slots::intersection;
use crate::target::capture::slots::union;
use crate::target::capture::tracking::Tracking;
use crate::target::capture::tracking::Way;
use crate::target::image::PAGE;
use crate::target::image::Segment;
use crate::target::live::StopLimits;
use crate::target::live::on_a_thread;
use crate::target::live::while_stopped;
use crate::target::priority;
use std::time::Duration;
use std::time::Instant;

/// Reading the mappings in the stop.
const FIXED: Duration = Duration::from_millis(1);
/// Bytes that are copied in a second in the stop, in pieces, at most; fewer if a round was slower.
const COPY_RATE: f64 = 3.0e9;
/// From so many bytes on a round tells how fast this machine copies.
const TELLING_ROUND: u64 = 64 << 20;
const PER_THREAD: Duration = Duration::from_micros(10);
/// A stop as short as this is taken, whatever another strategy would do.
const SHORT_PAUSE: Duration = Duration::from_millis(5);
/// Most rounds while the process runs.
const MOST_ROUNDS: u32 = 10;
/// So few bytes are left for the stop.
const FEW: u64 = 1 << 20;
/// A round for less than this is done before all ordinary threads: it is over before they notice.
const SHORT_ROUND: u64 = 64 << 20;

/// See the head of this file.
pub(super) struct Precopy;

impl Strategy for Precopy {
    fn name(&self) -> &'static str {
        "precopy"
    }

    fn expected_pause(&self, subject: &Subject<'_>) -> Result<Duration, Setback> {
        let looking = Way::find(subject)?.expected(subject.forecast.bytes);
        Ok(predicted(looking, (FEW, COPY_RATE), subject.forecast.threads))
    }

    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback> {
        let way = Way::find(subject)?;
        let mut preparation = Preparation::new(subject)?;
        let watch = subject.options.step_watch;
        let (tracking, waited) = way.start(subject)?;
        // One thread stood still for it, or those that had page faults.
        note_stop(statistics, waited);
        let mut rounds = Rounds::new(tracking, subject);
        let first = rounds.tracking.begin(&preparation.plan)?;
        step(watch, "registered");
        let stopped = rounds
            .run(&first, &mut preparation, subject)
            .and_then(|left| rounds.stop(&mut preparation, statistics, left));
        let Rounds { tracking, .. } = rounds;
        step(watch, "unregistering");
        drop(tracking);
        Ok(stopped?.into_taken(preparation))
    }
}

fn step(watch: Option<crate::target::inject::StepWatch<'_>>, name: &'static str) {
    if let Some(watch) = watch {
        watch(name);
    }
}

/// How long the stop will take with so many bytes left to copy at that rate, when finding them takes so long.
fn predicted(looking: Duration, (left, rate): (u64, f64), threads: usize) -> Duration {
    let copying = Duration::from_secs_f64(left as f64 / rate);
    FIXED
        .saturating_add(looking)
        .saturating_add(copying)
        .saturating_add(PER_THREAD.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX)))
}

/// What is known of the copying speed after a round.
fn rate_after(known: f64, bytes: u64, took: Duration) -> f64 {
    let seconds = took.as_secs_f64();
    if bytes < TELLING_ROUND || seconds <= 0.0 { known } else { known.min(bytes as f64 / seconds) }
}

/// The copy as it grows.
struct Rounds {
    /// How long copying may take in the stop before another strategy does better.
    longest_copy: Duration,
    /// Bytes that are copied in a second in the stop.
    rate: f64,
    slots: Slots,
    tracking: Box<dyn Tracking>,
    /// Pages that could not be read while the process ran: to be read again, if they are there.
    failed: Vec<AddressRange>,
}

impl Rounds {
    fn new(tracking: Box<dyn Tracking>, subject: &Subject<'_>) -> Self {
        let longest_copy = SHORT_PAUSE.max(subject.forecast.pause);
        Self { longest_copy, rate: COPY_RATE, slots: Slots::default(), tracking, failed: Vec::new() }
    }

    /// Copies what there is at first, then in rounds what is written to meanwhile, until little is left or a
    /// round does not help; says how much, and gives up if it is too much.
    fn run(
        &mut self,
        first: &[AddressRange],
        preparation: &mut Preparation<'_>,
        subject: &Subject<'_>,
    ) -> Result<u64, Setback> {
        let mut before = self.round(first, preparation, 2)?;
        for _ in 1..MOST_ROUNDS {
            preparation.options.check_signals()?;
            let written = self.tracking.written(&preparation.plan)?;
            if !self.tracking.forgets() {
                // All of it will have to be copied in the stop, whether it is copied now or not.
                before = total(&preparation.buffers.leave_out(&written).0);
                break;
            }
            let bytes = total(&preparation.buffers.leave_out(&written).0);
            self.round(&written, preparation, if bytes < SHORT_ROUND { 1 } else { 2 })?;
            let shrinks = bytes < before / 5 * 4;
            before = bytes;
            if bytes < FEW || !shrinks {
                break;
            }
        }
        self.decide(before, preparation, subject)
    }

    /// Copies these pages while the process runs: with one thread before all ordinary ones, or with two. Gives
    /// the bytes.
    fn round(
        &mut self,
        written: &[AddressRange],
        preparation: &mut Preparation<'_>,
        threads: u32,
    ) -> Result<u64, Setback> {
        let options = preparation.options;
        let wanted = preparation.buffers.leave_out(written).0;
        let pieces = self.slots.place(&wanted);
        if self.slots.used() > preparation.destination.capacity() {
            return Err(Setback::Unusable("it grows faster than it can be copied".to_owned()));
        }
        let destination = preparation.destination.bytes();
        let limits = Limits { signals: options.signals, until: None };
        let holder = preparation.holder;
        let started = Instant::now();
        let holes = on_a_thread(|| {
            if threads == 1 {
                priority::raise();
            }
            scatter::copy(holder, &pieces, destination, threads, limits)
        })?;
        self.failed = union(&self.failed, &sorted(holes));
        let bytes = total(&wanted);
        self.rate = rate_after(self.rate, bytes, started.elapsed());
        options.report(Stage::Copying, self.slots.used().saturating_sub(bytes), self.slots.used());
        step(options.step_watch, "a round is done");
        Ok(bytes)
    }

    /// Whether to stop the process with so many bytes left.
    fn decide(
        &self,
        left: u64,
        preparation: &Preparation<'_>,
        subject: &Subject<'_>,
    ) -> Result<u64, Setback> {
        self.check()?;
        let looking = self.tracking.time_at_the_end(self.slots.used());
        let expected = predicted(looking, (left, self.rate), subject.forecast.threads);
        let worth_it = SHORT_PAUSE.max(subject.forecast.pause * 2 / 3);
        if expected > preparation.options.longest_pause.unwrap_or(Duration::MAX).min(worth_it) {
            return Err(Setback::Unusable(format!(
                "in the time of one round it wrote to {} MiB: to find and copy what it writes to would take about \
                 {} ms",
                left >> 20,
                expected.as_millis()
            )));
        }
        Ok(left)
    }

    /// Gives up when it is not known what was written to.
    fn check(&self) -> Result<(), Setback> {
        self.tracking.trouble().map_or(Ok(()), |trouble| Err(Setback::Unusable(trouble.to_owned())))
    }

    /// Stops the process and copies the rest.
    fn stop(
        &mut self,
        preparation: &mut Preparation<'_>,
        statistics: &mut CaptureStatistics,
        left: u64,
    ) -> Result<Stopped, Setback> {
        let options = preparation.options;
        let threads = crate::target::proc_status::describe(preparation.pid)?.threads;
        let expected =
            predicted(self.tracking.time_at_the_end(self.slots.used()), (left, self.rate), threads);
        statistics.expected_pause_ns = u64::try_from(expected.as_nanos()).unwrap_or(u64::MAX);
        let limits = StopLimits { deadline: options.stop_deadline, signals: options.signals };
        loop {
            let is_last = statistics.retries >= options.retries;
            let pid = preparation.pid;
            let (outcome, stop) = while_stopped(pid, limits, || self.copy_rest(preparation, is_last))?;
            let pause = note_stop(statistics, stop.pause);
            let stopped = match outcome {
                Outcome::Copied(stopped) => stopped,
                Outcome::Busy => {
                    wait_for_collector(preparation.holder, options, statistics.retries)?;
                    statistics.retries += 1;
                    self.catch_up(preparation)?;
                    continue;
                }
                Outcome::GivenUp(reason) => return Err(Setback::Unusable(reason)),
            };
            statistics.pause_ns = pause;
            statistics.threads = stop.threads;
            statistics.collecting = stopped.collecting;
            statistics.bytes_copied = total(&stopped.runs) - total(&stopped.holes);
            statistics.bytes_left_out = total(&stopped.left_out);
            statistics.pages_skipped = total(&stopped.holes) / PAGE;
            options.report(Stage::Copying, statistics.bytes_copied, statistics.bytes_copied);
            return Ok(stopped);
        }
    }

    /// One more round while the process runs.
    fn catch_up(&mut self, preparation: &mut Preparation<'_>) -> Result<(), Setback> {
        if self.tracking.forgets() {
            let written = self.tracking.written(&preparation.plan)?;
            self.round(&written, preparation, 2)?;
        }
        Ok(())
    }

    /// What happens while the process stands still.
    fn copy_rest(
        &mut self,
        preparation: &mut Preparation<'_>,
        even_if_busy: bool,
    ) -> Result<Outcome, TargetError> {
        let options = preparation.options;
        let until = options.longest_pause.map(|longest| Instant::now() + longest);
        let collecting = preparation.is_busy();
        if collecting && !even_if_busy {
            return Ok(Outcome::Busy);
        }
        preparation.plan.refresh(preparation.holder, &preparation.files)?;
        let found = self.tracking.at_the_end(&preparation.plan)?;
        if let Some(trouble) = self.tracking.trouble() {
            return Ok(Outcome::GivenUp(trouble.to_owned()));
        }
        preparation.buffers.look_again(preparation.holder);
        let (runs, left_out) = preparation.buffers.leave_out(&found.runs);
        let unknown = union(&self.slots.without(&runs), &self.failed);
        let rest = intersection(&runs, &union(&found.written, &unknown));
        if Duration::from_secs_f64(total(&rest) as f64 / self.rate) > self.longest_copy {
            let mebibytes = total(&rest) >> 20;
            return Ok(Outcome::GivenUp(format!("in the last moment {mebibytes} MiB were written to")));
        }
        let pieces = self.slots.place(&rest);
        if self.slots.used() > preparation.destination.capacity() {
            return Ok(Outcome::GivenUp("it grows faster than it can be copied".to_owned()));
        }
        let limits = Limits { signals: options.signals, until };
        let destination = preparation.destination.bytes();
        let holes = sorted(scatter::copy(preparation.holder, &pieces, destination, 2, limits)?);
        let places = self.slots.place(&runs);
        let needed = self.slots.used();
        Ok(Outcome::Copied(Stopped { runs, places, holes, left_out, needed, collecting }))
    }
}

/// What became of a stop.
enum Outcome {
    Copied(Stopped),
    /// The collector runs.
    Busy,
    /// Another strategy does better, for this reason.
    GivenUp(String),
}

/// What the stop gave.
struct Stopped {
    runs: Vec<AddressRange>,
    places: Vec<Segment>,
    /// What could not be read, sorted.
    holes: Vec<AddressRange>,
    left_out: Vec<AddressRange>,
    /// Bytes of room that all pages take.
    needed: u64,
    collecting: bool,
}

impl Stopped {
    /// The process runs again: builds the image.
    fn into_taken(self, mut preparation: Preparation<'_>) -> Taken {
        preparation.files.open(preparation.holder, &preparation.plan.mappings);
        let overlays = preparation.plan.overlays(&preparation.files);
        let mut segments = Vec::with_capacity(self.places.len());
        let mut holes = Slots::default();
        holes.place(&self.holes);
        for place in &self.places {
            for range in holes.without(&[place.range]) {
                let local = place.local + (range.start.get() - place.range.start.get());
                segments.push(Segment { range, local });
            }
        }
        let backing = preparation.destination.into_backing(self.needed);
        let image = Image::new(backing, &segments, overlays).with_left_out(self.left_out);
        Taken { image, mappings: preparation.plan.mappings, state: None }
    }
}

fn sorted(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::target::CaptureOptions;
    use crate::target::capture::forecast::forecast;
    use crate::target::capture::plan::Plan;
    use crate::target::capture::tracking::Written;
    use crate::target::pagemap::Pagemap;
    use crate::target::write_tracking::WriteTracking;
    use std::io::BufRead;
    use std::io::BufReader;
    use std::process::Child;
    use std::process::Command;
    use std::process::Stdio;

    const PAGES: u64 = 2000;

    /// Writes one number to page after page, then the next.
    const WRITER: &str = "
import ctypes, mmap, sys
pages = int(sys.argv[1])
area = mmap.mmap(-1, pages * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
words = memoryview(area).cast('Q')
print(ctypes.addressof(ctypes.c_char.from_buffer(area)), flush=True)
number = 0
while True:
    number += 1
    for index in range(0, pages * 512, 512):
        words[index] = number
";

    /// Tells everything since the beginning each time, as soft-dirty bits do.
    struct SinceTheBeginning {
        tracking: WriteTracking,
        asked: u32,
        trouble: Option<&'static str>,
    }

    impl Tracking for SinceTheBeginning {
        fn begin(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
            self.tracking.begin(plan)
        }

        fn written(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
            self.asked += 1;
            assert_eq!(self.asked, 1, "another round would copy the same again");
            let (_, written) = plan.written_runs(&mut Pagemap::open(self.tracking.pid())?)?;
            Ok(intersection(&written, &union(&plan.anonymous(), &[])))
        }

        fn forgets(&self) -> bool {
            false
        }

        fn at_the_end(&mut self, plan: &Plan) -> Result<Written, TargetError> {
            self.tracking.at_the_end(plan)
        }

        fn time_at_the_end(&self, bytes: u64) -> Duration {
            self.tracking.time_at_the_end(bytes)
        }

        fn trouble(&self) -> Option<&'static str> {
            self.trouble
        }
    }

    struct Writer(Child);

    impl Drop for Writer {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn writer() -> Option<(Writer, i32, Address)> {
        if !WriteTracking::is_supported() {
            eprintln!("SKIPPED: this kernel has no asynchronous userfaultfd");
            return None;
        }
        let mut command = Command::new("python3");
        command.args(["-c", WRITER]).arg(PAGES.to_string()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            eprintln!("SKIPPED: python3 not found");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = child.id().cast_signed();
        Some((Writer(child), pid, Address::new(line.trim().parse().unwrap())))
    }

    /// Copies the writer as soft-dirty bits would have it. `None` if it writes too fast for that.
    fn copy(pid: i32, trouble: Option<&'static str>) -> Result<Image, String> {
        let options = CaptureOptions { with_buffers: true, ..CaptureOptions::default() };
        let subject = Subject { pid, holder: pid, options: &options, forecast: forecast(pid).unwrap() };
        let mut statistics = CaptureStatistics::default();
        let reason = |setback| match setback {
            Setback::Unusable(reason) => reason,
            Setback::Failed(error) => panic!("{error}"),
        };
        let Way::Descriptor(means) = Way::find(&subject).map_err(reason)? else { panic!("not that way") };
        let mut preparation = Preparation::new(&subject).unwrap();
        let (tracking, _) = WriteTracking::of_process(pid, &means, None)?;
        let tracking = Box::new(SinceTheBeginning { tracking, asked: 0, trouble });
        let mut rounds = Rounds::new(tracking, &subject);
        let first = rounds.tracking.begin(&preparation.plan).unwrap();
        let left = rounds.run(&first, &mut preparation, &subject).map_err(reason)?;
        let stopped = rounds.stop(&mut preparation, &mut statistics, left).map_err(reason)?;
        Ok(stopped.into_taken(preparation).image)
    }

    #[test]
    fn what_is_told_again_and_again_is_copied_in_the_stop() {
        let Some((_writer, pid, start)) = writer() else { return };
        let mut copies = 0;
        for _ in 0..10 {
            // On a busy machine a round may take so long that too much is left.
            let Ok(image) = copy(pid, None) else { continue };
            let number = |page: u64| image.word(start.plus(page * PAGE)).unwrap_or(0);
            let numbers: Vec<u64> = (0..PAGES).map(number).collect();
            let newest = numbers[0];
            let new = numbers.partition_point(|&number| number == newest);
            assert!(newest > 0 && numbers[new..].iter().all(|&number| number == newest - 1), "{numbers:?}");
            copies += 1;
        }
        assert!(copies > 0, "it never worked");
    }

    #[test]
    fn a_slow_round_lengthens_what_is_predicted() {
        let second = Duration::from_secs(1);
        assert!((rate_after(COPY_RATE, 1 << 30, second) - f64::from(1 << 30)).abs() < 1.0);
        assert!((rate_after(COPY_RATE, 1 << 40, second) - COPY_RATE).abs() < 1.0, "pieces are not as fast");
        assert!((rate_after(COPY_RATE, 1 << 20, second) - COPY_RATE).abs() < 1.0, "too little to tell");
        let slow = predicted(Duration::ZERO, (1 << 30, 1.0e9), 1);
        assert!(slow > predicted(Duration::ZERO, (1 << 30, COPY_RATE), 1) * 2);
    }

    #[test]
    fn trouble_ends_it() {
        let Some((_writer, pid, _)) = writer() else { return };
        assert_eq!(copy(pid, Some("of some kind")).err().unwrap(), "of some kind");
    }
}
