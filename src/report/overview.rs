//! What fills the heap: the one screen that is shown when nothing else is asked for.

use crate::inspection::AnomalyRow;
use crate::inspection::Answers;
use crate::inspection::HeapTotals;
use crate::inspection::InterpreterRow;
use crate::inspection::Relation;
use crate::inspection::Total;
use crate::inspection::View;
use crate::memory_map::Band;
use crate::memory_map::Bands;
use crate::memory_map::Sector;
use crate::memory_map::recipe_text;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::band_lines;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::document::Look;
use crate::report::document::Table;
use crate::report::post_mortem;
use crate::report::rows;
use crate::report::subject;
use crate::report::words;
use crate::target::CaptureStatistics;
use std::fmt::Write;

/// The report `report`.
pub(super) struct Overview;

impl Report for Overview {
    fn name(&self) -> &'static str {
        "report"
    }

    fn help(&self) -> &'static str {
        "Show on one screen what fills the heap (the default)"
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, options.view);
        push_head(&mut document, answers, options.view);
        let interpreters = answers.interpreters(options.view);
        push_interpreters(&mut document, &interpreters);
        for (path, relation, look) in [
            ("partitions.clodo", Relation::Clodo, rows::look(options.view)),
            ("partitions.type", Relation::Type, Look::Hidden),
        ] {
            let view = options.view;
            let source = move || answers.partition(view, relation);
            document.tables.push(rows::computed(path, (relation.header(), look), options.limit, source));
        }
        document.tables.push(interpreter_table(&interpreters));
        let bands = answers.bands(options.view);
        push_bands(&mut document, &bands);
        document.texts.push(band_lines::text_block(&bands));
        document.tables.push(anomalies(answers));
        document
    }
}

/// Whose heap it is, how it was copied, what was wrong, and how large it is.
pub(super) fn push_head(document: &mut Document<'_>, answers: &dyn Answers, view: View) {
    let target = answers.target();
    let interpreter = answers.interpreter();
    let capture = answers.capture();
    post_mortem::push_first(document, answers);
    let command = if target.command.is_empty() { target.name.clone() } else { target.command.join(" ") };
    document.line("process", format!("{} {command}", target.pid), Fit::Cut);
    document.line(
        "python",
        format!(
            "CPython {} ({}), {}, {} ({} in Python)",
            interpreter.version,
            interpreter.build,
            words::counted(interpreter.interpreters as u64, "interpreter"),
            words::counted(target.threads as u64, "thread"),
            interpreter.threads,
        ),
        Fit::Wrap,
    );
    document.line("binary", &*interpreter.image_path, Fit::Cut);
    match target.core.as_deref() {
        Some(core) => post_mortem::push_lines(document, answers, core),
        None => push_stop(document, capture),
    }
    if !answers.is_complete() {
        document.warn("incomplete", "something could not be read: the numbers are too small");
    }
    for note in &interpreter.notes {
        document.warn("note", note.clone());
    }
    push_totals(document, &answers.totals(view), view);
    warn_of_anomalies(document, answers);
}

/// How a process was stopped.
fn push_stop(document: &mut Document<'_>, capture: &CaptureStatistics) {
    let tries = if capture.retries > 0 {
        format!(" (longest of {} stops)", u64::from(capture.retries) + 1)
    } else {
        String::new()
    };
    let pause = words::duration(capture.longest_pause_ns.max(capture.pause_ns));
    document.line("stopped", format!("{pause}{tries}, {}", copied(capture)), Fit::Wrap);
    for note in &capture.notes {
        document.warn("capture", note.clone());
    }
    if capture.collecting {
        let stops = words::counted(u64::from(capture.retries) + 1, "stop");
        document.warn("collecting", format!("the garbage collector was still running after {stops}"));
    }
}

/// How much was copied, and how.
fn copied(capture: &CaptureStatistics) -> String {
    let mut text = format!("{} copied", words::bytes(capture.bytes_copied));
    if capture.bytes_left_out > 0 {
        let _ = write!(text, ", {} of buffers left out", words::bytes(capture.bytes_left_out));
    }
    match capture.strategy {
        "fork" => text.push_str(" from a duplicate that it made of itself"),
        "precopy" => text.push_str(", most of it while it ran"),
        "in-place" => text.push_str(" while it was analysed"),
        _ => {}
    }
    text
}

