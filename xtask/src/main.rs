//! The project's own commands: `cargo xtask <task>`.
#![expect(clippy::print_stdout, reason = "tasks talk to the person who runs them")]

mod bench;
mod bench_core;
mod callgrind;
mod check;
mod damage;
mod debian;
mod demo;
mod environments;
mod grid;
mod interpreters;
mod layouts;
mod measure;
mod places;
mod process;
mod test;
mod tidy;

use anyhow::Result;
use clap::Parser;
use clap::Subcommand;
use heapattach::target::huge_pages::HugePages;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Memory as the program has it, so that `bench` measures how fast it could be filled at all.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build, start a sample service that leaks, attach to it and print the report.
    Demo,
    /// Prepare an environment for every interpreter found and run all tests.
    Test {
        /// Handed to the tests: names to run, `--nocapture`, ...
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Hold every interpreter in every place against the oracle and print the grid.
    Grid {
        /// Put it into README.md as well.
        #[arg(long)]
        write: bool,
    },
    /// Measure heapattach beside other tools and write the table and the plot in docs/.
    Bench {
        #[command(flatten)]
        options: bench::Options,
    },
    /// Measure how fast a core file is saved and reported, and what memory that needs.
    BenchCore {
        /// Number of objects.
        #[arg(default_value_t = 20_000_000)]
        objects: u64,
        /// About how large the core is, in GiB.
        #[arg(long, default_value_t = 4.0)]
        gib: f64,
        /// Only on this interpreter (`3.11.7`).
        #[arg(long)]
        python: Option<String>,
        /// Where the core is put.
        #[arg(long, default_value = "/tmp")]
        folder: PathBuf,
    },
    /// Damage small cores by the hundred thousand and count what becomes of them.
    Damage {
        #[command(flatten)]
        options: damage::Options,
    },
    /// Count the instructions of the analysis on a fixed heap and compare them with the committed figures.
    Callgrind {
        /// Write the figures down instead of comparing.
        #[arg(long)]
        accept: bool,
    },
    /// Formatting, lints, documentation, the project's own rules, and `callgrind`.
    Check,
    /// The project's own rules about layers and files.
    Tidy,
    /// Make the tables of offsets say what the debug information of interpreters says.
    Layouts {
        /// Interpreters with debug information.
        #[arg(required = true)]
        pythons: Vec<PathBuf>,
        /// Folders with separate debug files, like /usr/lib/debug.
        #[arg(long)]
        debug_dir: Vec<PathBuf>,
        /// Only compare.
        #[arg(long, conflicts_with = "drift")]
        check: bool,
        /// Print what moved from one interpreter to the next.
        #[arg(long)]
        drift: bool,
    },
    /// What continuous integration runs: `check`, `demo`, `test`.
    Ci,
    /// Run a command and print what it used as JSON (for `bench`).
    #[command(hide = true)]
    Measure {
        /// Where the command's standard output goes.
        output: std::path::PathBuf,
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not the error's debug form: that one may come with a backtrace, which tells a reader nothing here.
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Demo => demo::run(),
        Task::Test { arguments } => test::run(&arguments),
        Task::Grid { write } => grid::run(write),
        Task::Bench { options } => bench::run(&options),
        Task::Damage { options } => damage::run(&options),
        Task::Callgrind { accept } => callgrind::run(accept),
        Task::BenchCore { objects, gib, python, folder } => {
            bench_core::run(objects, gib, python.as_deref(), &folder)
        }
        Task::Check => check::run(),
        Task::Tidy => tidy::run(),
        Task::Ci => {
            check::run()?;
            demo::run()?;
            test::run(&[])
        }
        Task::Layouts { pythons, debug_dir, check, drift } => {
            let action = match (check, drift) {
                (true, _) => layouts::Action::Check,
                (_, true) => layouts::Action::Drift,
                _ => layouts::Action::Write,
            };
            layouts::run(&pythons, &debug_dir, action)
        }
        Task::Measure { output, command } => measure::run(&output, &command),
    }
}
