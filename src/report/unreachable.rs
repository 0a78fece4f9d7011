//! What is in memory and no root reaches.

use crate::inspection::Answers;
use crate::inspection::View;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::overview;
use crate::report::rows;
use crate::report::subject;
use crate::report::words;

/// The report `unreachable`.
pub(super) struct Unreachable;

impl Report for Unreachable {
    fn name(&self) -> &'static str {
        "unreachable"
    }

    fn help(&self) -> &'static str {
        "Show what no root reaches: garbage, and what only C code holds"
    }

    fn needs_references(&self, _options: &ReportOptions) -> bool {
        true
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let ReportOptions { view, limit, .. } = *options;
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, view);
        overview::push_head(&mut document, answers, view);
        let unreachable = answers.unreachable(view);
        let (partition, garbage) = (unreachable.partition, unreachable.garbage);
        document.fact("unreachable.objects", Cell::Count(partition.objects));
        document.fact("unreachable.bytes", Cell::Bytes(partition.bytes));
        document.fact("unreachable.garbage.objects", Cell::Count(garbage.objects));
        document.fact("unreachable.garbage.bytes", Cell::Bytes(garbage.bytes));
        let amount =
            |objects, bytes| format!("{}, {}", words::counted(objects, "object"), words::bytes(bytes));
        let which = match view {
            View::Complete => "no root reaches them",
            View::Heapy => "tracked and reached by no root, as heapu() has them",
        };
        let text = format!("{}: {which}", amount(partition.objects, partition.bytes));
        document.line("found", text, Fit::Wrap);
        let which = match view {
            View::Complete => "of these the next full collection would free",
            View::Heapy => "besides, the next full collection would free",
        };
        let text = format!("{which} {}", amount(garbage.objects, garbage.bytes));
        document.line("garbage", text, Fit::Wrap);
        document.tables.push(rows::listed("rows", &partition, rows::look(view), limit));
        document.tables.push(overview::anomalies(answers));
        document
    }
}
