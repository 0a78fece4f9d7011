//! What the hosts need: compiled programs, copies, libraries of the machine.

use crate::cases::Linking;
use crate::cases::Need;
use crate::environments::Environment;
use crate::environments::project;
use crate::environments::target;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What an interpreter says of itself, one line each: folder of the header files, of the static library, of the
/// shared one, its version with flags, its library by two names, the real program, its prefix, the folder of installed packages.
const QUESTION: &str = "
import sys, sysconfig
for name in ('INCLUDEPY', 'LIBPL', 'LIBDIR', 'LDVERSION', 'LDLIBRARY', 'INSTSONAME'):
    print(sysconfig.get_config_var(name))
print(sys._base_executable)
print(sys.base_prefix)
print(sysconfig.get_path('purelib'))
";

/// Libraries that a program with a static CPython needs.
const STATIC_NEEDS: &[&str] = &["-lexpat", "-lz", "-lm", "-ldl", "-lutil", "-lpthread"];

/// Everything that a case's commands name.
pub(crate) struct Workshop {
    folder: TempDir,
    words: BTreeMap<&'static str, String>,
}

impl Workshop {
    /// Makes what a case needs; the reason if the machine cannot.
    pub(crate) fn prepare(needs: &[Need], environment: &Environment) -> Result<Self, String> {
        let answer = answer_of(&environment.python)?;
        let lines: Vec<&str> = answer.lines().collect();
        let [include, archive, shared, version, library, soname, program, home, site] = lines[..] else {
            return Err(format!("{} said {answer:?}", environment.python.display()));
        };
        let testdata = project().join("testdata");
        let mut workshop =
            Self { folder: TempDir::new().map_err(|error| error.to_string())?, words: BTreeMap::new() };
        let folder = workshop.folder.path().display().to_string();
        workshop.put("{folder}", folder);
        workshop.put("{program}", program);
        workshop.put("{home}", home);
        workshop.put("{site}", site);
        workshop.put("{scenarios}", testdata.join("scenarios").display());
        workshop.put("{programs}", testdata.join("programs").display());
        workshop.put("{runner}", testdata.join("programs/runner.py").display());
        for need in needs {
            match *need {
                Need::Program(name) => find_program(name).map(drop)?,
                Need::Root if nix::unistd::geteuid().is_root() => {}
                Need::Root => return Err("it needs root".into()),
                Need::Library(name) => {
                    let path = find_library(name)?;
                    workshop.put("{library}", path.display());
                }
                Need::Late => {
                    let options = ["-shared", "-fPIC", "-pthread"].map(str::to_owned);
                    let path = workshop.compile("late.c", &options, &[])?;
                    workshop.put("{late}", path.display());
                }
                Need::Embedding(linking) => {
                    let places = Places { include, archive, shared, version, library };
                    let path = workshop.embed(linking, &places)?;
                    workshop.put("{embedding}", path.display());
                }
                Need::Copy => {
                    let copy = workshop.folder.path().join("python");
                    run(Command::new("cp").arg(program).arg(&copy))?;
                    workshop.put("{copy}", copy.display());
                }
                Need::LibraryCopy => {
                    let real = Path::new(shared).join(soname);
                    if !soname.contains(".so") || !real.exists() {
                        return Err("the interpreter has no shared library".into());
                    }
                    let copy = workshop.folder.path().join(soname);
                    run(Command::new("cp").arg("-L").arg(real).arg(&copy))?;
                    workshop.put("{library}", copy.display());
                }
                Need::SecondLibrary => {
                    let path = find_library("libpython3.")?;
                    workshop.put("{second}", path.display());
                }
                Need::DebugBuild => {
                    let name = format!("python{version}-dbg");
                    let path = find_program(&name).or_else(|missing| find_unpacked(&name).ok_or(missing))?;
                    workshop.put("{debug}", path.display());
                }
                Need::Frozen => {
                    let path = freeze(environment, program, &testdata.join("programs/runner.py"))?;
                    workshop.put("{frozen}", path.display());
                }
                Need::ZipApplication => {
                    let path = workshop.zip(&environment.python, &testdata.join("programs/runner.py"))?;
                    workshop.put("{zipapp}", path.display());
                }
            }
        }
        Ok(workshop)
    }

    fn put(&mut self, word: &'static str, meaning: impl std::fmt::Display) {
        self.words.insert(word, meaning.to_string());
    }

