//! Why the program ends, as its user and the shell see it.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

/// The documented exit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done,
    /// The analysis, or writing its result, failed.
    AnalysisFailed,
    /// The command line makes no sense.
    Usage,
    /// Not CPython, or a version that is not supported.
    NotPython,
    /// The kernel does not let us.
    Permission,
    /// No such process or file.
    NotFound,
    /// Done, but something could not be read.
    Incomplete,
    /// Ended by this signal.
    Interrupted(u8),
}

impl ExitStatus {
    /// The number given to the shell.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::AnalysisFailed => 1,
            Self::Usage => 2,
            Self::NotPython => 3,
            Self::Permission => 4,
            Self::NotFound => 5,
            Self::Incomplete => 6,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// An error as it is shown: one line, what caused it, at most one hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed and on what: lower case, one line, no full stop.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The one thing to do about it.
    pub hint: Option<String>,
    /// How the program ends.
    pub exit: ExitStatus,
}

impl Failure {
    /// A failure without causes and hint.
    pub fn new(exit: ExitStatus, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, exit }
    }

    /// An error with the chain of its sources.
    pub fn from_error(exit: ExitStatus, error: &dyn Error) -> Self {
        Self::new(exit, error.to_string()).because_of(error.source())
    }

    /// Adds an error and the chain of its sources to the causes, without those that the line before ends with.
    #[must_use]
    pub fn because_of(mut self, error: Option<&dyn Error>) -> Self {
        for error in std::iter::successors(error, |&error| error.source()) {
            let cause = error.to_string();
            if !self.causes.last().unwrap_or(&self.message).ends_with(&cause) {
                self.causes.push(cause);
            }
        }
        self
    }

    /// Adds the hint.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The lines for standard error.
    pub fn text(&self) -> String {
        let mut text = format!("heapattach: {}\n", one_line(&self.message));
        for cause in &self.causes {
            let _ = writeln!(text, "caused by: {}", one_line(cause));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {}", one_line(hint));
        }
        text
    }
}

/// The text without line breaks and other control characters.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The present command again under `sudo`, with the full path of the program, since `sudo` looks
/// for it in a path of its own.
pub fn sudo_command() -> String {
    let program = std::env::current_exe()
        .map_or_else(|_| "heapattach".into(), |path| path.to_string_lossy().into_owned());
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<_> = std::iter::once(program).chain(arguments).map(|word| quoted(&word)).collect();
    format!("sudo {}", words.join(" "))
}

/// The word as a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_its_causes_and_a_hint() {
        let cause = std::io::Error::other("operation not\npermitted");
        let failure = Failure::new(ExitStatus::Permission, "cannot stop process 4242")
            .because_of(Some(&cause))
            .hint(Some("sudo /usr/bin/heapattach -p 4242".to_owned()));
        assert_eq!(
            failure.text(),
            "heapattach: cannot stop process 4242\ncaused by: operation not permitted\n\
             hint: sudo /usr/bin/heapattach -p 4242\n"
        );
    }

    #[test]
    fn a_cause_is_said_once() {
        let cause = std::io::Error::other("no space left");
        let failure = Failure::new(ExitStatus::AnalysisFailed, "cannot write a.core: no space left");
        let failure = failure.because_of(Some(&cause));
        assert_eq!(failure.text(), "heapattach: cannot write a.core: no space left\n");
    }

    #[test]
    fn statuses_are_those_of_the_manual() {
        assert_eq!(ExitStatus::Interrupted(2).code(), 130);
        assert_eq!(ExitStatus::Interrupted(15).code(), 143);
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!([quoted("-p"), quoted("it's"), quoted("")], ["-p", "'it'\\''s'", "''"]);
    }
}
