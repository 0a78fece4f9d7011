//! Why a process cannot be inspected.

use crate::layout::LayoutError;
use crate::runtime::interpreters::RuntimeError;
use crate::target::core::CoreError;
use crate::target::error::TargetError;
use std::path::PathBuf;
use thiserror::Error;

/// Any reason from the process to the layout.
#[derive(Debug, Error)]
pub enum InspectionError {
    /// It cannot be stopped or read.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It is a core file that cannot be used.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// No mapped image is CPython.
    #[error("no CPython interpreter is mapped in this process")]
    NotPython,
    /// It is CPython, but of an unknown version.
    #[error("the version of {image} cannot be told")]
    UnknownVersion {
        /// The image that holds the interpreter.
        image: String,
    },
    /// There is no layout for it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It is a core file that ends too soon, and what is needed is not in what there is.
    #[error("{} is truncated: it has {length} of {expected} bytes, which are not enough", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length, decompressed. Unit: bytes.
        length: u64,
        /// How long its headers say that it is. Unit: bytes.
        expected: u64,
        /// What could not be found in it.
        source: Box<InspectionError>,
    },
    /// Its runtime state is not ready, or makes no sense.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
