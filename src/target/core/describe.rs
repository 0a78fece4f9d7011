//! Whose core it is and what ended it.

use crate::address::Address;
use crate::target::Image;
use crate::target::Mapping;
use crate::target::Memory;
use crate::target::TargetDescription;
use crate::target::core::notes::Notes;
use crate::target::image::PAGE;
use crate::target::proc_status::split_command;
use std::path::PathBuf;

/// `AT_PHDR`, `AT_ENTRY`, `AT_RANDOM` (`include/uapi/linux/auxvec.h`).
const PROGRAM_HEADERS: u64 = 3;
const ENTRY: u64 = 9;
const RANDOM: u64 = 25;
/// Command lines and environments are at most a quarter of the stack's limit, usually 2 MB together.
const LONGEST_COMMAND: u64 = 8 << 20;
/// The most words between the auxiliary vector and the start of the stack.
const MOST_WORDS: u64 = 1 << 20;

/// The head of every report: process id, name, command line, executable.
pub(super) fn describe(notes: &Notes, mappings: &[Mapping], image: &Image) -> TargetDescription {
    let saved = notes.command.as_deref().map(split_command);
    let command = saved
        .or_else(|| command_line(notes, image))
        .unwrap_or_else(|| notes.arguments.split_whitespace().map(str::to_owned).collect());
    let entry = [ENTRY, PROGRAM_HEADERS].into_iter().find_map(|kind| notes.auxiliary(kind)).map(Address::new);
    let executable = entry.and_then(|entry| {
        let mapping = mappings.iter().find(|mapping| mapping.is_file() && mapping.range.contains(entry))?;
        Some(mapping.name.clone())
    });
    TargetDescription {
        pid: notes.pid.or(notes.threads.first().map(|thread| thread.id)).unwrap_or(0),
        command,
        name: notes.name.clone(),
        executable: notes.executable.clone().or(executable).map(PathBuf::from),
        threads: notes.threads.len(),
        ..TargetDescription::default()
    }
}

/// The arguments as the kernel shows them: the bytes from the first argument up to the first variable of
/// the environment, which the program may have overwritten.
///
/// The kernel leaves, from the stack pointer up: count, pointers to arguments, null, pointers to variables,
/// null, the auxiliary vector (Linux `fs/binfmt_elf.c`, `create_elf_tables`).
fn command_line(notes: &Notes, image: &Image) -> Option<Vec<String>> {
    let (kind, value) = *notes.auxiliary.first()?;
    let random = notes.auxiliary(RANDOM).map(Address::new)?;
    // The vector is below the random bytes and not far.
    let mut at = Address::new(random.get() & !7);
    let mut left = (4 * PAGE) / 8;
    while image.word(at) != Some(kind) || image.word(at.plus(8)) != Some(value) {
        at = at.minus(8);
        left = left.checked_sub(1)?;
    }
    let environment_end = at.minus(8);
    let environment = start_of_pointers(image, environment_end)?;
    let arguments_end = environment.minus(8);
    let arguments = start_of_pointers(image, arguments_end)?;
    // What is found last is the count, taken for a pointer.
    let arguments = arguments.plus(8);
    let first = image.pointer(arguments)?;
    let end = image.pointer(environment).filter(|end| !end.is_null());
    let length = end.and_then(|end| first.distance_to(end)).filter(|&length| length <= LONGEST_COMMAND);
    let count = arguments.distance_to(arguments_end)? / 8;
    if image.word(arguments.minus(8)) != Some(count) {
        return None;
    }
    let Some(length) = length else {
        let pointers = (0..count).filter_map(|index| image.pointer(arguments.plus(8 * index)));
        let strings =
            pointers.filter_map(|pointer| image.read_c_string(pointer, LONGEST_COMMAND as usize).ok());
        return Some(strings.map(|string| String::from_utf8_lossy(&string).into_owned()).collect());
    };
    let mut bytes = vec![0; length as usize];
    image.read_into(first, &mut bytes).ok()?;
    Some(split_command(&bytes))
}

/// The first word after the null (or the beginning) below a null-terminated list that ends at `end`.
fn start_of_pointers(image: &Image, end: Address) -> Option<Address> {
    if image.word(end)? != 0 {
        return None;
    }
    let mut at = end.minus(8);
    for _ in 0..MOST_WORDS {
        // The count of arguments is a small number; everything else is a pointer into the stack.
        if image.word(at)? < PAGE * 256 {
            let is_null = image.word(at)? == 0;
            return Some(if is_null { at.plus(8) } else { at });
        }
        at = at.minus(8);
    }
    None
}
