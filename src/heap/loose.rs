//! Which objects a reference leads to, found while the references are read.
//!
//! What the collector tracks is marked as the source of references that count, wherever it is; so the targets of
//! most references are marked at once, in order of address, and no search has to jump through the heap. Only the
//! references of what is not tracked (dicts and tuples of nothing but atoms, static types) wait until it is
//! known whether anything leads to their source.

use crate::graph::adjacency::CHUNK_ROWS;
use crate::graph::marks::Marks;
use crate::heap::finish::Columns;
use crate::heap::finish::Facts;
use crate::heap::objects::Flags;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// The references of untracked objects, by chunk.
pub(super) struct Loose<'a> {
    facts: &'a [Facts],
    extra_facts: &'a [Facts],
    /// In which facts the references of extras are, and the how many'th of these's untracked objects each is.
    extra_rows: FxHashMap<u32, (u32, u32)>,
    /// Whether the references of all objects are there.
    keeps_references: bool,
    columns: &'a Columns,
    extra_columns: &'a Columns,
}

impl<'a> Loose<'a> {
    pub(super) fn new(
        (facts, columns): (&'a [Facts], &'a Columns),
        (extra_facts, extra_columns): (&'a [Facts], &'a Columns),
        keeps_references: bool,
    ) -> Self {
        let mut extra_rows = FxHashMap::default();
        for (place, facts) in (0..).zip(extra_facts) {
            for (row, &id) in (0..).zip(&facts.loose) {
                extra_rows.insert(id, (place, row));
            }
        }
        Self { facts, extra_facts, extra_rows, keeps_references, columns, extra_columns }
    }

    fn is_loose(&self, id: u32) -> bool {
        let flags = match (id as usize).checked_sub(self.columns.flags.len()) {
            None => self.columns.flags.get(id as usize),
            Some(extra) => self.extra_columns.flags.get(extra),
        };
        flags.is_some_and(|flags| flags.has(Flags::LOOSE))
    }

    fn row(&self, id: u32) -> &[u32] {
        let (facts, row) = if (id as usize) < self.columns.flags.len() {
            let facts = self.facts.get(id as usize / CHUNK_ROWS);
            (facts, facts.and_then(|facts| facts.loose.binary_search(&id).ok()))
        } else {
            let place = self.extra_rows.get(&id);
            (
                place.and_then(|place| self.extra_facts.get(place.0 as usize)),
                place.map(|place| place.1 as usize),
            )
        };
        facts.zip(row).map_or(&[], |(facts, row)| self.row_in(facts, row, id))
    }

    /// The references of the `loose`th untracked object of some facts.
    fn row_in<'b>(&self, facts: &'b Facts, loose: usize, id: u32) -> &'b [u32] {
        let row = if self.keeps_references { (id as usize).wrapping_sub(facts.first) } else { loose };
        facts.chunk.row(row)
    }

    /// Marks what marked objects refer to, and what that refers to. Parallel: whoever marks an object first
    /// follows it, and what was marked before is met in the list, so the marks do not depend on the threads.
    pub(super) fn follow(&self, marks: &Marks) {
        self.facts.par_iter().chain(self.extra_facts).for_each(|facts| {
            let mut pending: Vec<u32> = Vec::new();
            for (row, &id) in facts.loose.iter().enumerate() {
                if marks.contains(id) {
                    self.mark(self.row_in(facts, row, id), marks, &mut pending);
                }
                while let Some(id) = pending.pop() {
                    self.mark(self.row(id), marks, &mut pending);
                }
            }
        });
    }

    fn mark(&self, row: &[u32], marks: &Marks, pending: &mut Vec<u32>) {
        let new = row.iter().copied().filter(|&target| marks.set(target));
        pending.extend(new.filter(|&target| self.is_loose(target)));
    }
}
