//! One structure in the debug information, and the places of its members.

use crate::binary::dwarf::Dwarf;
use crate::binary::dwarf::Slice;
use crate::binary::dwarf::Unit;
use gimli::AttributeValue;
use gimli::DebuggingInformationEntry;
use gimli::UnitOffset;

/// Types are nested less deeply in any real program: a chain that is longer is a circle.
const DEEPEST: usize = 24;

/// Members looked at in one search; a damaged file can describe structures that contain each other.
const MOST_MEMBERS: u32 = 200_000;

/// Members whose own members count as the structure's: how C spells inheritance in CPython
/// (`Include/object.h`, `Include/cpython/unicodeobject.h`, `Include/cpython/descrobject.h`).
const BASES: &[&str] = &["ob_base", "_base", "d_common"];

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the start of the structure; of a bit field the byte that holds its lowest bit. Unit: bytes.
    pub offset: u64,
    /// Lowest bit (0 to 7) and number of bits of a bit field.
    pub bits: Option<(u8, u8)>,
}

impl Place {
    /// A bit field, however its compiler counts: in a small number at the byte, or in a larger one before it.
    fn of_bits(unit: u64, shift: u64, width: u8) -> Option<Self> {
        let offset = unit.checked_add(shift / 8)?;
        Some(Self { offset, bits: Some((u8::try_from(shift % 8).ok()?, width)) })
    }
}

/// A structure or union with members.
#[derive(Clone, Copy)]
pub(in crate::binary) struct Structure<'u> {
    dwarf: &'u Dwarf<'u>,
    units: &'u [Unit<'u>],
    unit: &'u Unit<'u>,
    offset: UnitOffset,
    /// `sizeof`. Unit: bytes.
    pub(in crate::binary) size: u64,
}

type Entry<'u> = DebuggingInformationEntry<Slice<'u>>;

impl<'u> Structure<'u> {
    /// Follows typedefs and qualifiers to a definition; `None` for a declaration or another type.
    pub(in crate::binary) fn resolve(
        dwarf: &'u Dwarf<'u>,
        units: &'u [Unit<'u>],
        unit: &'u Unit<'u>,
        offset: UnitOffset,
    ) -> Option<Self> {
        let (mut unit, mut offset) = (unit, offset);
        for _ in 0..DEEPEST {
            let entry = unit.entry(offset).ok()?;
            match entry.tag() {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                    let size = entry.attr_value(gimli::DW_AT_byte_size)?.udata_value()?;
                    return Some(Self { dwarf, units, unit, offset, size });
                }
                gimli::DW_TAG_typedef
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type
                | gimli::DW_TAG_atomic_type => {
                    (unit, offset) = follow(units, unit, &entry)?;
                }
                _ => return None,
            }
        }
        None
    }

    /// The first of several places, `|` between them, that the structure has.
    pub(in crate::binary) fn find_any(&self, places: &str) -> Option<Place> {
        let mut budget = MOST_MEMBERS;
        places.split('|').find_map(|place| self.find(place, DEEPEST, &mut budget))
    }

    /// A member by its path, dots between names. Members of unnamed members and of [`BASES`] count.
    fn find(&self, path: &str, depth: usize, budget: &mut u32) -> Option<Place> {
        let depth = depth.checked_sub(1)?;
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let mut inner = Vec::new();
        let mut tree = self.unit.entries_tree(Some(self.offset)).ok()?;
        let mut children = tree.root().ok()?.children();
        while let Ok(Some(child)) = children.next() {
            *budget = budget.checked_sub(1)?;
            let entry = child.entry();
            if entry.tag() != gimli::DW_TAG_member {
                continue;
            }
            let member_name = self.name_of(entry);
            if member_name == name.as_bytes() {
                let found = match rest {
                    None => self.place_of(entry),
                    Some(rest) => {
                        let place = self.type_of(entry)?.find(rest, depth, budget)?;
                        Some(Place { offset: member_offset(entry)?.checked_add(place.offset)?, ..place })
                    }
                };
                if found.is_some() {
                    return found;
                }
            }
            if member_name.is_empty() || BASES.iter().any(|base| base.as_bytes() == member_name) {
                inner.extend(member_offset(entry).zip(self.type_of(entry)));
            }
        }
        inner.into_iter().find_map(|(offset, structure)| {
            let place = structure.find(path, depth, budget)?;
            Some(Place { offset: offset.checked_add(place.offset)?, ..place })
        })
    }

    fn name_of(&self, entry: &Entry<'u>) -> &'u [u8] {
        let name = entry.attr_value(gimli::DW_AT_name);
        let name = name.and_then(|name| self.dwarf.attr_string(self.unit, name).ok());
        name.map_or(&[], |name| name.slice())
    }

    fn type_of(&self, entry: &Entry<'u>) -> Option<Self> {
        let (unit, offset) = follow(self.units, self.unit, entry)?;
        Self::resolve(self.dwarf, self.units, unit, offset)
    }

    fn place_of(&self, entry: &Entry<'u>) -> Option<Place> {
        let offset = member_offset(entry)?;
        let Some(width) = number(entry, gimli::DW_AT_bit_size) else {
            return Some(Place { offset, bits: None });
        };
        let width = u8::try_from(width).ok()?;
        if let Some(bit) = number(entry, gimli::DW_AT_data_bit_offset) {
            // DWARF 4 and later: counted from the start of the structure.
            let unit = self.type_size(entry)?;
            let unit_bits = unit.checked_mul(8)?;
            return Place::of_bits((bit / unit_bits) * unit, bit.checked_rem(unit_bits)?, width);
        }
        // Before: counted from the highest bit of the unit.
        let unit = number(entry, gimli::DW_AT_byte_size).or_else(|| self.type_size(entry))?;
        let from_top = number(entry, gimli::DW_AT_bit_offset)?;
        let shift = unit.checked_mul(8)?.checked_sub(from_top)?.checked_sub(u64::from(width))?;
        Place::of_bits(offset, shift, width)
    }

    /// The size of a member's number type.
    fn type_size(&self, entry: &Entry<'u>) -> Option<u64> {
        let (mut unit, mut offset) = follow(self.units, self.unit, entry)?;
        for _ in 0..DEEPEST {
            let entry = unit.entry(offset).ok()?;
            if let Some(size) = number(&entry, gimli::DW_AT_byte_size) {
                return Some(size);
            }
            (unit, offset) = follow(self.units, unit, &entry)?;
        }
        None
    }
}

