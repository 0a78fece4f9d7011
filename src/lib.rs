//! heapattach: reads the heap of a CPython process from outside.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod address;
pub mod analysis;
pub mod binary;
pub mod buffers;
pub mod cli;
pub mod descriptions;
pub mod graph;
pub mod heap;
pub mod inspection;
pub mod layout;
pub mod memory_map;
pub mod render;
pub mod report;
pub mod runtime;
pub mod target;
