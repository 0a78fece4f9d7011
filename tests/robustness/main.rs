//! Damaged cores: whatever the bytes say, the analysis ends soon, needs little memory, does not panic and answers.
//!
//! `HEAPATTACH_MUTATIONS` is the number of damaged copies of each interpreter, `HEAPATTACH_SEED` the first seed,
//! `HEAPATTACH_PYTHONS` the interpreters. A seed damages the same core in the same way: cores are kept in
//! `HEAPATTACH_VICTIMS`, and made there if there are none. The last one, damaged, is copied to `HEAPATTACH_DAMAGED`, to
//! look at it. `cargo xtask damage` does it by the hundred thousand.

mod allocation;
mod attempt;
mod damage;
mod findings;
mod tally;
mod victim;
mod watch;

use allocation::Counted;
use damage::Kind;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use tally::Tally;
use tally::Trial;
use victim::Victim;
use watch::Watch;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Damaged copies of each interpreter, unless the environment says otherwise.
const MUTATIONS: u64 = 128;
/// The cores of an interpreter: which program's, and whether its binaries are on no machine any more.
const CORES: [(&str, bool); 3] = [("few_objects", false), ("few_objects", true), ("every_layout", false)];

/// Which core a seed damages. The large one has imported much, and is damaged less often. Where the file itself is
/// damaged everything is read from the start, and debug information takes longer than all the rest.
fn core_of(seed: u64) -> usize {
    match seed % 64 {
        31 => 2,
        place if (place % 8 == 3) == Kind::of(seed).is_memory() => 1,
        _ => 0,
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a sound core costs, and so what a damaged one may.
struct Limits {
    time: Duration,
    memory: usize,
}

impl Limits {
    fn of(victim: &Victim) -> Self {
        let begun = Instant::now();
        let before = allocation::restart();
        attempt::sound(victim);
        // The work is counted as well; this is for the loops that count none, on a busy machine.
        let time = 50 * begun.elapsed() + Duration::from_secs(5);
        let memory = 3 * (allocation::peak() - before) + 4 * victim.bytes.len();
        Self { time, memory }
    }
}

/// What became of every seed.
fn run(victims: &[(Victim, Limits)], watch: &Watch, tally: &mut Tally) {
    let first = number("HEAPATTACH_SEED", 0);
    for seed in first..first + number("HEAPATTACH_MUTATIONS", MUTATIONS) {
        let (victim, limits) = &victims[core_of(seed)];
        let kind = Kind::of(seed);
        let what = format!("{}: seed {seed} ({kind:?})", victim.name);
        watch.allow(limits.time, what.clone());
        let begun = Instant::now();
        let before = allocation::restart();
        let result = catch_unwind(AssertUnwindSafe(|| attempt::attempt(victim, seed)));
        let trial = Trial { seed, kind, time: begun.elapsed(), memory: allocation::peak() - before };
        watch.done();
        if let Some(copy) = std::env::var_os("HEAPATTACH_DAMAGED") {
            std::fs::copy(&victim.path, copy).expect("there is room");
        }
        victim.mend();
        match result {
            Ok(objects) if trial.memory <= limits.memory => {
                tally.count(&trial, objects, victim.objects(attempt::view_of(seed)));
            }
            Ok(_) => {
                say(&format!("FAILED: {what} took {} MiB", trial.memory >> 20));
                tally.fail(&trial);
            }
            Err(_) => {
                say(&format!("FAILED: {what}"));
                tally.fail(&trial);
            }
        }
    }
}

/// The cores of one interpreter.
fn victims(python: &Path, folder: &Path) -> Result<Vec<(Victim, Limits)>, String> {
    let kept = std::env::var_os("HEAPATTACH_VICTIMS").map_or_else(|| folder.to_owned(), PathBuf::from);
    let victim = |core| {
        let victim = Victim::new(python, core, (&kept, folder))?;
        let limits = Limits::of(&victim);
        Ok((victim, limits))
    };
    CORES.into_iter().map(victim).collect()
}

#[test]
fn damage_is_survived() {
    let watch = Watch::start();
    let mut failed = Vec::new();
    for python in victim::pythons() {
        // In memory where that is possible: nothing of it is to be kept.
        let shared = Some(Path::new("/dev/shm")).filter(|folder| folder.is_dir());
        let folder = shared.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let folder = folder.expect("there is a temporary folder");
        watch.allow(Duration::from_secs(300), format!("{}, not damaged,", python.display()));
        let victims = match victims(&python, folder.path()) {
            Ok(victims) => victims,
            Err(problem) => {
                say(&format!("SKIPPED {}: {problem}", python.display()));
                continue;
            }
        };
        findings::binaries_that_claim_everything(&victims[1].0, &watch);
        let mut tally = Tally::default();
        run(&victims, &watch, &mut tally);
        say(&tally.text(&victims[0].0.name));
        failed.extend(tally.failed().map(|seed| (victims[0].0.name.clone(), seed)));
    }
    assert!(failed.is_empty(), "{failed:?}");
}
