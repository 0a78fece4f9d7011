//! What a report says about a core file: what ended the process, where, and what is missing.

use crate::inspection::Answers;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::words;
use crate::target::core::BinaryState;
use crate::target::core::CoreDescription;
use crate::target::core::MappingSource;
use crate::target::core::Match;
use crate::target::core::SignalInfo;
use std::path::Path;

/// How many missing binaries a page names; the others are counted.
const NAMED: usize = 3;

/// The first line, if the file is not whole: everything below has to be read with that in mind.
pub(super) fn push_first(document: &mut Document<'_>, answers: &dyn Answers) {
    let Some(core) = answers.target().core.as_deref().filter(|core| core.truncated) else { return };
    let mut text = format!(
        "the core file ends after {} of {}: only what is there is counted",
        words::bytes(core.length),
        words::bytes(core.expected_length.max(core.length)),
    );
    if let Some(why) = &core.cut {
        text =
            format!("the core file cannot be decompressed further than {}: {why}", words::bytes(core.length));
    }
    document.warn("truncated", text);
}

/// The lines in the place of how a process was stopped.
pub(super) fn push_lines(document: &mut Document<'_>, answers: &dyn Answers, core: &CoreDescription) {
    let kind = core.compression.map_or(String::new(), |name| format!(" ({name})"));
    let size = words::bytes(core.length);
    let segments = words::counted(core.segments as u64, "segment");
    document.line("core", format!("{}{kind}, {size}, {segments}", core.path.display()), Fit::Cut);
    document.line("ended", ended(answers, core), Fit::Wrap);
    if let Some(holder) = &answers.interpreter().gil_holder {
        document.line("gil", format!("held by {holder}"), Fit::Wrap);
    }
    if answers.capture().collecting {
        document.warn("collecting", "the garbage collector was running: its lists may be torn");
    }
    if let Some(what) = &core.redacted {
        document.line("redacted", what.clone(), Fit::Wrap);
    }
    push_doubts(document, core);
}

fn ended(answers: &dyn Answers, core: &CoreDescription) -> String {
    let place = answers.interpreter().crash_place.as_deref();
    let thread = core.threads.first().map(|thread| thread.id);
    let Some(signal) = core.signal else {
        let count = words::counted(core.threads.len() as u64, "thread");
        return if core.threads.is_empty() {
            "unknown: the notes that say so are missing".to_owned()
        } else {
            format!("by no signal: copied while it ran ({count})")
        };
    };
    let thread = thread.map(|thread| format!(" in thread {thread} of {}", core.threads.len()));
    let place = place.map(|place| format!(", at {place}"));
    [signal_text(signal), thread.unwrap_or_default(), place.unwrap_or_default()].concat()
}

/// `SIGSEGV at address 0x10`, `SIGABRT, sent by process 4242`.
fn signal_text(signal: SignalInfo) -> String {
    let name = signal_name(signal.signal);
    let is_fault = matches!(signal.signal, 4 | 5 | 7 | 8 | 11) && signal.code > 0;
    // SI_USER and SI_TKILL (Linux include/uapi/asm-generic/siginfo.h) have the sender's process id.
    let sender = (matches!(signal.code, 0 | -6)).then_some(signal.detail & 0xffff_ffff);
    match sender.filter(|&pid| pid != 0) {
        _ if is_fault && signal.signal == 11 => format!("{name} at address {:#x}", signal.detail),
        Some(pid) if !is_fault => format!("{name}, sent by process {pid}"),
        _ => name,
    }
}

