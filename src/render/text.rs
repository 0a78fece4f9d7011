//! A document as a page for people.

use crate::render::Format;
use crate::render::PageOptions;
use crate::render::digits::NO_DIGITS;
use crate::render::digits::decimal;
use crate::render::digits::hexadecimal;
use crate::render::heapy_table::HeapyTable;
use crate::render::heapy_table::MoreLine;
use crate::render::heapy_table::PAGE_ROWS;
use crate::render::partition_page::partition_lines;
use crate::render::partition_page::partition_rows;
use crate::render::shorten::cut_middle;
use crate::render::shorten::harmless;
use crate::render::text_wrap::Filling;
use crate::render::text_wrap::LongWords;
use crate::render::text_wrap::wrap;
use crate::report::Cell;
use crate::report::Column;
use crate::report::Document;
use crate::report::Look;
use crate::report::Table;
use crate::report::document::Fit;
use crate::report::document::HeadLine;
use anstyle::AnsiColor;
use anstyle::Style;
use std::fmt::Write as _;
use std::io;
use std::io::Write;

/// Rows of a table of which a page shows the first ones only.
const MOST_ROWS: usize = 40;
/// Columns of the labels at the head of a page.
const LABEL_WIDTH: usize = 12;

const LABEL: Style = Style::new().dimmed();
const TITLE: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The format `text`.
pub(super) struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn write(&self, document: &Document<'_>, page: &PageOptions, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = Page { out, options: *page, begun: false };
        writer.head(&document.head)?;
        for table in &document.tables {
            writer.table(table)?;
        }
        for block in &document.texts {
            writer.separate()?;
            writer.styled_line(TITLE, &block.title)?;
            for line in &block.lines {
                writeln!(writer.out, "{}", cut_middle(&harmless(line), page.width))?;
            }
        }
        for note in &document.notes {
            writer.separate()?;
            for line in fill(&harmless(note), page.width, 0) {
                writeln!(writer.out, "{line}")?;
            }
        }
        Ok(())
    }
}

struct Page<'a> {
    out: &'a mut dyn Write,
    options: PageOptions,
    /// Whether anything is on the page yet.
    begun: bool,
}

impl Page<'_> {
    /// An empty line between two blocks.
    fn separate(&mut self) -> io::Result<()> {
        if self.begun {
            writeln!(self.out)?;
        }
        self.begun = true;
        Ok(())
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.options.color && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn styled_line(&mut self, style: Style, text: &str) -> io::Result<()> {
        let line = self.styled(style, text);
        writeln!(self.out, "{line}")
    }

    fn head(&mut self, lines: &[HeadLine]) -> io::Result<()> {
        for line in lines {
            self.begun = true;
            let text = harmless(&line.text);
            let room = self.options.width.saturating_sub(LABEL_WIDTH).max(LABEL_WIDTH);
            let pieces = match line.fit {
                Fit::Cut => vec![cut_middle(&text, room).into_owned()],
                Fit::Wrap if text.chars().count() <= room => vec![text.into_owned()],
                Fit::Wrap => fill(&text, room, 0),
            };
            let style = if line.warning { WARNING } else { LABEL };
            for (index, piece) in pieces.iter().enumerate() {
                let label = format!("{:LABEL_WIDTH$}", if index == 0 { line.label } else { "" });
                let label = self.styled(style, &label);
                writeln!(self.out, "{label}{piece}")?;
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table<'_>) -> io::Result<()> {
        match table.look {
            Look::Hidden => Ok(()),
            Look::Partition => {
                self.separate()?;
                self.titled_lines(partition_lines(table, self.options.width).iter().map(String::as_str))
            }
            Look::Heapy => {
                self.separate()?;
                let rows = partition_rows(table);
                let triples = rows.iter().map(|row| (&*row.label, row.objects, row.bytes));
                let limit = table.limit.unwrap_or(PAGE_ROWS);
                let text = HeapyTable::new(table.title, triples).rows_from(0, limit, MoreLine::LimitOption);
                let lines: Vec<_> = text.split('\n').map(harmless).collect();
                self.titled_lines(lines.iter().map(|line| &**line))
            }
            Look::Columns => self.columns(table, None),
            Look::Page => self.columns(table, Some(MOST_ROWS)),
        }
    }

    /// Lines of which the second is the head of a table.
    fn titled_lines<'l>(&mut self, lines: impl Iterator<Item = &'l str>) -> io::Result<()> {
        for (index, line) in lines.enumerate() {
            self.styled_line(if index == 1 { TITLE } else { Style::new() }, line)?;
        }
        Ok(())
    }

    /// Aligned columns, written as the rows come; with `most`, no more rows than that or than the user said, and
    /// how many there are besides.
    fn columns(&mut self, table: &Table<'_>, most: Option<usize>) -> io::Result<()> {
        self.separate()?;
        let mut written = Ok(());
        let mut line = String::new();
        let (mut shown, mut all) = (0, 0_usize);
        let limit = table.limit.or(most).unwrap_or(usize::MAX);
        table.rows.for_each(&mut |row| {
            all += 1;
            if all > limit {
                return most.is_some();
            }
            if shown == 0 {
                let head = head_of(table, row);
                written = self.styled_line(TITLE, &head);
            }
            shown += 1;
            line.clear();
            for (column, cell) in on_page(table, row) {
                if !line.is_empty() {
                    line.push(' ');
                }
                push_cell(&mut line, cell, column.width);
            }
            line.truncate(line.trim_end().len());
            line.push('\n');
            if written.is_ok() {
                written = self.out.write_all(line.as_bytes());
            }
            written.is_ok()
        });
        written?;
        if all == 0 {
            writeln!(self.out, "nothing")?;
        } else if shown < all && most.is_some() {
            writeln!(self.out, "<{} more rows; --limit {all} shows all>", all - shown)?;
        }
        Ok(())
    }
}

/// The titles of the columns, over numbers at the right.
fn head_of(table: &Table<'_>, row: &[Cell<'_>]) -> String {
    let mut head = String::new();
    for (column, cell) in on_page(table, row) {
        if !head.is_empty() {
            head.push(' ');
        }
        let (title, width) = (column.title, column.width);
        let _ =
            if is_number(cell) { write!(head, "{title:>width$}") } else { write!(head, "{title:width$}") };
    }
    head.truncate(head.trim_end().len());
    head
}

