//! Damaged core files: headers, notes, program headers of mapped binaries, memory, and files that are cut.

use crate::MUTATIONS;
use crate::Outcome;
use crate::ask;
use crate::damage::Random;
use crate::material::start;
use crate::number;
use crate::say;
use heapattach::descriptions::Descriptions;
use heapattach::inspection::CoreRequest;
use heapattach::inspection::View;
use heapattach::inspection::assemble;
use heapattach::inspection::inspect_and_save;
use heapattach::inspection::inspect_core;
use heapattach::target::CaptureOptions;
use heapattach::target::core::BinarySearch;
use heapattach::target::core::CoreOptions;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// A core file that is damaged and mended again and again.
struct Victim {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
    /// Where the notes begin and end.
    notes: (usize, usize),
    /// Where the stored bytes of each segment begin.
    segments: Vec<usize>,
    /// Where the first pages of binaries are.
    binaries: Vec<usize>,
}

fn word(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
}

impl Victim {
    /// Copies a program into a core. Without its binaries, if so: their build ids are changed, so that no
    /// file is the right one.
    fn new(python: &Path, folder: &Path, alone: bool) -> Result<Self, String> {
        let mut child = start(python)?;
        let path = folder.join(if alone { "alone.core" } else { "whole.core" });
        let request = assemble::Request {
            pid: child.id().cast_signed(),
            view: View::Complete,
            debug_directories: Vec::new(),
            best_effort: false,
            descriptions: Descriptions::default(),
            capture: CaptureOptions::default(),
        };
        let saved = inspect_and_save(&request, &path, false).map_err(|error| error.to_string());
        let _ = child.kill();
        let _ = child.wait();
        saved?;
        let mut bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
        let headers: Vec<usize> = (0..count).map(|index| HEADER + index * PROGRAM_HEADER).collect();
        let notes_at = word(&bytes, headers[0] + 8);
        let stored = headers[1..].iter().filter(|&&at| word(&bytes, at + 32) > 0);
        let segments: Vec<usize> = stored.map(|&at| word(&bytes, at + 8)).collect();
        let is_binary = |at: &&usize| bytes[**at..].starts_with(b"\x7fELF");
        let binaries: Vec<usize> = segments.iter().filter(is_binary).copied().collect();
        if alone {
            for &at in &binaries {
                let owner = bytes[at..at + 4096].windows(8).position(|window| window == b"\x03\0\0\0GNU\0");
                if let Some(owner) = owner {
                    bytes[at + owner + 8] ^= 0xff;
                }
            }
            std::fs::write(&path, &bytes).map_err(|error| error.to_string())?;
        }
        let file = File::options().write(true).open(&path).map_err(|error| error.to_string())?;
        let notes = (notes_at, notes_at + word(&bytes, headers[0] + 32));
        Ok(Self { path, file, bytes, notes, segments, binaries })
    }

    /// Damages the file as the seed says; gives what has to be mended.
    fn damage(&self, seed: u64) -> Vec<(usize, usize)> {
        let random = &mut Random::new(seed ^ 0x5eed);
        if seed.is_multiple_of(16) {
            let length = match random.below(2) {
                0 => 1 << random.below(26),
                _ => random.below(self.bytes.len()),
            };
            let length = length.min(self.bytes.len());
            self.file.set_len(length as u64).expect("a file can be cut");
            return vec![(length, self.bytes.len())];
        }
        let times = 1 << random.below(5);
        (0..times).map(|_| self.hurt(random)).collect()
    }

    fn hurt(&self, random: &mut Random) -> (usize, usize) {
        let within = |start: usize, length: usize, random: &mut Random| start + random.below(length.max(1));
        let table = self.notes.0;
        let place = match random.below(8) {
            0 => within(0, HEADER, random),
            1 | 2 => within(HEADER, table - HEADER, random),
            3 | 4 => within(self.notes.0, (self.notes.1 - self.notes.0).min(9000), random),
            5 => within(self.binaries[random.below(self.binaries.len())], 1024, random),
            _ => within(self.segments[random.below(self.segments.len())], 16 * 4096, random),
        };
        let (place, length) = match random.below(4) {
            0 => (place, 1),
            _ => (place & !7, 8),
        };
        let place = place.min(self.bytes.len() - 8);
        let old = word(&self.bytes, place) as u64;
        let new = match random.below(6) {
            0 => old ^ (1 << random.below(64)),
            1 => 0,
            2 => u64::MAX,
            3 => old.wrapping_add(1 << random.below(48)),
            4 => 1 << random.below(64),
            _ => word(&self.bytes, self.segments[random.below(self.segments.len())]) as u64,
        };
        self.file.write_all_at(&new.to_le_bytes()[..length], place as u64).expect("a file can be written");
        (place, place + length)
    }

    fn mend(&self, damage: &[(usize, usize)]) {
        for &(start, end) in damage {
            self.file.write_all_at(&self.bytes[start..end], start as u64).expect("a file can be written");
        }
    }

    /// The number of objects found, or none if it said why it cannot.
    fn attempt(&self, seed: u64) -> Option<u64> {
        let search = BinarySearch::default();
        let core = CoreOptions { path: &self.path, search, progress: None, signals: None };
        let view = if seed % 8 == 3 { View::Heapy } else { View::Complete };
        let request =
            CoreRequest { core, view, best_effort: seed % 8 == 5, descriptions: Descriptions::default() };
        match inspect_core(&request) {
            Ok(inspection) => Some(ask(&inspection, view)),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                None
            }
        }
    }
}

fn run(victims: &[Victim]) -> Outcome {
    let begun = Instant::now();
    for victim in victims {
        victim.attempt(0).expect("the core is sound");
    }
    let patience = 50 * begun.elapsed() + Duration::from_secs(5);
    let mut outcome = Outcome { refused: 0, slowest: (Duration::ZERO, 0), failed: Vec::new() };
    let first = number("HEAPATTACH_SEED", 0);
    for seed in first..first + number("HEAPATTACH_MUTATIONS", MUTATIONS) {
        let victim = &victims[(seed / 2) as usize % victims.len()];
        let damage = victim.damage(seed);
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| victim.attempt(seed)));
        let elapsed = begun.elapsed();
        victim.mend(&damage);
        outcome.slowest = outcome.slowest.max((elapsed, seed));
        if matches!(result, Ok(None)) {
            outcome.refused += 1;
        }
        if result.is_err() || elapsed > patience {
            say(&format!("core: seed {seed} failed or took too long: {elapsed:?}"));
            outcome.failed.push(seed);
        }
    }
    outcome
}

/// The most memory that this program has had. Unit: kibibytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn damaged_cores_are_survived() {
    let pythons = crate::material::pythons();
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    // One interpreter will do: the others have the same file formats.
    let made = pythons.iter().rev().find_map(|python| {
        let victims = [false, true].map(|alone| Victim::new(python, folder.path(), alone));
        let victims: Result<Vec<Victim>, String> = victims.into_iter().collect();
        victims.map_err(|problem| say(&format!("SKIPPED {}: {problem}", python.display()))).ok()
    });
    let Some(victims) = made else { panic!("no interpreter could be copied") };
    let begun = Instant::now();
    let outcome = run(&victims);
    say(&format!(
        "cores: {:?}, refused {}, slowest {:?} (seed {}), peak {} MiB, failed {:?}",
        begun.elapsed(),
        outcome.refused,
        outcome.slowest.0,
        outcome.slowest.1,
        peak_memory() >> 10,
        outcome.failed
    ));
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    assert!(peak_memory() < 4 << 20, "{} KiB", peak_memory());
}
