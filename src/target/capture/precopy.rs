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
use crate::target::image::PAGE;
use crate::target::image::Segment;
use crate::target::inject::Means;
use crate::target::live::StopLimits;
use crate::target::live::on_a_thread;
use crate::target::live::while_stopped;
use crate::target::pagemap::Pagemap;
use crate::target::priority;
use crate::target::proc_maps::read_mappings;
use crate::target::write_tracking::WriteTracking;
use std::time::Duration;
use std::time::Instant;

/// Reading the mappings, and finding the written pages of a gigabyte, in the stop.
const FIXED: Duration = Duration::from_millis(1);
const SCAN_PER_GIBIBYTE: f64 = 0.002;
/// Bytes that are copied in a second in the stop, in pieces.
const COPY_RATE: f64 = 3.0e9;
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
        means(subject)?;
        if !WriteTracking::is_supported() {
            let reason = "this kernel does not tell which pages are written to (it needs Linux 6.7)";
            return Err(Setback::Unusable(reason.to_owned()));
        }
        Ok(predicted(subject.forecast.bytes, FEW, subject.forecast.threads))
    }

    fn take(&self, subject: &Subject<'_>, statistics: &mut CaptureStatistics) -> Result<Taken, Setback> {
        let means = means(subject)?;
        let mut preparation = Preparation::new(subject)?;
        let watch = subject.options.step_watch;
        let (tracking, pause) =
            WriteTracking::of_process(subject.pid, &means, watch).map_err(Setback::Unusable)?;
        // One thread stood still for it.
        note_stop(statistics, pause);
        let mut rounds = Rounds { slots: Slots::default(), tracking, failed: Vec::new() };
        rounds.register(&preparation);
        step(watch, "registered");
        let stopped = rounds
            .run(&mut preparation, subject)
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

fn means(subject: &Subject<'_>) -> Result<Means, Setback> {
    if subject.holder != subject.pid {
        return Err(Setback::Unusable("its first thread has ended".to_owned()));
    }
    Means::find(subject.pid, &read_mappings(subject.pid)?).map_err(Setback::Unusable)
}

/// How long the stop will take with so many bytes left to copy.
fn predicted(memory: u64, left: u64, threads: usize) -> Duration {
    let scanning = memory as f64 / f64::from(1 << 30) * SCAN_PER_GIBIBYTE;
    let copying = left as f64 / COPY_RATE;
    FIXED
        .saturating_add(Duration::from_secs_f64(scanning + copying))
        .saturating_add(PER_THREAD.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX)))
}

/// The copy as it grows.
struct Rounds {
    slots: Slots,
    tracking: WriteTracking,
    /// Pages that could not be read while the process ran: to be read again, if they are there.
    failed: Vec<AddressRange>,
}

impl Rounds {
    /// Registers the anonymous memory and protects it: what is written to from now on is noticed.
    fn register(&mut self, preparation: &Preparation<'_>) {
        self.tracking.register(&preparation.plan.anonymous());
    }

    /// What was written to since the last time.
    fn written(&self, pagemap: &mut Pagemap) -> Result<Vec<AddressRange>, TargetError> {
        let mut found = Vec::new();
        for &range in self.tracking.registered() {
            pagemap.protect_written(range, &mut found)?;
        }
        Ok(found)
    }

