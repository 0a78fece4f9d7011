//! The heap in rows of one's choice, and one choice inside another.

use crate::inspection::Answers;
use crate::inspection::Relation;
use crate::inspection::View;
use crate::report::Choice;
use crate::report::Partition;
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
use crate::report::rows;
use crate::report::subject;

/// The report `heap`.
pub(super) struct Heap;

impl Report for Heap {
    fn name(&self) -> &'static str {
        "heap"
    }

    fn help(&self) -> &'static str {
        "Show the heap by class, type, module, size, referrers, generation"
    }

    fn choices(&self) -> &'static [Choice] {
        &[Choice::By, Choice::Then, Choice::Only]
    }

    fn needs_references(&self, options: &ReportOptions) -> bool {
        options.by == Relation::Referrers || options.then == Some(Relation::Referrers)
    }

    fn refusal(&self, answers: &dyn Answers, options: &ReportOptions) -> Option<String> {
        refusal(answers, options.by, options)
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let ReportOptions { view, limit, by, then, only, .. } = *options;
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, view);
        document.fact("by", Cell::text(by.name()));
        document.fact("then", Cell::optional_text(then.map(Relation::name)));
        document.fact("only", Cell::optional_text(only));
        overview::push_head(&mut document, answers, view);
        if let Some(only) = only {
            document.line("only", only, Fit::Cut);
        }
        document.tables.push(match (then, only) {
            (None, None) => {
                let source = move || answers.partition(view, by);
                rows::computed("rows", (by.header(), look(by, options)), limit, source)
            }
            (None, Some(only)) => {
                let source = move || with_label(answers.partition(view, by), only);
                rows::computed("rows", (by.header(), look(by, options)), limit, source)
            }
            (Some(then), Some(only)) => {
                rows::computed("rows", (then.header(), look(then, options)), limit, move || {
                    inside(answers, (view, by, then), only)
                })
            }
            (Some(then), None) => nested(answers, options, then),
        });
        document.tables.push(overview::anomalies(answers));
        document
    }
}

/// A view, the outer relation and the inner one.
type Nesting = (View, Relation, Relation);

/// Why there is no answer: no row has the label.
pub(super) fn refusal(answers: &dyn Answers, by: Relation, options: &ReportOptions) -> Option<String> {
    let only = options.only?;
    let partition = answers.partition(options.view, by);
    let has_row = partition.rows.iter().any(|row| row.label == only);
    (!has_row).then(|| format!("no row by {} has the label '{only}'", by.name()))
}

/// The inner rows of all outer rows with a label.
pub(super) fn inside(answers: &dyn Answers, (view, by, then): Nesting, only: &str) -> Partition {
    let rows = answers.nested(view, by, then, Some(only));
    Partition::new(then.header(), rows.into_iter().map(|nested| nested.row).collect())
}

/// Labels of sets are long and must not be cut; the others may be.
const fn look(relation: Relation, options: &ReportOptions) -> Look {
    match relation {
        Relation::Referrers => Look::Heapy,
        _ => rows::look(options.view),
    }
}

fn with_label(partition: Partition, label: &str) -> Partition {
    let rows = partition.rows.into_iter().filter(|row| row.label == label).collect();
    Partition::new(partition.header, rows)
}

fn nested<'a>(answers: &'a dyn Answers, options: &ReportOptions, then: Relation) -> Table<'a> {
    let ReportOptions { view, limit, by, .. } = *options;
    let source = move |visit: &mut RowSink<'_>| {
        for nested in answers.nested(view, by, then, None) {
            let (objects, bytes) = (Cell::Count(nested.row.objects), Cell::Bytes(nested.row.bytes));
            if !visit(&[objects, bytes, Cell::text(nested.outer), Cell::text(nested.row.label)]) {
                return;
            }
        }
    };
    let columns = [
        Column { name: "objects", title: "objects", width: 10 },
        Column { name: "bytes", title: "bytes", width: 12 },
        Column { name: "outer", title: by.header(), width: 27 },
        Column { name: "label", title: then.header(), width: 28 },
    ];
    Table {
        path: "rows",
        title: "",
        look: Look::Page,
        columns: columns.to_vec(),
        rows: Rows::Streamed(Box::new(source)),
        limit,
    }
}
