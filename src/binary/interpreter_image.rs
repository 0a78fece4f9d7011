//! Which of the mapped files is CPython, and what its file and first bytes say about its version.
//!
//! A file is CPython if it defines `_PyRuntime` (3.7 on: `Python/pylifecycle.c`; exported even when
//! symbols are hidden by default), has the section `.PyRuntime` (3.10 on), or defines
//! `PyInterpreterState_Head` and `_PyThreadState_Current` (before 3.7). File names only say where
//! to look first. A program and a `libpython` may both qualify: the caller takes the one that is
//! initialised.

use crate::address::Address;
use crate::address::AddressRange;
use crate::binary::module::Module;
use crate::binary::module::Modules;
use crate::target::Memory;
use std::sync::Arc;

/// The runtime's structure from 3.7 on.
const RUNTIME: &str = "_PyRuntime";
const RUNTIME_SECTION: &str = ".PyRuntime";
/// What `_PyRuntime` starts with from 3.13 on (`Include/internal/pycore_debug_offsets.h`).
const COOKIE: &[u8; 8] = b"xdebugpy";
/// The cookie and the numbers after it, as long as any version has them.
const PUBLISHED_LENGTH: usize = 888;
/// A version string is no longer than `3.15.0rc1+`.
const LONGEST_VERSION: usize = 12;
/// Read-only data of the largest CPython are 6 MB.
const LARGEST_TEXTS: u64 = 256 << 20;
const PAGE: u64 = 4096;
const SCAN_STEP: usize = 1 << 20;

/// A mapped file that is CPython.
#[derive(Clone, Debug)]
pub struct InterpreterImage {
    /// The file.
    pub module: Arc<Module>,
    /// `_PyRuntime` and its size; `None` before 3.7.
    pub runtime: Option<AddressRange>,
    /// `PY_VERSION_HEX`, if the file or the runtime says it (3.11 on).
    pub hexversion: Option<u64>,
    /// Texts that look like versions of Python, the most trusted first: for those without `Py_Version`.
    pub version_texts: Vec<String>,
    /// The start of `_PyRuntime` if it has the cookie (3.13 on).
    pub published: Option<Vec<u8>>,
    /// Whether it was built `--with-pydebug`.
    pub debug: bool,
    /// Whether it was built `--with-trace-refs`.
    pub trace_refs: bool,
}

impl InterpreterImage {
    /// The address of a symbol of the file.
    pub fn find_symbol(&self, name: &str) -> Option<Address> {
        self.module.find_symbol(name).map(|(address, _)| address)
    }

    /// `PyType_Type`: the type of types, if the file says where it is.
    pub fn type_type(&self) -> Option<Address> {
        self.find_symbol("PyType_Type")
    }

    /// `sizeof _PyRuntime`. Unit: bytes.
    pub fn runtime_size(&self) -> Option<u64> {
        self.runtime.map(AddressRange::length).filter(|&size| size != 0)
    }
}

/// Every mapped file that is CPython. Cost: the symbols of the program and of files named after
/// Python; of all files only if that finds none, and of all data only if that finds none either.
pub fn find(modules: &Modules, memory: &dyn Memory) -> Vec<InterpreterImage> {
    let (likely, others): (Vec<_>, Vec<_>) = modules
        .modules
        .iter()
        .enumerate()
        .partition(|(index, module)| *index == 0 || is_named_after_python(module));
    for group in [likely, others] {
        let found: Vec<_> = group.iter().filter_map(|(_, module)| inspect(module, memory)).collect();
        if !found.is_empty() {
            return found;
        }
    }
    let scanned = modules.modules.iter().filter_map(|module| {
        let start = scan_for_cookie(module, memory)?;
        // The size is in the published numbers; layouts know where.
        Some(describe(module, Some(AddressRange::new(start, start)), memory))
    });
    scanned.collect()
}

/// Files without a single exported symbol in whose variables `Py_GetVersion` left a version: CPython, perhaps,
/// that is stripped of everything, or whose file is missing.
pub fn without_symbols(modules: &Modules, memory: &dyn Memory) -> Vec<InterpreterImage> {
    let mut found = Vec::new();
    for module in modules.modules.iter().filter(|module| !module.has_symbols()) {
        let image = describe(module, None, memory);
        if !image.version_texts.is_empty() {
            found.push(image);
        }
    }
    found
}

/// `python3.11`, `libpython3.11.so.1.0`; not an extension module's `_json.cpython-311.so`.
fn is_named_after_python(module: &Module) -> bool {
    let name = module.file_name();
    name.strip_prefix("lib").unwrap_or(name).starts_with("python")
}

fn inspect(module: &Arc<Module>, memory: &dyn Memory) -> Option<InterpreterImage> {
    let symbol = module.find_symbol(RUNTIME);
    let runtime = match symbol {
        Some((address, symbol)) => Some(AddressRange::new(address, address.plus(symbol.size))),
        None => module.section_range(RUNTIME_SECTION),
    };
    let is_old = || {
        ["PyInterpreterState_Head", "_PyThreadState_Current"]
            .iter()
            .all(|name| module.find_symbol(name).is_some())
    };
    (runtime.is_some() || is_old()).then(|| describe(module, runtime, memory))
}

