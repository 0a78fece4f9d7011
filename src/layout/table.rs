//! A table of offsets in text: one `Struct.field offset` a line.
//!
//! ```text
//! # a comment
//! releases 3.12.0 3.12.1
//! sizeof(PyListObject) 40
//! PyListObject.ob_item 24
//! PyASCIIObject.state.kind 32:2/3
//! @ 3.12.1
//! PyListObject.ob_item 32
//! PyListObject.gone -
//! ```
//!
//! `32:2/3` is a bit field: three bits from bit two on of the unit at byte 32. The lines after
//! `@ X` hold from release X on; `-` says that the field is gone. The lines after `@ debug` say how
//! much later fields are in builds `--with-pydebug`: `PyInterpreterState.dict +8`.

use crate::layout::schema::Bits;
use crate::layout::version::Build;
use crate::layout::version::Version;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Where one field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The offset, or the size for a `sizeof(..)` key. Unit: bytes.
    pub offset: u64,
    /// Shift and width of a bit field.
    pub bit_range: Option<(u8, u8)>,
}

impl Entry {
    /// The place of a whole field.
    pub const fn at(offset: u64) -> Self {
        Self { offset, bit_range: None }
    }

    /// The place as bits; a whole field is its lowest byte.
    pub fn bits(self) -> Bits {
        let (shift, width) = self.bit_range.unwrap_or((0, 8));
        Bits { offset: self.offset, shift, width }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.offset)?;
        self.bit_range.map_or(Ok(()), |(shift, width)| write!(formatter, ":{shift}/{width}"))
    }
}

/// Offsets by key (`Struct.field`, `sizeof(Struct)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    entries: BTreeMap<String, Entry>,
}

impl Table {
    /// What the table says about a key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).copied()
    }

    /// Sets one key.
    pub fn insert(&mut self, key: impl Into<String>, entry: Entry) {
        self.entries.insert(key.into(), entry);
    }

    /// Every key with its place, in order of the key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Entry)> {
        self.entries.iter().map(|(key, &entry)| (key.as_str(), entry))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table says nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets every structure that another table describes, so that a field which only we know is gone.
    pub fn forget_structures_of(&mut self, other: &Self) {
        let described = |key: &str| {
            let name = key.split_once('.').map_or(key, |(name, _)| name);
            other.get(&format!("sizeof({name})")).is_some()
        };
        self.entries.retain(|key, _| other.get(key).is_some() || !described(key));
    }

    /// Lays another table over this one; gives every key on which they differed, with our value.
    pub fn overlay(&mut self, other: &Self) -> Vec<(String, Entry, Entry)> {
        let mut changed = Vec::new();
        for (key, entry) in other.iter() {
            if let Some(old) = self.entries.insert(key.to_owned(), entry)
                && old != entry
            {
                changed.push((key.to_owned(), old, entry));
            }
        }
        changed
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(key, entry)| writeln!(formatter, "{key} {entry}"))
    }
}

/// A line of a table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of a layout table is no `Struct.field offset`: `{text}`")]
pub struct TableError {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// A change from one release on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first release that has it.
    pub since: Version,
    /// New places; `None` says that the field is gone.
    pub entries: Vec<(String, Option<Entry>)>,
}

/// The tables of all releases of one minor version, of one kind of build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The releases that were looked at, ascending.
    pub releases: Vec<Version>,
    /// The first release's table.
    pub base: Table,
    /// What changed since, ascending.
    pub changes: Vec<Change>,
    /// How many bytes later a field is in a debug build; `None` if nothing is known of such builds.
    pub debug: Option<Vec<(String, u64)>>,
}

