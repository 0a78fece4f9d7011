//! A copied interpreter, kept as plain bytes that can be damaged and analysed any number of times.

use heapattach::address::Address;
use heapattach::address::AddressRange;
use heapattach::descriptions::Descriptions;
use heapattach::inspection::Inspection;
use heapattach::inspection::InspectionError;
use heapattach::inspection::View;
use heapattach::inspection::assemble;
use heapattach::inspection::locate::Located;
use heapattach::runtime::interpreters;
use heapattach::target::Capture;
use heapattach::target::CaptureOptions;
use heapattach::target::CaptureStatistics;
use heapattach::target::Image;
use heapattach::target::Mapping;
use heapattach::target::TargetDescription;
use heapattach::target::capture_live;
use heapattach::target::image::Backing;
use heapattach::target::image::FileOverlay;
use heapattach::target::image::PAGE;
use heapattach::target::image::Segment;
use heapattach::target::mapped_file::open_mapped_file;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;

/// The program whose heap is damaged.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/programs/every_layout.py");

/// Bytes of a process, by page.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
}

impl Memory {
    /// Where an address is among the bytes.
    pub(crate) fn place(&self, address: u64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.range.start.get() <= address);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let at = segment.range.start.distance_to(Address::new(address))?;
        (at < segment.range.length()).then(|| (segment.local + at) as usize)
    }

    /// The word at an address.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let place = self.place(address)?;
        Some(u64::from_le_bytes(self.bytes.get(place..place + 8)?.try_into().ok()?))
    }

    /// Writes where memory is.
    pub(crate) fn write(&mut self, address: u64, value: &[u8]) {
        for (index, &byte) in value.iter().enumerate() {
            if let Some(place) = self.place(address.wrapping_add(index as u64)) {
                self.bytes[place] = byte;
            }
        }
    }

    /// Takes a page away.
    pub(crate) fn drop_page(&mut self, address: u64) {
        let start = address / PAGE * PAGE;
        let Some(index) =
            self.segments.iter().position(|segment| segment.range.contains(Address::new(start)))
        else {
            return;
        };
        let old = self.segments.remove(index);
        let range = |start: u64, end: u64| AddressRange::new(Address::new(start), Address::new(end));
        let before = Segment { range: range(old.range.start.get(), start), local: old.local };
        let local = old.local + before.range.length() + PAGE;
        let after = Segment { range: range(start + PAGE, old.range.end.get()), local };
        let parts = [before, after].into_iter().filter(|part| !part.range.is_empty());
        self.segments.splice(index..index, parts);
    }
}

/// What one process left.
pub(crate) struct Material {
    pub(crate) name: String,
    pub(crate) memory: Memory,
    pub(crate) located: Located,
    files: Vec<(AddressRange, Arc<File>, u64)>,
    mappings: Vec<Mapping>,
    description: TargetDescription,
}

impl Material {
    /// Starts an interpreter, copies it and lets it end.
    pub(crate) fn of(python: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut child = start(python)?;
        let material = Self::copy(child.id().cast_signed(), python);
        child.kill().map_err(text)?;
        child.wait().map_err(text)?;
        material
    }

    fn copy(pid: i32, python: &Path) -> Result<Self, String> {
        let request = assemble::Request {
            pid,
            view: View::Complete,
            debug_directories: Vec::new(),
            best_effort: false,
            descriptions: Descriptions::default(),
            capture: CaptureOptions::default(),
        };
        let located = assemble::find_interpreter(&request).map_err(|error| error.to_string())?;
        let capture = capture_live(pid, &request.capture).map_err(|error| error.to_string())?;
        let mut memory = Memory { bytes: Vec::new(), segments: Vec::new() };
        for (address, page) in capture.image.pages() {
            let (local, end) = (memory.bytes.len() as u64, address.plus(PAGE));
            memory.bytes.extend_from_slice(capture.image.page_bytes(page));
            match memory.segments.last_mut() {
                Some(last) if last.range.end == address => {
                    last.range = AddressRange::new(last.range.start, end);
                }
                _ => memory.segments.push(Segment { range: AddressRange::new(address, end), local }),
            }
        }
        let files = capture
            .mappings
            .iter()
            .filter(|mapping| mapping.is_file() && mapping.readable)
            .filter_map(|mapping| {
                Some((mapping.range, open_mapped_file(pid, mapping).ok()?.into(), mapping.file_offset))
            })
            .collect();
        let name = format!("{} ({})", located.version, python.display());
        let (mappings, description) = (capture.mappings, capture.description);
        Ok(Self { name, memory, located, files, mappings, description })
    }

    /// An image of the memory given.
    pub(crate) fn image(&self, memory: Memory) -> Image {
        let overlays =
            self.files.iter().map(|(range, file, offset)| FileOverlay::new(*range, file.clone(), *offset));
        Image::new(Backing::Owned(memory.bytes), &memory.segments, overlays.collect())
    }

    /// Analyses the memory given.
    pub(crate) fn analyse(&self, memory: Memory, view: View) -> Result<Inspection, InspectionError> {
        let capture = Capture {
            image: self.image(memory),
            mappings: self.mappings.clone(),
            description: self.description.clone(),
            statistics: CaptureStatistics::default(),
        };
        assemble::analyse(capture, &self.located, view)
    }

    /// Interpreters, threads and frames.
    pub(crate) fn runtime_addresses(&self) -> Vec<u64> {
        let resolved = &self.located.resolved;
        let image = self.image(self.memory.clone());
        let runtime = interpreters::read(&image, &resolved.layouts, &resolved.features, self.located.runtime)
            .expect("it is sound");
        let threads = runtime.interpreters.iter().flat_map(|interpreter| &interpreter.threads);
        let mut addresses: Vec<Address> =
            threads.flat_map(|thread| thread.frames.iter().copied().chain([thread.address])).collect();
        addresses.extend(runtime.interpreters.iter().map(|interpreter| interpreter.address));
        addresses.extend(interpreters::collectors(&runtime, &resolved.layouts, &resolved.features));
        addresses.push(self.located.runtime);
        addresses.into_iter().map(Address::get).collect()
    }
}

/// Starts the program and waits until its heap is made.
pub(crate) fn start(python: &Path) -> Result<Child, String> {
    let text = |error: std::io::Error| error.to_string();
    let program = std::env::var("HEAPATTACH_ROBUSTNESS_PROGRAM").unwrap_or_else(|_| PROGRAM.to_owned());
    let mut child = Command::new(python)
        .args(["-S", "-E", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("standard output is piped")?;
    BufReader::new(output).read_line(&mut line).map_err(text)?;
    Ok(child)
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
