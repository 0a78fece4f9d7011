//! The recipe's map on random lists: against a slow version of the same rules (`testdata/oracle/check_stats.py`), and
//! against the recipe itself if `HEAPATTACH_RECIPE` names a file with its `report_memmap`.

use heapattach::memory_map::Bands;
use heapattach::memory_map::recipe_text;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

const LISTS: usize = 1000;

/// xorshift: the same lists every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Objects in some of the bands, close together or far apart, in runs without a hole and with overlaps.
    fn spans(&mut self) -> Vec<(u64, u64)> {
        const STARTS: [u64; 5] = [0x40_0000, 0x7fff_f000, 0x8000_0000, 0xffff_e000, 0x7f00_0000_0000];
        let mut spans = Vec::new();
        for _ in 0..=self.below(3) {
            let mut address = STARTS[self.below(5) as usize] + 16 * self.below(1 << 12);
            let hole = [1, 40, 5000, 1 << 20, 1 << 28][self.below(5) as usize];
            let largest = [40, 600, 9000][self.below(3) as usize];
            for _ in 0..=self.below(60) {
                let size = self.below(largest);
                spans.push((address, size));
                // Mostly one after the other with the header between, sometimes over the next.
                address += match self.below(4) {
                    0 => 16 + self.below(hole),
                    1 => 1 + size / 2,
                    _ => size + 16,
                };
            }
        }
        spans.sort_unstable();
        spans
    }
}

#[test]
fn maps_of_random_lists_are_the_recipes() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let lists: Vec<_> = (0..LISTS).map(|_| random.spans()).collect();
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/oracle/check_stats.py");
    let mut command = Command::new("python3");
    command.arg(program).arg("--map").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 is needed for the tests");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(json!(lists).to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    let answers = answers.as_array().unwrap();
    assert!(!answers.is_empty());
    for maps in answers {
        for (spans, expected) in lists.iter().zip(maps.as_array().unwrap()) {
            let bands = Bands::of(spans);
            let found: Vec<_> = bands.named().map(|(_, band)| recipe_text(band)).to_vec();
            assert_eq!(json!(found), *expected, "{spans:?}");
        }
    }
}
