//! References as compressed rows, built in parallel: a list of chunks, each with its own rows.
//!
//! Row starts are 32-bit inside a chunk, so a heap may hold more than 2^32 references.

use crate::graph::id::ObjectId;

/// Rows in a chunk.
pub const CHUNK_ROWS: usize = 1 << CHUNK_SHIFT;
const CHUNK_SHIFT: u32 = 15;

/// The rows of up to [`CHUNK_ROWS`] consecutive objects.
#[derive(Clone, Debug)]
pub struct Chunk {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { starts: vec![0], targets: Vec::new() }
    }
}

impl Chunk {
    /// An empty chunk with room for so many rows of the usual length.
    pub fn with_capacity(rows: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self { starts, targets: Vec::with_capacity(rows * 3) }
    }

    /// Adds a reference to the row being written. A chunk takes fewer than 2^32 references; more
    /// are cut off, which bounds what a damaged heap can cost.
    #[inline]
    pub fn push(&mut self, target: u32) {
        if self.targets.len() < u32::MAX as usize {
            self.targets.push(target);
        }
    }

    /// Adds a reference if there is one.
    pub fn push_some(&mut self, target: Option<ObjectId>) {
        if let Some(target) = target {
            self.push(target.0);
        }
    }

    /// The row being written.
    pub fn open_row(&self) -> &[u32] {
        let start = self.starts.last().map_or(0, |&start| start as usize);
        self.targets.get(start..).unwrap_or(&[])
    }

    /// Forgets the row being written.
    pub fn drop_row(&mut self) {
        self.targets.truncate(self.starts.last().map_or(0, |&start| start as usize));
    }

    /// Ends the row being written.
    pub fn end_row(&mut self) {
        self.starts.push(self.targets.len() as u32);
    }

    /// Number of references in all rows.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// Number of ended rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Every target, to be renumbered in place.
    pub fn targets_mut(&mut self) -> &mut [u32] {
        &mut self.targets
    }

    /// The targets of the `index`th row; empty if there is none.
    pub fn row(&self, index: usize) -> &[u32] {
        let range = self.starts.get(index).zip(self.starts.get(index + 1));
        range.and_then(|(&start, &end)| self.targets.get(start as usize..end as usize)).unwrap_or(&[])
    }
}

/// Who refers to whom: a row of targets per object.
#[derive(Clone, Debug, Default)]
pub struct Adjacency {
    chunks: Vec<Chunk>,
}

impl Adjacency {
    /// Joins chunks; all but the last must have [`CHUNK_ROWS`] rows.
    pub fn new(chunks: Vec<Chunk>) -> Self {
        debug_assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.rows() == CHUNK_ROWS));
        Self { chunks }
    }

    /// The objects that `object` refers to, in the order in which its layout lists them. O(1).
    #[inline]
    pub fn row(&self, object: ObjectId) -> &[u32] {
        let index = object.index();
        self.chunks.get(index >> CHUNK_SHIFT).map_or(&[], |chunk| chunk.row(index % CHUNK_ROWS))
    }

    /// Number of references in all rows.
    pub fn reference_count(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.targets.len() as u64).sum()
    }
}

/// Cuts `count` rows into the ranges that chunks hold.
pub fn chunk_ranges(count: usize) -> Vec<std::ops::Range<usize>> {
    (0..count).step_by(CHUNK_ROWS).map(|start| start..(start + CHUNK_ROWS).min(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_written() {
        let count = CHUNK_ROWS + 3;
        let mut chunks = Vec::new();
        for range in chunk_ranges(count) {
            let mut chunk = Chunk::default();
            for row in range {
                for target in 0..row % 4 {
                    chunk.push((row + target) as u32);
                }
                chunk.end_row();
            }
            chunks.push(chunk);
        }
        let adjacency = Adjacency::new(chunks);
        for row in [0, 1, 3, CHUNK_ROWS - 1, CHUNK_ROWS, count - 1] {
            let expected: Vec<u32> = (0..row % 4).map(|target| (row + target) as u32).collect();
            assert_eq!(adjacency.row(ObjectId::from_index(row)), expected);
        }
        assert!(adjacency.row(ObjectId::from_index(count)).is_empty());
    }
}
