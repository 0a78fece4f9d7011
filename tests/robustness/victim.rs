//! A core file of a small program that is damaged and mended again and again.

use heapattach::address::Address;
use heapattach::descriptions::Descriptions;
use heapattach::inspection::Answers;
use heapattach::inspection::CoreRequest;
use heapattach::inspection::Purpose;
use heapattach::inspection::View;
use heapattach::inspection::assemble;
use heapattach::inspection::inspect_and_save;
use heapattach::inspection::locate::Located;
use heapattach::inspection::post_mortem;
use heapattach::runtime::interpreters;
use heapattach::runtime::pymalloc;
use heapattach::target::CaptureOptions;
use heapattach::target::Image;
use heapattach::target::core;
use heapattach::target::core::BinarySearch;
use heapattach::target::core::CoreOptions;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// Where the programs are whose heaps are damaged.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/programs");
pub(crate) const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// Bytes of the core that are compressed and then damaged.
const PACKED: usize = 1 << 20;

/// Bytes of the process in the file.
struct Stored {
    address: u64,
    length: u64,
    offset: usize,
}

/// What there is to aim at.
pub(crate) struct Targets {
    /// Addresses and sizes of objects, by label of type: rare types are hit as often as common ones.
    pub(crate) kinds: Vec<Vec<(u64, u64)>>,
    pub(crate) dicts: Vec<u64>,
    pub(crate) types: Vec<u64>,
    pub(crate) runtime: Vec<u64>,
    pub(crate) pages: Vec<u64>,
    pub(crate) pools: Vec<u64>,
    /// The core's beginning, compressed in every way that there is.
    pub(crate) packed: Vec<Vec<u8>>,
    /// Where the notes begin and end.
    pub(crate) notes: (usize, usize),
    /// Where the program headers of segments with bytes are.
    pub(crate) headers: Vec<usize>,
    /// Where the first pages of binaries are.
    pub(crate) binaries: Vec<usize>,
}

/// A core file, whole in memory, and a copy of it that is damaged.
pub(crate) struct Victim {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) located: Located,
    pub(crate) targets: Targets,
    /// Objects in the sound core: all, and those that heapy sees.
    objects: [u64; 2],
    file: File,
    stored: Vec<Stored>,
    /// What has to be mended.
    wounds: RefCell<Vec<(usize, usize)>>,
}

pub(crate) fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
}

/// Opens a core as the program does, without anything to look for.
pub(crate) fn options(path: &Path) -> CoreOptions<'_> {
    CoreOptions { path, search: BinarySearch::default(), progress: None, signals: None }
}

