//! From a binary to its version, build and layout: what the files say, in the order of trust.

use crate::binary::BinaryError;
use crate::binary::ElfFile;
use crate::binary::InterpreterImage;
use crate::binary::Module;
use crate::binary::Modules;
use crate::binary::debug_file::DebugSearch;
use crate::layout::Build;
use crate::layout::LayoutError;
use crate::layout::ResolveRequest;
use crate::layout::Resolved;
use crate::layout::Version;
use crate::layout::code_evidence;
use crate::layout::debug_offsets;
use crate::layout::dwarf_table;
use crate::layout::resolve_with_variables;
use crate::layout::static_runtime;
use crate::layout::table::Entry;
use crate::layout::table::Table;
use crate::layout::tables;
use crate::target::Memory;
use std::path::Path;
use std::path::PathBuf;

/// Which CPython a mapped file is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its version.
    pub version: Version,
    /// Its build.
    pub build: Build,
    /// `sizeof(_PyRuntimeState)`, from the symbol, the section or the runtime itself.
    pub runtime_size: Option<u64>,
    /// What the runtime publishes (3.13 on).
    pub published: Option<Table>,
}

/// How hard to try for a layout.
#[derive(Clone, Debug, Default)]
pub struct LayoutOptions {
    /// Folders with separate debug files, beside the system's.
    pub debug_directories: Vec<PathBuf>,
    /// Where the target sees its files, if elsewhere than we (`/proc/PID/root`).
    pub root: Option<PathBuf>,
    /// Go on with the nearest known release if nothing fits.
    pub best_effort: bool,
}

/// Version and build of an image; `None` if nothing in it says.
pub fn identify(image: &InterpreterImage) -> Option<Identity> {
    let published = image.published.as_deref().and_then(debug_offsets::parse);
    let version = published
        .as_ref()
        .map(|published| published.version)
        .or_else(|| image.hexversion.and_then(Version::from_hex))
        .or_else(|| version_from_texts(image))?;
    let free_threaded = published.as_ref().is_some_and(|published| published.free_threaded);
    // Up to 3.7 the debug build traces references, too (Include/object.h, Py_TRACE_REFS).
    let trace_refs = image.trace_refs || (image.debug && version.major == 3 && version.minor <= 7);
    let table = published.map(|published| published.table);
    let size = |table: &Table| table.get("sizeof(_PyRuntimeState)").map(|entry: Entry| entry.offset);
    Some(Identity {
        version,
        build: Build { debug: image.debug, free_threaded, trace_refs },
        runtime_size: image.runtime_size().or_else(|| table.as_ref().and_then(size)),
        published: table.filter(|table| !table.is_empty()),
    })
}

/// Up to 3.10 only a string in the read-only data says the release. Linked libraries have such
/// strings as well: the minor version that the size of `_PyRuntime` or the file's name tells is the
/// right one, and of it the string that is a release. A file without `_PyRuntime` is of a version before 3.7,
/// which a program that CPython was linked into need not have in its name.
fn version_from_texts(image: &InterpreterImage) -> Option<Version> {
    let versions: Vec<Version> = image.version_texts.iter().filter_map(|text| Version::parse(text)).collect();
    let has_size = |version: &&Version| {
        let series = tables::find_series(**version, false).filter(|_| version.major == 3);
        image.runtime_size().zip(series).is_some_and(|(size, series)| {
            series.values_of("sizeof(_PyRuntimeState)").any(|entry| entry.offset == size)
        })
    };
    let by_size = versions.iter().find(has_size);
    let by_name = || versions.iter().find(|version| is_named_after(&image.module, **version));
    let is_old = |version: &&Version| image.runtime.is_none() && !version.has_runtime();
    let by_age = || versions.iter().find(is_old);
    by_size.or_else(by_name).or_else(by_age).copied()
}

/// Whether the file's name says the minor version: `python3.9`, `libpython3.9d.so.1.0`.
fn is_named_after(module: &Module, version: Version) -> bool {
    let name = format!("python{}.{}", version.major, version.minor);
    let rest = module.file_name().find(&name).and_then(|at| module.file_name().get(at + name.len()..));
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// The layout of an image: the tables, and over them the debug information of the mapped files or of
/// their separate debug files, if there is any. Cost: a millisecond from the tables, 0.1 to 0.5 s with DWARF.
pub fn find_layout(
    memory: &dyn Memory,
    image: &InterpreterImage,
    modules: &Modules,
    options: &LayoutOptions,
) -> Result<Resolved, LayoutError> {
    let identity = identify(image).ok_or(LayoutError::NoVersion)?;
    let debug = DebugFiles::find(image, modules, options);
    let request = ResolveRequest {
        version: identity.version,
        build: identity.build,
        runtime_size: identity.runtime_size,
        dwarf: debug.read().ok().filter(|table| !table.is_empty()),
        published: identity.published,
        best_effort: options.best_effort,
    };
    let find_variables = |table: &Table| static_runtime::find(memory, image, debug.of_interpreter(), table);
    let mut resolved = resolve_with_variables(&request, &find_variables)?;
    code_evidence::correct(&mut resolved.features, image);
    Ok(resolved)
}

/// The interpreter's file, then every other mapped file that describes its objects, each with its debug file.
struct DebugFiles<'a> {
    files: Vec<(&'a Module, Option<ElfFile>)>,
}

impl<'a> DebugFiles<'a> {
    fn find(image: &'a InterpreterImage, modules: &'a Modules, options: &LayoutOptions) -> Self {
        let search = DebugSearch::new(&options.debug_directories, options.root.clone());
        let others = modules.modules.iter().filter(|module| is_extension(module));
        let wanted = std::iter::once(&image.module).chain(others).map(|module| &**module);
        let separate =
            |module: &Module| search.find(&module.elf, Path::new(&module.path)).map(|(_, elf)| elf);
        Self { files: wanted.map(|module| (module, separate(module))).collect() }
    }

    /// The debug file of the interpreter, if it has one.
    fn of_interpreter(&self) -> Option<&ElfFile> {
        self.files.first().and_then(|(_, separate)| separate.as_ref())
    }

    /// What the debug information says: of one file after the other until all structures are found.
    fn read(&self) -> Result<Table, BinaryError> {
        let files = self.files.iter().map(|(module, separate)| separate.as_ref().unwrap_or(&module.elf));
        dwarf_table::read(&files.collect::<Vec<_>>())
    }
}

/// Whether a file is one of the standard library's extension modules: installed, or where it was built
/// (`pybuilddir.txt`, Makefile.pre.in).
fn is_extension(module: &Module) -> bool {
    ["/lib-dynload/", "/build/lib."].iter().any(|folder| module.path.contains(folder))
}
