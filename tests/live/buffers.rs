//! Memory outside the objects and the map by mapping, against what Python says inside
//! (testdata/buffers/compare.py).

use crate::environments::Environment;
use crate::environments::project;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use std::process::Command;

/// One test.
pub(crate) fn trials(environment: &Environment) -> Vec<Trial> {
    if environment.place != "live" {
        return Vec::new();
    }
    let python = environment.python.clone();
    let name = format!("buffers::{}", environment.name);
    vec![Trial::test(name, move || {
        let output = Command::new(&python)
            .arg(project().join("testdata/buffers/compare.py"))
            .arg(&python)
            .arg(env!("CARGO_BIN_EXE_heapattach"))
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Failed::from(String::from_utf8_lossy(&said).into_owned()))
    })]
}
