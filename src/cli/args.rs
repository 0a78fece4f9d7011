//! The command line: made from the lists of reports and formats, so that help, completions and the
//! manual page cannot disagree with them.

use crate::cli::capture::CaptureWishes;
use crate::cli::capture::capture_arguments;
use crate::cli::capture::capture_wishes;
use crate::cli::manual;
use crate::inspection::Purpose;
use crate::inspection::Relation;
use crate::inspection::View;
use crate::render::FORMATS;
use crate::render::Format;
use crate::render::find_format;
use crate::render::pickle::NEWEST;
use crate::report::BandsChoice;
use crate::report::Choice;
use crate::report::REPORTS;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::find_report;
use crate::report::subject::view_name;
use anstream::ColorChoice;
use clap::Arg;
use clap::ArgAction;
use clap::ArgMatches;
use clap::Command;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::value_parser;
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// What is to be done.
pub(super) enum Verb {
    /// Inspect a process and report.
    Report(&'static dyn Report),
    /// Say whether a process could be inspected.
    Doctor,
    /// Print a completion script.
    Completions(Shell),
    /// Print the manual page of the program, or of a verb.
    Manual(Option<String>),
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// A command line that makes sense.
pub(super) struct Arguments {
    pub(super) verb: Verb,
    /// The process; present for every verb that needs one.
    pub(super) pid: i32,
    pub(super) core: Option<PathBuf>,
    pub(super) executables: Vec<PathBuf>,
    pub(super) sysroot: Option<PathBuf>,
    pub(super) save: Option<PathBuf>,
    pub(super) redact: bool,
    /// Use the nearest table for an unknown release.
    pub(super) best_effort: bool,
    /// How the process is stopped and its memory taken.
    pub(super) capture: CaptureWishes,
    pub(super) format: &'static dyn Format,
    pub(super) output: Destination,
    /// What the report is to be like.
    pub(super) options: ReportOptions,
    pub(super) debug_dirs: Vec<PathBuf>,
    /// Files that describe types of libraries.
    pub(super) describe: Vec<PathBuf>,
    pub(super) color: ColorChoice,
    pub(super) progress: bool,
    pub(super) verbose: bool,
}

impl Arguments {
    /// What the process is inspected for.
    pub(super) fn purpose(&self) -> Purpose {
        let needs_references =
            matches!(&self.verb, Verb::Report(report) if report.needs_references(&self.options));
        Purpose { view: self.options.view, needs_references }
    }
}

/// The definition of the command line.
pub(super) fn command() -> Command {
    let command = Command::new("heapattach")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Says what fills the heap of a running CPython process")
        .long_about(manual::DESCRIPTION)
        .before_long_help(manual::EXAMPLES)
        .after_help("--help says more, with examples and exit statuses.")
        .after_long_help(manual::EXIT_STATUSES)
        .override_usage("heapattach [VERB] -p PID [OPTIONS]\n       heapattach [VERB] --core CORE [OPTIONS]\n       heapattach completions SHELL")
        .subcommand_value_name("VERB")
        .subcommand_help_heading("Verbs")
        .disable_help_subcommand(true)
        .max_term_width(100)
        .args(inspection_arguments())
        .args(core_arguments())
        .args(capture_arguments())
        .args(output_arguments());
    let reports = REPORTS.iter().map(|report| {
        let arguments = report.choices().iter().map(|&choice| choice_argument(choice));
        Command::new(report.name()).about(report.help()).hide(report.is_hidden()).args(arguments)
    });
    command
        .subcommands(reports)
        .subcommand(
            Command::new("doctor").about("Say whether the process could be inspected, and if not, why"),
        )
        .subcommand(
            Command::new("completions").about("Print completions for a shell").arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .required(true)
                    .value_parser(value_parser!(Shell))
                    .help("The shell"),
            ),
        )
        .subcommand(
            Command::new("man")
                .about("Print the manual page")
                .hide(true)
                .arg(Arg::new("verb").value_name("VERB").help("A verb that has a page of its own")),
        )
}

/// The option of a report's own.
fn choice_argument(choice: Choice) -> Arg {
    let relations = || PossibleValuesParser::new(Relation::ALL.map(Relation::name));
    let argument = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    match choice {
        Choice::By => argument("by", "RELATION")
            .value_parser(relations())
            .default_value(Relation::Clodo.name())
            .help("Put objects into rows by this (clodo: class or dict owner, rcs: classes of referrers)"),
        Choice::Then => argument("then", "RELATION")
            .value_parser(relations())
            .help("Put the objects of each row into rows again by this"),
        Choice::Only => argument("only", "LABEL").help("Only the row with this label"),
        Choice::Bands => argument("bands", "BANDS")
            .value_parser(PossibleValuesParser::new(["mapping", "recipe"]))
            .default_value("mapping")
            .help("A band for each region, or the recipe's (below 2 GiB, below 4 GiB, above)"),
        Choice::WithBuffers => Arg::new("with-buffers")
            .long("with-buffers")
            .action(ArgAction::SetTrue)
            .help("Add the memory of buffers that sys.getsizeof does not count"),
        Choice::Protocol => argument("protocol", "N")
            .value_parser(value_parser!(u8).range(0..=i64::from(NEWEST)))
            .default_value("2")
            .help("Protocol of the pickle; Python 2 reads 0 to 2"),
    }
}

/// What the user chose, in a command that may not have all of the choices.
fn report_options(matches: &ArgMatches, verb: &Verb) -> ReportOptions {
    let given = |name: &str| matches.try_get_one::<String>(name).ok().flatten().map(String::as_str);
    let view = if given("view") == Some(view_name(View::Heapy)) { View::Heapy } else { View::Complete };
    let needed = match verb {
        Verb::Report(report) => report.view(),
        _ => None,
    };
    let usual = ReportOptions::default();
    ReportOptions {
        view: needed.unwrap_or(view),
        limit: matches.get_one::<usize>("limit").copied(),
        by: given("by").and_then(Relation::find).unwrap_or(usual.by),
        then: given("then").and_then(Relation::find),
        // A word of the command line lives as long as the program.
        only: given("only").map(|label| &*label.to_owned().leak()),
        bands: if given("bands") == Some("recipe") { BandsChoice::Recipe } else { BandsChoice::Mapping },
        with_buffers: matches.try_get_one::<bool>("with-buffers").ok().flatten() == Some(&true),
        protocol: matches.try_get_one::<u8>("protocol").ok().flatten().copied().unwrap_or(usual.protocol),
    }
}

fn inspection_arguments() -> [Arg; 5] {
    [
        Arg::new("pid")
            .short('p')
            .long("pid")
            .value_name("PID")
            .value_parser(value_parser!(i32).range(1..))
            .help("The process to inspect"),
        Arg::new("view")
            .long("view")
            .value_name("VIEW")
            .value_parser(PossibleValuesParser::new([View::Complete, View::Heapy].map(view_name)))
            .default_value(view_name(View::Complete))
            .hide_possible_values(true)
            .help("complete or heapy (what heap() has)"),
        Arg::new("debug-dir")
            .long("debug-dir")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .action(ArgAction::Append)
            .help("Look here, too, for separate debug files (repeatable)"),
        Arg::new("describe")
            .long("describe")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .action(ArgAction::Append)
            .hide_short_help(true)
            .help("Where types of libraries keep their buffers (repeatable)"),
        Arg::new("best-effort")
            .long("best-effort")
            .action(ArgAction::SetTrue)
            .help("Use the nearest layout for an unknown release"),
    ]
    .map(|argument| argument.global(true).help_heading("What"))
}

fn core_arguments() -> [Arg; 5] {
    let file = |name: &'static str| Arg::new(name).long(name).value_parser(value_parser!(PathBuf));
    [
        file("core")
            .value_name("CORE")
            .conflicts_with("pid")
            .help("The core file to inspect instead of a process"),
        file("exe")
            .value_name("FILE")
            .requires("core")
            .action(ArgAction::Append)
            .help("The program (or a library) of the core (repeatable)"),
        file("sysroot")
            .value_name("DIR")
            .requires("core")
            .help("Look for the core's binaries below DIR first"),
        file("save")
            .value_name("FILE")
            .conflicts_with("core")
            .help("Write the copy as a core file, too (.zst: compressed)"),
        Arg::new("redact")
            .long("redact")
            .action(ArgAction::SetTrue)
            .requires("save")
            .help("Save without the contents of str, bytes and bytearray"),
    ]
    .map(|argument| argument.global(true).help_heading("Core files"))
}

fn output_arguments() -> [Arg; 6] {
    [
        Arg::new("format")
            .short('f')
            .long("format")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(FORMATS.map(Format::name)))
            .hide_possible_values(true)
            .help("text, json, csv, pickle, svg [default: as FILE's name]"),
        Arg::new("output")
            .short('o')
            .long("output")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Write here, wholly or not at all ('-': standard output)"),
        Arg::new("limit")
            .short('n')
            .long("limit")
            .value_name("N")
            .value_parser(value_parser!(usize))
            .help("At most so many rows [default: 10 on a page, else all]"),
        Arg::new("color")
            .long("color")
            .value_name("WHEN")
            .value_parser(PossibleValuesParser::new(["auto", "always", "never"]))
            .default_value("auto")
            .hide_possible_values(true)
            .help("auto (heeds NO_COLOR), always or never"),
        Arg::new("no-progress").long("no-progress").action(ArgAction::SetTrue).help("Draw no progress bar"),
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .action(ArgAction::SetTrue)
            .help("Say on standard error how the process was read"),
    ]
    .map(|argument| argument.global(true).help_heading("How"))
}

