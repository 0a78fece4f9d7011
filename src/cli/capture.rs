//! Options about the pause: how the process is stopped, for how long, and with how much memory.

use crate::target::CaptureOptions;
use crate::target::Choice;
use clap::Arg;
use clap::ArgAction;
use clap::ArgMatches;
use clap::builder::PossibleValuesParser;
use std::time::Duration;

/// What the user wants of the stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureWishes {
    /// Which strategy.
    pub choice: Choice,
    /// Whether system calls may be executed in the process.
    pub may_inject: bool,
    /// The longest pause.
    pub longest_pause: Option<Duration>,
    /// The most memory for the copy, in bytes.
    pub memory_limit: Option<u64>,
    /// Whether large buffers are copied, too.
    pub with_buffers: bool,
}

impl CaptureWishes {
    /// The same for the layer that does it.
    pub fn options(&self) -> CaptureOptions<'static> {
        CaptureOptions {
            choice: self.choice,
            may_inject: self.may_inject,
            longest_pause: self.longest_pause,
            memory_limit: self.memory_limit,
            with_buffers: self.with_buffers,
            ..CaptureOptions::default()
        }
    }
}

/// Their definition.
pub(super) fn capture_arguments() -> [Arg; 4] {
    [
        Arg::new("capture")
            .long("capture")
            .value_name("HOW")
            .value_parser(PossibleValuesParser::new(Choice::ALL.map(Choice::name)))
            .default_value(Choice::Auto.name())
            .hide_possible_values(true)
            .help("auto, copy, fork, precopy, in-place")
            .long_help(
                "How the memory is taken:\n  \
                 copy      stop the process, copy, let it go (the default)\n  \
                 fork      have it duplicate itself and copy the duplicate: a shorter pause\n  \
                 precopy   copy while it runs, then stop it for what it wrote meanwhile: the shortest\n  \
                 in-place  stop it for as long as the analysis takes: when the copy does not fit\n  \
                 auto      copy; with --allow-inject, what stops it least\n\
                 fork and precopy execute a few system calls in the process. Where precopy cannot\n\
                 (Linux before 6.7, a seccomp filter), it clears the soft-dirty bits of its pages.",
            ),
        Arg::new("allow-inject")
            .long("allow-inject")
            .action(ArgAction::SetTrue)
            .hide_short_help(true)
            .help("Let auto run system calls in it, for a shorter pause"),
        Arg::new("max-pause")
            .long("max-pause")
            .value_name("MS")
            .value_parser(milliseconds)
            .help("Fail rather than stop it for longer"),
        Arg::new("memory-limit")
            .long("memory-limit")
            .value_name("SIZE")
            .hide_short_help(true)
            .value_parser(size)
            .help("Fail rather than make a larger copy (500M, 8G)"),
    ]
    .map(|argument| argument.global(true).help_heading("Pause"))
}

/// Reads them.
pub(super) fn capture_wishes(matches: &ArgMatches, with_buffers: bool) -> CaptureWishes {
    let word = matches.get_one::<String>("capture").map_or("", String::as_str);
    CaptureWishes {
        choice: Choice::ALL.into_iter().find(|choice| choice.name() == word).unwrap_or_default(),
        may_inject: matches.get_flag("allow-inject"),
        longest_pause: matches.get_one::<Duration>("max-pause").copied(),
        memory_limit: matches.get_one::<u64>("memory-limit").copied(),
        with_buffers,
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of milliseconds is wanted".to_owned())?;
    match Duration::try_from_secs_f64(number / 1000.0) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a number of milliseconds above 0 is wanted".to_owned()),
    }
}

/// `500M`, `8GiB`, `1073741824`: powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let wanted = || "a size such as 500M or 8G is wanted".to_owned();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wanted()),
    };
    let number: u64 = number.parse().map_err(|_| wanted())?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(size(text).ok(), expected, "{text}");
        check("1", Some(1));
        check("500M", Some(500 << 20));
        check("8g", Some(8 << 30));
        check("2 GiB", Some(2 << 30));
        check("3kb", Some(3 << 10));
        for text in ["", "0", "M", "-1", "1.5G", "1X", "99999999999999999999", "99999999T"] {
            check(text, None);
        }
    }

    #[test]
    fn pauses_are_positive() {
        assert_eq!(milliseconds("2.5"), Ok(Duration::from_micros(2500)));
        for text in ["", "0", "-1", "x", "inf", "nan"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
