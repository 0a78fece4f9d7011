//! The files that come with the program, and descriptions that do not fit.

use crate::descriptions::Descriptions;
use crate::descriptions::collection::SHIPPED;
use crate::descriptions::parse::parse;
use crate::layout::table::Entry as TableEntry;
use crate::layout::table::Table;

fn table() -> Table {
    let mut table = Table::default();
    table.insert("mmap_object.data", TableEntry::at(16));
    table.insert("mmap_object.size", TableEntry::at(24));
    table
}

#[test]
fn all_files_that_come_with_the_program_are_read() {
    assert_eq!(Descriptions::default().files.len(), SHIPPED.len());
    for (name, text) in SHIPPED {
        parse(name, text).unwrap();
    }
}

#[test]
fn structures_that_parts_name_are_there() {
    let bound = Descriptions::default().bind(&Table::default());
    for (_, file) in &Descriptions::default().files {
        for part in file.parts() {
            assert!(bound.structure(part.is.get_ref()).is_some(), "{}", part.is.get_ref());
        }
    }
}

#[test]
fn a_description_that_contradicts_its_type_is_refused() {
    let mut descriptions = Descriptions::default();
    let own =
        "format = 1\n[[type]]\nname = 'a.B'\nbasic_size = [40, 48]\nbuffers = [{ address = 32, bytes = 8 }]";
    descriptions.add("own.toml", own).unwrap();
    let bound = descriptions.bind(&table());
    let reason = |size: u64| {
        let found = bound.find("a.B", size, false).unwrap();
        (found.entries.len(), found.refusal.map(|no| no.to_string()))
    };
    assert_eq!(reason(40), (1, None));
    assert_eq!(
        reason(56),
        (0, Some("own.toml: instances have 56 bytes, and the description is for 40 or 48".to_owned()))
    );
    assert!(bound.find("a.C", 40, false).is_none());
    assert_eq!(bound.user_types(), [("own.toml".to_owned(), "a.B".to_owned())]);
    let short = bound.find("mmap.mmap", 24, false).unwrap().refusal.unwrap();
    assert_eq!(short.to_string(), "standard.toml: the description reads 32 bytes of instances that have 24");
    let unknown = bound.find("array.array", 64, false).unwrap().refusal.unwrap();
    assert!(unknown.reason.contains("this Python has no field arrayobject"), "{unknown}");
}

#[test]
fn a_part_of_no_known_structure_is_refused() {
    let part =
        |is: &str| format!("format = 1\n[[type]]\nname = 'a.B'\nparts = [{{ follow = 16, is = '{is}' }}]");
    let mut descriptions = Descriptions::default();
    let error = descriptions.add("own.toml", &part("kash of 8 bytes")).unwrap_err();
    assert_eq!(error.to_string(), "own.toml, line 4: there is no structure `kash of 8 bytes`");
    descriptions.add("own.toml", &part("khash of 8 bytes")).unwrap();
    let own = part("own") + "\n[[structure]]\nname = 'own'\nparts = [{ follow = 0, is = 'own' }]";
    descriptions.add("own.toml", &own).unwrap();
}

#[test]
fn what_the_user_says_goes_first() {
    let mut descriptions = Descriptions::default();
    let own = "format = 1\n[[type]]\nname = 'mmap.mmap'\nbuffers = [{ address = 16, bytes = 8 }]";
    descriptions.add("own.toml", own).unwrap();
    let found = descriptions.bind(&table()).find("mmap.mmap", 80, false).unwrap();
    assert_eq!(found.entries.iter().map(|entry| entry.file.as_str()).collect::<Vec<_>>(), ["own.toml"]);
    assert!(found.refusal.is_none());
}

/// What is shipped takes its place, and the report says that it is not the user's.
#[test]
fn what_the_user_says_of_another_size_is_refused_aloud() {
    let mut descriptions = Descriptions::default();
    let own = "format = 1\n[[type]]\nname = 'mmap.mmap'\nbasic_size = [40]\nbuffers = [{ address = 16, bytes = 8 }]";
    descriptions.add("own.toml", own).unwrap();
    let found = descriptions.bind(&table()).find("mmap.mmap", 80, false).unwrap();
    assert_eq!(found.entries.iter().map(|entry| entry.file.as_str()).collect::<Vec<_>>(), ["standard.toml"]);
    let refusal = found.refusal.unwrap().to_string();
    assert_eq!(refusal, "own.toml: instances have 80 bytes, and the description is for 40");
}
