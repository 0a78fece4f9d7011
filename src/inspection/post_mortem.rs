//! A core file instead of a process: another source of the same bytes, the same analysis.

use crate::address::Address;
use crate::binary::Modules;
use crate::descriptions::Descriptions;
use crate::inspection::Inspection;
use crate::inspection::Purpose;
use crate::inspection::assemble::analyse;
use crate::inspection::error::InspectionError;
use crate::inspection::gil;
use crate::inspection::locate;
use crate::inspection::locate::Located;
use crate::inspection::torn_lists;
use crate::inspection::type_names;
use crate::layout::identify::LayoutOptions;
use crate::runtime::interpreters;
use crate::target::Capture;
use crate::target::Memory;
use crate::target::core;
use crate::target::core::Binaries;
use crate::target::core::BinarySearch;
use crate::target::core::CoreOptions;
use std::path::PathBuf;

/// What to do with a core file.
#[derive(Clone)]
pub struct CoreRequest<'a> {
    /// The file and what it is read with.
    pub core: CoreOptions<'a>,
    /// Which objects and references are wanted.
    pub purpose: Purpose,
    /// Use the nearest table for a release that no table knows.
    pub best_effort: bool,
    /// Where types of libraries keep memory outside their objects.
    pub descriptions: Descriptions,
}

/// Opens a core file and analyses it.
pub fn inspect_core(request: &CoreRequest<'_>) -> Result<Inspection, InspectionError> {
    let opened = core::open(&request.core)?;
    let core = opened.capture.description.core.as_deref().filter(|core| core.truncated);
    let cut = core.map(|core| (core.path.clone(), core.length, core.expected_length));
    let explain = |error| match &cut {
        // That nothing of Python is in it says nothing where the rest of it is missing.
        Some((path, length, expected)) => InspectionError::Truncated {
            path: path.clone(),
            length: *length,
            expected: *expected,
            source: Box::new(error),
        },
        None => error,
    };
    let located = find_interpreter(&opened.capture, &opened.binaries, &layout_options(request));
    let mut located = located.map_err(explain)?;
    located.descriptions.clone_from(&request.descriptions);
    analyse_core(opened.capture, &located, request.purpose).map_err(explain)
}

/// Where debug files and tables are looked for.
pub fn layout_options(request: &CoreRequest<'_>) -> LayoutOptions {
    let BinarySearch { sysroot, debug_directories, .. } = request.core.search;
    LayoutOptions {
        debug_directories: debug_directories.to_vec(),
        root: sysroot.map(PathBuf::from),
        best_effort: request.best_effort,
    }
}

/// Which image of a core is CPython, and where its fields are.
pub fn find_interpreter(
    capture: &Capture,
    binaries: &Binaries,
    layout: &LayoutOptions,
) -> Result<Located, InspectionError> {
    let modules = Modules::of(&capture.mappings, &|mapping| binaries.open(mapping));
    locate::locate(&capture.image, modules, layout)
}

/// From an opened core to answers.
pub fn analyse_core(
    mut capture: Capture,
    located: &Located,
    purpose: Purpose,
) -> Result<Inspection, InspectionError> {
    capture.statistics.collecting = is_collecting(&capture, located);
    let place = crash_place(&capture, located);
    let unnamed = type_names::complete(&mut capture, located);
    if let Some(core) = &mut capture.description.core {
        core.unnamed_types = unnamed;
    }
    let holder = gil::holder(&capture, located);
    let mut inspection = analyse(capture, located, purpose)?;
    torn_lists::note(&mut inspection);
    inspection.interpreter.crash_place = place;
    inspection.interpreter.gil_holder = holder;
    Ok(inspection)
}

/// Whether the process died in the garbage collector, whose lists may be torn.
fn is_collecting(capture: &Capture, located: &Located) -> bool {
    let (layouts, features) = (&located.resolved.layouts, &located.resolved.features);
    let Ok(runtime) = interpreters::read(&capture.image, layouts, features, located.runtime) else {
        return false;
    };
    let flags = interpreters::collecting_flags(&runtime, layouts, features);
    flags.into_iter().any(|flag| capture.image.read_u32(flag).is_ok_and(|value| value != 0))
}

/// Where the first thread was: `libc.so.6+0x8a1c5 (pthread_kill)`.
fn crash_place(capture: &Capture, located: &Located) -> Option<String> {
    let thread = capture.description.core.as_ref()?.threads.first()?;
    let at = thread.instruction;
    let Some(mapping) = capture.mappings.iter().find(|mapping| mapping.range.contains(at)) else {
        return Some(format!("{at}, where nothing is mapped"));
    };
    if !mapping.is_file() {
        let name = if mapping.name.is_empty() { "anonymous memory" } else { &mapping.name };
        return Some(format!("{at} in {name}"));
    }
    let place = match located.modules.find_at(at) {
        Some(module) => {
            let offset = format!("{}+{:#x}", module.path, module.link_address_of(at));
            module.symbol_at(at).map_or(offset.clone(), |symbol| format!("{symbol} ({offset})"))
        }
        None => {
            format!("{}+{:#x}", mapping.name, offset_in_file(mapping.range.start, mapping.file_offset, at))
        }
    };
    Some(place)
}

fn offset_in_file(start: Address, offset: u64, at: Address) -> u64 {
    offset.saturating_add(start.distance_to(at).unwrap_or(0))
}