fn number(entry: &Entry<'_>, attribute: gimli::DwAt) -> Option<u64> {
    entry.attr_value(attribute)?.udata_value()
}

/// A member of a union has no location: it is at the start.
fn member_offset(entry: &Entry<'_>) -> Option<u64> {
    match entry.attr_value(gimli::DW_AT_data_member_location) {
        None => Some(0),
        Some(AttributeValue::Exprloc(expression)) => {
            // DWARF 2: `DW_OP_plus_uconst offset`.
            let mut reader = expression.0;
            let operation = gimli::Reader::read_u8(&mut reader).ok()?;
            (operation == gimli::DW_OP_plus_uconst.0).then_some(())?;
            gimli::Reader::read_uleb128(&mut reader).ok()
        }
        Some(value) => value.udata_value(),
    }
}

/// The type that an entry refers to, in this unit or in another.
fn follow<'u>(
    units: &'u [Unit<'u>],
    unit: &'u Unit<'u>,
    entry: &Entry<'u>,
) -> Option<(&'u Unit<'u>, UnitOffset)> {
    match entry.attr_value(gimli::DW_AT_type)? {
        AttributeValue::UnitRef(offset) => Some((unit, offset)),
        AttributeValue::DebugInfoRef(offset) => {
            let starts_before =
                |unit: &Unit<'_>| unit.header.debug_info_offset().is_some_and(|start| start.0 <= offset.0);
            let unit = units.get(units.partition_point(starts_before).checked_sub(1)?)?;
            Some((unit, offset.to_unit_offset(&unit.header)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// gcc names the number of two bytes at the start, or the byte itself: the same place.
    #[test]
    fn a_bit_field_is_at_the_byte_of_its_lowest_bit() {
        let place = Some(Place { offset: 49, bits: Some((3, 1)) });
        assert_eq!(Place::of_bits(48, 11, 1), place);
        assert_eq!(Place::of_bits(49, 3, 1), place);
        assert_eq!(Place::of_bits(u64::MAX, 8, 1), None);
    }
}
