//! Where C structures keep their members, out of a file's debug information.
//!
//! The caller names structures and members; what is found is numbers, and the DWARF is dropped.
//! A name can be met many times: as a declaration without members, as a `typedef`, and as different
//! structures of different C files. Of every name and size the first few definitions are looked at,
//! and the one wins that has most of the members asked for.

use crate::binary::BinaryError;
use crate::binary::dwarf_members::Place;
use crate::binary::dwarf_members::Structure;
use crate::binary::elf_file::ElfFile;
use gimli::EndianSlice;
use gimli::LittleEndian;
use gimli::SectionId;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// The bytes of a section.
pub(in crate::binary) type Slice<'d> = EndianSlice<'d, LittleEndian>;
/// All sections.
pub(in crate::binary) type Dwarf<'d> = gimli::Dwarf<Slice<'d>>;
/// One compilation unit.
pub(in crate::binary) type Unit<'d> = gimli::Unit<Slice<'d>>;

/// Definitions of one name and size that are looked at.
const CANDIDATES: usize = 3;

/// A structure that is wanted.
#[derive(Clone, Debug)]
pub struct WantedType {
    /// Its names, the preferred first.
    pub spellings: Vec<&'static str>,
    /// Its members; each a list of alternatives with `|` between them, dots inside.
    pub places: Vec<&'static str>,
}

/// A structure that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundType {
    /// `sizeof`. Unit: bytes.
    pub size: u64,
    /// For every place asked for, in that order, where it is.
    pub places: Vec<Option<Place>>,
}

/// The sections of one file that types are described in.
pub struct DebugInformation {
    sections: gimli::DwarfSections<Vec<u8>>,
}

impl DebugInformation {
    /// Reads the sections; `None` if the file has none. Cost: reads (and inflates) some 20 MB.
    pub fn read(elf: &ElfFile) -> Result<Option<Self>, BinaryError> {
        if elf.section(".debug_info").is_none() {
            return Ok(None);
        }
        let load = |id: SectionId| match elf.section(id.name()) {
            Some(section) if is_needed(id) => elf.section_data(section),
            _ => Ok(Vec::new()),
        };
        Ok(Some(Self { sections: gimli::DwarfSections::load(load)? }))
    }

    /// Finds the structures; the answer has the order of `wanted`. Cost: one pass over all units,
    /// on all cores.
    pub fn find_types(&self, wanted: &[WantedType]) -> Result<Vec<Option<FoundType>>, BinaryError> {
        let dwarf = self.sections.borrow(|section| EndianSlice::new(section, LittleEndian));
        let names = Names::new(wanted);
        let headers = collect_headers(&dwarf)?;
        let units: Vec<Option<Unit<'_>>> =
            headers.into_par_iter().map(|header| dwarf.unit(header).ok()).collect();
        let units: Vec<Unit<'_>> = units.into_iter().flatten().collect();
        let found: Vec<Candidates<'_>> =
            units.par_iter().map(|unit| scan_unit(&dwarf, &units, unit, &names)).collect();
        let mut candidates = Candidates::default();
        for more in found {
            candidates.merge(more);
        }
        let choose = |(index, wanted): (usize, &WantedType)| candidates.choose(index, wanted);
        Ok(wanted.par_iter().enumerate().map(choose).collect())
    }
}

fn is_needed(id: SectionId) -> bool {
    matches!(
        id,
        SectionId::DebugInfo
            | SectionId::DebugAbbrev
            | SectionId::DebugStr
            | SectionId::DebugLineStr
            | SectionId::DebugStrOffsets
            | SectionId::DebugLine // gimli reads the line header of a unit with the unit
    )
}

fn collect_headers<'d>(dwarf: &Dwarf<'d>) -> Result<Vec<gimli::UnitHeader<Slice<'d>>>, BinaryError> {
    let mut headers = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        headers.push(header);
    }
    Ok(headers)
}

/// Name to the wanted structures (by index) and the rank of the spelling.
struct Names(FxHashMap<&'static [u8], Vec<(usize, usize)>>);

impl Names {
    fn new(wanted: &[WantedType]) -> Self {
        let mut names: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for (index, wanted) in wanted.iter().enumerate() {
            for (rank, name) in wanted.spellings.iter().enumerate() {
                names.entry(name.as_bytes()).or_default().push((index, rank));
            }
        }
        Self(names)
    }
}

/// Definitions, by wanted structure.
#[derive(Default)]
struct Candidates<'u> {
    by_index: FxHashMap<usize, Vec<(usize, Structure<'u>)>>,
}

impl<'u> Candidates<'u> {
    fn add(&mut self, index: usize, rank: usize, structure: Structure<'u>) {
        let list = self.by_index.entry(index).or_default();
        let same = |(other, known): &&(usize, Structure<'_>)| *other == rank && known.size == structure.size;
        if list.iter().filter(same).count() < CANDIDATES {
            list.push((rank, structure));
        }
    }

    fn merge(&mut self, mut other: Self) {
        let mut indexes: Vec<usize> = other.by_index.keys().copied().collect();
        indexes.sort_unstable();
        for index in indexes {
            for (rank, structure) in other.by_index.remove(&index).unwrap_or_default() {
                self.add(index, rank, structure);
            }
        }
    }

    /// The definition with most of the places; of several the preferred spelling, then the first.
    fn choose(&self, index: usize, wanted: &WantedType) -> Option<FoundType> {
        let mut best: Option<(usize, usize, FoundType)> = None;
        for (rank, structure) in self.by_index.get(&index)? {
            let places: Vec<_> = wanted.places.iter().map(|place| structure.find_any(place)).collect();
            let score = places.iter().flatten().count();
            let is_better = best.as_ref().is_none_or(|(best_score, best_rank, _)| {
                score > *best_score || (score == *best_score && rank < best_rank)
            });
            if is_better {
                best = Some((score, *rank, FoundType { size: structure.size, places }));
            }
        }
        best.map(|(_, _, found)| found)
    }
}

/// Looks at the types that a unit defines at its top level. A damaged unit gives what came before
/// the damage.
fn scan_unit<'u>(
    dwarf: &'u Dwarf<'u>,
    units: &'u [Unit<'u>],
    unit: &'u Unit<'u>,
    names: &Names,
) -> Candidates<'u> {
    let mut candidates = Candidates::default();
    let _ = scan_entries(dwarf, units, unit, names, &mut candidates);
    candidates
}

fn scan_entries<'u>(
    dwarf: &'u Dwarf<'u>,
    units: &'u [Unit<'u>],
    unit: &'u Unit<'u>,
    names: &Names,
    candidates: &mut Candidates<'u>,
) -> gimli::Result<()> {
    let mut entries = unit.entries();
    entries.next_dfs()?;
    let mut more = entries.next_dfs()?.is_some();
    while more {
        if let Some(entry) = entries.current()
            && matches!(
                entry.tag(),
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef
            )
            && let Some(name) = entry.attr_value(gimli::DW_AT_name)
            && let Ok(name) = dwarf.attr_string(unit, name)
            && let Some(wanted) = names.0.get(name.slice())
            && let Some(structure) = Structure::resolve(dwarf, units, unit, entry.offset())
        {
            for &(index, rank) in wanted {
                candidates.add(index, rank, structure);
            }
        }
        more = entries.next_sibling()?.is_some();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