impl Victim {
    /// A core of a program under an interpreter: that of an earlier run, if there is one. Without its binaries,
    /// if so: their build ids are changed, so that no file is the right one.
    pub(crate) fn new(
        python: &Path,
        (program, alone): (&str, bool),
        (kept, folder): (&Path, &Path),
    ) -> Result<Self, String> {
        let core = kept.join(format!("{}-{program}.core", name_of(python)));
        if !core.exists() {
            save(python, program, &core)?;
        }
        let mut bytes = std::fs::read(&core).map_err(|error| error.to_string())?;
        let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
        let all: Vec<usize> = (0..count).map(|index| HEADER + index * PROGRAM_HEADER).collect();
        let field = |at: usize, into: usize| word_at(&bytes, at + into) as usize;
        let notes_at = field(all[0], 8);
        let notes = (notes_at, notes_at + field(all[0], 32));
        let headers: Vec<usize> = all[1..].iter().copied().filter(|&at| field(at, 32) > 0).collect();
        let stored = headers.iter().map(|&at| Stored {
            address: word_at(&bytes, at + 16),
            length: word_at(&bytes, at + 32),
            offset: field(at, 8),
        });
        let stored: Vec<Stored> = stored.collect();
        let starts = stored.iter().map(|segment| segment.offset);
        let binaries: Vec<usize> = starts.filter(|&at| bytes[at..].starts_with(b"\x7fELF")).collect();
        if alone {
            for &at in &binaries {
                change_build_id(&mut bytes[at..at + 4096]);
            }
        }
        let name = format!("{} {program}{}", name_of(python), if alone { ", alone" } else { "" });
        let path = folder.join(&name);
        std::fs::write(&path, &bytes).map_err(|error| error.to_string())?;
        let file = File::options().write(true).open(&path).map_err(|error| error.to_string())?;
        let opened = core::open(&options(&path)).map_err(|error| error.to_string())?;
        let request = request(&path, View::Complete.into(), false);
        let layout = post_mortem::layout_options(&request);
        let located = post_mortem::find_interpreter(&opened.capture, &opened.binaries, &layout);
        let located = located.map_err(|error| error.to_string())?;
        let pool_size = located.resolved.features.pool_size as u32;
        let image = &opened.capture.image;
        let mut targets = Targets {
            kinds: Vec::new(),
            dicts: Vec::new(),
            types: Vec::new(),
            runtime: runtime_addresses(&located, image),
            pages: image.pages().map(|(address, _)| address.get()).collect(),
            pools: pymalloc::find_pools(image, pool_size).iter().map(|pool| pool.address.get()).collect(),
            packed: packed(&bytes[..PACKED.min(bytes.len())]),
            notes,
            headers,
            binaries,
        };
        let inspection = post_mortem::analyse_core(opened.capture, &located, View::Complete.into());
        let all = targets.list_objects(&inspection.map_err(|error| error.to_string())?);
        let opened = core::open(&options(&path)).map_err(|error| error.to_string())?;
        let inspection = post_mortem::analyse_core(opened.capture, &located, View::Heapy.into());
        let seen = inspection.map_err(|error| error.to_string())?.totals(View::Heapy).all.objects;
        let objects = [all, seen];
        let wounds = RefCell::new(Vec::new());
        Ok(Self { name, path, bytes, located, targets, objects, file, stored, wounds })
    }

    /// Objects of a view in the sound core.
    pub(crate) fn objects(&self, view: View) -> u64 {
        let [all, seen] = self.objects;
        if view == View::Complete { all } else { seen }
    }

    /// Where an address is in the file.
    pub(crate) fn place(&self, address: u64) -> Option<usize> {
        let after = self.stored.partition_point(|segment| segment.address <= address);
        let segment = self.stored.get(after.checked_sub(1)?)?;
        let at = address - segment.address;
        (at < segment.length).then(|| segment.offset + at as usize)
    }

    /// Bytes of memory that lie one after the other in the file from a place on.
    pub(crate) fn stored_from(&self, place: usize) -> usize {
        let ends =
            self.stored.iter().map(|segment| (segment.offset, segment.offset + segment.length as usize));
        ends.filter(|&(start, end)| (start..end).contains(&place))
            .map(|(_, end)| end - place)
            .max()
            .unwrap_or(0)
    }

    /// The word at an address, as it was.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        self.place(address).map(|place| word_at(&self.bytes, place))
    }

    /// Writes where memory is, as far as it is in one segment.
    pub(crate) fn write(&self, address: u64, value: &[u8]) {
        if let Some(place) = self.place(address) {
            self.write_file(place, value);
        }
    }

    /// Writes into the file, not beyond its end.
    pub(crate) fn write_file(&self, place: usize, value: &[u8]) {
        let end = (place + value.len()).min(self.bytes.len());
        if let Some(length) = end.checked_sub(place) {
            self.file.write_all_at(&value[..length], place as u64).expect("a file can be written");
            self.wounds.borrow_mut().push((place, end));
        }
    }

    /// Ends the file early.
    pub(crate) fn cut(&self, length: usize) {
        let length = length.min(self.bytes.len());
        self.file.set_len(length as u64).expect("a file can be cut");
        self.wounds.borrow_mut().push((length, self.bytes.len()));
    }

    /// Makes it sound again.
    pub(crate) fn mend(&self) {
        for (start, end) in self.wounds.take() {
            self.file.write_all_at(&self.bytes[start..end], start as u64).expect("a file can be written");
        }
    }
}

/// A request for everything that is in a core.
pub(crate) fn request(path: &Path, purpose: Purpose, best_effort: bool) -> CoreRequest<'_> {
    CoreRequest { core: options(path), purpose, best_effort, descriptions: Descriptions::default() }
}

