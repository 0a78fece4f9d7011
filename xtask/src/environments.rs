//! Virtual environments with guppy3 for the tests, kept under `target/python/`.

use crate::debian;
use crate::debian::Suite;
use crate::interpreters;
use crate::interpreters::Interpreter;
use crate::places;
use crate::places::Place;
use crate::process::output;
use crate::process::target_directory;
use anyhow::Result;
use anyhow::bail;
use rayon::prelude::*;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// What real programs of the tests import.
const PROGRAM_PACKAGES: &[&str] = &["flask==3.1.3", "numpy==2.2.6", "pandas==2.2.3"];

/// What is large and tried with one version only: its memory is laid out by C++, not by Python.
const ARROW: &str = "pyarrow==20.0.0";
const ARROW_VERSION: (u8, u8) = (3, 12);

/// Versions that these packages have wheels for.
const PROGRAM_VERSIONS: std::ops::RangeInclusive<(u8, u8)> = (3, 11)..=(3, 13);

/// An interpreter with what the tests need, or the reason why not.
pub(crate) struct Environment {
    /// Name of the interpreter, or of the series that is missing.
    pub(crate) name: String,
    /// The ways to start programs with it, `live` first; none if there is a problem.
    pub(crate) places: Vec<Place>,
    /// Whether flask, numpy and pandas are there.
    pub(crate) programs: bool,
    /// Whether the machine has the interpreter.
    pub(crate) present: bool,
    /// Why its tests, or some of them, cannot run.
    pub(crate) problems: Vec<String>,
}

impl Environment {
    fn without(name: String, present: bool, problem: String) -> Self {
        Self { name, places: Vec::new(), programs: false, present, problems: vec![problem] }
    }

    /// The python to start programs with as it is.
    pub(crate) fn python(&self) -> Option<&Path> {
        self.places.first().map(|place| &*place.python)
    }
}

/// One environment for each supported interpreter, and one entry for each that is not found or not supported.
pub(crate) fn prepare() -> Vec<Environment> {
    let found = interpreters::find();
    // Most of it is waiting for packages to come.
    let (mut environments, roots) = rayon::join(
        || found.par_iter().map(prepare_one).collect::<Vec<_>>(),
        || debian::SUITES.par_iter().map(debian::unpack).collect::<Vec<_>>(),
    );
    let pip = environments.iter().rev().find_map(|environment| Some(environment.python()?.to_owned()));
    for (suite, root) in debian::SUITES.iter().zip(roots) {
        match root {
            Ok(root) => environments.extend(
                suite.minors.iter().map(|&minor| prepare_of_suite(suite, minor, &root, pip.as_deref())),
            ),
            Err(error) => {
                let problem = format!("not to be had from Debian: {error:#}");
                environments.push(Environment::without(format!("debian-{}", suite.name), false, problem));
            }
        }
    }
    for (minor, free_threaded) in interpreters::supported() {
        let name = format!("3.{minor}{}", if free_threaded { "t" } else { "" });
        let is_there = |environment: &Environment| {
            let rest = environment.name.strip_prefix(&format!("3.{minor}."));
            rest.is_some_and(|rest| rest.trim_end_matches("-system").ends_with('t') == free_threaded)
        };
        if !environments.iter().any(is_there) {
            let problem = format!("this machine has no CPython {name}");
            environments.push(Environment::without(name, false, problem));
        }
    }
    environments
}

fn prepare_one(interpreter: &Interpreter) -> Environment {
    let name = interpreter.name.clone();
    let programs = PROGRAM_VERSIONS.contains(&(interpreter.version.0, interpreter.version.1))
        && !name.ends_with("-system")
        && !interpreter.free_threaded;
    if !interpreter.is_supported() {
        let problem = "not a version that is promised to work (HEAPATTACH_ALL=1 tests it)".to_owned();
        return Environment::without(name, false, problem);
    }
    // guppy3 needs the layout of a build with a global lock: without it the collector alone is the judge.
    let guppy =
        (!interpreter.free_threaded).then(|| format!("guppy3=={}", guppy_version(interpreter.version.1)));
    let mut wanted: Vec<String> = guppy.into_iter().collect();
    if programs {
        wanted.extend(PROGRAM_PACKAGES.iter().map(|&package| package.to_owned()));
        if (interpreter.version.0, interpreter.version.1) == ARROW_VERSION {
            wanted.push(ARROW.to_owned());
        }
    }
    let python = match create(interpreter, &wanted) {
        Ok(python) => python,
        Err(error) => return Environment::without(name, true, format!("{error:#}")),
    };
    let mut live = Place { name: "live", python: python.clone(), debug_files: None };
    let mut problems = Vec::new();
    let mut others = Vec::new();
    let prefix = interpreter.path.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
    if prefix == Path::new("/usr") {
        match debian::own_debug_files(interpreter.version.1) {
            Ok(folder) => live.debug_files = Some(folder),
            Err(error) => problems.push(format!("no debug files: {error:#}")),
        }
    } else {
        others.push(places::stripped(&name, &python, prefix));
    }
    others.push(places::own_files_elsewhere(&name, &python, prefix));
    let mut places = vec![live];
    for place in others {
        place.map_or_else(|error| problems.push(format!("{error:#}")), |place| places.push(place));
    }
    Environment { name, places, programs, present: true, problems }
}

