//! Files that are no cores of CPython: each is told what it is.

use crate::process::Outcome;
use crate::process::kernel_core;
use crate::process::no_kernel_cores;
use crate::process::run;
use crate::skipped;
use libtest_mimic::Trial;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A file, the exit status that it gives and words of the message.
type Case = (&'static str, Vec<u8>, i32, &'static str);

/// One test for all files, one for the core of another program.
pub(crate) fn trials() -> Vec<Trial> {
    let files = Trial::test("hostile::files", || {
        let folder = tempfile::tempdir()?;
        for (name, bytes, status, words) in cases() {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes)?;
            check(name, &path, status, words)?;
        }
        check("a folder", folder.path(), 3, "a directory")?;
        check("nothing", &folder.path().join("none"), 5, "cannot open")?;
        Ok(())
    });
    let other = match no_kernel_cores() {
        Some(problem) => skipped("hostile::other_program", &problem, true),
        None => Trial::test("hostile::other_program", || other_program().map_err(Into::into)),
    };
    vec![files, other]
}

fn check(name: &str, path: &Path, status: i32, words: &str) -> Result<(), String> {
    let Outcome { status: found, stdout, stderr } = run(&["--core", path.to_str().unwrap_or("")])?;
    if found == Some(status) && stderr.contains(words) && !stderr.contains("panicked") && stdout.is_empty() {
        return Ok(());
    }
    Err(format!("{name}: {found:?} instead of {status}, {stderr:?} without {words:?}"))
}

fn cases() -> Vec<Case> {
    let header = |class: u8, order: u8, kind: u16, machine: u16| {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[4..7].copy_from_slice(&[class, order, 1]);
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes
    };
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    };
    let own = std::fs::read("/proc/self/exe").expect("our own program is there");
    vec![
        ("empty", Vec::new(), 1, "is empty"),
        ("text", b"Traceback (most recent call last):\n".to_vec(), 3, "a text"),
        ("script", b"#!/bin/sh\nexit\n".to_vec(), 3, "a script"),
        ("zeros", vec![0; 10_000], 3, "nothing but zeros"),
        ("program", own.clone(), 3, "a program or a library"),
        ("arm", header(2, 1, 4, 183), 3, "aarch64"),
        ("i386", header(1, 1, 4, 3), 3, "i386, 32 bits"),
        ("big-endian", header(2, 2, 4, 22), 3, "big-endian"),
        ("cut header", header(2, 1, 4, 62)[..20].to_vec(), 1, "too short"),
        ("no segments", header(2, 1, 4, 62), 1, "no segments"),
        ("packed program", gzip(&own[..200_000]), 3, "a program or a library"),
        ("packed text", gzip(b"hello"), 3, "a text"),
        ("cut gzip", gzip(&own)[..12].to_vec(), 1, "cannot decompress"),
        ("cut zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0x24], 1, "cannot decompress"),
        ("cut xz", b"\xfd7zXZ\0\0\x04".to_vec(), 1, "cannot decompress"),
        ("cut lz4", vec![0x04, 0x22, 0x4d, 0x18, 0x64], 1, "cannot decompress"),
    ]
}

/// A core of a shell that ends itself.
fn other_program() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let script = "ulimit -c unlimited; kill -ABRT $$";
    let status = Command::new("sh").args(["-c", script]).current_dir(folder.path()).status();
    status.map_err(|error| error.to_string())?;
    check("core of sh", &kernel_core(folder.path())?, 3, "no CPython interpreter")
}
