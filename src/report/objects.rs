//! Every object, one row each, by address.

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

/// The report `objects`.
pub(super) struct Objects;

/// Columns in every format, in this order.
const COLUMNS: [Column; 8] = [
    Column { name: "address", title: "address", width: 14 },
    Column { name: "type", title: "type", width: 24 },
    Column { name: "bytes", title: "bytes", width: 10 },
    Column { name: "clodo", title: "class or dict owner", width: 24 },
    Column { name: "refcount", title: "refcount", width: 10 },
    Column { name: "gc_tracked", title: "tracked", width: 7 },
    Column { name: "found_by", title: "found by", width: 9 },
    Column { name: "interpreter", title: "interpreter", width: 11 },
];

impl Report for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    fn help(&self) -> &'static str {
        "List every object by address, for other programs"
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, options.view);
        let view = options.view;
        let source = move |visit: &mut RowSink<'_>| {
            answers.for_each_object(view, &mut |object| {
                visit(&[
                    Cell::Address(object.address),
                    Cell::text(object.type_label),
                    Cell::Bytes(object.bytes),
                    Cell::text(object.clodo),
                    object.refcount.map_or(Cell::Missing, Cell::Count),
                    Cell::Flag(object.gc_tracked),
                    Cell::text(object.found_by.name()),
                    object.interpreter.map_or(Cell::Missing, Cell::Count),
                ])
            });
        };
        document.tables.push(Table {
            path: "objects",
            title: "",
            look: Look::Columns,
            columns: COLUMNS.to_vec(),
            rows: Rows::Streamed(Box::new(source)),
            limit: options.limit,
        });
        document
    }
}
