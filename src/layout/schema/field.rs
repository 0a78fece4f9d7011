//! What a field or a structure of the schema can be, and how it is looked up in a table.

use crate::layout::table::Entry;
use crate::layout::table::Table;

/// A bit field: `width` bits, `shift` bits up in the little-endian unit at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Where the unit is. Unit: bytes.
    pub offset: u64,
    /// Its lowest bit in the unit.
    pub shift: u8,
    /// How many bits.
    pub width: u8,
}

impl Bits {
    /// The field's value in a unit read from `offset` (of as many bytes as the caller likes).
    #[inline]
    pub const fn of(self, unit: u64) -> u64 {
        let mask = if self.width >= 64 { u64::MAX } else { (1 << self.width) - 1 };
        if self.shift >= 64 { 0 } else { (unit >> self.shift) & mask }
    }
}

/// A member of a group of fields that are all treated alike (the roots of an interpreter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedOffset {
    /// CPython's name for it, for display.
    pub name: &'static str,
    /// Where it is. Unit: bytes.
    pub offset: u64,
}

/// A required field that no source had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingField(pub String);

/// One wanted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedField {
    /// Alternative places inside the structure, `|` between them; a group has `,` between its members.
    pub places: &'static str,
    /// Whether every version has it.
    pub required: bool,
}

/// One wanted structure.
#[derive(Clone, Copy, Debug)]
pub struct WantedStructure {
    /// Its names in C, `|` between them.
    pub spellings: &'static str,
    /// Its fields.
    pub fields: &'static [WantedField],
    /// Whether a build can lack it.
    pub optional: bool,
}

impl WantedStructure {
    /// The name that tables use.
    pub fn name(&self) -> &'static str {
        first(self.spellings)
    }

    /// Every member's alternatives, groups taken apart.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().flat_map(|field| field.places.split(','))
    }
}

/// The first of several alternatives: the key that tables use.
pub fn first(alternatives: &'static str) -> &'static str {
    alternatives.split('|').next().unwrap_or(alternatives)
}

/// A type that a field of a structure may have.
pub(in crate::layout) trait FieldKind: Sized {
    const REQUIRED: bool;
    fn load(table: &Table, structure: &'static str, places: &'static str) -> Result<Self, MissingField>;
}

fn find(table: &Table, structure: &'static str, places: &'static str) -> Result<Entry, MissingField> {
    let key = format!("{structure}.{}", first(places));
    table.get(&key).ok_or(MissingField(key))
}

impl FieldKind for u64 {
    const REQUIRED: bool = true;
    fn load(table: &Table, structure: &'static str, places: &'static str) -> Result<Self, MissingField> {
        find(table, structure, places).map(|entry| entry.offset)
    }
}

impl FieldKind for Bits {
    const REQUIRED: bool = true;
    fn load(table: &Table, structure: &'static str, places: &'static str) -> Result<Self, MissingField> {
        // A bit field that became a whole byte (the state of a str in free-threaded 3.14) is eight bits.
        find(table, structure, places).map(Entry::bits)
    }
}

impl<T: FieldKind> FieldKind for Option<T> {
    const REQUIRED: bool = false;
    fn load(table: &Table, structure: &'static str, places: &'static str) -> Result<Self, MissingField> {
        Ok(T::load(table, structure, places).ok())
    }
}

impl FieldKind for Vec<NamedOffset> {
    const REQUIRED: bool = false;
    fn load(table: &Table, structure: &'static str, places: &'static str) -> Result<Self, MissingField> {
        let members = places.split(',').filter_map(|place| {
            let entry = find(table, structure, place).ok()?;
            Some(NamedOffset { name: first(place), offset: entry.offset })
        });
        Ok(members.collect())
    }
}

/// What a member of [`Layouts`](super::Layouts) may be: a structure or an `Option` of one.
pub(in crate::layout) trait StructureKind: Sized {
    const WANTED: WantedStructure;
    fn load(table: &Table) -> Result<Self, MissingField>;
}

macro_rules! structures {
    ($($(#[$meta:meta])* $name:ident = $spellings:literal {
        $($field:ident: $kind:ty = $places:literal,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// `sizeof` the structure. Unit: bytes.
            pub sizeof: u64,
            $(#[doc = concat!("`", $places, "`.")] pub $field: $kind,)*
        }

        impl super::field::StructureKind for $name {
            const WANTED: super::field::WantedStructure = super::field::WantedStructure {
                spellings: $spellings,
                fields: &[$(super::field::WantedField {
                    places: $places,
                    required: <$kind as super::field::FieldKind>::REQUIRED,
                },)*],
                optional: false,
            };

            fn load(table: &crate::layout::table::Table) -> Result<Self, super::field::MissingField> {
                let name = super::field::first($spellings);
                let size = format!("sizeof({name})");
                Ok(Self {
                    sizeof: table.get(&size).ok_or(super::field::MissingField(size))?.offset,
                    $($field: super::field::FieldKind::load(table, name, $places)?,)*
                })
            }
        }

        impl super::field::StructureKind for Option<$name> {
            const WANTED: super::field::WantedStructure =
                super::field::WantedStructure { optional: true, ..<$name as super::field::StructureKind>::WANTED };

            fn load(table: &crate::layout::table::Table) -> Result<Self, super::field::MissingField> {
                Ok(<$name as super::field::StructureKind>::load(table).ok())
            }
        }
    )*};
}
pub(super) use structures;
