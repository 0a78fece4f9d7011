//! Debug information made for the test: one unit with declarations, one with definitions.

use super::*;
use gimli::write;
use gimli::write::AttributeValue;
use gimli::write::UnitEntryId;
use std::collections::BTreeMap;

/// A unit that is being written.
struct UnitWriter(write::Unit);

impl UnitWriter {
    fn new() -> Self {
        let encoding = gimli::Encoding { format: gimli::Format::Dwarf32, version: 5, address_size: 8 };
        Self(write::Unit::new(encoding, write::LineProgram::none()))
    }

    fn entry(&mut self, parent: UnitEntryId, tag: gimli::DwTag, name: &str) -> UnitEntryId {
        let id = self.0.add(parent, tag);
        if !name.is_empty() {
            let text = AttributeValue::String(name.as_bytes().to_vec());
            self.0.get_mut(id).set(gimli::DW_AT_name, text);
        }
        id
    }

    fn top(&mut self, tag: gimli::DwTag, name: &str) -> UnitEntryId {
        self.entry(self.0.root(), tag, name)
    }

    fn set(&mut self, entry: UnitEntryId, attribute: gimli::DwAt, value: u64) {
        self.0.get_mut(entry).set(attribute, AttributeValue::Udata(value));
    }

    fn structure(&mut self, name: &str, size: u64) -> UnitEntryId {
        let id = self.top(gimli::DW_TAG_structure_type, name);
        self.set(id, gimli::DW_AT_byte_size, size);
        id
    }

    fn number(&mut self, size: u64) -> UnitEntryId {
        let id = self.top(gimli::DW_TAG_base_type, "number");
        self.set(id, gimli::DW_AT_byte_size, size);
        id
    }

    fn typed(&mut self, entry: UnitEntryId, kind: UnitEntryId) {
        self.0.get_mut(entry).set(gimli::DW_AT_type, AttributeValue::UnitRef(kind));
    }

    fn member(&mut self, parent: UnitEntryId, name: &str, offset: u64, kind: UnitEntryId) -> UnitEntryId {
        let id = self.entry(parent, gimli::DW_TAG_member, name);
        self.set(id, gimli::DW_AT_data_member_location, offset);
        self.typed(id, kind);
        id
    }
}

fn sections(units: Vec<UnitWriter>) -> BTreeMap<&'static str, Vec<u8>> {
    let mut dwarf = write::Dwarf::new();
    for unit in units {
        dwarf.units.add(unit.0);
    }
    let mut sections = write::Sections::new(write::EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut bytes = BTreeMap::new();
    let copy = |id: SectionId, section: &write::EndianVec<LittleEndian>| -> Result<(), BinaryError> {
        bytes.insert(id.name(), section.slice().to_vec());
        Ok(())
    };
    sections.for_each(copy).unwrap();
    bytes
}

fn load(sections: &BTreeMap<&'static str, Vec<u8>>) -> DebugInformation {
    let section = |id: SectionId| -> Result<_, BinaryError> {
        Ok(sections.get(id.name()).cloned().unwrap_or_default())
    };
    DebugInformation { sections: gimli::DwarfSections::load(section).unwrap() }
}

fn information(units: Vec<UnitWriter>) -> DebugInformation {
    load(&sections(units))
}

fn find(information: &DebugInformation, name: &'static str, places: &[&'static str]) -> Option<FoundType> {
    let wanted = WantedType { spellings: name.split('|').collect(), places: places.to_vec() };
    information.find_types(&[wanted]).unwrap().remove(0)
}

#[expect(clippy::unnecessary_wraps, reason = "stands in lists beside None")]
fn at(offset: u64) -> Option<Place> {
    Some(Place { offset, bits: None })
}

/// `typedef struct _frame Frame;` before the structure itself is described, in another unit.
#[test]
fn a_typedef_of_a_declaration_gives_way_to_the_definition() {
    let mut first = UnitWriter::new();
    let declared = first.top(gimli::DW_TAG_structure_type, "_frame");
    first.0.get_mut(declared).set(gimli::DW_AT_declaration, AttributeValue::Flag(true));
    let named = first.top(gimli::DW_TAG_typedef, "Frame");
    first.typed(named, declared);
    let mut second = UnitWriter::new();
    let number = second.number(8);
    let defined = second.structure("_frame", 24);
    second.member(defined, "f_back", 16, number);
    let found = find(&information(vec![first, second]), "Frame|_frame", &["f_back", "f_code|f_back", "gone"]);
    assert_eq!(found, Some(FoundType { size: 24, places: vec![at(16), at(16), None] }));
}

