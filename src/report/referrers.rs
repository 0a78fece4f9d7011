//! Who refers to what: the heap by the set of classes of each object's referrers.

use crate::inspection::Answers;
use crate::inspection::Relation;
use crate::report::Choice;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::document::Look;
use crate::report::heap;
use crate::report::overview;
use crate::report::rows;
use crate::report::subject;

/// The report `referrers`.
pub(super) struct Referrers;

impl Report for Referrers {
    fn name(&self) -> &'static str {
        "referrers"
    }

    fn help(&self) -> &'static str {
        "Show what the objects (or those of one class) are referred to by"
    }

    fn choices(&self) -> &'static [Choice] {
        &[Choice::Only]
    }

    fn needs_references(&self, _options: &ReportOptions) -> bool {
        true
    }

    fn refusal(&self, answers: &dyn Answers, options: &ReportOptions) -> Option<String> {
        heap::refusal(answers, Relation::Clodo, options)
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let ReportOptions { view, limit, only, .. } = *options;
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, view);
        document.fact("only", Cell::optional_text(only));
        overview::push_head(&mut document, answers, view);
        if let Some(only) = only {
            document.line("only", only, Fit::Cut);
        }
        let source = move || match only {
            Some(only) => heap::inside(answers, (view, Relation::Clodo, Relation::Referrers), only),
            None => answers.partition(view, Relation::Referrers),
        };
        let title = Relation::Referrers.header();
        document.tables.push(rows::computed("rows", (title, Look::Heapy), limit, source));
        document.tables.push(overview::anomalies(answers));
        document
    }
}
