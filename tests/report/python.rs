//! Filling of lines against `textwrap` of every Python that is installed.

use heapattach::render::text_wrap::Filling;
use heapattach::render::text_wrap::LongWords;
use heapattach::render::text_wrap::wrap;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

const PROGRAM: &str = "
import json, sys, textwrap
cases = json.loads(sys.stdin.buffer.read().decode('utf-8'))
lines = [textwrap.wrap(t, width=w, initial_indent=' ' * i, subsequent_indent=' ' * s) for t, w, i, s in cases]
sys.stdout.write(json.dumps([list(sys.version_info[:2]), lines]))
";

/// `python3`, those named in `HEAPATTACH_PYTHONS` (separated by colons), those of pyenv.
fn pythons() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("python3")];
    if let Some(named) = std::env::var_os("HEAPATTACH_PYTHONS") {
        found.extend(std::env::split_paths(&named));
    }
    let versions = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv/versions"));
    let entries = versions.and_then(|versions| std::fs::read_dir(versions).ok());
    found.extend(entries.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python")));
    found
}

/// A small generator of its own, so that a failure is repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn label(&mut self) -> String {
        const LETTERS: [&str; 4] =
            ["abcXYZ019_", "ab-", "a-1_ .,?!'\"&(<[", "aé漢²٣ǅ\u{a0}\u{2003}\u{1d}-- \t\n\r\x0b"];
        let letters: Vec<char> = LETTERS[self.below(4)].chars().collect();
        let mut label = String::new();
        for _ in 0..self.below(12) {
            let length = if self.below(8) == 0 { self.below(150) } else { self.below(14) };
            label.extend((0..length).map(|_| letters[self.below(letters.len())]));
            label.push_str(["", " ", "-", "--", ", ", "."][self.below(6)]);
        }
        label
    }

    fn case(&mut self) -> (String, usize, usize, usize) {
        let width = [100, 100, 20, 7][self.below(4)];
        (self.label(), width, self.below(5), [45, 45, 0, 3, 19][self.below(5)].min(width - 1))
    }
}

fn ask(python: &PathBuf, cases: &Value) -> Option<(bool, Value)> {
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let written = child.stdin.take()?.write_all(cases.to_string().as_bytes());
    let output = child.wait_with_output().ok()?;
    written.ok()?;
    let mut answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    let version = (answer[0][0].as_u64()?, answer[0][1].as_u64()?);
    Some((version >= (3, 10), answer[1].take()))
}

#[test]
#[expect(clippy::print_stdout, reason = "says what was not tested")]
fn lines_are_filled_as_python_fills_them() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let cases: Vec<_> = (0..4000).map(|_| random.case()).collect();
    let question = json!(cases);
    let mut asked = 0;
    for python in pythons() {
        let Some((after_hyphen, lines)) = ask(&python, &question) else { continue };
        asked += 1;
        let long_words = if after_hyphen { LongWords::AfterHyphen } else { LongWords::AtWidth };
        for (index, (text, width, initial_indent, subsequent_indent)) in cases.iter().enumerate() {
            let (width, initial_indent, subsequent_indent) = (*width, *initial_indent, *subsequent_indent);
            let filling = Filling { width, initial_indent, subsequent_indent, long_words };
            assert_eq!(json!(wrap(text, &filling)), lines[index], "{}: {:?}", python.display(), cases[index]);
        }
    }
    println!(
        "compared with {asked} interpreters{}",
        if asked == 0 { ": skipped: python3 not found" } else { "" }
    );
}