/// Reads the command line, the program's name first.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut definition = command();
    let matches = definition.try_get_matches_from_mut(words)?;
    let verb = verb_of(&matches);
    // Options are read where they were given: clap copies a global one to the verb only.
    let matches = matches.subcommand().map_or(&matches, |(_, inner)| inner);
    let pid = matches.get_one::<i32>("pid").copied();
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let paths = |name: &str| matches.get_many::<PathBuf>(name).into_iter().flatten().cloned().collect();
    if needs_process(&verb) && pid.is_none() && path("core").is_none() {
        let message = "which process? Its number is given with --pid PID, a core file with --core CORE";
        return Err(definition.error(ErrorKind::MissingRequiredArgument, message));
    }
    let word = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let output = match matches.get_one::<PathBuf>("output") {
        Some(path) if path.as_os_str() != "-" => Destination::File(path.clone()),
        _ => Destination::Stdout,
    };
    let options = report_options(matches, &verb);
    let format = format_of(&verb, word("format"), &output)
        .map_err(|message| definition.error(ErrorKind::InvalidValue, message))?;
    if let Verb::Report(report) = &verb {
        let has_view = matches.value_source("view") == Some(ValueSource::CommandLine);
        if let Some(view) = report.view().filter(|&view| has_view && word("view") != Some(view_name(view))) {
            let message = format!("{} has the view {} only", report.name(), view_name(view));
            return Err(definition.error(ErrorKind::ArgumentConflict, message));
        }
        if let Some(message) = report.misuse(&options, format.name()) {
            return Err(definition.error(ErrorKind::ArgumentConflict, message));
        }
    }
    let needs_buffers = matches!(&verb, Verb::Report(report) if report.needs_buffers(&options));
    let capture = capture_wishes(matches, needs_buffers);
    Ok(Arguments {
        verb,
        pid: pid.unwrap_or(0),
        core: path("core"),
        executables: paths("exe"),
        sysroot: path("sysroot"),
        save: path("save"),
        redact: matches.get_flag("redact"),
        options,
        format,
        output,
        best_effort: matches.get_flag("best-effort"),
        debug_dirs: paths("debug-dir"),
        capture,
        describe: paths("describe"),
        color: match word("color") {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        },
        progress: !matches.get_flag("no-progress"),
        verbose: matches.get_flag("verbose"),
    })
}

