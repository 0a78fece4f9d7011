//! The first table of a document as comma-separated values (RFC 4180, lines ended by a line feed).

use crate::render::Format;
use crate::render::PageOptions;
use crate::render::digits::NO_DIGITS;
use crate::render::digits::decimal;
use crate::render::digits::hexadecimal;
use crate::report::Cell;
use crate::report::Document;
use csv::Writer;
use std::io;
use std::io::Write;

/// The format `csv`.
pub(super) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn write(&self, document: &Document<'_>, _page: &PageOptions, out: &mut dyn Write) -> io::Result<()> {
        let Some(table) = document.tables.first() else { return Ok(()) };
        let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 17).from_writer(out);
        writer.write_record(table.columns.iter().map(|column| column.name)).map_err(plain)?;
        let mut written = Ok(());
        table.for_each_row(&mut |row| {
            written = write_row(&mut writer, row);
            written.is_ok()
        });
        written.map_err(plain)?;
        writer.flush()
    }
}

fn write_row<W: Write>(writer: &mut Writer<W>, row: &[Cell<'_>]) -> csv::Result<()> {
    let mut digits = NO_DIGITS;
    for cell in row {
        match cell {
            Cell::Text(text) => writer.write_field(text.as_bytes()),
            Cell::Count(number) | Cell::Bytes(number) => writer.write_field(decimal(*number, &mut digits)),
            Cell::Address(address) => writer.write_field(hexadecimal(address.get(), &mut digits)),
            Cell::Flag(flag) => writer.write_field(if *flag { "true" } else { "false" }),
            Cell::Percent(number) | Cell::Milliseconds(number) => writer.write_field(number.to_string()),
            Cell::Words(words) => writer.write_field(words.join(" ")),
            Cell::Missing => writer.write_field(""),
        }?;
    }
    writer.write_record(None::<&[u8]>)
}

/// The error of the stream itself, so that its kind can be asked for.
fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
