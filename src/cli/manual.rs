//! Longer texts of the help, completions and the manual page: all from the one definition.

use crate::cli::args::command;
use crate::cli::failure::ExitStatus;
use crate::cli::failure::Failure;
use clap::builder::Resettable;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::io::Write;

/// What the program is.
pub(super) const DESCRIPTION: &str = "\
Says what fills the heap of a running CPython process.

The process is stopped for as long as it takes to copy its memory, and everything is found out from the copy. \
Nothing is executed in it, and it needs no preparation.";

/// First thing in the long help.
pub(super) const EXAMPLES: &str = "\
EXAMPLES
  sudo heapattach -p 4242                         what fills the heap, on one screen
  sudo heapattach -p 4242 -n 50                   more rows
  sudo heapattach -p 4242 --view heapy            the numbers that heapy would give
  sudo heapattach -p 4242 -o before.json          everything, for a program
  sudo heapattach referrers -p 4242 --only str    what strings are referred to by
  sudo heapattach stats -p 4242 -o stats.pickle   the dict of heapStats()
  sudo heapattach objects -p 4242 -o objects.csv  every object
  sudo heapattach map -p 4242 -o map.svg          where the heap is, as a picture
  heapattach --core core.4242                     the same of a core file
  sudo heapattach -p 4242 --save today.core.zst   and keep a core to ask again
  heapattach doctor -p 4242                       why it does not work
";

/// Last thing in the long help.
pub(super) const EXIT_STATUSES: &str = "\
EXIT STATUS
  0  done
  1  the analysis failed, or its result could not be written
  2  the command line makes no sense
  3  not CPython, or a version that is not supported
  4  no permission
  5  no such process or file
  6  done, but something could not be read: the result is incomplete
  130, 143  interrupted (SIGINT, SIGTERM)
";

/// Writes the completions for a shell.
pub(super) fn write_completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "heapattach", &mut script);
    out.write_all(&script)
}

/// Makes the manual page of the program, or of one verb.
pub(super) fn manual_page(verb: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut definition = command();
    definition.build();
    if let Some(name) = verb {
        let found = definition.find_subcommand(name).filter(|found| !found.is_hide_set()).cloned();
        let none = || Failure::new(ExitStatus::Usage, format!("there is no verb '{name}'"));
        definition = found.ok_or_else(none)?;
    }
    // The two texts have sections of their own below.
    let page = Man::new(definition.after_long_help(Resettable::Reset).after_help(Resettable::Reset));
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| Failure::from_error(ExitStatus::AnalysisFailed, &error))?;
    for section in [EXIT_STATUSES, EXAMPLES] {
        push_section(&mut text, section);
    }
    Ok(text)
}

/// Adds a text whose first line is its title, its lines as they are.
fn push_section(page: &mut Vec<u8>, section: &str) {
    let (title, lines) = section.split_once('\n').unwrap_or((section, ""));
    page.extend_from_slice(format!(".SH \"{title}\"\n.nf\n").as_bytes());
    for line in lines.lines() {
        // A line that begins with a dot or an apostrophe would be a request to the formatter.
        page.extend_from_slice(format!("\\&{}\n", line.replace('-', "\\-")).as_bytes());
    }
    page.extend_from_slice(b".fi\n");
}
