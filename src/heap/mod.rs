//! Python objects: which there are, what they are, how large, and what they refer to.
//!
//! Nothing here compares versions, reads a process or prints: it reads an image by layout and turns
//! damage into anomalies.

pub mod anomaly;
pub mod attribution;
pub mod dict_table;
pub mod extras;
mod fetch;
mod finish;
pub mod header;
pub mod hidden;
pub mod kind;
pub mod labels;
mod library_size;
mod long_lists;
mod loose;
pub mod model;
pub mod number;
pub mod objects;
pub mod occupancy;
pub mod own_bytes;
mod owners;
mod pass;
pub mod plan;
pub mod plans;
pub mod recent;
pub mod references;
pub mod roots;
pub mod seen;
pub mod shape;
pub mod size;
pub mod size_in_block;
pub mod space;
pub mod sweep;
pub mod sweep_tagged;
pub mod text;
pub mod thread_counts;
pub mod types;
pub mod walk;
pub mod work;
