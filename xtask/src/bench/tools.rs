//! What is measured side by side.

use super::subject::Scene;

/// How a tool is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// heapattach: how it takes the memory, and the words of its command line.
    Heapattach(&'static str, &'static [&'static str]),
    /// A function of `testdata/programs/heap_tools.py`, run inside the program.
    Inside(&'static str),
    /// Another program: its name, and its words before the process id. `OUT` stands for a file that it may write.
    Outside(&'static str, &'static [&'static str]),
}

/// Something that tells about a heap, or a part of the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    /// Name in the table.
    pub(super) name: &'static str,
    /// What it does, in the table's words.
    pub(super) what: &'static str,
    pub(super) kind: Kind,
    /// It takes too long (or too much memory) for more objects than that.
    pub(super) most_objects: u64,
    /// In the scenes of which it is measured.
    pub(super) scenes: Scenes,
}

/// Which scenes a tool is interesting in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenes {
    /// Where the size matters: programs that sleep, with one thread.
    Sizes,
    /// There, and where the pause matters.
    SizesAndPauses,
}

const HUGE: u64 = 100_000_000;

const fn heapattach(
    name: &'static str,
    what: &'static str,
    strategy: &'static str,
    words: &'static [&'static str],
) -> Tool {
    let scenes = if words.is_empty() { Scenes::SizesAndPauses } else { Scenes::Sizes };
    Tool { name, what, kind: Kind::Heapattach(strategy, words), most_objects: HUGE, scenes }
}

const fn inside(name: &'static str, what: &'static str, function: &'static str, most_objects: u64) -> Tool {
    Tool { name, what, kind: Kind::Inside(function), most_objects, scenes: Scenes::Sizes }
}

const fn outside(
    name: &'static str,
    what: &'static str,
    (program, words): (&'static str, &'static [&'static str]),
    most_objects: u64,
) -> Tool {
    Tool { name, what, kind: Kind::Outside(program, words), most_objects, scenes: Scenes::SizesAndPauses }
}

/// The name of the tool whose report says how many objects there are.
pub(super) const COPY: &str = "heapattach";
pub(super) const BYRCS: &str = "heapattach referrers";
pub(super) const STATS: &str = "heapattach stats";
/// The name of the tool that does what `heapattach stats` does.
pub(super) const RECIPE: &str = "recipe";

/// All of them, in the order of the table.
pub(super) const TOOLS: [Tool; 14] = [
    heapattach(COPY, "types, sizes, classes, map", "copy", &[]),
    heapattach("heapattach, fork", "the same", "fork", &[]),
    heapattach("heapattach, precopy", "the same", "precopy", &[]),
    heapattach("heapattach, in-place", "the same", "in-place", &[]),
    heapattach(BYRCS, "by classes of referrers", "copy", &["referrers"]),
    heapattach(STATS, "all of heapStats(), pickled", "copy", &["stats"]),
    inside("guppy3 heap()", "table by class", "guppy_table", 10_000_000),
    inside("guppy3 byrcs", "by classes of referrers", "guppy_byrcs", 5_000_000),
    inside(RECIPE, "all of heapStats(), pickled", "recipe", 5_000_000),
    inside("gc + getsizeof", "collected objects by type", "gc_sizes", HUGE),
    inside("pympler", "table by type", "pympler", 1_000_000),
    outside("gcore", "a core file, nothing else", ("gcore", &["-o", "OUT"]), 10_000_000),
    outside(
        "memray attach",
        "new allocations from now on",
        ("memray", &["attach", "-f", "-o", "OUT"]),
        10_000_000,
    ),
    outside("pystack", "stacks of threads, no heap", ("pystack", &["remote"]), 10_000_000),
];

impl Tool {
    /// Whether it is measured there.
    pub(super) fn is_for(&self, scene: Scene) -> bool {
        let pause = scene.mutating || scene.threads > 1;
        scene.objects <= self.most_objects && (!pause || self.scenes == Scenes::SizesAndPauses)
    }

    /// Whether the program is of no use to others afterwards.
    pub(super) fn spoils(&self) -> bool {
        matches!(self.kind, Kind::Inside(_) | Kind::Outside("memray", _))
    }
}
