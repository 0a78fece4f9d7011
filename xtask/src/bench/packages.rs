//! An environment with the tools that come from packages.

use crate::interpreters::Interpreter;
use crate::process::output;
use crate::process::target_directory;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What is installed, each by itself: one that does not install is missing alone.
const PACKAGES: [&str; 4] = ["guppy3", "pympler", "memray", "pystack"];

/// The interpreter with the packages, and what is said about those that are missing.
pub(super) struct Packages {
    pub(super) python: PathBuf,
    pub(super) missing: Vec<String>,
}

/// Makes the environment, or takes the one that was made before.
pub(super) fn prepare(interpreter: &Interpreter) -> Result<Packages> {
    let folder = target_directory().join("bench").join(&interpreter.name);
    let python = folder.join("bin/python");
    if !python.exists() {
        println!("preparing {}", folder.display());
        fs::create_dir_all(&folder)?;
        output(Command::new(&interpreter.path).args(["-m", "venv"]).arg(&folder))?;
    }
    let mut missing = Vec::new();
    for package in PACKAGES {
        let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"];
        if output(Command::new(&python).args(pip).args(["show", package])).is_err()
            && let Err(error) = output(Command::new(&python).args(pip).args(["install", package]))
        {
            let text = format!("{error:#}");
            missing.push(format!("{package}: {}", text.lines().last().unwrap_or_default()));
        }
    }
    Ok(Packages { python, missing })
}

impl Packages {
    /// A program of the environment if it has it, otherwise one that is searched for as usual.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let own = self.python.with_file_name(name);
        if own.exists() { own } else { name.into() }
    }
}
