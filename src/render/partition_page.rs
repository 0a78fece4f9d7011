//! A partition on a page: heapy's columns, wide enough for the numbers, with labels that fit.

use crate::render::heapy_table::PAGE_ROWS;
use crate::render::heapy_table::percent;
use crate::render::shorten::cut_middle;
use crate::render::shorten::harmless;
use crate::report::Cell;
use crate::report::Table;
use std::fmt::Write;

/// Labels get at least so many columns, whatever the width of the page.
const LEAST_LABEL: usize = 20;

/// A row of a partition.
#[derive(Clone, Debug)]
pub(super) struct PartitionRow {
    /// The kind.
    pub(super) label: String,
    /// Number of objects.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// All rows of a table with the columns label, objects and bytes.
pub(super) fn partition_rows(table: &Table<'_>) -> Vec<PartitionRow> {
    let mut rows = Vec::new();
    table.rows.for_each(&mut |row| {
        if let [Cell::Text(label), Cell::Count(objects), Cell::Bytes(bytes)] = row {
            rows.push(PartitionRow { label: label.clone().into_owned(), objects: *objects, bytes: *bytes });
        }
        true
    });
    rows
}

/// How many of `rows` are shown: one more than the limit if it is the last.
fn shown(rows: usize, limit: Option<usize>) -> usize {
    let limit = limit.unwrap_or(PAGE_ROWS);
    if rows <= limit.saturating_add(1) { rows } else { limit }
}

/// The lines of the table.
pub(super) fn partition_lines(table: &Table<'_>, width: usize) -> Vec<String> {
    let rows = partition_rows(table);
    let objects = rows.iter().fold(0_u64, |sum, row| sum.saturating_add(row.objects));
    let bytes = rows.iter().fold(0_u64, |sum, row| sum.saturating_add(row.bytes));
    let plural = if objects == 1 { "" } else { "s" };
    let mut lines =
        vec![format!("Partition of a set of {objects} object{plural}. Total size = {bytes} bytes.")];
    let page = &rows[..shown(rows.len(), table.limit)];
    if page.is_empty() {
        return lines;
    }
    let widest = |number: &dyn Fn(&PartitionRow) -> u64, least: usize| {
        page.iter().map(|row| number(row).to_string().len()).max().unwrap_or(0).max(least)
    };
    let page_bytes = page.iter().fold(0_u64, |sum, row| sum.saturating_add(row.bytes));
    let count_width = widest(&|row| row.objects, 6);
    let size_width = widest(&|row| row.bytes, 8);
    let sum_width = page_bytes.to_string().len().max(9);
    // heapy's head of the sum is a column wider than the sum.
    let (count, size, sum) = ("Count", "Size", "Cumulative");
    let sum_head = sum_width + 2;
    let head = format!(" Index {count:>count_width$}   % {size:>size_width$}   %{sum:>sum_head$}  % ");
    let label_width = width.saturating_sub(head.len()).max(LEAST_LABEL);
    lines.push(format!("{head}{}", cut_middle(table.title, label_width)));
    let mut sum = 0_u64;
    for (index, row) in page.iter().enumerate() {
        sum = sum.saturating_add(row.bytes);
        let mut line = format!("{index:6} {:count_width$} {:3} ", row.objects, percent(row.objects, objects));
        let _ = write!(line, "{:size_width$} {:3} ", row.bytes, percent(row.bytes, bytes));
        let _ = write!(line, "{sum:sum_width$} {:3} ", percent(sum, bytes));
        line.push_str(&cut_middle(&harmless(&row.label), label_width));
        lines.push(line);
    }
    if page.len() < rows.len() {
        lines.push(format!("<{} more rows; --limit {} shows all>", rows.len() - page.len(), rows.len()));
    }
    lines
}
