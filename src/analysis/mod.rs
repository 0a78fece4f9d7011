//! Pure functions of a graph: no Python, no strings, no input or output.

pub mod partition;
pub mod referrers;
pub mod unreachable;
