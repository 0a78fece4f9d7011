//! A set of objects split into rows, as every table of the reports shows it.

use std::cmp::Ordering;

/// One row: all objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind's label, as heapy prints it. Two different kinds may have the same label.
    pub label: String,
    /// Number of objects.
    pub objects: u64,
    /// Their sizes added up, in bytes.
    pub bytes: u64,
}

impl Row {
    /// heapy's order: by bytes descending, then label ascending by code points. What is left open there is settled
    /// by the number of objects.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_label = || self.label.cmp(&other.label);
        other.bytes.cmp(&self.bytes).then_with(by_label).then(other.objects.cmp(&self.objects))
    }
}

/// A set of objects split by a classifier: the rows are disjoint and cover the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What heapy prints above the labels: `Kind (class / dict of class)`, `Type`, ...
    pub header: &'static str,
    /// Rows, by bytes descending, then label ascending by code points (heapy's order).
    pub rows: Vec<Row>,
    /// Number of objects in all rows.
    pub objects: u64,
    /// Bytes in all rows.
    pub bytes: u64,
}

impl Partition {
    /// Sorts the rows into heapy's order and adds them up.
    pub fn new(header: &'static str, mut rows: Vec<Row>) -> Self {
        rows.sort_by(Row::order);
        let objects = rows.iter().map(|row| row.objects).sum();
        let bytes = rows.iter().fold(0, |sum: u64, row| sum.saturating_add(row.bytes));
        Self { header, rows, objects, bytes }
    }
}
