//! `cargo xtask bench`: heapattach beside what else tells about a heap, and what the program notices of each.

mod floor;
mod growth;
mod measuring;
mod packages;
mod page;
mod plot;
mod results;
mod subject;
mod tools;

use crate::interpreters;
use crate::interpreters::Interpreter;
use crate::process::cargo;
use crate::process::output;
use crate::process::project;
use crate::process::run as run_command;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use packages::Packages;
use results::Figures;
use results::Outcome;
use results::Results;
use results::Row;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use subject::Scene;
use subject::Subject;
use tools::TOOLS;
use tools::Tool;

/// Sizes at which time and memory are measured.
const SIZES: [u64; 6] = [100_000, 300_000, 1_000_000, 5_000_000, 10_000_000, 50_000_000];
/// Those at which an aged heap is measured as well.
const AGED_SIZES: [u64; 4] = [1_000_000, 5_000_000, 10_000_000, 50_000_000];
/// Sizes and threads for which the pause is measured, asleep and mutating.
const PAUSE_SIZES: [u64; 2] = [1_000_000, 10_000_000];
const THREADS: [u32; 3] = [1, 16, 100];
/// The series that is measured unless another is named: all of the packages are made for it.
const USUAL: (u8, u8) = (3, 11);
/// Up to here each tool outside the program is run three times.
const REPEATED: u64 = 10_000_000;

/// What the user wants.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only heaps of about so many objects (may be given several times).
    #[arg(long)]
    objects: Vec<u64>,
    /// Only tools with this in their name (may be given several times).
    #[arg(long)]
    tool: Vec<String>,
    /// Only fresh heaps in programs that sleep with one thread.
    #[arg(long)]
    plain: bool,
    /// Only aged heaps.
    #[arg(long, conflicts_with = "plain")]
    aged: bool,
    /// Small heaps only; the result is written under target/ and not into docs/.
    #[arg(long)]
    quick: bool,
    /// Keep what earlier runs measured and this one does not.
    #[arg(long)]
    keep: bool,
    /// Measure nothing: write table and plot anew from what was measured last.
    #[arg(long)]
    render: bool,
    /// On this interpreter (`3.11.7`).
    #[arg(long)]
    python: Option<String>,
}

/// Measures and writes table and plot.
pub(crate) fn run(options: &Options) -> Result<()> {
    let store = target_directory().join("bench/results.json");
    let mut results =
        if options.keep || options.render { Results::load(&store)? } else { Results::default() };
    if !options.render {
        fs::create_dir_all(target_directory().join("bench"))?;
        measure_all(options, &mut results, &store)?;
    }
    write(options, &results)
}

fn write(options: &Options, results: &Results) -> Result<()> {
    let folder = if options.quick { target_directory().join("bench/docs") } else { project().join("docs") };
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("benchmark.md"), page::page(results))?;
    plot::draw(results, &folder.join("benchmark.svg"))?;
    println!("wrote benchmark.md and benchmark.svg in {}", folder.display());
    if !options.quick {
        let readme = project().join("README.md");
        let text = page::with_summary(&fs::read_to_string(&readme)?, results)?;
        fs::write(readme, text)?;
    }
    Ok(())
}

fn measure_all(options: &Options, results: &mut Results, store: &Path) -> Result<()> {
    run_command(cargo().args(["build", "--release", "--quiet", "--bin", "heapattach"]))?;
    let heartbeat = compile_heartbeat()?;
    let interpreter = choose(options.python.as_deref())?;
    check_same_interpreter(results, &interpreter)?;
    let packages = packages::prepare(&interpreter)?;
    let scenes = scenes(options);
    results.conditions.extend(conditions(&interpreter)?);
    results.conditions.extend(packages.missing.iter().map(|missing| format!("not installed: {missing}")));
    for scene in scenes {
        measure_scene(options, scene, (&packages, &heartbeat), &mut |row| {
            println!("{}", page::progress(&row));
            results.put(row);
            results.save(store)
        })?;
    }
    results.conditions.push(format!("load average at the end: {}", load()?));
    let mut known = std::collections::BTreeSet::new();
    results.conditions.retain(|condition| known.insert(condition.clone()));
    results.save(store)
}

