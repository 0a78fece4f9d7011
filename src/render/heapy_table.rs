//! The text of a partition exactly as heapy (guppy3) prints it: `repr(x)`, `repr(x.more)`, and the
//! file that `x.dump()` writes.

use crate::render::text_wrap::Filling;
use crate::render::text_wrap::LongWords;
use crate::render::text_wrap::is_python_space;
use crate::render::text_wrap::wrap;
use std::cmp::Reverse;
use std::fmt::Write;
use std::time::Duration;

/// Code points in a line.
const WIDTH: usize = 100;
/// What stands above the numbers.
const HEAD: &str = " Index  Count   %     Size   % Cumulative  % ";
/// Rows in a page, if more than one would be left over.
pub const PAGE_ROWS: usize = 10;

/// One row, with the numbers that depend on its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row<'a> {
    index: usize,
    objects: u64,
    bytes: u64,
    cumulative: u64,
    label: &'a str,
}

/// The last line of a page that leaves rows out.
#[derive(Clone, Copy, Debug)]
pub enum MoreLine {
    /// heapy's own, which speaks to a Python prompt.
    Heapy,
    /// The same number with the option that shows more.
    LimitOption,
}

/// A table as heapy holds it.
#[derive(Clone, Debug)]
pub struct HeapyTable<'a> {
    header: &'a str,
    rows: Vec<Row<'a>>,
    objects: u64,
    bytes: u64,
    long_words: LongWords,
}

impl<'a> HeapyTable<'a> {
    /// A table of (label, objects, bytes), already in heapy's order; `header` is what is printed
    /// above the labels.
    pub fn new(header: &'a str, rows: impl IntoIterator<Item = (&'a str, u64, u64)>) -> Self {
        let mut cumulative: u64 = 0;
        let mut total: u64 = 0;
        let place = |(index, (label, objects, bytes)): (usize, (&'a str, u64, u64))| {
            cumulative = cumulative.saturating_add(bytes);
            total = total.saturating_add(objects);
            Row { index, objects, bytes, cumulative, label }
        };
        let rows = rows.into_iter().enumerate().map(place).collect();
        Self { header, rows, objects: total, bytes: cumulative, long_words: LongWords::default() }
    }

    /// Fills lines as the given CPython does.
    #[must_use]
    pub fn long_words(mut self, long_words: LongWords) -> Self {
        self.long_words = long_words;
        self
    }

    /// The rows by number of objects; index and cumulative size stay what they were, as in the
    /// recipe's `refs`.
    #[must_use]
    pub fn by_count(mut self) -> Self {
        self.rows.sort_by_key(|row| Reverse(row.objects));
        self
    }

    /// The text of a page: 0 is `repr(x)`, 1 is `repr(x.more)`. Empty past the end.
    pub fn page(&self, page: usize) -> String {
        let first = page.saturating_mul(PAGE_ROWS);
        // A page that would leave one row over has taken it.
        if page > 0 && self.rows.len() <= first + 1 {
            return String::new();
        }
        self.rows_from(first, PAGE_ROWS, MoreLine::Heapy)
    }

    /// `limit` rows from the row `first` on (one more if that is the last one), with the line that
    /// names the set before row 0 and the number of rows left out after the last.
    pub fn rows_from(&self, first: usize, limit: usize, more: MoreLine) -> String {
        let mut text = String::new();
        if first == 0 {
            let plural = if self.objects == 1 { "" } else { "s" };
            let Self { objects, bytes, .. } = self;
            let _ =
                writeln!(text, "Partition of a set of {objects} object{plural}. Total size = {bytes} bytes.");
        }
        let remaining = self.rows.get(first..).unwrap_or_default();
        let taken = if remaining.len() <= limit.saturating_add(1) { remaining.len() } else { limit };
        if !remaining.is_empty() {
            self.push_lines(&mut text, HEAD, self.header);
            text.push('\n');
        }
        for row in &remaining[..taken] {
            self.push_lines(&mut text, &self.numbers(row), row.label);
            text.push('\n');
        }
        if taken < remaining.len() {
            let left = remaining.len() - taken;
            let _ = match more {
                MoreLine::Heapy => write!(text, "<{left} more rows. Type e.g. '_.more' to view.>"),
                MoreLine::LimitOption => {
                    write!(text, "<{left} more rows; --limit {} shows all>", self.rows.len())
                }
            };
        }
        text.truncate(text.trim_end_matches(is_python_space).len());
        text
    }

    /// What `x.dump()` writes; `made` is the time since the epoch.
    pub fn stat_dump(&self, made: Duration) -> String {
        let mut text = format!(
            ".loader: _load_stat\n.format: SetFormat\n.timemade: {}.{:06}\n.count: {}\n.size: {}\n\
             .kindname: \n.kindheader: {}\n.numrows: {}\n",
            made.as_secs(),
            made.subsec_micros(),
            self.objects,
            self.bytes,
            self.header,
            self.rows.len()
        );
        for row in &self.rows {
            let _ = writeln!(text, ".r: {} {} {}", row.objects, row.bytes, row.label);
        }
        text.push_str(".end: .loader: _load_stat\n");
        text
    }

    fn numbers(&self, row: &Row<'_>) -> String {
        format!(
            "{:6} {:6} {:3} {:8} {:3} {:9} {:3} ",
            row.index,
            row.objects,
            percent(row.objects, self.objects),
            row.bytes,
            percent(row.bytes, self.bytes),
            row.cumulative,
            percent(row.cumulative, self.bytes),
        )
    }

    /// The label after the prefix, further lines below its start.
    fn push_lines(&self, text: &mut String, prefix: &str, label: &str) {
        let indent = prefix.chars().count();
        let fill = |paragraph: &str, initial_indent| {
            let filling = Filling {
                width: WIDTH,
                initial_indent,
                subsequent_indent: indent,
                long_words: self.long_words,
            };
            wrap(paragraph, &filling)
        };
        let mut paragraphs = label.split('\n');
        let mut lines = fill(&format!("{prefix}{}", paragraphs.next().unwrap_or_default()), 0);
        for paragraph in paragraphs {
            lines.extend(fill(paragraph, indent));
        }
        text.push_str(&lines.join("\n"));
    }
}

/// Python's `int('%.0f' % (part * 100.0 / whole))`: the nearest integer to the exact double, ties
/// to even. Zero where heapy divides by zero.
pub fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let exact = (part as f64 * 100.0 / whole as f64).round_ties_even();
    #[expect(clippy::cast_sign_loss, reason = "a quotient of unsigned numbers")]
    let rounded = exact as u64;
    rounded
}
