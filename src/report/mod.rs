//! What can be asked about an inspected process, each question in one file.
//!
//! A report gives a [`Document`] and prints nothing: it knows no terminal and no file format. A
//! new report is a file here and a line in [`REPORTS`].

pub mod document;
pub mod picture;
pub mod words;

mod band_lines;
mod buffers;
mod heap;
mod map;
mod objects;
mod overview;
mod post_mortem;
mod references;
mod referrers;
mod rows;
pub mod stats;
pub mod subject;
mod unreachable;

use crate::inspection::Answers;
use crate::inspection::Relation;
use crate::inspection::View;

pub use crate::analysis::partition::Partition;
pub use document::Cell;
pub use document::Column;
pub use document::Document;
pub use document::Look;
pub use document::Rows;
pub use document::Table;

/// What the user may choose about a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions {
    /// Which set of objects.
    pub view: View,
    /// At most so many rows in the tables; each report has its own default.
    pub limit: Option<usize>,
    /// How objects are put into rows.
    pub by: Relation,
    /// How the objects of a row are put into rows again.
    pub then: Option<Relation>,
    /// The label of the only row wanted.
    pub only: Option<&'static str>,
    /// Protocol of a pickle, 0 to 5.
    pub protocol: u8,
    /// How the address space is cut.
    pub bands: BandsChoice,
    /// Whether buffers are in the list of addresses and sizes.
    pub with_buffers: bool,
}

/// How the address space is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BandsChoice {
    /// A band for each region that holds something.
    #[default]
    Mapping,
    /// The recipe's three bands.
    Recipe,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            view: View::default(),
            limit: None,
            by: Relation::Clodo,
            then: None,
            only: None,
            protocol: 2,
            bands: BandsChoice::default(),
            with_buffers: false,
        }
    }
}

/// An option that only some reports have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// How objects are put into rows.
    By,
    /// How the objects of a row are put into rows again.
    Then,
    /// The label of the only row wanted.
    Only,
    /// The protocol of a pickle.
    Protocol,
    /// How the address space is cut.
    Bands,
    /// Whether buffers are in the list of addresses and sizes.
    WithBuffers,
}

/// A question with its answer.
pub trait Report: Sync {
    /// The word on the command line; lower case.
    fn name(&self) -> &'static str;
    /// One sentence without a full stop, for the help.
    fn help(&self) -> &'static str;
    /// Whether the help passes over it: for developers.
    fn is_hidden(&self) -> bool {
        false
    }
    /// Names of the formats it can be written in; the first is the usual one.
    fn formats(&self) -> &'static [&'static str] {
        &["text", "json", "csv"]
    }
    /// The options that it has besides those of all reports.
    fn choices(&self) -> &'static [Choice] {
        &[]
    }
    /// The view that it needs, if the user has no choice.
    fn view(&self) -> Option<View> {
        None
    }
    /// Whether it reads memory that a copy leaves out otherwise: large buffers, and what `malloc` wrote beside them.
    fn needs_buffers(&self, _options: &ReportOptions) -> bool {
        false
    }
    /// Whether it asks who refers to whom: the walk keeps it then, and need not be repeated.
    fn needs_references(&self, _options: &ReportOptions) -> bool {
        false
    }
    /// Why options make no sense together or in a format, if they do not: said before anything is stopped. Lower
    /// case, one line, no full stop.
    fn misuse(&self, _options: &ReportOptions, _format: &str) -> Option<&'static str> {
        None
    }
    /// Why there is no answer, if there is none: lower case, one line, no full stop.
    fn refusal(&self, _answers: &dyn Answers, _options: &ReportOptions) -> Option<String> {
        None
    }
    /// The answer.
    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a>;
}

/// All reports, in the order of the help. The first is given when none is named.
pub const REPORTS: [&dyn Report; 9] = [
    &overview::Overview,
    &heap::Heap,
    &map::Map,
    &buffers::BuffersReport,
    &referrers::Referrers,
    &unreachable::Unreachable,
    &stats::Stats,
    &objects::Objects,
    &references::References,
];

/// The report of that name.
pub fn find_report(name: &str) -> Option<&'static dyn Report> {
    REPORTS.into_iter().find(|report| report.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_tidy() {
        for (index, report) in REPORTS.iter().enumerate() {
            assert!(report.name().chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
            assert!(!report.help().ends_with('.') && report.help().len() < 80);
            assert!(REPORTS[..index].iter().all(|other| other.name() != report.name()));
            assert!(find_report(report.name()).is_some());
        }
    }
}
