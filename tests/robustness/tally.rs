//! What became of damaged cores, counted by kind of damage.

use crate::damage::Kind;
use std::fmt::Write;
use std::time::Duration;

/// Seeds that are named of each kind.
const EXAMPLES: usize = 5;

/// One attempt.
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) time: Duration,
    /// The most memory at once. Unit: bytes.
    pub(crate) memory: usize,
}

/// What became of one kind.
#[derive(Clone, Debug, Default)]
struct Row {
    /// No answer, and it was said why.
    refused: u64,
    /// Nearly all objects were found: 99 of 100.
    whole: u64,
    /// At least half of them.
    partly: u64,
    /// Fewer.
    little: u64,
    failed: Vec<u64>,
    time: Duration,
    slowest: (Duration, u64),
    /// The most memory, and the seed.
    largest: (usize, u64),
    /// The first of those with part and with little: how many objects of 100 were found, and the seed.
    examples: [Vec<(u64, u64)>; 2],
}

/// All kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    rows: Vec<(Kind, Row)>,
}

impl Tally {
    fn row(&mut self, trial: &Trial) -> &mut Row {
        if self.rows.is_empty() {
            self.rows = Kind::all().map(|kind| (kind, Row::default())).collect();
        }
        let place = self.rows.iter().position(|(kind, _)| *kind == trial.kind);
        let row = &mut self.rows[place.expect("every kind has a row")].1;
        row.time += trial.time;
        row.slowest = row.slowest.max((trial.time, trial.seed));
        row.largest = row.largest.max((trial.memory, trial.seed));
        row
    }

    /// An attempt that ended as it should: of a sound core so many objects are known.
    pub(crate) fn count(&mut self, trial: &Trial, objects: Option<u64>, sound: u64) {
        let row = self.row(trial);
        match objects {
            None => row.refused += 1,
            Some(objects) if objects * 100 >= sound * 99 => row.whole += 1,
            Some(objects) => {
                let is_little = objects * 2 < sound;
                *(if is_little { &mut row.little } else { &mut row.partly }) += 1;
                let examples = &mut row.examples[usize::from(is_little)];
                examples.push((objects * 100 / sound.max(1), trial.seed));
                examples.truncate(EXAMPLES);
            }
        }
    }

    /// One that did not.
    pub(crate) fn fail(&mut self, trial: &Trial) {
        self.row(trial).failed.push(trial.seed);
    }

    /// The seeds that did not.
    pub(crate) fn failed(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().flat_map(|(_, row)| row.failed.iter().copied())
    }

    /// A line for each kind; numbers in columns, for people and for `cargo xtask damage`.
    pub(crate) fn text(&self, name: &str) -> String {
        let mut text = format!(
            "{name}\n{:<16}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>8}{:>10}",
            "damage",
            "cores",
            "whole",
            "partly",
            "little",
            "refused",
            "failed",
            "mean ms",
            "max ms",
            "of seed",
            "max MiB",
            "of seed"
        );
        for (kind, row) in &self.rows {
            let failed = row.failed.len() as u64;
            let cores = row.refused + row.whole + row.partly + row.little + failed;
            if cores == 0 {
                continue;
            }
            let kind = format!("{kind:?}");
            // A string takes everything.
            let _ = write!(
                text,
                "\n{kind:<16}{cores:>8}{:>8}{:>8}{:>8}{:>8}{failed:>9}{:>9.1}{:>9}{:>10}{:>8}{:>10}",
                row.whole,
                row.partly,
                row.little,
                row.refused,
                row.time.as_secs_f64() * 1e3 / cores as f64,
                row.slowest.0.as_millis(),
                row.slowest.1,
                row.largest.0 >> 20,
                row.largest.1,
            );
            for (name, examples) in ["partly", "little"].iter().zip(&row.examples) {
                let examples: Vec<String> =
                    examples.iter().map(|(percent, seed)| format!("{seed} ({percent} %)")).collect();
                if !examples.is_empty() {
                    let _ = write!(text, "  {name}: {}", examples.join(", "));
                }
            }
        }
        text
    }
}
