//! Damaged heaps: whatever the bytes say, the analysis ends soon, does not panic and answers.
//!
//! `HEAPATTACH_MUTATIONS` is the number of damaged copies of each interpreter, `HEAPATTACH_SEED` the first
//! seed, `HEAPATTACH_PYTHONS` the interpreters.

mod cores;
mod damage;
mod material;

use damage::Targets;
use heapattach::inspection::Answers;
use heapattach::inspection::Inspection;
use heapattach::inspection::InspectionError;
use heapattach::inspection::Relation;
use heapattach::inspection::View;
use material::Material;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;
use std::time::Instant;

/// Damaged copies of each interpreter, unless the environment says otherwise.
const MUTATIONS: u64 = 60;

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Asks everything that reports ask.
fn ask(inspection: &Inspection, view: View) -> u64 {
    let totals = inspection.totals(view);
    let partition = inspection.partition(view, Relation::Clodo);
    assert_eq!(partition.objects, totals.all.objects, "the rows have all objects");
    assert_eq!(inspection.partition(view, Relation::Type).objects, totals.all.objects);
    let mut objects = 0;
    inspection.for_each_object(view, &mut |row| {
        objects += 1;
        !row.clodo.is_empty() || objects > 0
    });
    assert_eq!(objects, totals.all.objects);
    let _ = inspection.bands(view);
    check_memory(inspection, view);
    objects
}

/// Buffers and the map by mapping agree with themselves.
fn check_memory(inspection: &Inspection, view: View) {
    let mut uncounted = 0_u64;
    inspection.for_each_buffer(view, &mut |row| {
        assert!(row.attributed <= row.bytes);
        uncounted += if row.counted { 0 } else { row.attributed };
        true
    });
    let stretches = inspection.uncounted_buffers(view);
    assert_eq!(uncounted, stretches.iter().map(|&(_, bytes)| bytes).sum::<u64>());
    assert!(stretches.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
    for region in &inspection.region_map(view).regions {
        assert!(region.used() <= region.range.length(), "{} in {}", region.used(), region.range.length());
    }
}

/// One damaged copy. The number of objects found, or none if it said why it cannot.
fn attempt(material: &Material, targets: &Targets, seed: u64, limit: u64) -> Option<u64> {
    let mut memory = material.memory.clone();
    targets.damage(&mut memory, seed);
    let view = if seed % 4 == 3 { View::Heapy } else { View::Complete };
    match material.analyse(memory, view) {
        Ok(inspection) => {
            let work = inspection.work;
            assert!(work <= limit, "{work} words of work");
            let objects = ask(&inspection, view);
            if seed.is_multiple_of(16) {
                let mut references = 0_u64;
                inspection.for_each_reference(&mut |_| {
                    references += 1;
                    true
                });
                assert!(references <= limit, "{references} references");
            }
            Some(objects)
        }
        Err(InspectionError::Runtime(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

struct Outcome {
    refused: u64,
    slowest: (Duration, u64),
    failed: Vec<u64>,
}

fn run(material: &Material) -> Outcome {
    let start = Instant::now();
    let clean = material.analyse(material.memory.clone(), View::Complete).expect("the copy is sound");
    // The work is counted as well; this is for the loops that count none, on a busy machine.
    let patience = 100 * start.elapsed() + Duration::from_secs(5);
    let mut objects = Vec::new();
    clean.for_each_object(View::Complete, &mut |row| {
        objects.push((row.address.get(), row.bytes, row.clodo.to_owned()));
        true
    });
    let targets = Targets::of(material, &objects);
    // A multiple of what was copied, and as much as is granted to any.
    let limit = 6 * (material.memory.bytes.len() as u64 / 8) + (1 << 23);
    let mut outcome = Outcome { refused: 0, slowest: (Duration::ZERO, 0), failed: Vec::new() };
    let first = number("HEAPATTACH_SEED", 0);
    for seed in first..first + number("HEAPATTACH_MUTATIONS", MUTATIONS) {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| attempt(material, &targets, seed, limit)));
        outcome.slowest = outcome.slowest.max((start.elapsed(), seed));
        if start.elapsed() > patience {
            say(&format!("{}: seed {seed} took {:?}", material.name, start.elapsed()));
            outcome.failed.push(seed);
        }
        match result {
            Ok(Some(_)) => {}
            Ok(None) => outcome.refused += 1,
            Err(_) => outcome.failed.push(seed),
        }
        if result.is_err() {
            say(&format!("{}: seed {seed} failed", material.name));
        }
    }
    outcome
}

#[test]
fn damage_is_survived() {
    let mut failed = Vec::new();
    for python in material::pythons() {
        let material = match Material::of(&python) {
            Ok(material) => material,
            Err(problem) => {
                say(&format!("SKIPPED {}: {problem}", python.display()));
                continue;
            }
        };
        let start = Instant::now();
        let outcome = run(&material);
        say(&format!(
            "{}: {} bytes, {:?}, refused {}, slowest {:?} (seed {}), failed {:?}",
            material.name,
            material.memory.bytes.len(),
            start.elapsed(),
            outcome.refused,
            outcome.slowest.0,
            outcome.slowest.1,
            outcome.failed
        ));
        failed.extend(outcome.failed.iter().map(|seed| (material.name.clone(), *seed)));
    }
    assert!(failed.is_empty(), "{failed:?}");
}
