//! What the recipe's `heapStats()` returns: heapy's tables and dumps, and the memory map, for another program.

use crate::address::Address;
use crate::inspection::Answers;
use crate::inspection::Relation;
use crate::inspection::View;
use crate::memory_map::recipe_text;
use crate::report::Choice;
use crate::report::Partition;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::buffers;
use crate::report::document::Cell;
use crate::report::document::Column;
use crate::report::document::Document;
use crate::report::document::Look;
use crate::report::document::RowSink;
use crate::report::document::Rows;
use crate::report::document::Table;
use crate::report::overview;
use crate::report::rows;
use crate::report::subject;
use std::time::Duration;

/// Hands over (address, size) of object after object until it is told to stop.
pub type SpanSource<'a> = dyn Fn(&mut dyn FnMut(u64, u64) -> bool) + 'a;

/// Everything that the recipe's dict is made of, in heapy's view.
pub struct HeapStats<'a> {
    /// `heap()` by class or dict owner.
    pub reachable: Partition,
    /// `heapu()`.
    pub unreachable: Partition,
    /// `heap()` by the classes of referrers.
    pub referrers: Partition,
    /// The recipe's maps: `lo`, `med`, `hi`.
    pub bands: [(&'static str, String); 3],
    /// Every object in memory, by address.
    pub spans: Box<SpanSource<'a>>,
    /// When the process was copied, since the epoch.
    pub made: Duration,
    /// Whether the target's `textwrap` cuts long words after hyphens (3.10 on).
    pub breaks_after_hyphen: bool,
    /// Protocol of the pickle, 0 to 5.
    pub protocol: u8,
}

/// The report `stats`.
pub(super) struct Stats;

impl Report for Stats {
    fn name(&self) -> &'static str {
        "stats"
    }

    fn help(&self) -> &'static str {
        "Write heapStats()'s dict (heapy's tables, dumps, map), pickled"
    }

    fn formats(&self) -> &'static [&'static str] {
        &["pickle", "json"]
    }

    fn choices(&self) -> &'static [Choice] {
        &[Choice::Protocol, Choice::WithBuffers]
    }

    fn view(&self) -> Option<View> {
        Some(View::Heapy)
    }

    fn needs_buffers(&self, options: &ReportOptions) -> bool {
        options.with_buffers
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        const VIEW: View = View::Heapy;
        let mut document = Document::new(self.name());
        let buffers = if options.with_buffers { answers.uncounted_buffers(VIEW) } else { &[] };
        let bands = if options.with_buffers { answers.bands_with_buffers(VIEW) } else { answers.bands(VIEW) };
        let unreachable = answers.unreachable(VIEW);
        let stats = HeapStats {
            reachable: answers.partition(VIEW, Relation::Clodo),
            unreachable: unreachable.partition,
            referrers: answers.partition(VIEW, Relation::Referrers),
            bands: bands.named().map(|(name, band)| (name, recipe_text(band))),
            spans: Box::new(move |visit| for_each_span(answers, buffers, visit)),
            made: answers.captured_at(),
            breaks_after_hyphen: answers.interpreter().breaks_after_hyphen,
            protocol: options.protocol,
        };
        subject::push_facts(&mut document, answers, VIEW);
        overview::push_bands(&mut document, &bands);
        for (path, partition) in [
            ("partitions.clodo", &stats.reachable),
            ("partitions.rcs", &stats.referrers),
            ("partitions.unreachable", &stats.unreachable),
        ] {
            document.tables.push(rows::listed(path, partition, Look::Hidden, None));
        }
        document.tables.push(spans(answers, buffers));
        if options.with_buffers {
            buffers::push_problems(&mut document, answers, VIEW);
        }
        document.tables.push(overview::anomalies(answers));
        document.stats = Some(stats);
        document
    }
}

/// Objects and buffers by address, until `visit` says false.
fn for_each_span(answers: &dyn Answers, buffers: &[(u64, u64)], visit: &mut dyn FnMut(u64, u64) -> bool) {
    let mut left = buffers;
    let mut go_on = true;
    answers.for_each_span(View::Heapy, &mut |address, bytes| {
        while let Some((&buffer, rest)) =
            left.split_first().filter(|(buffer, _)| go_on && **buffer < (address, bytes))
        {
            left = rest;
            go_on = visit(buffer.0, buffer.1);
        }
        go_on = go_on && visit(address, bytes);
        go_on
    });
    for &(address, bytes) in left {
        go_on = go_on && visit(address, bytes);
    }
}

/// The memory map's list, as rows.
fn spans<'a>(answers: &'a dyn Answers, buffers: &'a [(u64, u64)]) -> Table<'a> {
    let source = move |visit: &mut RowSink<'_>| {
        for_each_span(answers, buffers, &mut |address, bytes| {
            visit(&[Cell::Address(Address::new(address)), Cell::Bytes(bytes)])
        });
    };
    Table {
        path: "spans",
        title: "",
        look: Look::Hidden,
        columns: Column::named(["address", "bytes"]),
        rows: Rows::Streamed(Box::new(source)),
        limit: None,
    }
}
