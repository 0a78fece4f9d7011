//! Finding what a running process writes to, in one of two ways.

use crate::address::AddressRange;
use crate::target::TargetError;
use crate::target::capture::Setback;
use crate::target::capture::Subject;
use crate::target::capture::plan::Plan;
use crate::target::capture::slots::union;
use crate::target::inject::Means;
use crate::target::pagemap::Pagemap;
use crate::target::proc_maps::read_mappings;
use crate::target::soft_dirty::SoftDirty;
use crate::target::write_tracking::WriteTracking;
use std::time::Duration;

/// Finding the written pages of a gigabyte in the stop: with `PAGEMAP_SCAN`, and in the page map.
const SCAN_PER_GIBIBYTE: f64 = 0.002;
const LOOK_PER_GIBIBYTE: f64 = 0.015;
/// Clearing the soft-dirty bits of a gigabyte, in which page faults of the process wait.
const CLEAR_PER_GIBIBYTE: f64 = 0.02;

/// What was written to, as of one moment. Both sorted.
pub(super) struct Written {
    /// The pages that are wanted.
    pub(super) runs: Vec<AddressRange>,
    /// Those that may differ from what was copied before.
    pub(super) written: Vec<AddressRange>,
}

/// A way of finding what a running process writes to.
pub(super) trait Tracking: Send {
    /// From now on writes are noticed. Gives what to copy first: all pages of anonymous memory.
    fn begin(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError>;

    /// What to copy anew while the process runs.
    fn written(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError>;

    /// Whether [`Tracking::written`] tells a write once only, so that what it tells was written since it was
    /// last asked. Otherwise it tells everything that was written to since the beginning, each time.
    fn forgets(&self) -> bool;

    /// The process stands still: what is wanted, and what of it is not what was copied.
    fn at_the_end(&mut self, plan: &Plan) -> Result<Written, TargetError>;

    /// How long [`Tracking::at_the_end`] will take with so many bytes in memory.
    fn time_at_the_end(&self, bytes: u64) -> Duration;

    /// Something that makes the answers worthless, if it has happened.
    fn trouble(&self) -> Option<&'static str> {
        None
    }
}

/// A `userfaultfd` of the process.
impl Tracking for WriteTracking {
    fn begin(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
        self.register(&plan.anonymous());
        self.written(plan)
    }

    fn written(&mut self, _plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
        let mut pagemap = Pagemap::open(self.pid())?;
        let mut found = Vec::new();
        for &range in self.registered() {
            pagemap.protect_written(range, &mut found)?;
        }
        Ok(found)
    }

    fn forgets(&self) -> bool {
        true
    }

    fn at_the_end(&mut self, plan: &Plan) -> Result<Written, TargetError> {
        let (runs, written) = plan.written_runs(&mut Pagemap::open(self.pid())?)?;
        Ok(Written { runs, written })
    }

    fn time_at_the_end(&self, bytes: u64) -> Duration {
        Way::time(bytes, SCAN_PER_GIBIBYTE)
    }
}

/// Soft-dirty bits. Private pages of files are copied in the stop, all of them.
impl Tracking for SoftDirty {
    fn begin(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
        self.first_look(&plan.anonymous())
    }

    fn written(&mut self, plan: &Plan) -> Result<Vec<AddressRange>, TargetError> {
        self.look(&plan.anonymous()).map(|look| look.written)
    }

    fn forgets(&self) -> bool {
        false
    }

    fn at_the_end(&mut self, plan: &Plan) -> Result<Written, TargetError> {
        let look = self.look(&plan.anonymous())?;
        let of_files = plan.runs_of_files(&mut Pagemap::open(self.pid())?)?;
        Ok(Written { runs: union(&look.resident, &of_files), written: union(&look.written, &of_files) })
    }

    fn time_at_the_end(&self, _bytes: u64) -> Duration {
        // It has been done just now, for the same pages.
        self.looking()
    }

    fn trouble(&self) -> Option<&'static str> {
        self.is_disturbed().then_some("another program has cleared its soft-dirty bits meanwhile")
    }
}

/// Which way there is.
pub(super) enum Way {
    /// A `userfaultfd`, made by the process itself, by these means.
    Descriptor(Means),
    /// Soft-dirty bits.
    Bits,
}

impl Way {
    /// Finds one that works here, for this process.
    pub(super) fn find(subject: &Subject<'_>) -> Result<Self, Setback> {
        match means(subject)? {
            Ok(means) => Ok(Self::Descriptor(means)),
            Err(reason) => Self::bits(&reason),
        }
    }

    fn bits(reason: &str) -> Result<Self, Setback> {
        match SoftDirty::try_on_ourselves() {
            Ok(()) => Ok(Self::Bits),
            Err(second) => Err(Setback::Unusable(format!("{reason}; {second}"))),
        }
    }

    /// The longest time that the process will wait for it, beside what the stop takes for copying.
    pub(super) fn expected(&self, bytes: u64) -> Duration {
        match self {
            Self::Descriptor(_) => Self::time(bytes, SCAN_PER_GIBIBYTE),
            Self::Bits => Self::time(bytes, LOOK_PER_GIBIBYTE.max(CLEAR_PER_GIBIBYTE)),
        }
    }

    /// Sets it up. Gives the longest time that a thread of the process had to wait for it, too.
    pub(super) fn start(self, subject: &Subject<'_>) -> Result<(Box<dyn Tracking>, Duration), Setback> {
        if let Self::Descriptor(means) = &self {
            match WriteTracking::of_process(subject.pid, means, subject.options.step_watch) {
                Ok((tracking, pause)) => return Ok((Box::new(tracking), pause)),
                Err(reason) => Self::bits(&reason).map(drop)?,
            }
        }
        let refused = |error: TargetError| Setback::Unusable(error.to_string());
        let bits = SoftDirty::clear(subject.holder).map_err(refused)?;
        let waited = bits.clearing();
        Ok((Box::new(bits), waited))
    }

    fn time(bytes: u64, per_gibibyte: f64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(1 << 30) * per_gibibyte)
    }
}

/// The means to have a `userfaultfd` made, or why not.
fn means(subject: &Subject<'_>) -> Result<Result<Means, String>, TargetError> {
    if subject.holder != subject.pid {
        return Ok(Err("its first thread has ended".to_owned()));
    }
    if !WriteTracking::is_supported() {
        let reason = "this kernel does not tell which pages are written to (it needs Linux 6.7)";
        return Ok(Err(reason.to_owned()));
    }
    Ok(Means::find(subject.pid, &read_mappings(subject.pid)?))
}
