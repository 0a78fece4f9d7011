//! What a report says, as data: it is written down once and rendered in every format.

use crate::address::Address;
use crate::report::picture::Picture;
use crate::report::stats::HeapStats;
use std::borrow::Cow;

/// One value with its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Words.
    Text(Cow<'a, str>),
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A share, in percent.
    Percent(f64),
    /// A duration, in milliseconds.
    Milliseconds(f64),
    /// A place in the inspected process.
    Address(Address),
    /// Yes or no.
    Flag(bool),
    /// Several words.
    Words(Vec<String>),
    /// Nothing there.
    Missing,
}

impl<'a> Cell<'a> {
    /// Words, borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Words, if there are any.
    pub fn optional_text(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Missing, Self::text)
    }
}

/// A value that machines look up by its path, `target.pid`. Not shown in text.
#[derive(Clone, Debug)]
pub struct Fact<'a> {
    /// Keys from the top, joined by dots.
    pub path: String,
    /// The value.
    pub value: Cell<'a>,
}

/// What happens to a line that is too long for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It goes on in the next line.
    Wrap,
    /// Its middle is left out.
    Cut,
}

/// A line at the head of the page for people. Not shown to machines.
#[derive(Clone, Debug)]
pub struct HeadLine {
    /// What it is about; one word, or empty to go on with the line before.
    pub label: &'static str,
    /// What is said.
    pub text: String,
    /// How it is made to fit.
    pub fit: Fit,
    /// Whether it should catch the eye.
    pub warning: bool,
}

/// How a table is shown on a page; other formats do not care.
///
/// The two looks of a partition are for columns label, objects and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Aligned columns.
    Columns,
    /// Aligned columns of the first rows, and how many there are besides.
    Page,
    /// heapy's eight columns, aligned, with labels cut in the middle.
    Partition,
    /// heapy's eight columns, filled exactly as heapy does it.
    Heapy,
    /// Not on a page.
    Hidden,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Key in JSON and head of the column in CSV.
    pub name: &'static str,
    /// Head of the column on a page.
    pub title: &'static str,
    /// Its width on a page; words are cut to it, numbers are not. 0: not on a page.
    pub width: usize,
}

impl Column {
    /// Columns of tables that are not on a page, or whose look has columns of its own.
    pub fn named<const COUNT: usize>(names: [&'static str; COUNT]) -> Vec<Self> {
        names.map(|name| Self { name, title: name, width: 0 }).to_vec()
    }
}

/// Takes a row; says whether to go on.
pub type RowSink<'s> = dyn FnMut(&[Cell<'_>]) -> bool + 's;

/// Hands over rows one by one until it is told to stop.
pub type RowSource<'a> = dyn Fn(&mut RowSink<'_>) + 'a;

/// The rows of a table, each with one cell per column.
pub enum Rows<'a> {
    /// In memory.
    Listed(Vec<Vec<Cell<'a>>>),
    /// Made while they are written.
    Streamed(Box<RowSource<'a>>),
}

impl Rows<'_> {
    /// Calls `visit` for every row until it returns false.
    pub fn for_each(&self, visit: &mut RowSink<'_>) {
        match self {
            Self::Listed(rows) => {
                for row in rows {
                    if !visit(row) {
                        return;
                    }
                }
            }
            Self::Streamed(source) => source(visit),
        }
    }
}

/// A table.
pub struct Table<'a> {
    /// Where it is in JSON: keys from the top, joined by dots.
    pub path: &'static str,
    /// What stands above it; heapy's kind header for the looks that are heapy's.
    pub title: &'static str,
    /// How it is shown on a page.
    pub look: Look,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Rows<'a>,
    /// At most so many rows in any format, if the user said so.
    pub limit: Option<usize>,
}

impl<'a> Table<'a> {
    /// A table for machines.
    pub fn hidden<const COUNT: usize>(
        path: &'static str,
        names: [&'static str; COUNT],
        rows: impl IntoIterator<Item = [Cell<'a>; COUNT]>,
    ) -> Self {
        Self {
            path,
            title: "",
            look: Look::Hidden,
            columns: Column::named(names),
            rows: Rows::Listed(rows.into_iter().map(Vec::from).collect()),
            limit: None,
        }
    }

    /// Calls `visit` for the rows within the limit until it returns false.
    pub fn for_each_row(&self, visit: &mut RowSink<'_>) {
        let mut left = self.limit.unwrap_or(usize::MAX);
        if left > 0 {
            self.rows.for_each(&mut |row| {
                left -= 1;
                visit(row) && left > 0
            });
        }
    }
}

/// Preformatted lines on a page. Not shown to machines.
#[derive(Clone, Debug)]
pub struct TextBlock {
    /// What stands above it.
    pub title: String,
    /// The lines; the middle of one that is too long is left out.
    pub lines: Vec<String>,
}

/// All that one report says.
#[derive(Default)]
pub struct Document<'a> {
    /// Name of the report.
    pub report: &'static str,
    /// Values for machines.
    pub facts: Vec<Fact<'a>>,
    /// Head of the page.
    pub head: Vec<HeadLine>,
    /// Tables; the first one is the whole of a CSV file.
    pub tables: Vec<Table<'a>>,
    /// Lines below the tables.
    pub texts: Vec<TextBlock>,
    /// Remarks at the foot of the page.
    pub notes: Vec<String>,
    /// What formats for pictures show.
    pub picture: Option<Picture>,
    /// What the recipe's dict is made of.
    pub stats: Option<HeapStats<'a>>,
}

impl<'a> Document<'a> {
    /// An empty document of a report.
    pub fn new(report: &'static str) -> Self {
        Self { report, ..Self::default() }
    }

    /// Adds a value for machines.
    pub fn fact(&mut self, path: impl Into<String>, value: Cell<'a>) {
        self.facts.push(Fact { path: path.into(), value });
    }

    /// Adds a line to the head of the page.
    pub fn line(&mut self, label: &'static str, text: impl Into<String>, fit: Fit) {
        self.head.push(HeadLine { label, text: text.into(), fit, warning: false });
    }

    /// Adds a line that should catch the eye to the head of the page.
    pub fn warn(&mut self, label: &'static str, text: impl Into<String>) {
        self.head.push(HeadLine { label, text: text.into(), fit: Fit::Wrap, warning: true });
    }
}