/// Each scene once, the smallest first.
fn scenes(options: &Options) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = SIZES.map(Scene::fresh).into();
    if !options.plain {
        scenes.extend(AGED_SIZES.map(|objects| Scene { aged: true, ..Scene::fresh(objects) }));
        for objects in PAUSE_SIZES {
            for threads in THREADS {
                for mutating in [false, true] {
                    scenes.push(Scene { objects, aged: false, mutating, threads });
                }
            }
        }
    }
    let wanted = |scene: &Scene| match options.objects.as_slice() {
        [] => !options.quick || scene.objects <= 1_000_000,
        sizes => sizes.contains(&scene.objects),
    };
    scenes.retain(wanted);
    scenes.retain(|scene| scene.aged || !options.aged);
    scenes.sort();
    scenes.dedup();
    scenes
}

fn measure_scene(
    options: &Options,
    scene: Scene,
    (packages, heartbeat): (&Packages, &Path),
    put: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let wanted = |tool: &&Tool| {
        let named =
            options.tool.is_empty() || options.tool.iter().any(|name| tool.name.contains(name.as_str()));
        named && tool.is_for(scene)
    };
    let (sparing, spoiling): (Vec<&Tool>, Vec<&Tool>) =
        TOOLS.iter().filter(wanted).partition(|tool| !tool.spoils());
    let start = || Subject::start(&packages.python, heartbeat, scene);
    if !sparing.is_empty() {
        let mut subject = start()?;
        put(Row { scene, tool: page::NOTHING.to_owned(), outcome: nothing(&subject)? })?;
        if let Some(floor) = floor::milliseconds_per_gib(subject.pid())? {
            put(floor_row(scene, floor))?;
        }
        for tool in sparing {
            let runs = if scene.objects <= REPEATED { 3 } else { 1 };
            put(row(tool, scene, &mut subject, packages, runs))?;
        }
    }
    for tool in spoiling {
        put(row(tool, scene, &mut start()?, packages, 1))?;
    }
    Ok(())
}

/// What the heartbeats see when there is no tool at all, in as long as a tool may take.
fn nothing(subject: &Subject) -> Result<Outcome> {
    subject.watch()?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let stillness = subject.stillness()?;
    let (native, python, stood) = (stillness.native_ms, stillness.python_ms, stillness.stood_ms);
    let figures = Figures {
        native_ms: Some(native),
        python_ms: Some(python),
        stood_ms: Some(stood),
        ..Figures::default()
    };
    Ok(Outcome::Measured(Box::new(figures)))
}

/// The floor is kept as the pause that a copy of one GiB would take.
fn floor_row(scene: Scene, milliseconds: f64) -> Row {
    let gib = f64::from(1 << 30);
    let figures = Figures { pause_ms: Some(milliseconds), copied: Some(gib), ..Figures::default() };
    Row { scene, tool: page::FLOOR.to_owned(), outcome: Outcome::Measured(Box::new(figures)) }
}

fn row(tool: &Tool, scene: Scene, subject: &mut Subject, packages: &Packages, runs: usize) -> Row {
    let measured: Result<Vec<Figures>> =
        (0..runs).map(|_| measuring::measure(tool, subject, packages)).collect();
    let outcome = match measured {
        Ok(runs) => Outcome::Measured(Box::new(Figures::median(runs))),
        Err(error) => Outcome::LeftOut(reason(&format!("{error:#}"))),
    };
    Row { scene, tool: tool.name.to_owned(), outcome }
}

/// What a tool said last, in a line, without the folders of this machine.
fn reason(error: &str) -> String {
    let said = error.rsplit("failed: exit status: ").next().unwrap_or(error);
    let said = said.split_once(": ").filter(|_| said.len() < error.len()).map_or(said, |(_, said)| said);
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or(error);
    let words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    words.collect::<Vec<_>>().join(" ").chars().take(160).collect()
}