fn verb_of(matches: &ArgMatches) -> Verb {
    match matches.subcommand() {
        Some(("doctor", _)) => Verb::Doctor,
        Some(("man", inner)) => Verb::Manual(inner.get_one::<String>("verb").cloned()),
        Some(("completions", inner)) => {
            Verb::Completions(inner.get_one::<Shell>("shell").copied().unwrap_or(Shell::Bash))
        }
        Some((name, _)) => Verb::Report(find_report(name).unwrap_or(REPORTS[0])),
        None => Verb::Report(REPORTS[0]),
    }
}

/// The format that was asked for, else the one that the extension of the file names, else the usual one; the
/// error is what to say of one that there is not.
fn format_of(verb: &Verb, asked: Option<&str>, output: &Destination) -> Result<&'static dyn Format, String> {
    let formats = match verb {
        Verb::Report(report) => report.formats(),
        _ => REPORTS[0].formats(),
    };
    let extension = match output {
        Destination::File(path) => Path::new(path).extension().and_then(|extension| extension.to_str()),
        Destination::Stdout => None,
    };
    match asked.or(extension).and_then(find_format) {
        None => Ok(formats.first().and_then(|usual| find_format(usual)).unwrap_or(FORMATS[0])),
        Some(format) if formats.contains(&format.name()) => Ok(format),
        Some(format) if needs_process(verb) => {
            let hint =
                if asked.is_none() { "; --format says which, whatever the file is called" } else { "" };
            Err(format!("this is written as {}, not as {}{hint}", formats.join(" or "), format.name()))
        }
        Some(_) => Ok(FORMATS[0]),
    }
}

