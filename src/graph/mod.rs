//! Objects and references as plain data: ids, columns and compressed rows. Knows no Python.

pub mod adjacency;
pub mod id;
pub mod marks;
pub mod object_index;
pub mod reach;
