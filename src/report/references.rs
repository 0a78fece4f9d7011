//! Every reference between objects, one row each, by address of the object that refers.

use crate::inspection::Answers;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::document::Cell;
use crate::report::document::Column;
use crate::report::document::Document;
use crate::report::document::Look;
use crate::report::document::RowSink;
use crate::report::document::Rows;
use crate::report::document::Table;
use crate::report::subject;

/// The report `references`.
pub(super) struct References;

/// Columns in every format, in this order.
const COLUMNS: [Column; 3] = [
    Column { name: "address", title: "address", width: 14 },
    Column { name: "kind", title: "kind", width: 12 },
    Column { name: "target", title: "target", width: 14 },
];

impl Report for References {
    fn name(&self) -> &'static str {
        "references"
    }

    fn help(&self) -> &'static str {
        "List every reference between objects, for other programs"
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, options.view);
        let source = move |visit: &mut RowSink<'_>| {
            answers.for_each_reference(&mut |reference| {
                visit(&[
                    Cell::Address(reference.source),
                    Cell::text(reference.kind.name()),
                    Cell::Address(reference.target),
                ])
            });
        };
        document.tables.push(Table {
            path: "references",
            title: "",
            look: Look::Columns,
            columns: COLUMNS.to_vec(),
            rows: Rows::Streamed(Box::new(source)),
            limit: options.limit,
        });
        document
    }
}