const fn needs_process(verb: &Verb) -> bool {
    matches!(verb, Verb::Report(_) | Verb::Doctor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, i32, &str)>) {
        let words = std::iter::once("heapattach").chain(line.split_whitespace()).map(OsString::from);
        let found = parse(words).ok().map(|arguments| {
            let verb = match arguments.verb {
                Verb::Report(report) => report.name(),
                Verb::Doctor => "doctor",
                Verb::Completions(_) => "completions",
                Verb::Manual(_) => "man",
            };
            (verb, arguments.pid, arguments.format.name())
        });
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_report_has_the_options_that_it_needs() {
        let parse = |line: &str| {
            let words = std::iter::once("heapattach").chain(line.split_whitespace()).map(OsString::from);
            parse(words).ok().unwrap().options
        };
        let options = parse("heap -p 42 --by rcs --then size --only str");
        assert_eq!(
            (options.by, options.then, options.only),
            (Relation::Referrers, Some(Relation::Size), Some("str"))
        );
        assert_eq!(parse("heap -p 42").by, Relation::Clodo);
        let options = parse("-p 42 stats --protocol 4");
        assert_eq!((options.protocol, options.view), (4, View::Heapy));
    }

    #[test]
    fn options_may_stand_before_and_after_the_verb() {
        check("-p 42", Some(("report", 42, "text")));
        check("-p 42 objects -f csv", Some(("objects", 42, "csv")));
        check("objects -p42 --format=json", Some(("objects", 42, "json")));
        check("--format json objects -p 42", Some(("objects", 42, "json")));
        check("doctor --pid 42", Some(("doctor", 42, "text")));
        check("completions zsh", Some(("completions", 0, "text")));
        check("man", Some(("man", 0, "text")));
    }

    #[test]
    fn the_extension_names_the_format() {
        check("-p 42 -o a.json", Some(("report", 42, "json")));
        check("-p 42 -o a.csv -f text", Some(("report", 42, "text")));
        check("-p 42 -o a.log", Some(("report", 42, "text")));
        check("-p 42 -o -", Some(("report", 42, "text")));
        check("stats -p 42", Some(("stats", 42, "pickle")));
        check("stats -p 42 -o a.json", Some(("stats", 42, "json")));
        check("stats -p 42 -o a.dat", Some(("stats", 42, "pickle")));
        check("-p 42 -o a.svg -f text", Some(("report", 42, "text")));
        check("completions zsh -o a.svg", Some(("completions", 0, "text")));
        check("map -p 42 -o a.svg", Some(("map", 42, "svg")));
        for line in ["-p 42 -o a.svg", "stats -p 42 -o a.csv", "doctor -p 42 -o a.pickle"] {
            check(line, None);
        }
    }

    #[test]
    fn a_view_that_a_report_does_not_have_is_refused() {
        check("stats -p 42 --view heapy", Some(("stats", 42, "pickle")));
        check("--view heapy stats -p 42", Some(("stats", 42, "pickle")));
        check("stats -p 42 --view complete", None);
        check("-p 42 --view complete stats", None);
    }

    #[test]
    fn large_buffers_are_copied_for_reports_that_look_at_them() {
        for (line, expected) in [
            ("map -p 42", true),
            ("map -p 42 --bands recipe", false),
            ("map -p 42 --bands recipe --with-buffers", true),
            ("buffers -p 42", true),
            ("stats -p 42", false),
            ("stats -p 42 --with-buffers", true),
            ("-p 42", false),
        ] {
            let words = std::iter::once("heapattach").chain(line.split_whitespace()).map(OsString::from);
            assert_eq!(parse(words).ok().unwrap().capture.with_buffers, expected, "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "objects",
            "-p 0",
            "-p x",
            "-p 42 dance",
            "-p 42 --view x",
            "completions",
            "-p 42 -n -1",
            "-p 42 -f pickle",
            "-p 42 stats -f csv",
            "-p 42 stats --protocol 6",
            "-p 42 heap --by colour",
            "-p 42 objects --by type",
            "-p 42 map --with-buffers",
            "-p 42 map --bands recipe -f svg",
        ] {
            check(line, None);
        }
    }
}
