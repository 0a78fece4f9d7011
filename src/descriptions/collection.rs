//! All descriptions: those of every file, and which of them fit one Python.

use crate::descriptions::model::Entry;
use crate::descriptions::model::Layout;
use crate::descriptions::model::Words;
use crate::descriptions::parse::DescriptionError;
use crate::descriptions::parse::parse;
use crate::descriptions::raw::RawFile;
use crate::descriptions::raw::RawPart;
use crate::layout::table::Table;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;

/// The files that come with the program, by name.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("standard.toml", include_str!("shipped/standard.toml")),
    ("numpy.toml", include_str!("shipped/numpy.toml")),
    ("pandas.toml", include_str!("shipped/pandas.toml")),
    ("pyarrow.toml", include_str!("shipped/pyarrow.toml")),
    ("torch.toml", include_str!("shipped/torch.toml")),
];

/// All description files, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Descriptions {
    pub(super) files: Vec<(String, RawFile)>,
}

impl Default for Descriptions {
    /// Those that come with the program.
    fn default() -> Self {
        let files =
            SHIPPED.iter().filter_map(|&(name, text)| Some((name.to_owned(), parse(name, text).ok()?)));
        Self { files: files.collect() }
    }
}

impl Descriptions {
    /// Adds a file of the user's, before all those that come with the program.
    ///
    /// # Errors
    ///
    /// The line that cannot be understood, and why.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), DescriptionError> {
        let file = parse(name, text)?;
        let structures =
            || self.files.iter().map(|(_, file)| file).chain([&file]).flat_map(|file| &file.structures);
        let is_known = |part: &&RawPart| structures().any(|known| known.name.get_ref() == part.is.get_ref());
        if let Some(part) = file.parts().find(|part| !is_known(part)) {
            let reason = format!("there is no structure `{}`", part.is.get_ref());
            return Err(DescriptionError::at(name, text, part.is.span(), &reason));
        }
        let own = self.files.len() - SHIPPED.len();
        self.files.insert(own, (name.to_owned(), file));
        Ok(())
    }

    /// The descriptions for one Python, whose fields the table has.
    pub fn bind(&self, table: &Table) -> Bound {
        let mut bound = Bound::default();
        let words = &mut bound.words;
        for (_, file) in &self.files {
            for structure in &file.structures {
                // What a user says of a structure goes before what we say.
                let name = structure.name.get_ref();
                if !bound.structures.contains_key(name) {
                    let layout = Layout::bind((&structure.buffers, &structure.parts), table, words);
                    bound.structures.insert(name.clone(), Arc::new(Structure { layout }));
                }
            }
        }
        let own = self.files.len().saturating_sub(SHIPPED.len());
        for (index, (file, content)) in self.files.iter().enumerate() {
            for kind in &content.types {
                if index < own {
                    bound.users.push((file.clone(), kind.name.get_ref().clone()));
                }
                let entry = Entry::bind(file, kind, table, words)
                    .map_err(|reason| Refusal { file: file.clone(), reason });
                bound.types.entry(kind.name.get_ref().clone()).or_default().push(entry);
            }
        }
        bound
    }
}

/// Why a description is not used for a type that has its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file, self.reason)
    }
}

/// What there is for one type.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The descriptions that fit.
    pub entries: Vec<Arc<Entry>>,
    /// Why those of an earlier file, or of all, do not.
    pub refusal: Option<Refusal>,
}

/// The descriptions for one Python.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    types: FxHashMap<String, Vec<Result<Arc<Entry>, Refusal>>>,
    structures: FxHashMap<String, Arc<Structure>>,
    words: Words,
    /// Types of the user's files: file and name.
    users: Vec<(String, String)>,
}

impl Bound {
    /// The descriptions that fit a type of this name and `tp_basicsize`, for the objects to choose from: those of
    /// the first file that has one. `None` if nobody describes it.
    pub fn find(&self, name: &str, basic_size: u64, has_items: bool) -> Option<Found> {
        let described = self.types.get(name)?;
        let mut found = Found::default();
        for entry in described {
            let checked = match entry {
                Ok(entry) => entry.check(basic_size, has_items).map(|()| entry),
                Err(refusal) => Err(refusal.clone()),
            };
            match checked {
                Ok(entry) if found.entries.first().is_none_or(|first| first.file == entry.file) => {
                    found.entries.push(Arc::clone(entry));
                }
                Ok(_) => {}
                Err(reason) => {
                    found.refusal.get_or_insert(reason);
                }
            }
        }
        // One of several entries of a file has to fit.
        let in_use = found.entries.first().map(|first| &first.file);
        found.refusal = found.refusal.filter(|refusal| in_use != Some(&refusal.file));
        Some(found)
    }

    /// The types that the user's own files describe: file and name.
    pub fn user_types(&self) -> &[(String, String)] {
        &self.users
    }

    /// What a buffer with this number is ([`Claim::what`](crate::descriptions::Claim)).
    pub fn word(&self, number: u16) -> &str {
        self.words.word(number)
    }

    /// A structure that is no object.
    pub(super) fn structure(&self, name: &str) -> Option<&Structure> {
        self.structures.get(name).map(|structure| &**structure)
    }
}

/// A structure that is no object.
#[derive(Clone, Debug)]
pub struct Structure {
    pub(super) layout: Result<Layout, String>,
}
