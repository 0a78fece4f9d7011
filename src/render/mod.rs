//! From a report to bytes. Knows nothing of heaps: it sees documents only.
//!
//! A new format is a file here and a line in [`FORMATS`].

pub mod heapy_table;
pub mod json;
pub mod pickle;
pub mod text_wrap;

mod csv;
mod digits;
mod heap_stats;
mod partition_page;
mod shorten;
mod svg;
mod text;

use crate::report::Document;
use std::io;
use std::io::Write;

/// What a page may look like; formats for machines do not care.
#[derive(Clone, Copy, Debug)]
pub struct PageOptions {
    /// Columns of the page.
    pub width: usize,
    /// Whether escape sequences for colours may be used.
    pub color: bool,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self { width: 80, color: false }
    }
}

/// A way to write a document down.
pub trait Format: Sync {
    /// The word on the command line, and the extension of its files.
    fn name(&self) -> &'static str;
    /// Writes the document. Rows that are made while they are written are not kept.
    fn write(&self, document: &Document<'_>, page: &PageOptions, out: &mut dyn Write) -> io::Result<()>;
}

/// All formats. The first is used when none is named.
pub const FORMATS: [&dyn Format; 5] = [&text::Text, &json::Json, &csv::Csv, &heap_stats::Pickle, &svg::Svg];

/// The format of that name.
pub fn find_format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}
