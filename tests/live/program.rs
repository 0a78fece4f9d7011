//! A program that runs while it is inspected, and what it is asked by HTTP.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

/// How long an answer may take; the stop itself takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A started program that has said `WORD <number>...`; it ends with this value.
pub(crate) struct Program {
    child: Child,
    /// The numbers that it said.
    pub(crate) numbers: Vec<u32>,
}

impl Program {
    /// Starts it and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        let mut program = Self { child, numbers: Vec::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        program.numbers = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        if program.numbers.is_empty() {
            return Err(format!("{command:?} said {line:?} instead of a number"));
        }
        Ok(program)
    }

    /// Starts a program that answers; gives it and its port.
    pub(crate) fn serving(python: &Path, file: &Path) -> Result<(Self, u16), String> {
        let program = Self::start(Command::new(python).arg(file))?;
        let port = program.numbers.get(1).and_then(|&port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| format!("{} said no port", file.display()))?;
        Ok((program, port))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One GET; the status line's number.
pub(crate) fn get(port: u16, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|word| word.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no status line"))
}

/// An interpreter of a minor version (`2.7`), whether heapattach knows it or not.
pub(crate) fn installed(minor: &str) -> Option<PathBuf> {
    let versions = PathBuf::from(std::env::var_os("HOME")?).join(".pyenv/versions");
    let entries = std::fs::read_dir(versions).into_iter().flatten().filter_map(Result::ok);
    let of_minor =
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{minor}.")));
    let installed = of_minor.map(|entry| entry.path().join("bin/python")).find(|python| python.exists());
    let name = format!("python{minor}");
    let found = Command::new(&name).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    installed.or_else(|| found.is_ok_and(|status| status.success()).then(|| name.into()))
}
