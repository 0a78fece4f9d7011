//! The interpreter as a whole: where it keeps its lists, threads, frames and small blocks.
//!
//! Nothing here knows what a particular Python object looks like beyond its header.

pub mod arenas;
pub mod collector;
pub mod gil;
pub mod glibc;
pub mod interpreters;
pub mod mimalloc;
pub mod ownership;
pub mod pymalloc;
