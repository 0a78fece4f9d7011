//! The result of an examination as a document.

use crate::cli::backend::CheckState;
use crate::cli::backend::Examination;
use crate::report::Cell;
use crate::report::Document;
use crate::report::Table;
use crate::report::document::Fit;

/// Says what was found about a process; 0 is a core file.
pub(super) fn document(pid: i32, examination: &Examination) -> Document<'_> {
    let mut document = Document::new("doctor");
    document.fact("pid", Cell::Count(u64::from(pid.unsigned_abs())));
    let subject = if pid == 0 { "the core file".to_owned() } else { format!("process {pid}") };
    let verdict = match examination.checks.iter().find(|check| check.state == CheckState::Failed) {
        Some(check) => format!("{subject} cannot be inspected: {}", check.finding),
        None => format!("{subject} can be inspected"),
    };
    document.line("verdict", verdict, Fit::Wrap);
    for check in &examination.checks {
        let text = format!("{}: {}", check.name, check.finding);
        if check.state == CheckState::Failed {
            document.warn(check.state.name(), text);
        } else {
            document.line(check.state.name(), text, Fit::Wrap);
        }
        if let Some(hint) = &check.hint {
            document.line("", format!("  {hint}"), Fit::Wrap);
        }
    }
    let rows = examination.checks.iter().map(|check| {
        [
            Cell::text(&check.name),
            Cell::text(check.state.name()),
            Cell::text(&check.finding),
            Cell::optional_text(check.hint.as_deref()),
        ]
    });
    document.tables.push(Table::hidden("checks", ["check", "state", "finding", "hint"], rows));
    document
}