/// `/a/3.8.18/bin/python` is `3.8.18`, `/usr/bin/python3.11` is `python3.11`.
fn name_of(python: &Path) -> String {
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let folder = python.parent().and_then(Path::parent).and_then(Path::file_name).map(text);
    let version = folder.filter(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    version.or_else(|| python.file_name().map(text)).unwrap_or_default()
}

fn change_build_id(page: &mut [u8]) {
    let owner = page.windows(8).position(|window| window == b"\x03\0\0\0GNU\0");
    if let Some(first) = owner.and_then(|owner| page.get_mut(owner + 8)) {
        *first ^= 0xff;
    }
}

fn save(python: &Path, program: &str, path: &Path) -> Result<(), String> {
    let mut child = start(python, program)?;
    let request = assemble::Request {
        pid: child.id().cast_signed(),
        purpose: View::Complete.into(),
        debug_directories: Vec::new(),
        best_effort: false,
        descriptions: Descriptions::default(),
        capture: CaptureOptions::default(),
    };
    let saved = inspect_and_save(&request, path, false).map(drop).map_err(|error| error.to_string());
    // It waits for our end of the pipe, and may be gone already.
    let _ = child.kill();
    let _ = child.wait();
    saved
}

/// Starts the program and waits until its heap is made.
fn start(python: &Path, program: &str) -> Result<Child, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut child = Command::new(python)
        .args(["-S", "-E", &format!("{PROGRAMS}/{program}.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("standard output is piped")?;
    BufReader::new(output).read_line(&mut line).map_err(text)?;
    if line.starts_with("READY") { Ok(child) } else { Err(format!("{program} does not run: {line:?}")) }
}

/// Interpreters, threads and frames.
fn runtime_addresses(located: &Located, image: &Image) -> Vec<u64> {
    let resolved = &located.resolved;
    let runtime = interpreters::read(image, &resolved.layouts, &resolved.features, located.runtime)
        .expect("it is sound");
    let threads = runtime.interpreters.iter().flat_map(|interpreter| &interpreter.threads);
    let mut addresses: Vec<Address> =
        threads.flat_map(|thread| thread.frames.iter().copied().chain([thread.address])).collect();
    addresses.extend(runtime.interpreters.iter().map(|interpreter| interpreter.address));
    addresses.extend(interpreters::collectors(&runtime, &resolved.layouts, &resolved.features));
    addresses.push(located.runtime);
    addresses.into_iter().map(Address::get).collect()
}

/// Some bytes, compressed with everything that can compress here.
fn packed(bytes: &[u8]) -> Vec<Vec<u8>> {
    let tool = |name: &str| {
        let source = tempfile::NamedTempFile::new().ok()?;
        std::fs::write(source.path(), bytes).ok()?;
        let output = Command::new(name).arg("-c").arg(source.path()).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let mut packed = vec![ruzstd::encoding::compress_to_vec(bytes, level)];
    packed.extend(["gzip", "xz", "lz4", "zstd"].into_iter().filter_map(tool));
    packed
}

impl Targets {
    fn list_objects(&mut self, answers: &dyn Answers) -> u64 {
        let mut kinds: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        let mut count = 0;
        answers.for_each_object(View::Complete, &mut |row| {
            kinds.entry(row.clodo.to_owned()).or_default().push((row.address.get(), row.bytes));
            match row.type_label {
                "type" => self.types.push(row.address.get()),
                "dict" => self.dicts.push(row.address.get()),
                _ => {}
            }
            count += 1;
            true
        });
        self.kinds = kinds.into_values().collect();
        count
    }
}

/// The interpreters of this machine: `HEAPATTACH_PYTHONS`, those of pyenv, `python3`.
pub(crate) fn pythons() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("HEAPATTACH_PYTHONS") {
        return std::env::split_paths(&named).collect();
    }
    let versions = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv/versions"));
    let folders = versions.and_then(|versions| versions.read_dir().ok()).into_iter().flatten().flatten();
    let mut pythons: Vec<PathBuf> = folders.map(|folder| folder.path().join("bin/python")).collect();
    pythons.sort();
    pythons.push(PathBuf::from("python3"));
    pythons
}
