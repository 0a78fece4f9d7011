//! A description file as it is written.

use crate::descriptions::path::WrittenPath;
use crate::descriptions::path::WrittenValue;
use serde::Deserialize;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    /// The version of the format.
    pub(super) format: u32,
    /// Types of Python.
    #[serde(default, rename = "type")]
    pub(super) types: Vec<RawType>,
    /// Structures that are no objects.
    #[serde(default, rename = "structure")]
    pub(super) structures: Vec<RawStructure>,
}

impl RawFile {
    /// The parts of all types and structures.
    pub(super) fn parts(&self) -> impl Iterator<Item = &RawPart> {
        let of_structures = self.structures.iter().flat_map(|structure| &structure.parts);
        self.types.iter().flat_map(|kind| &kind.parts).chain(of_structures)
    }
}

/// `[[type]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawType {
    pub(super) name: toml::Spanned<String>,
    /// Where it is written down, for people.
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default)]
    pub(super) basic_size: Vec<u64>,
    #[serde(default)]
    pub(super) when: Vec<RawTest>,
    #[serde(default)]
    pub(super) buffers: Vec<RawBuffer>,
    #[serde(default)]
    pub(super) parts: Vec<RawPart>,
    pub(super) references: Option<Vec<WrittenPath>>,
    #[serde(default)]
    pub(super) scanned: Vec<WrittenPath>,
    pub(super) sizeof: Option<Vec<RawTerm>>,
}

/// `[[structure]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStructure {
    pub(super) name: toml::Spanned<String>,
    /// Where it is written down, for people.
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default)]
    pub(super) buffers: Vec<RawBuffer>,
    #[serde(default)]
    pub(super) parts: Vec<RawPart>,
}

/// `count` times `each` bytes that `__sizeof__` counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTerm {
    pub(super) count: WrittenValue,
    pub(super) each: WrittenValue,
}

/// A number or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(i64),
    More(Vec<i64>),
}

/// A condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTest {
    pub(super) value: Option<WrittenPath>,
    pub(super) basic_size_of: Option<WrittenPath>,
    pub(super) type_of: Option<WrittenPath>,
    pub(super) equals: Option<OneOrMore>,
    pub(super) differs: Option<OneOrMore>,
    pub(super) any_bit: Option<i64>,
    pub(super) no_bit: Option<i64>,
    pub(super) at_least: Option<i64>,
    pub(super) is: Option<String>,
}

/// Numbers whose product is a length.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShape {
    pub(super) dimensions: WrittenValue,
    pub(super) sizes: WrittenPath,
}

/// Memory outside of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBuffer {
    pub(super) what: Option<String>,
    pub(super) address: toml::Spanned<WrittenPath>,
    pub(super) bytes: Option<WrittenValue>,
    pub(super) bits: Option<WrittenValue>,
    pub(super) end: Option<WrittenPath>,
    pub(super) length: Option<WrittenValue>,
    pub(super) shape: Option<RawShape>,
    pub(super) item_size: Option<WrittenValue>,
    pub(super) owner: Option<WrittenPath>,
    pub(super) owns: Option<RawTest>,
    #[serde(default)]
    pub(super) view: bool,
    #[serde(default)]
    pub(super) shared: bool,
    #[serde(default)]
    pub(super) counted: bool,
    #[serde(default)]
    pub(super) when: Vec<RawTest>,
    #[serde(default)]
    pub(super) objects_when: Vec<RawTest>,
}

/// Elements of an array or `std::vector`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEach {
    pub(super) begin: WrittenPath,
    pub(super) end: WrittenPath,
    pub(super) step: u64,
}

/// Another structure that belongs to the object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPart {
    pub(super) each: Option<RawEach>,
    pub(super) follow: WrittenPath,
    pub(super) is: toml::Spanned<String>,
}
