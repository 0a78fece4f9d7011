//! What was wrong or odd in the target: counted and located, never a reason to stop.

use crate::address::Address;

/// Kinds of anomaly. The words are part of the JSON contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnomalyKind {
    /// The collector was running at the stop.
    CollectorRunning,
    /// A collector list has a link that leads nowhere or is not answered.
    BrokenCollectorList,
    /// A pool's free list does not have as many blocks as its count says.
    PoolCount,
    /// A field that must refer to an object refers to something else.
    DanglingReference,
    /// An object whose size cannot be computed from what it says.
    UnknownSize,
    /// A class, or a type of an extension module, has a `__sizeof__` of its own: its instances show the default
    /// size.
    OverriddenSize,
    /// A list of interpreters, threads or frames ended in unreadable memory.
    CutRuntime,
    /// Two sources of the layout disagree.
    LayoutDisagreement,
    /// The layout is that of another release, and nothing shows that it fits.
    GuessedLayout,
    /// A pool block that only a reference, not the block itself, showed to be an object.
    OddBlock,
    /// Objects claimed so much memory over and over that some of it was left out.
    WorkLimit,
    /// A list whose length was set and whose items were not yet: `list(dict)` and the like, from 3.13 on
    /// (`list_extend_dict`, Objects/listobject.c). What it seems to refer to may be what its block held before.
    UnfilledList,
}

impl AnomalyKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::CollectorRunning,
        Self::BrokenCollectorList,
        Self::PoolCount,
        Self::DanglingReference,
        Self::UnknownSize,
        Self::OverriddenSize,
        Self::CutRuntime,
        Self::LayoutDisagreement,
        Self::GuessedLayout,
        Self::OddBlock,
        Self::WorkLimit,
        Self::UnfilledList,
    ];

    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CollectorRunning => "collector-running",
            Self::BrokenCollectorList => "broken-collector-list",
            Self::PoolCount => "pool-count",
            Self::DanglingReference => "dangling-reference",
            Self::UnknownSize => "unknown-size",
            Self::OverriddenSize => "overridden-size",
            Self::CutRuntime => "cut-runtime",
            Self::LayoutDisagreement => "layout-disagreement",
            Self::GuessedLayout => "guessed-layout",
            Self::OddBlock => "odd-block",
            Self::WorkLimit => "work-limit",
            Self::UnfilledList => "unfilled-list",
        }
    }

    /// One sentence for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::CollectorRunning => "The garbage collector was running at the stop.",
            Self::BrokenCollectorList => "A collector list has a link that leads nowhere or is not answered.",
            Self::PoolCount => "A pool's free list does not have as many blocks as its count says.",
            Self::DanglingReference => "A field that must refer to an object refers to something else.",
            Self::UnknownSize => "An object whose size cannot be computed; it counts as 0 bytes.",
            Self::OverriddenSize => {
                "A type has a __sizeof__ of its own that is not known; the default size is shown."
            }
            Self::CutRuntime => "A list of interpreters, threads or frames ended in unreadable memory.",
            Self::LayoutDisagreement => "Two sources of the layout disagree.",
            Self::GuessedLayout => "The layout is that of another release, and may be wrong.",
            Self::OddBlock => "An object in a small block of a size that does not fit it.",
            Self::WorkLimit => "Objects claim the same memory too often; some of it was left out.",
            Self::UnfilledList => "A list was being filled at the stop; its last references may be stale.",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    first: Option<Address>,
}

/// A point in the counting of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Mark(Tally);

/// Anomalies by kind. Two sets join into the same result in whatever order they are joined.
#[derive(Clone, Debug, Default)]
pub struct Anomalies {
    tallies: [Tally; AnomalyKind::ALL.len()],
}

impl Anomalies {
    /// Counts one.
    pub fn add(&mut self, kind: AnomalyKind, at: Option<Address>) {
        self.add_many(kind, 1, at);
    }

    /// Counts several, of which the first was met at `at`.
    pub fn add_many(&mut self, kind: AnomalyKind, count: u64, at: Option<Address>) {
        let tally = &mut self.tallies[kind as usize];
        if count > 0 {
            tally.count += count;
            tally.first = [tally.first, at].into_iter().flatten().min();
        }
    }

    /// How many of a kind there are, to go back to.
    pub fn mark(&self, kind: AnomalyKind) -> Mark {
        Mark(self.tallies[kind as usize])
    }

    /// Whether there were more of the kind since the mark; they are taken back.
    pub fn take_back(&mut self, kind: AnomalyKind, mark: Mark) -> bool {
        let tally = &mut self.tallies[kind as usize];
        let grew = tally.count != mark.0.count;
        *tally = mark.0;
        grew
    }

    /// Adds another set.
    pub fn join(&mut self, other: &Self) {
        for (kind, tally) in AnomalyKind::ALL.into_iter().zip(&other.tallies) {
            self.add_many(kind, tally.count, tally.first);
        }
    }

    /// Every kind that was met: kind, count, lowest address.
    pub fn iter(&self) -> impl Iterator<Item = (AnomalyKind, u64, Option<Address>)> + '_ {
        let all = AnomalyKind::ALL.into_iter().zip(&self.tallies);
        all.filter(|(_, tally)| tally.count > 0).map(|(kind, tally)| (kind, tally.count, tally.first))
    }
}
