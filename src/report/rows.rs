//! Partitions as tables.

use crate::inspection::View;
use crate::report::Partition;
use crate::report::document::Cell;
use crate::report::document::Column;
use crate::report::document::Look;
use crate::report::document::RowSink;
use crate::report::document::Rows;
use crate::report::document::Table;

/// Columns in every format; on a page both looks have heapy's.
const COLUMNS: [&str; 3] = ["label", "objects", "bytes"];

/// How a partition of a view looks on a page.
pub(super) const fn look(view: View) -> Look {
    match view {
        View::Complete => Look::Partition,
        View::Heapy => Look::Heapy,
    }
}

/// A partition that is computed when it is written, since not every format shows every table.
pub(super) fn computed<'a>(
    path: &'static str,
    (title, look): (&'static str, Look),
    limit: Option<usize>,
    partition: impl Fn() -> Partition + 'a,
) -> Table<'a> {
    let source = move |visit: &mut RowSink<'_>| {
        for row in partition().rows {
            if !visit(&[Cell::text(row.label), Cell::Count(row.objects), Cell::Bytes(row.bytes)]) {
                return;
            }
        }
    };
    let columns = Column::named(COLUMNS);
    Table { path, title, look, columns, rows: Rows::Streamed(Box::new(source)), limit }
}

/// A partition that is there.
pub(super) fn listed(
    path: &'static str,
    partition: &Partition,
    look: Look,
    limit: Option<usize>,
) -> Table<'static> {
    let row = |row: &crate::analysis::partition::Row| {
        vec![Cell::text(row.label.clone()), Cell::Count(row.objects), Cell::Bytes(row.bytes)]
    };
    let rows = Rows::Listed(partition.rows.iter().map(row).collect());
    Table { path, title: partition.header, look, columns: Column::named(COLUMNS), rows, limit }
}