    /// A command with its words filled in; `{python}` and `{scenario}` are compare.py's.
    pub(crate) fn fill(&self, command: &str) -> String {
        self.words.iter().fold(command.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }

    fn compile(&self, source: &str, before: &[String], after: &[String]) -> Result<PathBuf, String> {
        let output = self.folder.path().join(source.trim_end_matches(".c"));
        let source = project().join("testdata/programs").join(source);
        // -w: the functions that embedding programs use to set arguments are deprecated from 3.11 on.
        run(Command::new(find_program("gcc")?)
            .args(["-O1", "-w"])
            .args(before)
            .arg("-o")
            .arg(&output)
            .arg(source)
            .args(after))?;
        Ok(output)
    }

    fn embed(&self, linking: Linking, places: &Places<'_>) -> Result<PathBuf, String> {
        let header = Path::new(places.include).join("Python.h");
        if !header.exists() {
            return Err(format!("{} is not installed", header.display()));
        }
        let include = format!("-I{}", places.include);
        if linking == Linking::Shared {
            if !places.library.contains(".so")
                && !Path::new(places.shared).join(format!("libpython{}.so", places.version)).exists()
            {
                return Err("there is no shared libpython".into());
            }
            let after = [
                format!("-L{}", places.shared),
                format!("-Wl,-rpath,{}", places.shared),
                format!("-lpython{}", places.version),
                "-lpthread".into(),
            ];
            return self.compile("embedding.c", &[include], &after);
        }
        let archive = Path::new(places.archive).join(format!("libpython{}.a", places.version));
        if !archive.exists() {
            return Err(format!("{} is not installed", archive.display()));
        }
        let mut after = vec![archive.display().to_string()];
        if linking != Linking::StaticSilent {
            after.push("-Wl,-export-dynamic".to_owned());
        }
        after.extend(STATIC_NEEDS.iter().map(|&library| library.to_owned()));
        let path = self.compile("embedding.c", &[include, "-no-pie".into()], &after)?;
        if linking != Linking::Static {
            run(Command::new("strip").arg(&path))?;
        }
        Ok(path)
    }

    fn zip(&self, python: &Path, main: &Path) -> Result<PathBuf, String> {
        let folder = self.folder.path().join("application");
        let archive = self.folder.path().join("application.pyz");
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        run(Command::new("cp").arg(main).arg(folder.join("__main__.py")))?;
        run(Command::new(python).args(["-m", "zipapp"]).arg(&folder).arg("-o").arg(&archive))?;
        Ok(archive)
    }
}

/// What a scenario and the oracle import, which the runner does not.
const FROZEN_MODULES: &[&str] = &["ctypes", "json", "weakref", "traceback", "bisect", "struct"];

/// Freezes a program, once for each interpreter: the tool and its result are kept beside the environments.
fn freeze(environment: &Environment, program: &str, script: &Path) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pyinstaller-{}", environment.name));
    let frozen = folder.join("dist/runner");
    if frozen.exists() {
        return Ok(frozen);
    }
    run(Command::new(program).args(["-m", "venv"]).arg(&folder))?;
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "pyinstaller==6.16.0"];
    run(Command::new(folder.join("bin/python")).args(pip))?;
    let mut command = Command::new(folder.join("bin/pyinstaller"));
    command.args(["--onefile", "--log-level", "ERROR"]).current_dir(&folder);
    for module in FROZEN_MODULES {
        command.args(["--hidden-import", module]);
    }
    run(command.arg(script))?;
    Ok(frozen)
}

/// Where an interpreter has what programs are built with.
struct Places<'a> {
    include: &'a str,
    archive: &'a str,
    shared: &'a str,
    version: &'a str,
    library: &'a str,
}

fn answer_of(python: &Path) -> Result<String, String> {
    let output = Command::new(python).args(["-c", QUESTION]).output().map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    Err(format!("{} failed: {said}", command.get_program().display()))
}

fn find_program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("HEAPATTACH_PYTHONS").unwrap_or_default();
    let beside = std::env::split_paths(&path).map(|folder| folder.join(name));
    let named =
        std::env::split_paths(&named).filter(|path| path.file_name().is_some_and(|file| file == name));
    beside.chain(named).find(|path| path.exists()).ok_or(format!("{name} is not installed"))
}

/// A program of the packages that were unpacked for their debug files.
fn find_unpacked(name: &str) -> Option<PathBuf> {
    let suites = std::fs::read_dir(target().join("python/debian")).ok()?;
    let mut paths: Vec<PathBuf> =
        suites.flatten().map(|suite| suite.path().join("root/usr/bin").join(name)).collect();
    paths.sort();
    paths.into_iter().find(|path| path.exists())
}

fn find_library(name: &str) -> Result<PathBuf, String> {
    for folder in ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let is_it = |path: &PathBuf| {
            path.file_name()
                .and_then(|file| file.to_str())
                .is_some_and(|file| file.starts_with(name) && file.contains(".so"))
        };
        if let Some(path) = paths.into_iter().find(is_it) {
            return Ok(path);
        }
    }
    Err(format!("{name} is not installed"))
}
