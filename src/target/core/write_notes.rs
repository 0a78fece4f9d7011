//! The notes of a core that we write: what the kernel would write, and what we want back.

use crate::target::Capture;
use crate::target::Mapping;
use crate::target::core::notes::AUXV;
use crate::target::core::notes::CORE;
use crate::target::core::notes::FILE;
use crate::target::core::notes::FPREGSET;
use crate::target::core::notes::LINUX;
use crate::target::core::notes::OWN;
use crate::target::core::notes::OWN_COMMAND;
use crate::target::core::notes::OWN_EXECUTABLE;
use crate::target::core::notes::OWN_MAPS;
use crate::target::core::notes::OWN_REDACTED;
use crate::target::core::notes::PRPSINFO;
use crate::target::core::notes::PRPSINFO_SIZE;
use crate::target::core::notes::PRSTATUS;
use crate::target::core::notes::PRSTATUS_SIZE;
use crate::target::core::notes::REGISTERS;
use crate::target::core::notes::REGISTERS_SIZE;
use crate::target::core::notes::X86_XSTATE;
use crate::target::image::PAGE;
use crate::target::process_state::ProcessState;
use crate::target::process_state::ThreadRegisters;
use std::fmt::Write;

/// All notes, in the order of the kernel: the first thread, the process, the other threads.
pub(super) fn notes(capture: &Capture, redacted: Option<&str>) -> Vec<u8> {
    let nothing = ProcessState::default();
    let state = capture.description.state.as_deref().unwrap_or(&nothing);
    let mut notes = Vec::new();
    let (first, others) = match state.threads.split_first() {
        Some((first, others)) => (first.clone(), others),
        None => (ThreadRegisters { id: capture.description.pid, ..ThreadRegisters::default() }, &[][..]),
    };
    push(&mut notes, CORE, PRSTATUS, &status(&first, capture, state));
    push(&mut notes, CORE, PRPSINFO, &information(capture, state, redacted.is_some()));
    push(&mut notes, CORE, AUXV, &state.auxiliary);
    push(&mut notes, CORE, FILE, &file_table(&capture.mappings));
    push_vectors(&mut notes, &first);
    for thread in others {
        push(&mut notes, CORE, PRSTATUS, &status(thread, capture, state));
        push_vectors(&mut notes, thread);
    }
    push(&mut notes, OWN, OWN_MAPS, maps(&capture.mappings).as_bytes());
    push(&mut notes, OWN, OWN_COMMAND, command(state, redacted.is_some()));
    if let Some(executable) = &capture.description.executable {
        push(&mut notes, OWN, OWN_EXECUTABLE, executable.as_os_str().as_encoded_bytes());
    }
    if let Some(text) = redacted {
        push(&mut notes, OWN, OWN_REDACTED, text.as_bytes());
    }
    notes
}

/// The command line; of a redacted core the first argument alone.
fn command(state: &ProcessState, is_redacted: bool) -> &[u8] {
    let first = state.command.iter().position(|&byte| byte == 0).unwrap_or(state.command.len());
    if is_redacted { &state.command[..first] } else { &state.command }
}

fn push(notes: &mut Vec<u8>, owner: &[u8], kind: u32, description: &[u8]) {
    notes.extend((owner.len() as u32 + 1).to_le_bytes());
    notes.extend((description.len() as u32).to_le_bytes());
    notes.extend(kind.to_le_bytes());
    notes.extend(owner);
    notes.push(0);
    notes.resize(notes.len().next_multiple_of(4), 0);
    notes.extend(description);
    notes.resize(notes.len().next_multiple_of(4), 0);
}

fn push_vectors(notes: &mut Vec<u8>, thread: &ThreadRegisters) {
    if !thread.floating.is_empty() {
        push(notes, CORE, FPREGSET, &thread.floating);
    }
    if !thread.extended.is_empty() {
        push(notes, LINUX, X86_XSTATE, &thread.extended);
    }
}

fn status(thread: &ThreadRegisters, capture: &Capture, state: &ProcessState) -> Vec<u8> {
    let mut status = vec![0; PRSTATUS_SIZE];
    let mut put = |at: usize, bytes: &[u8]| status[at..at + bytes.len()].copy_from_slice(bytes);
    put(32, &thread.id.to_le_bytes());
    put(36, &state.parent.to_le_bytes());
    put(40, &capture.description.pid.to_le_bytes());
    put(44, &capture.description.pid.to_le_bytes());
    put(REGISTERS, &thread.general[..thread.general.len().min(REGISTERS_SIZE)]);
    put(REGISTERS + REGISTERS_SIZE, &u32::from(!thread.floating.is_empty()).to_le_bytes());
    status
}

fn information(capture: &Capture, state: &ProcessState, is_redacted: bool) -> Vec<u8> {
    let mut information = vec![0; PRPSINFO_SIZE];
    let mut put = |at: usize, bytes: &[u8]| information[at..at + bytes.len()].copy_from_slice(bytes);
    put(1, b"S");
    put(16, &state.user.to_le_bytes());
    put(24, &capture.description.pid.to_le_bytes());
    put(28, &state.parent.to_le_bytes());
    let name = capture.description.name.as_bytes();
    put(40, &name[..name.len().min(15)]);
    let command: Vec<u8> =
        command(state, is_redacted).iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect();
    put(56, &command[..command.len().min(79)]);
    information
}

/// See [`crate::target::core::notes`] for the layout.
fn file_table(mappings: &[Mapping]) -> Vec<u8> {
    let files: Vec<&Mapping> = mappings.iter().filter(|mapping| mapping.is_file()).collect();
    let mut table = [files.len() as u64, PAGE].map(u64::to_le_bytes).concat();
    for mapping in &files {
        let row = [mapping.range.start.get(), mapping.range.end.get(), mapping.file_offset / PAGE];
        table.extend(row.map(u64::to_le_bytes).concat());
    }
    for mapping in &files {
        table.extend(mapping.name.as_bytes());
        table.extend(if mapping.deleted { &b" (deleted)\0"[..] } else { b"\0" });
    }
    table
}

/// The mappings as `/proc/PID/maps` has them, without the devices, which are not kept.
fn maps(mappings: &[Mapping]) -> String {
    let mut text = String::new();
    for mapping in mappings {
        let letter = |has: bool, letter: char| if has { letter } else { '-' };
        let name = if mapping.name.starts_with('/') {
            mapping.name.replace('\n', "\\012")
        } else {
            mapping.name.clone()
        };
        // A string takes everything.
        let _ = writeln!(
            text,
            "{:x}-{:x} {}{}{}{} {:08x} 00:00 {} {name}{}",
            mapping.range.start.get(),
            mapping.range.end.get(),
            letter(mapping.readable, 'r'),
            letter(mapping.writable, 'w'),
            letter(mapping.executable, 'x'),
            if mapping.shared { 's' } else { 'p' },
            mapping.file_offset,
            mapping.inode,
            if mapping.deleted { " (deleted)" } else { "" },
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::proc_maps::parse_maps;
    use crate::target::proc_maps::read_mappings;

    #[test]
    fn the_list_of_mappings_comes_back_as_it_was() {
        let own = read_mappings(std::process::id().cast_signed()).unwrap();
        assert_eq!(parse_maps(maps(&own).as_bytes()), own);
        let odd =
            b"1000-2000 rw-s 00001000 00:00 7 /tmp/a\\012b (deleted)\n3000-4000 ---p 0 0:0 0 [anon:x y]\n";
        let odd = parse_maps(odd);
        assert_eq!(parse_maps(maps(&odd).as_bytes()), odd);
    }
}
