//! What is wanted of each mapping.

use crate::address::AddressRange;
use crate::target::Mapping;
use crate::target::TargetError;
use crate::target::capture::files::FileKind;
use crate::target::capture::files::MappedFiles;
use crate::target::capture::files::is_private_file;
use crate::target::image::FileOverlay;
use crate::target::pagemap::Pagemap;
use crate::target::pagemap::Pages;
use crate::target::proc_maps::parse_maps;
use crate::target::proc_maps::read_maps_text;

/// Data segments larger than this are not copied whole: what is clean is read from the file.
const WHOLE_LIMIT: u64 = 256 << 20;

/// First address that an image cannot hold.
const ADDRESS_LIMIT: u64 = 1 << 47;

/// Which pages of a mapping are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All pages that are in memory.
    Resident,
    /// Pages that differ from the file: the file stands for the others.
    Changed,
    /// All pages: a library's data holds objects even where nobody has written yet. Or the file is
    /// out of reach.
    Whole,
}

/// The address space at one moment and what is wanted of it.
pub(super) struct Plan {
    text: Vec<u8>,
    /// The mappings, sorted.
    pub(super) mappings: Vec<Mapping>,
    parts: Vec<(AddressRange, Wanted)>,
}

impl Plan {
    /// Reads the mappings of a running process and opens their files.
    pub(super) fn read(pid: i32, files: &mut MappedFiles) -> Result<Self, TargetError> {
        let text = read_maps_text(pid)?;
        let mappings = parse_maps(&text);
        files.open(pid, &mappings);
        Ok(Self::new(text, mappings, files))
    }

    fn new(text: Vec<u8>, mappings: Vec<Mapping>, files: &MappedFiles) -> Self {
        let part = |mapping: &Mapping| Some((mapping.range, wanted(mapping, files.kind(mapping))?));
        let parts = mappings.iter().filter_map(part).collect();
        Self { text, mappings, parts }
    }

    /// Reads the mappings again, as cheaply as can be: the process stands still. Opens no file.
    pub(super) fn refresh(&mut self, pid: i32, files: &MappedFiles) -> Result<(), TargetError> {
        let text = read_maps_text(pid)?;
        if text != self.text {
            let mappings = parse_maps(&text);
            *self = Self::new(text, mappings, files);
        }
        Ok(())
    }

    /// The ranges among those to copy that may have to come from a disk.
    pub(super) fn cold_runs(&self, pagemap: &mut Pagemap) -> Result<Vec<AddressRange>, TargetError> {
        let mut runs = Vec::new();
        for &(range, wanted) in &self.parts {
            match wanted {
                Wanted::Resident | Wanted::Changed => pagemap.find(range, Pages::Swapped, &mut runs)?,
                Wanted::Whole => runs.push(range),
            }
        }
        Ok(runs)
    }

    /// The ranges of pages to copy, sorted.
    pub(super) fn runs(&self, pagemap: &mut Pagemap) -> Result<Vec<AddressRange>, TargetError> {
        let mut runs = Vec::with_capacity(self.parts.len());
        for &(range, wanted) in &self.parts {
            match wanted {
                Wanted::Resident => pagemap.find(range, Pages::Resident, &mut runs)?,
                Wanted::Changed => pagemap.find(range, Pages::Anonymous, &mut runs)?,
                Wanted::Whole => runs.push(range),
            }
        }
        Ok(runs)
    }

    /// The mappings of anonymous memory, sorted.
    pub(super) fn anonymous(&self) -> Vec<AddressRange> {
        let resident = self.parts.iter().filter(|(_, wanted)| *wanted == Wanted::Resident);
        resident.map(|&(range, _)| range).collect()
    }

    /// The ranges of pages to copy of mapped files, sorted.
    pub(super) fn runs_of_files(&self, pagemap: &mut Pagemap) -> Result<Vec<AddressRange>, TargetError> {
        let mut runs = Vec::new();
        for &(range, wanted) in &self.parts {
            match wanted {
                Wanted::Resident => {}
                Wanted::Changed => pagemap.find(range, Pages::Anonymous, &mut runs)?,
                Wanted::Whole => runs.push(range),
            }
        }
        Ok(runs)
    }

