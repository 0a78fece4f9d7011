//! Every interpreter of this machine is recognised, and its layout is the one of its debug information.

use crate::address::Address;
use crate::binary::InterpreterImage;
use crate::binary::Modules;
use crate::binary::interpreter_image;
use crate::binary::machine_code::variables_read;
use crate::layout::Build;
use crate::layout::Features;
use crate::layout::Version;
use crate::layout::identify;
use crate::layout::identify::LayoutOptions;
use crate::layout::static_runtime::Offsets;
use crate::layout::static_scan;
use crate::target::Memory;
use crate::target::mapped_file::open_mapped_file;
use crate::target::proc_maps::read_mappings;
use crate::target::remote_memory::RemoteMemory;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

const PROGRAM: &str = "import sys; print(hex(sys.hexversion), id(type), flush=True); sys.stdin.read()";

/// Says what some features claim: hexversion, the size of 0 in digits, and answers as 0 or 1.
const FACTS: &str = "
import gc, io, sys, types
def generate(): yield
cleared = generate()
list(cleared)
data = b'x' * 99
def holds(owner, kind): return int(any(isinstance(held, kind) for held in gc.get_referents(owner)))
small = max(n for n in (256, 1024) if int(str(n)) is int(str(n)))
print(hex(sys.hexversion), int(sys.getsizeof(0) > int.__basicsize__), int(gc.is_tracked({})), small,
      holds(cleared, types.CodeType), holds(io.BytesIO(data), bytes), holds(generate.__code__, tuple),
      int(hasattr(sys, 'gettotalrefcount')))
";

/// A running interpreter; killed when dropped.
struct Running {
    child: Child,
    version: Version,
    type_type: u64,
}

impl Running {
    fn start(python: &Path) -> Self {
        let command = &mut Command::new(python);
        let mut child = command
            .args(["-S", "-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace();
        let hex = u64::from_str_radix(words.next().unwrap().trim_start_matches("0x"), 16).unwrap();
        let type_type = words.next().unwrap().parse().unwrap();
        Self { child, version: Version::from_hex(hex).unwrap(), type_type }
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn modules(&self) -> Modules {
        let pid = self.pid();
        Modules::of(&read_mappings(pid).unwrap(), &|mapping| open_mapped_file(pid, mapping))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `HEAPATTACH_PYTHONS`, pyenv's, the system's.
fn interpreters() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("HEAPATTACH_PYTHONS") {
        found.extend(std::env::split_paths(&list));
    }
    let versions = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let entries = versions.and_then(|versions| std::fs::read_dir(versions).ok()).into_iter().flatten();
    found.extend(entries.flatten().map(|entry| entry.path().join("bin/python3")));
    found.push(PathBuf::from("/usr/bin/python3"));
    found.retain(|path| path.exists());
    found
}

#[test]
fn every_interpreter_is_recognised_by_what_it_maps() {
    for python in interpreters() {
        let running = Running::start(&python);
        let images = interpreter_image::find(&running.modules(), &RemoteMemory::new(running.pid()));
        assert!(!images.is_empty(), "{} is no CPython", python.display());
        let identities: Vec<_> = images.iter().filter_map(identify::identify).collect();
        assert!(
            identities.iter().all(|identity| identity.version == running.version),
            "{}: {identities:?}",
            python.display()
        );
        let types: Vec<_> = images.iter().filter_map(InterpreterImage::type_type).map(Address::get).collect();
        assert!(types.contains(&running.type_type), "{}: {types:x?}", python.display());
    }
}

#[test]
fn a_layout_is_found_and_the_runtime_agrees_with_it() {
    for python in interpreters() {
        let running = Running::start(&python);
        let modules = running.modules();
        let memory = RemoteMemory::new(running.pid());
        for image in interpreter_image::find(&modules, &memory) {
            match identify::find_layout(&memory, &image, &modules, &LayoutOptions::default()) {
                Ok(resolved) => assert_eq!(resolved.disagreements, [], "{}", python.display()),
                Err(error) => assert!(error.to_string().contains("not supported"), "{error}"),
            }
        }
    }
}

/// Variables of 3.6: by symbols, by code, and by what they look like.
#[test]
fn every_way_leads_to_the_same_variables() {
    for python in interpreters() {
        let running = Running::start(&python);
        if running.version.has_runtime() || running.version.major < 3 {
            continue;
        }
        let (modules, memory) = (running.modules(), RemoteMemory::new(running.pid()));
        for image in interpreter_image::find(&modules, &memory) {
            let resolved =
                identify::find_layout(&memory, &image, &modules, &LayoutOptions::default()).unwrap();
            let start = resolved.static_runtime.unwrap();
            let place = |key: &str| resolved.table.get(key).map(|entry| start.plus(entry.offset)).unwrap();
            let ranges = image.module.data_ranges();
            let head = place("_PyRuntimeState.interpreters.head");
            let seen =
                static_scan::interpreters(&memory, &ranges, Offsets::of(&resolved.table).unwrap()).unwrap();
            // While there is one interpreter, another variable may point to it as well.
            assert_eq!(memory.read_address(seen), memory.read_address(head), "{}", python.display());
            let first = static_scan::generations(&memory, &ranges).map(|found| found.first);
            assert_eq!(first, Some(place("_gc_runtime_state.generations")), "{}", python.display());
            for (function, key) in [
                ("PyInterpreterState_Head", "_PyRuntimeState.interpreters.head"),
                ("PyGC_Collect", "_gc_runtime_state.collecting"),
            ] {
                let (_, symbol) = image.module.find_symbol(function).unwrap();
                let code = image.module.elf.bytes_at_address(symbol.address, symbol.size).unwrap();
                let read = variables_read(&code, symbol.address);
                let first = read.first().map(|&variable| image.module.address_of(variable));
                assert_eq!(first, Some(place(key)), "{function} in {}", python.display());
            }
        }
    }
}

#[test]
fn tables_and_debug_information_agree() {
    let options = LayoutOptions::default();
    for python in interpreters() {
        let running = Running::start(&python);
        let modules = running.modules();
        let memory = RemoteMemory::new(running.pid());
        for image in interpreter_image::find(&modules, &memory) {
            let Ok(resolved) = identify::find_layout(&memory, &image, &modules, &options) else { continue };
            assert_eq!(resolved.disagreements, [], "{}", python.display());
        }
    }
}

#[test]
fn features_are_what_interpreters_do() {
    for python in interpreters() {
        let output = Command::new(&python).args(["-S", "-c", FACTS]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut words = text.split_whitespace();
        let hex = u64::from_str_radix(words.next().unwrap().trim_start_matches("0x"), 16).unwrap();
        let version = Version::from_hex(hex).unwrap();
        let numbers: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
        let features = Features::of(version, Build::default());
        // Up to 3.11 a generator visits `gi_code`, in any state.
        let visits_code = features.cleared_generator_visits_code || !matches!(version.minor, 12 | 13);
        let claimed = [
            i64::from(features.int_zero_has_digit),
            i64::from(features.dicts_always_tracked),
            features.small_ints.1,
            i64::from(visits_code),
            i64::from(features.bytes_io_visits_buffer),
            i64::from(features.code_visits_consts),
        ];
        assert_eq!(numbers.get(..6), Some(&claimed[..]), "{}: {text}", python.display());
    }
}