/// A line for each interpreter where there are several.
fn push_interpreters(document: &mut Document<'_>, rows: &[InterpreterRow]) {
    for row in rows.iter().filter(|_| rows.len() > 2) {
        let objects = words::counted(row.total.objects, "object");
        let total = format!("{objects}, {}", words::bytes(row.total.bytes));
        let text = match (row.lock, row.own_allocator) {
            (Some(lock), Some(own)) => {
                let threads = words::counted(row.threads as u64, "thread");
                let allocator = if own { "own" } else { "shared" };
                format!("{}: {total}; {threads}, GIL {lock}, allocator {allocator}", row.label)
            }
            _ => format!("{}: {total}", row.label),
        };
        document.line("", text, Fit::Wrap);
    }
}

/// A row for each interpreter, and one for what belongs to none.
fn interpreter_table(rows: &[InterpreterRow]) -> Table<'static> {
    let cells = |row: &InterpreterRow| {
        let allocator = row.own_allocator.map(|own| if own { "own" } else { "shared" });
        [
            row.id.map_or(Cell::Missing, Cell::Count),
            Cell::text(row.label.clone()),
            Cell::Count(row.threads as u64),
            Cell::optional_text(row.lock),
            Cell::optional_text(allocator),
            Cell::Count(row.total.objects),
            Cell::Bytes(row.total.bytes),
        ]
    };
    let names = ["id", "label", "threads", "gil", "allocator", "objects", "bytes"];
    Table::hidden("interpreters", names, rows.iter().map(cells))
}

fn push_totals(document: &mut Document<'_>, totals: &HeapTotals, view: View) {
    let all = totals.all;
    let bytes = words::count(all.bytes);
    let objects = words::counted(all.objects, "object");
    let size = words::bytes(all.bytes);
    let which = if view == View::Heapy { ", as heapy sees it" } else { "" };
    document.line("heap", format!("{objects}, {size} ({bytes} bytes){which}"), Fit::Wrap);
    let mut groups = vec![
        ("by reference", totals.by_reference),
        ("by allocator only", totals.by_allocator_only),
        ("static", totals.r#static),
    ];
    if view == View::Heapy {
        groups.push(("synthetic", totals.synthetic));
    }
    let widest = groups.iter().map(|(_, total)| words::count(total.objects).len()).max().unwrap_or(0);
    for (index, (name, Total { objects, bytes })) in groups.into_iter().enumerate() {
        let label = if index == 0 { "found" } else { "" };
        let number = words::count(objects);
        let noun = if objects == 1 { "object, " } else { "objects," };
        let share = words::share(bytes, all.bytes);
        let line = format!("{name:17} {number:>widest$} {noun} {:>10}, {share:>7}", words::bytes(bytes));
        document.line(label, line, Fit::Wrap);
    }
}

/// The recipe's bands, for machines.
pub(super) fn push_bands(document: &mut Document<'_>, bands: &Bands) {
    for (name, band) in bands.named() {
        match band {
            None => document.fact(format!("memory_map.{name}"), Cell::Missing),
            Some(band) => push_band(document, name, band),
        }
    }
}

fn push_band(document: &mut Document<'_>, name: &str, band: &Band) {
    let mut fact = |key: &str, value| document.fact(format!("memory_map.{name}.{key}"), value);
    fact("start", Cell::Address(band.start));
    fact("sector_bytes", Cell::Bytes(band.sector_bytes));
    fact("sectors", Cell::Count(band.sectors.len() as u64));
    fact("used", Cell::Count(band.count(Sector::Used) as u64));
    fact("fragmented", Cell::Count(band.count(Sector::Fragmented) as u64));
    fact("free", Cell::Count(band.count(Sector::Free) as u64));
    fact("fragmentation_percent", Cell::Percent(band.fragmentation()));
    fact("text", Cell::text(recipe_text(Some(band))));
}

/// One line for people.
fn warn_of_anomalies(document: &mut Document<'_>, answers: &dyn Answers) {
    let anomalies = answers.anomalies();
    if !anomalies.is_empty() {
        let total = anomalies.iter().fold(0_u64, |total, row| total.saturating_add(row.count));
        let kinds: Vec<_> =
            anomalies.iter().map(|row| format!("{} {}", words::count(row.count), row.kind)).collect();
        let noun = if total == 1 { "anomaly" } else { "anomalies" };
        document.warn(noun, format!("{}: {}", words::count(total), kinds.join(", ")));
    }
}

/// One row per kind for machines.
pub(super) fn anomalies(answers: &dyn Answers) -> Table<'static> {
    let row = |row: AnomalyRow| {
        let first = row.first.map_or(Cell::Missing, Cell::Address);
        [Cell::text(row.kind), Cell::text(row.description), Cell::Count(row.count), first]
    };
    let names = ["kind", "description", "count", "first"];
    Table::hidden("anomalies", names, answers.anomalies().into_iter().map(row))
}
