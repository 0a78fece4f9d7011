//! CPython in a binary of which no symbol is left: its version from the text that it made when it started,
//! its runtime from what a runtime must look like.

use crate::address::Address;
use crate::binary::InterpreterImage;
use crate::binary::Modules;
use crate::binary::interpreter_image;
use crate::inspection::locate::Match;
use crate::layout::Layouts;
use crate::layout::identify;
use crate::layout::identify::LayoutOptions;
use crate::layout::version::Version;
use crate::runtime::interpreters;
use crate::target::Memory;

/// Bytes of variables that are read at a time.
const STEP: u64 = 64 << 10;
/// Variables of an interpreter are a few megabytes. Unit: bytes.
const LARGEST: u64 = 1 << 30;

/// The first binary whose variables have a runtime. Cost: reads the variables of the binaries that may be
/// CPython.
pub(super) fn find(memory: &dyn Memory, modules: &Modules, options: &LayoutOptions) -> Option<Match> {
    let candidates = interpreter_image::without_symbols(modules, memory);
    candidates.into_iter().find_map(|image| {
        let versions = image.version_texts.iter().filter_map(|text| Version::parse(text));
        let mut tried: Vec<Version> = Vec::new();
        for version in versions {
            if tried.contains(&version) {
                continue;
            }
            tried.push(version);
            // Nothing tells a debug build but that its layout fits.
            for debug in [false, true] {
                let image = InterpreterImage { hexversion: Some(version.hex()), debug, ..image.clone() };
                if let Some(found) = try_version(memory, &image, modules, options) {
                    return Some(found);
                }
            }
        }
        None
    })
}

fn try_version(
    memory: &dyn Memory,
    image: &InterpreterImage,
    modules: &Modules,
    options: &LayoutOptions,
) -> Option<Match> {
    let identity = identify::identify(image)?;
    let resolved = identify::find_layout(memory, image, modules, options).ok()?;
    let is_runtime = |at: Address| {
        interpreters::read(memory, &resolved.layouts, &resolved.features, at)
            .is_ok_and(|runtime| !runtime.is_cut)
    };
    let runtime = match resolved.static_runtime {
        Some(variables) => Some(variables).filter(|&at| is_runtime(at)),
        None => scan(memory, image, &resolved.layouts, &is_runtime),
    }?;
    Some(Match { image: image.clone(), identity, resolved, runtime })
}

/// Looks at each aligned word as if it were `interpreters.main` of a runtime.
fn scan(
    memory: &dyn Memory,
    image: &InterpreterImage,
    layouts: &Layouts,
    is_runtime: &dyn Fn(Address) -> bool,
) -> Option<Address> {
    let mut buffer = vec![0; STEP as usize];
    let main = layouts.runtime.interpreters_main?;
    for range in image.module.data_ranges() {
        let mut at = Address::new(range.start.get() & !7);
        let end = range.end.min(range.start.plus(LARGEST));
        while at < end {
            let piece = &mut buffer[..at.distance_to(end)?.min(STEP) as usize / 8 * 8];
            if piece.is_empty() {
                break;
            }
            // Page by page where not all of it is there.
            interpreter_image::read_what_is_there(memory, at, piece);
            for (index, word) in piece.chunks_exact(8).enumerate() {
                let word = u64::from_le_bytes(word.try_into().ok()?);
                let here = at.plus(index as u64 * 8);
                let runtime = here.minus(main);
                if word != 0 && is_interpreter(memory, layouts, Address::new(word)) && is_runtime(runtime) {
                    return Some(runtime);
                }
            }
            at = at.plus(piece.len() as u64);
        }
    }
    None
}

/// Whether there is an interpreter whose newest thread says that it belongs to it.
fn is_interpreter(memory: &dyn Memory, layouts: &Layouts, at: Address) -> bool {
    if !at.is_aligned(8) {
        return false;
    }
    let thread = memory.read_address(at.plus(layouts.interpreter.threads_head));
    let back = thread.and_then(|thread| memory.read_address(thread.plus(layouts.thread_state.interpreter)));
    back == Ok(at)
}