#[test]
fn members_of_unnamed_members_and_of_bases_count() {
    let mut unit = UnitWriter::new();
    let number = unit.number(8);
    let base = unit.structure("PyObject", 16);
    let choice = unit.top(gimli::DW_TAG_union_type, "");
    unit.set(choice, gimli::DW_AT_byte_size, 8);
    let refcount = unit.entry(choice, gimli::DW_TAG_member, "ob_refcnt");
    unit.typed(refcount, number);
    unit.member(base, "", 0, choice);
    unit.member(base, "ob_type", 8, number);
    let object = unit.structure("PyListObject", 40);
    unit.member(object, "ob_base", 0, base);
    unit.member(object, "inner", 24, base);
    let places = ["ob_refcnt", "ob_type", "inner.ob_type", "inner.ob_type.deeper"];
    let found = find(&information(vec![unit]), "PyListObject", &places).unwrap();
    assert_eq!(found.places, [at(0), at(8), at(32), None]);
}

#[test]
fn bit_fields_are_counted_from_the_lowest_bit_in_both_spellings() {
    let mut unit = UnitWriter::new();
    let number = unit.number(4);
    let state = unit.structure("State", 16);
    let new = unit.entry(state, gimli::DW_TAG_member, "new");
    unit.typed(new, number);
    unit.set(new, gimli::DW_AT_bit_size, 3);
    unit.set(new, gimli::DW_AT_data_bit_offset, 8 * 8 + 2);
    let old = unit.member(state, "old", 8, number);
    unit.set(old, gimli::DW_AT_byte_size, 4);
    unit.set(old, gimli::DW_AT_bit_size, 3);
    unit.set(old, gimli::DW_AT_bit_offset, 32 - 3 - 2);
    let found = find(&information(vec![unit]), "State", &["new", "old"]).unwrap();
    let expected = Some(Place { offset: 8, bits: Some((2, 3)) });
    assert_eq!(found.places, [expected, expected]);
}

#[test]
fn of_two_structures_of_one_name_the_one_with_the_members_wins() {
    let mut units = Vec::new();
    for (size, member) in [(8, "other"), (16, "data"), (32, "third")] {
        let mut unit = UnitWriter::new();
        let number = unit.number(8);
        let block = unit.structure("block", size);
        unit.member(block, member, 0, number);
        units.push(unit);
    }
    assert_eq!(find(&information(units), "block", &["data"]).unwrap().size, 16);
}

/// Structures that contain themselves, and typedefs of themselves: found out, not followed for ever.
#[test]
fn circles_end() {
    let mut unit = UnitWriter::new();
    let alias = unit.top(gimli::DW_TAG_typedef, "alias");
    unit.typed(alias, alias);
    let nest = unit.structure("nest", 8);
    for _ in 0..8 {
        unit.member(nest, "", 0, nest);
    }
    let information = information(vec![unit]);
    assert_eq!(find(&information, "alias", &["x"]), None);
    assert_eq!(find(&information, "nest", &["x"]).unwrap().places, [None]);
}

#[test]
fn damage_gives_less_and_no_panic() {
    let mut unit = UnitWriter::new();
    let number = unit.number(8);
    let object = unit.structure("PyObject", 16);
    for index in 0..20 {
        unit.member(object, "ob_type", index * 8, number);
    }
    let mut damaged = sections(vec![unit]);
    let original = damaged.get(".debug_info").cloned().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..2000 {
        let mut bytes = original.clone();
        for _ in 0..3 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = seed as usize % bytes.len();
            bytes[at] = (seed >> 40) as u8;
        }
        damaged.insert(".debug_info", bytes);
        let wanted = WantedType { spellings: vec!["PyObject"], places: vec!["ob_type", "a.b"] };
        let _ = load(&damaged).find_types(&[wanted]);
    }
}
