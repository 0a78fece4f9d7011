//! Where types of libraries keep memory outside their objects: data, read from small files.
//!
//! A type says `tp_basicsize`, but not what its fields mean. For the types of the standard library and of
//! numpy, pandas and pyarrow the files in `shipped/` say it; users add their own with `--describe`.
//!
#![doc = include_str!("FORMAT.md")]

mod collection;
mod evaluate;
mod model;
mod parse;
mod path;
mod raw;
#[cfg(test)]
mod tests;

pub use collection::Bound;
pub use collection::Descriptions;
pub use collection::Found;
pub use collection::Refusal;
pub use collection::Structure;
pub use evaluate::Claim;
pub use evaluate::Described;
pub use evaluate::Hold;
pub(crate) use evaluate::Reference;
pub use evaluate::Trouble;
pub use model::Entry;
pub use parse::DescriptionError;
