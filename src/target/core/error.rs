//! Why a core file cannot be used at all; what is merely damaged is described, not refused.

use crate::target::TargetError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A failure to open a core file. The text is one line; [`CoreError::hint`] is what to do about it.
#[derive(Debug, Error)]
pub enum CoreError {
    /// The file could not be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is empty.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// It is something else.
    #[error("{} is not a core file: it is {what}", .path.display())]
    NotCore {
        /// The file.
        path: PathBuf,
        /// What it is, as far as its first bytes say.
        what: &'static str,
    },
    /// It is a core of a program that is not for this kind of processor.
    #[error("{} is a core of a program for {machine}: only x86-64 is supported", .path.display())]
    OtherMachine {
        /// The file.
        path: PathBuf,
        /// The processor's name, or its number in ELF.
        machine: String,
    },
    /// Its first bytes are there and what they describe is not.
    #[error("{} is too short for a core file: {what}", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// Not even the first bytes could be decompressed.
    #[error("cannot decompress {} ({format})", .path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// `zstd`, `lz4`, `xz` or `gzip`.
        format: &'static str,
        /// What the decompressor said.
        source: io::Error,
    },
    /// The temporary file could not be made or filled.
    #[error("cannot write the decompressed core to {}", .directory.display())]
    Temporary {
        /// Where it was to be.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder that was given by name could not be opened.
    #[error("cannot use {}", .path.display())]
    Executable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A signal, or another failure of this layer.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl CoreError {
    /// The one thing to do about it, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "cores are written for their owner only: run it as the owner, or as root".to_owned()
            }
            Self::Temporary { .. } => "set TMPDIR to a directory with more room".to_owned(),
            Self::Empty(_) | Self::TooShort { .. } => {
                "was there room for it? look at the limit (ulimit -c) and at the disk".to_owned()
            }
            Self::Target(error) => return error.hint(),
            Self::Open { .. }
            | Self::NotCore { .. }
            | Self::OtherMachine { .. }
            | Self::Compressed { .. }
            | Self::Executable { .. } => return None,
        })
    }

    /// The exit status of the command, as [`TargetError::exit_status`] gives it.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Open { source, .. } | Self::Executable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => 4,
                io::ErrorKind::NotFound => 5,
                _ => 1,
            },
            Self::NotCore { .. } | Self::OtherMachine { .. } => 3,
            Self::Empty(_) | Self::TooShort { .. } | Self::Compressed { .. } | Self::Temporary { .. } => 1,
            Self::Target(error) => error.exit_status(),
        }
    }
}