    /// Copies in rounds until little is left, and says how much; gives up if that does not help.
    fn run(&mut self, preparation: &mut Preparation<'_>, subject: &Subject<'_>) -> Result<u64, Setback> {
        let options = preparation.options;
        let mut pagemap = Pagemap::open(preparation.holder)?;
        let mut before = u64::MAX;
        for round in 0..MOST_ROUNDS {
            options.check_signals()?;
            let written = preparation.buffers.leave_out(&self.written(&mut pagemap)?).0;
            let bytes = total(&written);
            let pieces = self.slots.place(&written);
            if self.slots.used() > preparation.destination.capacity() {
                return Err(Setback::Unusable("it grows faster than it can be copied".to_owned()));
            }
            let destination = preparation.destination.bytes();
            let limits = Limits { signals: options.signals, until: None };
            let is_short = round > 0 && bytes < SHORT_ROUND;
            let holder = preparation.holder;
            let holes = on_a_thread(|| {
                if is_short {
                    priority::raise();
                }
                scatter::copy(holder, &pieces, destination, if is_short { 1 } else { 2 }, limits)
            })?;
            self.failed = union(&self.failed, &sorted(holes));
            options.report(Stage::Copying, self.slots.used().saturating_sub(bytes), self.slots.used());
            step(options.step_watch, "a round is done");
            let shrinks = bytes < before / 5 * 4;
            before = bytes;
            if round > 0 && (bytes < FEW || !shrinks) {
                break;
            }
        }
        let left = before;
        let expected = predicted(self.slots.used(), left, subject.forecast.threads);
        let worth_it = SHORT_PAUSE.max(subject.forecast.pause * 2 / 3);
        if expected > options.longest_pause.unwrap_or(Duration::MAX).min(worth_it) {
            return Err(Setback::Unusable(format!(
                "it writes to memory too fast: {} MiB in the time of one round, which would take about {} ms",
                left >> 20,
                expected.as_millis()
            )));
        }
        Ok(left)
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
        let expected = predicted(self.slots.used(), left, threads);
        statistics.expected_pause_ns = u64::try_from(expected.as_nanos()).unwrap_or(u64::MAX);
        let limits = StopLimits { deadline: options.stop_deadline, signals: options.signals };
        loop {
            let is_last = statistics.retries >= options.retries;
            let pid = preparation.pid;
            let (stopped, stop) = while_stopped(pid, limits, || self.copy_rest(preparation, is_last))?;
            let pause = note_stop(statistics, stop.pause);
            let Some(stopped) = stopped else {
                wait_for_collector(preparation.holder, options, statistics.retries)?;
                statistics.retries += 1;
                self.catch_up(preparation)?;
                continue;
            };
            if stopped.needed > preparation.destination.capacity() {
                return Err(Setback::Unusable("it grows faster than it can be copied".to_owned()));
            }
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
    fn catch_up(&mut self, preparation: &mut Preparation<'_>) -> Result<(), TargetError> {
        let written = self.written(&mut Pagemap::open(preparation.holder)?)?;
        let pieces = self.slots.place(&preparation.buffers.leave_out(&written).0);
        if self.slots.used() <= preparation.destination.capacity() {
            let limits = Limits { signals: preparation.options.signals, until: None };
            let destination = preparation.destination.bytes();
            let holes = scatter::copy(preparation.holder, &pieces, destination, 2, limits)?;
            self.failed = union(&self.failed, &sorted(holes));
        }
        Ok(())
    }

    /// What happens while the process stands still. `None` if the collector runs.
    fn copy_rest(
        &mut self,
        preparation: &mut Preparation<'_>,
        even_if_busy: bool,
    ) -> Result<Option<Stopped>, TargetError> {
        let options = preparation.options;
        let until = options.longest_pause.map(|longest| Instant::now() + longest);
        let collecting = preparation.is_busy();
        if collecting && !even_if_busy {
            return Ok(None);
        }
        preparation.plan.refresh(preparation.holder, &preparation.files)?;
        let mut pagemap = Pagemap::open(preparation.holder)?;
        let (resident, written) = preparation.plan.written_runs(&mut pagemap)?;
        preparation.buffers.look_again(preparation.holder);
        let (runs, left_out) = preparation.buffers.leave_out(&resident);
        let unknown = union(&self.slots.without(&runs), &self.failed);
        let rest = intersection(&runs, &union(&written, &unknown));
        let pieces = self.slots.place(&rest);
        let needed = self.slots.used();
        let mut holes = Vec::new();
        if needed <= preparation.destination.capacity() {
            let limits = Limits { signals: options.signals, until };
            holes = sorted(scatter::copy(
                preparation.holder,
                &pieces,
                preparation.destination.bytes(),
                2,
                limits,
            )?);
        }
        let places = self.slots.place(&runs);
        Ok(Some(Stopped { runs, places, holes, left_out, needed, collecting }))
    }
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