/// The cells that are on a page.
fn on_page<'t, 'c>(
    table: &'t Table<'_>,
    row: &'t [Cell<'c>],
) -> impl Iterator<Item = (&'t Column, &'t Cell<'c>)> {
    table.columns.iter().zip(row).filter(|(column, _)| column.width > 0)
}

fn is_number(cell: &Cell<'_>) -> bool {
    !matches!(cell, Cell::Text(_) | Cell::Words(_) | Cell::Flag(_) | Cell::Address(_))
}

fn push_cell(line: &mut String, cell: &Cell<'_>, width: usize) {
    let mut digits = NO_DIGITS;
    match cell {
        Cell::Text(text) => push_word(line, text, width),
        Cell::Words(words) => push_word(line, &words.join(" "), width),
        Cell::Count(number) | Cell::Bytes(number) => push_right(line, decimal(*number, &mut digits), width),
        Cell::Percent(number) => push_right(line, &format!("{number:.1}"), width),
        Cell::Milliseconds(number) => push_right(line, &format!("{number:.3}"), width),
        Cell::Address(address) => push_word(line, hexadecimal(address.get(), &mut digits), width),
        Cell::Flag(flag) => push_word(line, if *flag { "yes" } else { "no" }, width),
        Cell::Missing => push_right(line, "-", width),
    }
}

/// A word at the left of its column, cut if need be.
fn push_word(line: &mut String, word: &str, width: usize) {
    let harmless = harmless(word);
    let short = cut_middle(&harmless, width);
    line.push_str(&short);
    push_blanks(line, width.saturating_sub(short.chars().count()));
}

/// Digits at the right of their column, which they may overflow.
fn push_right(line: &mut String, digits: &str, width: usize) {
    push_blanks(line, width.saturating_sub(digits.len()));
    line.push_str(digits);
}

fn push_blanks(line: &mut String, count: usize) {
    const BLANKS: &str = "                                                                ";
    let mut left = count;
    while left > 0 {
        let piece = left.min(BLANKS.len());
        line.push_str(&BLANKS[..piece]);
        left -= piece;
    }
}

fn fill(text: &str, width: usize, indent: usize) -> Vec<String> {
    let filling = Filling {
        width,
        initial_indent: indent,
        subsequent_indent: indent,
        long_words: LongWords::AfterHyphen,
    };
    wrap(text, &filling)
}