impl Series {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut series = Self::default();
        for (index, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or("").trim();
            if !content.is_empty() && series.read_line(content).is_none() {
                return Err(TableError { line: index + 1, text: line.to_owned() });
            }
        }
        series.releases.sort_unstable();
        Ok(series)
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let (key, rest) = line.split_once(' ')?;
        match key {
            "releases" => {
                for release in rest.split_whitespace() {
                    self.releases.push(Version::parse(release)?);
                }
            }
            "@" if rest == "debug" => self.debug = Some(Vec::new()),
            "@" => self.changes.push(Change { since: Version::parse(rest)?, entries: Vec::new() }),
            _ if self.debug.is_some() => {
                let distance = rest.strip_prefix('+')?.parse().ok()?;
                self.debug.as_mut()?.push((key.to_owned(), distance));
            }
            _ => {
                let entry = if rest == "-" { None } else { Some(parse_entry(rest)?) };
                match (self.changes.last_mut(), entry) {
                    (Some(change), entry) => change.entries.push((key.to_owned(), entry)),
                    (None, Some(entry)) => self.base.insert(key, entry),
                    (None, None) => return None,
                }
            }
        }
        Some(())
    }

    /// Everything that a key was in any release.
    pub fn values_of<'s>(&'s self, key: &'s str) -> impl Iterator<Item = Entry> + 's {
        let changes = self.changes.iter().flat_map(|change| &change.entries);
        let changed = changes.filter(move |(changed, _)| changed == key).filter_map(|(_, entry)| *entry);
        self.base.get(key).into_iter().chain(changed)
    }

    /// The table of a build of a release; see [`Series::at`].
    pub fn at_build(&self, version: Version, build: Build) -> Table {
        let mut table = self.at(version);
        let moved = self.debug.iter().flatten().filter(|_| build.debug);
        for (key, distance) in moved {
            if let Some(entry) = table.entries.get_mut(key) {
                entry.offset = entry.offset.saturating_add(*distance);
            }
        }
        table
    }

    /// The table of a release: the base and every change up to it. A release that was never looked
    /// at gets the table of the one before it. Cost: linear in the table.
    pub fn at(&self, version: Version) -> Table {
        let mut table = self.base.clone();
        for change in self.changes.iter().filter(|change| change.since <= version) {
            for (key, entry) in &change.entries {
                match entry {
                    Some(entry) => table.insert(key.clone(), *entry),
                    None => {
                        table.entries.remove(key);
                    }
                }
            }
        }
        table
    }
}

fn parse_entry(text: &str) -> Option<Entry> {
    let Some((offset, bits)) = text.split_once(':') else {
        return text.parse().ok().map(Entry::at);
    };
    let (shift, width) = bits.split_once('/')?;
    Some(Entry { offset: offset.parse().ok()?, bit_range: Some((shift.parse().ok()?, width.parse().ok()?)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# c\nreleases 3.12.0 3.12.1\nsizeof(A) 40\nA.b 8:2/3\nA.c 24 # d\n@ 3.12.1\nA.c -\nA.d 9\n";

    #[test]
    fn changes_hold_from_their_release_on() {
        let series = Series::parse(TEXT).unwrap();
        let before = series.at(Version::release(3, 12, 0));
        assert_eq!(before.get("A.b"), Some(Entry { offset: 8, bit_range: Some((2, 3)) }));
        assert_eq!(before.get("A.c"), Some(Entry::at(24)));
        let after = series.at(Version::release(3, 12, 7));
        assert_eq!(after.get("A.c"), None);
        assert_eq!(after.get("A.d"), Some(Entry::at(9)));
    }

    #[test]
    fn a_table_prints_as_it_is_read() {
        let table = Series::parse(TEXT).unwrap().base;
        assert_eq!(Series::parse(&table.to_string()).unwrap().base, table);
    }

    #[test]
    fn a_debug_build_has_fields_later() {
        let series = Series::parse(&format!("{TEXT}@ debug\nA.b +8\nA.gone +8\n")).unwrap();
        let debug = Build { debug: true, ..Build::default() };
        let table = series.at_build(Version::release(3, 12, 1), debug);
        assert_eq!(table.get("A.b"), Some(Entry { offset: 16, bit_range: Some((2, 3)) }));
        assert_eq!(table.get("A.d"), Some(Entry::at(9)));
        assert_eq!(table.get("A.gone"), None);
    }

    #[test]
    fn nonsense_names_its_line() {
        assert_eq!(Series::parse("a 1\nb x").unwrap_err().line, 2);
        assert!(Series::parse("a -").is_err());
    }
}