/// Names of the signals that end a process with a core (signal(7)).
fn signal_name(signal: i32) -> String {
    let known = [
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (11, "SIGSEGV"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    let found = known.iter().find(|(number, _)| *number == signal);
    found.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// What is missing, what it costs, and what is not sure.
fn push_doubts(document: &mut Document<'_>, core: &CoreDescription) {
    let missing: Vec<&BinaryState> = missing(core).collect();
    if !missing.is_empty() {
        let named = missing.iter().take(NAMED).map(|binary| binary_text(binary));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = missing.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let bytes = missing.iter().fold(0_u64, |sum, binary| sum.saturating_add(binary.missing_bytes));
        document.warn(
            "missing",
            format!(
                "{} of {} binaries, {} of constants: {named}{more}; C types in them have the names that modules \
                 give them, and {} none at all; give the files with --exe, --sysroot or --debug-dir",
                missing.len(),
                core.binaries.len(),
                words::bytes(bytes),
                core.unnamed_types,
            ),
        );
    }
    for binary in core.binaries.iter().filter(|binary| binary.matched == Some(Match::Named)) {
        let text = format!("{}: the core has no build id of it, and the file given is believed", binary.name);
        document.warn("unchecked", text);
    }
    for path in &core.strangers {
        let text = format!("{}: no binary of this process, by its build id", path.display());
        document.warn("not used", text);
    }
    if core.mapping_source == MappingSource::LinkMap {
        document.warn("no table", "the table of mapped files is missing: what is mapped was found in memory");
    }
    if core.damaged > 0 {
        let text =
            format!("{} of the core file make no sense", words::counted(core.damaged, "segment or note"));
        document.warn("damaged", text.replace("segment or notes", "segments or notes"));
    }
}

fn missing(core: &CoreDescription) -> impl Iterator<Item = &BinaryState> {
    core.binaries.iter().filter(|binary| binary.file.is_none() && binary.missing_bytes > 0)
}

fn binary_text(binary: &BinaryState) -> String {
    match &binary.build_id {
        Some(id) => format!("{} (build id {id})", binary.name),
        None => binary.name.clone(),
    }
}

/// `capture.core`, for machines.
pub(super) fn push_facts<'a>(document: &mut Document<'a>, answers: &'a dyn Answers) {
    let Some(core) = answers.target().core.as_deref() else { return };
    let interpreter = answers.interpreter();
    document.fact("capture.core.path", Cell::text(core.path.to_string_lossy()));
    document.fact("capture.core.compression", Cell::optional_text(core.compression));
    document.fact("capture.core.bytes", Cell::Bytes(core.length));
    document.fact("capture.core.expected_bytes", Cell::Bytes(core.expected_length));
    document.fact("capture.core.truncated", Cell::Flag(core.truncated));
    document.fact("capture.core.segments", Cell::Count(core.segments as u64));
    document.fact("capture.core.damaged", Cell::Count(core.damaged));
    document
        .fact("capture.core.signal", Cell::optional_text(core.signal.map(|info| signal_name(info.signal))));
    let fault = core.signal.filter(|info| info.signal == 11 && info.code > 0);
    let fault = fault.map_or(Cell::Missing, |info| Cell::Address(crate::address::Address::new(info.detail)));
    document.fact("capture.core.fault_address", fault);
    let thread = core.threads.first().map_or(0, |thread| thread.id);
    document.fact("capture.core.thread", Cell::Count(u64::from(thread.unsigned_abs())));
    document.fact("capture.core.place", Cell::optional_text(interpreter.crash_place.as_deref()));
    document.fact("capture.core.gil_holder", Cell::optional_text(interpreter.gil_holder.as_deref()));
    document.fact("capture.core.redacted", Cell::optional_text(core.redacted.as_deref()));
    document.fact("capture.core.unnamed_types", Cell::Count(core.unnamed_types));
    document.fact("capture.core.missing", Cell::Words(missing(core).map(binary_text).collect()));
    let stands_in = |binary: &BinaryState| {
        let file = binary.file.as_deref()?;
        (Path::new(&binary.name) != file).then(|| format!("{} for {}", file.display(), binary.name))
    };
    document
        .fact("capture.core.stand_ins", Cell::Words(core.binaries.iter().filter_map(stands_in).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_told_with_what_is_known() {
        let text = |signal, code, detail| signal_text(SignalInfo { signal, code, detail });
        assert_eq!(text(11, 1, 0x10), "SIGSEGV at address 0x10");
        assert_eq!(text(6, 0, 4242), "SIGABRT, sent by process 4242");
        assert_eq!(text(6, -6, (1000 << 32) + 7), "SIGABRT, sent by process 7");
        assert_eq!(text(8, 1, 0x10), "SIGFPE");
        assert_eq!(text(11, 0, 9), "SIGSEGV, sent by process 9");
        assert_eq!(text(33, 0, 0), "signal 33");
    }
}
