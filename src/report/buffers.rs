//! Memory that objects own outside of themselves: piece by piece, the largest first, then by type.

use crate::inspection::Answers;
use crate::inspection::BufferRow;
use crate::inspection::View;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::document::Cell;
use crate::report::document::Column;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::document::Look;
use crate::report::document::RowSink;
use crate::report::document::Rows;
use crate::report::document::Table;
use crate::report::overview;
use crate::report::subject;
use crate::report::words;
use std::collections::BTreeMap;

/// The report `buffers`.
pub(super) struct BuffersReport;

/// Columns of the list in every format, in this order.
const COLUMNS: [Column; 11] = [
    Column { name: "object", title: "object", width: 14 },
    Column { name: "type", title: "type", width: 24 },
    Column { name: "what", title: "what", width: 12 },
    Column { name: "address", title: "address", width: 0 },
    Column { name: "bytes", title: "bytes", width: 11 },
    Column { name: "attributed", title: "own bytes", width: 0 },
    Column { name: "role", title: "role", width: 6 },
    Column { name: "counted", title: "counted", width: 7 },
    Column { name: "owner", title: "owner", width: 0 },
    Column { name: "owner_type", title: "owner's type", width: 14 },
    Column { name: "memory", title: "memory", width: 16 },
];

const TYPE_COLUMNS: [Column; 7] = [
    Column { name: "type", title: "type", width: 28 },
    Column { name: "what", title: "what", width: 17 },
    Column { name: "owners", title: "owners", width: 8 },
    Column { name: "shared", title: "shared", width: 8 },
    Column { name: "views", title: "views", width: 8 },
    Column { name: "uncounted_bytes", title: "not counted", width: 13 },
    Column { name: "counted_bytes", title: "counted", width: 13 },
];

impl Report for BuffersReport {
    fn name(&self) -> &'static str {
        "buffers"
    }

    fn help(&self) -> &'static str {
        "List memory that objects own outside of themselves"
    }

    fn needs_buffers(&self, _options: &ReportOptions) -> bool {
        true
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let mut document = Document::new(self.name());
        let view = options.view;
        subject::push_facts(&mut document, answers, view);
        let kinds = kinds(answers, view);
        overview::push_head(&mut document, answers, view);
        push_totals(&mut document, answers.uncounted_buffers(view), &kinds);
        document.tables.push(list(answers, options));
        document.tables.push(kind_table(kinds, options.limit));
        push_problems(&mut document, answers, view);
        document.tables.push(overview::anomalies(answers));
        document
    }
}

/// The numbers of one type and kind of memory.
#[derive(Clone, Copy, Default)]
struct Sum {
    owners: u64,
    shared: u64,
    views: u64,
    uncounted: u64,
    counted: u64,
}

fn kinds(answers: &dyn Answers, view: View) -> Vec<((String, String), Sum)> {
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    answers.for_each_buffer(view, &mut |row| {
        let sum = sums.entry((row.type_label.to_owned(), row.what.to_owned())).or_default();
        match row.role {
            "owner" => sum.owners += 1,
            "shared" => sum.shared += 1,
            _ => sum.views += 1,
        }
        let place = if row.counted { &mut sum.counted } else { &mut sum.uncounted };
        *place = place.saturating_add(row.attributed);
        true
    });
    let mut kinds: Vec<_> = sums.into_iter().collect();
    kinds.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.uncounted, sum.counted)));
    kinds
}

fn push_totals(document: &mut Document<'_>, uncounted: &[(u64, u64)], kinds: &[((String, String), Sum)]) {
    let bytes = uncounted.iter().fold(0_u64, |sum, &(_, bytes)| sum.saturating_add(bytes));
    let counted = kinds.iter().fold(0_u64, |sum, (_, kind)| sum.saturating_add(kind.counted));
    let rows = kinds.iter().map(|(_, kind)| kind.owners + kind.shared + kind.views).sum();
    document.fact("buffer_totals.rows", Cell::Count(rows));
    document.fact("buffer_totals.uncounted_bytes", Cell::Bytes(bytes));
    document.fact("buffer_totals.counted_bytes", Cell::Bytes(counted));
    document.line(
        "buffers",
        format!(
            "{}, {} that sys.getsizeof does not count",
            words::counted(rows, "buffer"),
            words::bytes(bytes)
        ),
        Fit::Wrap,
    );
    document.line("", format!("{} that it counts", words::bytes(counted)), Fit::Wrap);
}

/// The list, made while it is written.
fn list<'a>(answers: &'a dyn Answers, options: &ReportOptions) -> Table<'a> {
    let view = options.view;
    let source = move |visit: &mut RowSink<'_>| {
        answers.for_each_buffer(view, &mut |row| visit(&cells(row)));
    };
    Table {
        path: "buffers",
        title: "",
        look: Look::Page,
        columns: COLUMNS.to_vec(),
        rows: Rows::Streamed(Box::new(source)),
        limit: options.limit,
    }
}

fn cells<'r>(row: &BufferRow<'r>) -> [Cell<'r>; COLUMNS.len()] {
    [
        Cell::Address(row.object),
        Cell::text(row.type_label),
        Cell::text(row.what),
        Cell::Address(row.address),
        Cell::Bytes(row.bytes),
        Cell::Bytes(row.attributed),
        Cell::text(row.role),
        Cell::Flag(row.counted),
        row.owner.map_or(Cell::Missing, Cell::Address),
        Cell::optional_text(row.owner_label),
        Cell::text(row.mapping.unwrap_or("not mapped")),
    ]
}

fn kind_table<'a>(kinds: Vec<((String, String), Sum)>, limit: Option<usize>) -> Table<'a> {
    let row = |((kind, what), sum): ((String, String), Sum)| {
        vec![
            Cell::text(kind),
            Cell::text(what),
            Cell::Count(sum.owners),
            Cell::Count(sum.shared),
            Cell::Count(sum.views),
            Cell::Bytes(sum.uncounted),
            Cell::Bytes(sum.counted),
        ]
    };
    Table {
        path: "buffer_types",
        title: "",
        look: Look::Page,
        columns: TYPE_COLUMNS.to_vec(),
        rows: Rows::Listed(kinds.into_iter().map(row).collect()),
        limit,
    }
}

/// Why buffers may be missing: a line for people, a row for machines.
pub(super) fn push_problems(document: &mut Document<'_>, answers: &dyn Answers, view: View) {
    let problems = answers.buffer_problems(view);
    for problem in &problems {
        let objects = words::counted(problem.objects, "object");
        let subject =
            if problem.subject.is_empty() { String::new() } else { format!("{}: ", problem.subject) };
        let label = if problem.objects == 0 { "unused" } else { "incomplete" };
        document.warn(label, format!("{objects}: {subject}{}", problem.description));
    }
    let rows = problems.into_iter().map(|problem| {
        [
            Cell::text(problem.kind),
            Cell::text(problem.subject),
            Cell::Count(problem.objects),
            Cell::text(problem.description),
        ]
    });
    let names = ["kind", "subject", "objects", "description"];
    document.tables.push(Table::hidden("buffer_problems", names, rows));
}