fn describe(module: &Arc<Module>, runtime: Option<AddressRange>, memory: &dyn Memory) -> InterpreterImage {
    let published = runtime.and_then(|range| read_published(range.start, memory));
    let hexversion = read_version_symbol(module).or_else(|| {
        let bytes = published.as_ref()?.get(8..16)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    });
    InterpreterImage {
        module: Arc::clone(module),
        runtime,
        hexversion,
        version_texts: if hexversion.is_none() { find_version_texts(module, memory) } else { Vec::new() },
        published,
        // Include/object.h declares it for Py_REF_DEBUG alone, which --with-pydebug sets.
        debug: module.exports("_Py_NegativeRefcount"),
        // Include/modsupport.h renames the function in builds with Py_TRACE_REFS.
        trace_refs: module.exports("PyModule_Create2TraceRefs"),
    }
}

/// The runtime as the process has it, which may have been patched since the file was written.
fn read_published(start: Address, memory: &dyn Memory) -> Option<Vec<u8>> {
    let mut bytes = vec![0; PUBLISHED_LENGTH];
    memory.read_into(start, &mut bytes).ok()?;
    bytes.starts_with(COOKIE).then_some(bytes)
}

/// `const unsigned long Py_Version` (3.11 on, `Python/getversion.c`), from the file.
fn read_version_symbol(module: &Module) -> Option<u64> {
    let symbol = module.find_symbol("Py_Version")?.1;
    let bytes = module.elf.bytes_at_address(symbol.address, 8).ok()?;
    // Zero: a file put together from memory that has everything but this page.
    Some(u64::from_le_bytes(bytes.try_into().ok()?)).filter(|&version| version != 0)
}

/// What looks like a version of Python, the most trusted first: the text that `Py_GetVersion`
/// (`Python/getversion.c`) wrote into a static buffer when the process started (`3.9.18 (main, ..`),
/// then strings of the read-only data, where linked libraries leave their own versions, too.
fn find_version_texts(module: &Module, memory: &dyn Memory) -> Vec<String> {
    let mut found = Vec::new();
    // Of all ranges together: a damaged file may claim thousands.
    let mut left = LARGEST_TEXTS;
    for range in module.data_ranges() {
        let length = range.length().min(left);
        left -= length;
        let mut data = vec![0; length as usize];
        read_what_is_there(memory, range.start, &mut data);
        let texts = data.split(|&byte| byte == 0);
        found.extend(texts.filter_map(|text| {
            let end = text.windows(2).position(|pair| pair == b" (")?;
            read_version_text(text.get(..end)?)
        }));
    }
    let mut endings = Vec::new();
    for section in module.elf.sections().iter().filter(|section| section.name.starts_with(".rodata")) {
        let data = module.elf.section_data(section).unwrap_or_default();
        for text in data.split(|&byte| byte == 0) {
            found.extend(read_version_text(text));
            // A linker lets a string be the end of a longer one (`/opt/python-3.7.16`).
            let start = text.iter().rposition(|byte| matches!(byte, b'/' | b'-' | b' ')).map(|at| at + 1);
            endings.extend(start.and_then(|start| read_version_text(text.get(start..)?)));
        }
    }
    found.extend(endings);
    found
}

/// Fills a buffer that holds zeros, page by page where not all pages are there; the others stay zero.
pub fn read_what_is_there(memory: &dyn Memory, start: Address, buffer: &mut [u8]) {
    if memory.read_into(start, buffer).is_ok() {
        return;
    }
    buffer.fill(0);
    let mut at = 0;
    while at < buffer.len() {
        let address = start.plus(at as u64);
        let end = buffer.len().min(at + (PAGE - address.get() % PAGE) as usize);
        // A page that is not there stays as it is.
        let _ = memory.read_into(address, &mut buffer[at..end]);
        at = end;
    }
}

/// `3.9.18`, `3.10.0rc2+`: a digit 2 or 3, and two numbers.
fn read_version_text(bytes: &[u8]) -> Option<String> {
    if bytes.len() > LONGEST_VERSION || !matches!(bytes, [b'2' | b'3', b'.', b'0'..=b'9', ..]) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let micro = text.splitn(3, '.').nth(2)?;
    micro.starts_with(|first: char| first.is_ascii_digit()).then(|| text.to_owned())
}

/// Looks for the cookie in a file's variables. Cost: reads them all.
fn scan_for_cookie(module: &Module, memory: &dyn Memory) -> Option<Address> {
    let mut buffer = vec![0; SCAN_STEP];
    for range in module.data_ranges() {
        let mut at = range.start;
        while at < range.end {
            let length = at.distance_to(range.end)?.min(SCAN_STEP as u64) as usize;
            let piece = buffer.get_mut(..length)?;
            // A damaged header can claim any size: nothing is looked for behind what is not there.
            if memory.read_into(at, piece).is_err() {
                break;
            }
            if let Some(index) = piece.chunks_exact(8).position(|word| word == COOKIE) {
                return Some(at.plus(index as u64 * 8));
            }
            at = at.plus(length as u64);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_strings_are_told_from_others() {
        for text in ["3.9.18", "3.10.0rc2+", "2.7.18"] {
            assert_eq!(read_version_text(text.as_bytes()).as_deref(), Some(text));
        }
        for text in ["3.9", "1.2.13", "3.x.1", "3.9.", "3.40.1 2022-12-28 14:03:47", ""] {
            assert_eq!(read_version_text(text.as_bytes()), None, "{text}");
        }
    }
}
