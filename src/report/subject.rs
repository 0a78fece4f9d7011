//! What every report says about the inspected process and the copy, for machines.

use crate::inspection::Answers;
use crate::inspection::Total;
use crate::inspection::View;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::post_mortem;

/// `target`, `capture`, `view` and `heap`.
pub(super) fn push_facts<'a>(document: &mut Document<'a>, answers: &'a dyn Answers, view: View) {
    push_target(document, answers);
    push_capture(document, answers);
    post_mortem::push_facts(document, answers);
    document.fact("view", Cell::text(view_name(view)));
    let totals = answers.totals(view);
    push_total(document, ["heap.objects", "heap.bytes"], totals.all);
    push_total(document, ["heap.by_reference.objects", "heap.by_reference.bytes"], totals.by_reference);
    push_total(
        document,
        ["heap.by_allocator_only.objects", "heap.by_allocator_only.bytes"],
        totals.by_allocator_only,
    );
    push_total(document, ["heap.static.objects", "heap.static.bytes"], totals.r#static);
    push_total(document, ["heap.synthetic.objects", "heap.synthetic.bytes"], totals.synthetic);
}

/// The word for a view, in options and in output.
pub const fn view_name(view: View) -> &'static str {
    match view {
        View::Complete => "complete",
        View::Heapy => "heapy",
    }
}

fn push_target<'a>(document: &mut Document<'a>, answers: &'a dyn Answers) {
    let target = answers.target();
    let interpreter = answers.interpreter();
    document.fact("target.pid", Cell::Count(u64::from(target.pid.unsigned_abs())));
    document.fact("target.command", Cell::Words(target.command.clone()));
    document.fact("target.name", Cell::text(&target.name));
    let executable = target.executable.as_ref().map(|path| path.to_string_lossy());
    document.fact("target.executable", Cell::optional_text(executable));
    document.fact("target.threads", Cell::Count(target.threads as u64));
    document.fact("target.python_version", Cell::text(&interpreter.version));
    document.fact("target.build", Cell::text(&interpreter.build));
    document.fact("target.image_path", Cell::text(&interpreter.image_path));
    document.fact("target.build_id", Cell::optional_text(interpreter.build_id.as_deref()));
    document.fact("target.layout_source", Cell::text(&interpreter.layout_source));
    document.fact("target.interpreters", Cell::Count(interpreter.interpreters as u64));
    document.fact("target.python_threads", Cell::Count(interpreter.threads as u64));
    if !interpreter.notes.is_empty() {
        document.fact("target.notes", Cell::Words(interpreter.notes.clone()));
    }
}

fn push_capture(document: &mut Document<'_>, answers: &dyn Answers) {
    let capture = answers.capture();
    let milliseconds = |nanoseconds: u64| Cell::Milliseconds(nanoseconds as f64 / 1e6);
    document.fact("capture.strategy", Cell::text(capture.strategy));
    document.fact("capture.pause_ms", milliseconds(capture.pause_ns));
    document.fact("capture.longest_pause_ms", milliseconds(capture.longest_pause_ns));
    document.fact("capture.expected_pause_ms", milliseconds(capture.expected_pause_ns));
    document.fact("capture.bytes_copied", Cell::Bytes(capture.bytes_copied));
    document.fact("capture.bytes_left_out", Cell::Bytes(capture.bytes_left_out));
    document.fact("capture.threads", Cell::Count(capture.threads as u64));
    document.fact("capture.retries", Cell::Count(capture.retries.into()));
    document.fact("capture.collecting", Cell::Flag(capture.collecting));
    document.fact("capture.complete", Cell::Flag(answers.is_complete()));
    document.fact("capture.notes", Cell::Words(capture.notes.clone()));
}

fn push_total(document: &mut Document<'_>, [objects, bytes]: [&'static str; 2], total: Total) {
    document.fact(objects, Cell::Count(total.objects));
    document.fact(bytes, Cell::Bytes(total.bytes));
}
