//! What is mapped: ELF files, their symbols and their debug information.
//!
//! Files are read through handles that the caller opened (a target in another mount namespace has
//! other files behind the same names), piece by piece, and no size in them is trusted.

pub mod debug_file;
pub mod dwarf;
pub mod elf_file;
pub mod interpreter_image;
pub mod machine_code;
pub mod module;
pub mod symbols;

mod dwarf_members;
mod dynamic;

use std::io;
use std::path::PathBuf;
use thiserror::Error;

pub use elf_file::ElfFile;
pub use interpreter_image::InterpreterImage;
pub use module::Module;
pub use module::Modules;

/// Why a binary could not be read.
#[derive(Debug, Error)]
pub enum BinaryError {
    /// The file could not be opened or read.
    #[error("cannot read {what}")]
    Io {
        /// What was read.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// It is no ELF file, or none that runs here.
    #[error("not a 64-bit little-endian ELF file")]
    NotElf,
    /// It is a 32-bit program.
    #[error("a 32-bit ELF file")]
    Not64Bit,
    /// Something in it points outside of it.
    #[error("damaged ELF file: {0}")]
    Damaged(&'static str),
    /// A section is compressed in a way that we cannot undo.
    #[error("section {0} is compressed in an unknown way")]
    Compression(String),
    /// The debug information cannot be read.
    #[error("damaged debug information: {0}")]
    Dwarf(#[from] gimli::Error),
    /// There is none.
    #[error("no debug information for {}", .0.display())]
    NoDebugInformation(PathBuf),
}