fn compile_heartbeat() -> Result<PathBuf> {
    let library = target_directory().join("heartbeat.so");
    let source = project().join("testdata/programs/heartbeat.c");
    run_command(
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(source),
    )?;
    Ok(library)
}

/// The one that was named; otherwise one of the usual series, and the first that is supported if there is none.
pub(crate) fn choose(name: Option<&str>) -> Result<Interpreter> {
    let mut found = interpreters::find();
    found.retain(|interpreter| interpreter.is_supported() && !interpreter.free_threaded);
    let is_usual = |interpreter: &Interpreter| {
        (interpreter.version.0, interpreter.version.1) == USUAL && !interpreter.name.ends_with("-system")
    };
    let position = match name {
        Some(name) => found.iter().position(|interpreter| interpreter.name == name),
        None => found.iter().position(is_usual).or(Some(0)),
    };
    let position = position.filter(|&position| position < found.len());
    Ok(found.swap_remove(position.context("there is no such interpreter that heapattach reads")?))
}

/// Figures of two interpreters are not put into one table.
fn check_same_interpreter(results: &Results, interpreter: &Interpreter) -> Result<()> {
    let ending = format!(", CPython {}", interpreter.name);
    let other =
        results.conditions.iter().find(|line| line.contains(", CPython ") && !line.ends_with(&ending));
    match other {
        Some(other) => {
            anyhow::bail!("what was kept is of another interpreter than {}: {other}", interpreter.name)
        }
        None => Ok(()),
    }
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// Where and of what this is a measurement.
pub(crate) fn conditions(interpreter: &Interpreter) -> Result<Vec<String>> {
    let first = |path: &str, key: &str| -> Result<String> {
        let text = fs::read_to_string(path)?;
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        let value = line.split_once(':').map_or("", |(_, value)| value);
        Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let cores = std::thread::available_parallelism()?;
    let commit = output(Command::new("git").current_dir(project()).args(["rev-parse", "--short", "HEAD"]))?;
    Ok(vec![
        format!("heapattach at commit {}, CPython {}", commit.trim(), interpreter.name),
        format!(
            "{cores} cores ({}), {} of memory, Linux {}",
            first("/proc/cpuinfo", "model name")?,
            first("/proc/meminfo", "MemTotal")?,
            fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
        ),
        format!("load average at the beginning: {}", load()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_comes_once_and_quick_is_small() {
        let all = scenes(&Options::default());
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(all.len() > 15 && all.iter().any(|scene| scene.objects == 50_000_000));
        let quick = scenes(&Options { quick: true, ..Options::default() });
        assert!(!quick.is_empty() && quick.iter().all(|scene| scene.objects <= 1_000_000));
        let one = scenes(&Options { objects: vec![100_000], plain: true, ..Options::default() });
        assert_eq!(one, [Scene::fresh(100_000)]);
    }

    #[test]
    fn figures_of_two_interpreters_are_not_mixed() {
        let conditions = vec!["heapattach at commit abc, CPython 3.11.7".to_owned(), "2 cores".to_owned()];
        let results = Results { conditions, rows: Vec::new() };
        let interpreter = |name: &str| Interpreter {
            name: name.to_owned(),
            version: (3, 11, 7),
            free_threaded: false,
            path: PathBuf::new(),
        };
        assert!(check_same_interpreter(&results, &interpreter("3.11.7")).is_ok());
        assert!(check_same_interpreter(&results, &interpreter("3.11.7-system")).is_err());
    }

    #[test]
    fn a_reason_is_one_short_line_without_folders() {
        let error = "/a/xtask measure x failed: exit status: 1: first\nerror: /b/gcore failed: exit status: 2: no such process";
        assert_eq!(reason(error), "no such process");
        assert_eq!(reason("one\ncannot open /a/b/c\n"), "cannot open c");
    }
}
