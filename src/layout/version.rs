//! Which CPython it is.

use std::fmt;

/// How finished a release is. CPython: `Include/patchlevel.h`, `PY_RELEASE_LEVEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `a1`
    Alpha,
    /// `b1`
    Beta,
    /// `rc1`
    Candidate,
    /// The release.
    Final,
}

/// A CPython version, ordered as releases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3
    pub major: u8,
    /// 11
    pub minor: u8,
    /// 7
    pub micro: u8,
    /// How finished.
    pub level: Level,
    /// The 1 of `rc1`; 0 for a release.
    pub serial: u8,
}

impl Version {
    /// A final release.
    pub const fn release(major: u8, minor: u8, micro: u8) -> Self {
        Self { major, minor, micro, level: Level::Final, serial: 0 }
    }

    /// Reads `sys.hexversion` (`PY_VERSION_HEX`, `Include/patchlevel.h`); `None` if it is none.
    pub fn from_hex(value: u64) -> Option<Self> {
        let [serial, micro, minor, major, 0, 0, 0, 0] = value.to_le_bytes() else { return None };
        let level = match serial >> 4 {
            0xa => Level::Alpha,
            0xb => Level::Beta,
            0xc => Level::Candidate,
            0xf => Level::Final,
            _ => return None,
        };
        Some(Self { major, minor, micro, level, serial: serial & 15 })
    }

    /// Whether there is a `_PyRuntime`, in Python/pylifecycle.c since 3.7.
    pub fn has_runtime(self) -> bool {
        (self.major, self.minor) >= (3, 7)
    }

    /// `sys.hexversion`.
    pub fn hex(self) -> u64 {
        let level = match self.level {
            Level::Alpha => 0xa0,
            Level::Beta => 0xb0,
            Level::Candidate => 0xc0,
            Level::Final => 0xf0,
        };
        u64::from(u32::from_be_bytes([self.major, self.minor, self.micro, level | (self.serial & 15)]))
    }

    /// Reads `3.11.7`, `3.15.0rc1`, also `3.14.0rc2+` as a checkout says.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_end_matches('+').splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let rest = parts.next()?;
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let (micro, suffix) = rest.split_at(digits);
        let (level, serial) = if let Some(serial) = suffix.strip_prefix("rc") {
            (Level::Candidate, serial)
        } else if let Some(serial) = suffix.strip_prefix('b') {
            (Level::Beta, serial)
        } else if let Some(serial) = suffix.strip_prefix('a') {
            (Level::Alpha, serial)
        } else if suffix.is_empty() {
            (Level::Final, "0")
        } else {
            return None;
        };
        Some(Self { major, minor, micro: micro.parse().ok()?, level, serial: serial.parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.micro)?;
        match self.level {
            Level::Alpha => write!(formatter, "a{}", self.serial),
            Level::Beta => write!(formatter, "b{}", self.serial),
            Level::Candidate => write!(formatter, "rc{}", self.serial),
            Level::Final => Ok(()),
        }
    }
}

/// How it was configured, as far as that changes layouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Build {
    /// `--with-pydebug`.
    pub debug: bool,
    /// `--disable-gil`.
    pub free_threaded: bool,
    /// `--with-trace-refs`.
    pub trace_refs: bool,
}

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match (self.free_threaded, self.debug) {
            (true, true) => "free-threaded debug",
            (true, false) => "free-threaded",
            (false, true) => "debug",
            (false, false) => "release",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexversions_are_read_and_written() {
        for (hex, text) in [(0x030b_07f0, "3.11.7"), (0x030f_00c1, "3.15.0rc1"), (0x030d_00a6, "3.13.0a6")] {
            let version = Version::from_hex(hex).unwrap();
            assert_eq!(version.to_string(), text);
            assert_eq!(version.hex(), hex);
            assert_eq!(Version::parse(text), Some(version));
        }
        assert_eq!(Version::from_hex(0x1_030b_07f0), None);
        assert_eq!(Version::from_hex(0x030b_0700), None);
        assert_eq!(Version::parse("3.14.0rc2+").unwrap().serial, 2);
        assert_eq!(Version::parse("3.x.1"), None);
    }

    #[test]
    fn a_candidate_is_before_the_release() {
        assert!(Version::parse("3.15.0rc1") < Version::parse("3.15.0"));
        assert!(Version::parse("3.15.0rc1") > Version::parse("3.15.0b4"));
    }
}