    /// The ranges of pages to copy, and those of them that were written to since they were protected: all
    /// that never were. Both sorted.
    pub(super) fn written_runs(
        &self,
        pagemap: &mut Pagemap,
    ) -> Result<(Vec<AddressRange>, Vec<AddressRange>), TargetError> {
        let (mut runs, mut written, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for &(range, wanted) in &self.parts {
            let mut part = Vec::new();
            match wanted {
                Wanted::Resident => {
                    found.clear();
                    pagemap.find_written(range, &mut found)?;
                    runs.extend(found.iter().map(|&(range, _)| range));
                    written
                        .extend(found.iter().filter(|(_, is_written)| *is_written).map(|&(range, _)| range));
                }
                Wanted::Changed => pagemap.find(range, Pages::Anonymous, &mut part)?,
                Wanted::Whole => part.push(range),
            }
            runs.extend_from_slice(&part);
            written.extend_from_slice(&part);
        }
        Ok((super::slots::union(&runs, &[]), super::slots::union(&written, &[])))
    }

    /// The pages of a mapping of anonymous memory that are in memory or in swap; sorted.
    pub(super) fn resident(
        &self,
        range: AddressRange,
        pagemap: &mut Pagemap,
    ) -> Result<Vec<AddressRange>, TargetError> {
        let mut runs = Vec::new();
        if self.parts.contains(&(range, Wanted::Resident)) {
            pagemap.find(range, Pages::Resident, &mut runs)?;
        }
        Ok(runs)
    }

    /// The files that stand for what was not copied.
    pub(super) fn overlays(&self, files: &MappedFiles) -> Vec<FileOverlay> {
        let stands_in = |mapping: &&Mapping| {
            is_private_file(mapping) && wanted(mapping, files.kind(mapping)) == Some(Wanted::Changed)
        };
        self.mappings.iter().filter(stands_in).filter_map(|mapping| files.overlay(mapping)).collect()
    }
}

/// `None`: nothing is copied. Pages of the kernel (`[vdso]`, `[vvar]`) and shared memory hold no
/// objects.
fn wanted(mapping: &Mapping, kind: FileKind) -> Option<Wanted> {
    let of_the_kernel = mapping.name.starts_with("[v");
    if !mapping.readable || mapping.shared || of_the_kernel || mapping.range.end.get() > ADDRESS_LIMIT {
        return None;
    }
    if mapping.inode == 0 {
        return Some(Wanted::Resident);
    }
    let whole = match kind {
        FileKind::Elf | FileKind::Unseen => mapping.writable,
        FileKind::Unavailable => true,
        FileKind::Other => false,
    };
    let small = mapping.range.length() <= WHOLE_LIMIT;
    Some(if whole && small { Wanted::Whole } else { Wanted::Changed })
}

/// The bytes in a list of ranges.
pub(super) fn total(runs: &[AddressRange]) -> u64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.length()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, kind: FileKind, expected: Option<Wanted>) {
        let mappings = parse_maps(line.as_bytes());
        assert_eq!(wanted(&mappings[0], kind), expected, "{line}");
    }

    #[test]
    fn each_kind_of_mapping_has_its_rule() {
        use FileKind::Elf;
        use FileKind::Other;
        use FileKind::Unavailable;
        use FileKind::Unseen;
        check("1000-2000 rw-p 0 0:0 0 [heap]", Unseen, Some(Wanted::Resident));
        check("1000-2000 r--p 0 0:0 0", Unseen, Some(Wanted::Resident));
        check("1000-2000 ---p 0 0:0 0", Unseen, None);
        check("1000-2000 rw-s 0 0:5 9 /dev/shm/x", Other, None);
        check("1000-2000 r-xp 0 0:0 0 [vdso]", Unseen, None);
        check("1000-2000 rw-p 0 8:1 9 /lib/x.so", Elf, Some(Wanted::Whole));
        check("1000-2000 rw-p 0 8:1 9 /lib/x.so", Unseen, Some(Wanted::Whole));
        check("1000-2000 r--p 0 8:1 9 /lib/x.so", Unseen, Some(Wanted::Changed));
        check("1000-2000 r--p 0 8:1 9 /lib/x.so", Unavailable, Some(Wanted::Whole));
        check("1000-2000 rw-p 0 8:1 9 /data/array.npy", Other, Some(Wanted::Changed));
        check("1000-2000 r--p 0 8:1 9 /lib/x.so", Elf, Some(Wanted::Changed));
        check("1000-20002000 rw-p 0 8:1 9 /lib/huge.so", Elf, Some(Wanted::Changed));
        check("ffffffffff600000-ffffffffff601000 r-xp 0 0:0 0 [anon]", Unseen, None);
    }
}