/// An interpreter of another suite, with guppy3 if there is a wheel for it.
fn prepare_of_suite(suite: &Suite, minor: u8, root: &Path, pip: Option<&Path>) -> Environment {
    let program = format!("python3.{minor}");
    let packages = root.with_file_name(format!("packages-3.{minor}"));
    let mut problems = Vec::new();
    if !packages.exists() {
        let install = || {
            let mut command = Command::new(pip.unwrap_or(Path::new("python3")));
            command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]);
            command.args([
                "--only-binary=:all:",
                "--implementation=cp",
                "--python-version",
                &format!("3.{minor}"),
            ]);
            output(command.arg(format!("guppy3=={}", guppy_version(minor))).arg("--target").arg(&packages))
        };
        if install().is_err() {
            problems.push("no guppy3: its view is not compared".to_owned());
        }
    }
    let name = format!("3.{minor}-{}", suite.name);
    let version = || -> Result<String> {
        let places = places::of_suite(&name, root, &program, &packages)?;
        let question = ["-c", "print('.'.join(map(str, __import__('sys').version_info[:3])))"];
        Ok(output(Command::new(&places[0].python).args(question))?.trim().to_owned())
    };
    let places = version().and_then(|version| {
        let name = format!("{version}-{}", suite.name);
        Ok((places::of_suite(&name, root, &program, &packages)?, name))
    });
    match places {
        Ok((places, name)) => Environment { name, places, programs: false, present: true, problems },
        Err(error) => Environment::without(name, true, format!("{error:#}")),
    }
}

/// The newest guppy3 that has this interpreter in its list of classifiers.
fn guppy_version(minor: u8) -> &'static str {
    match minor {
        6 => "3.1.2",
        7 => "3.1.3",
        8 => "3.1.4.post1",
        9 => "3.1.5",
        _ => "3.1.7",
    }
}

/// The folder's marker names what was installed for which program, so that a change of either starts anew.
fn create(interpreter: &Interpreter, wanted: &[String]) -> Result<PathBuf> {
    let folder = target_directory().join("python").join(&interpreter.name);
    let python = folder.join("bin/python");
    let marker = folder.join("installed");
    let installed = format!("{}\n{}\n", interpreter.path.display(), wanted.join("\n"));
    if python.exists() && fs::read_to_string(&marker).is_ok_and(|text| text == installed) {
        return Ok(python);
    }
    println!("preparing {} in {}", interpreter.name, folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    if let Err(error) = output(Command::new(&interpreter.path).args(["-m", "venv"]).arg(&folder)) {
        bail!("{error:#}; on Debian `apt-get install python3-venv` brings it");
    }
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install"];
    if !wanted.is_empty() {
        output(Command::new(&python).args(pip).args(wanted))?;
    }
    fs::write(marker, installed)?;
    Ok(python)
}

/// Writes the list that the tests read, a line for each place: name of the interpreter, place, python, debug
/// files, `programs` or nothing, `present` or nothing, problem.
pub(crate) fn write_list(environments: &[Environment]) -> Result<PathBuf> {
    let path = target_directory().join("python").join("environments.tsv");
    let lines: String = environments.iter().flat_map(lines).collect();
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(&path, lines)?;
    Ok(path)
}

fn lines(environment: &Environment) -> Vec<String> {
    let present = if environment.present { "present" } else { "" };
    let place = |place: &Place| {
        let programs = if environment.programs && place.name == "live" { "programs" } else { "" };
        let debug_files = place.debug_files.as_deref().unwrap_or(Path::new("")).display();
        let python = place.python.display();
        format!("{}\t{}\t{python}\t{debug_files}\t{programs}\t{present}\t\n", environment.name, place.name)
    };
    let mut lines: Vec<String> = environment.places.iter().map(place).collect();
    for problem in &environment.problems {
        let problem = problem.replace(['\n', '\t'], " ");
        // What is only a part of the tests is skipped loudly, and no failure.
        let present = if environment.places.is_empty() { present } else { "" };
        lines.push(format!("{}\t\t\t\t\t{present}\t{problem}\n", environment.name));
    }
    lines
}
