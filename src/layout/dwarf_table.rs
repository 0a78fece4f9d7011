//! A table out of debug information: the schema's names, looked up by `binary::dwarf`.

use crate::binary::BinaryError;
use crate::binary::ElfFile;
use crate::binary::dwarf::DebugInformation;
use crate::binary::dwarf::FoundType;
use crate::binary::dwarf::WantedType;
use crate::layout::schema;
use crate::layout::schema::WantedStructure;
use crate::layout::schema::first;
use crate::layout::table::Entry;
use crate::layout::table::Table;

/// Reads what the schema wants out of several files (the interpreter first, then extension
/// modules); a structure is taken from the first file that has it with all required members.
/// Cost: for an interpreter of 15 MB of DWARF some 0.1 s on two cores.
pub fn read(files: &[&ElfFile]) -> Result<Table, BinaryError> {
    let mut table = Table::default();
    let mut missing: Vec<&WantedStructure> = schema::wanted().iter().collect();
    for file in files {
        let Some(information) = DebugInformation::read(file)? else { continue };
        let wanted: Vec<WantedType> = missing.iter().map(|structure| wanted_type(structure)).collect();
        let found = information.find_types(&wanted)?;
        let mut still_missing = Vec::new();
        for (structure, found) in missing.into_iter().zip(found) {
            match found.filter(|found| is_complete(structure, found)) {
                Some(found) => insert(&mut table, structure, &found),
                None => still_missing.push(structure),
            }
        }
        missing = still_missing;
        if missing.is_empty() {
            break;
        }
    }
    Ok(table)
}

fn wanted_type(structure: &WantedStructure) -> WantedType {
    WantedType { spellings: structure.spellings.split('|').collect(), places: structure.places().collect() }
}

/// A structure of the same name in a program of another kind lacks some of the members.
fn is_complete(structure: &WantedStructure, found: &FoundType) -> bool {
    let has = |place: &str| {
        let position = structure.places().position(|known| known == place);
        position.and_then(|index| found.places.get(index)).is_some_and(Option::is_some)
    };
    structure.fields.iter().filter(|field| field.required).all(|field| has(field.places))
}

fn insert(table: &mut Table, structure: &WantedStructure, found: &FoundType) {
    let name = structure.name();
    table.insert(format!("sizeof({name})"), Entry::at(found.size));
    for (place, position) in structure.places().zip(&found.places) {
        if let Some(position) = position {
            let entry = Entry { offset: position.offset, bit_range: position.bits };
            table.insert(format!("{name}.{}", first(place)), entry);
        }
    }
}
