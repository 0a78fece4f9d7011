//! The end of a walk: extras and types are renumbered in order of address, and the columns of all chunks
//! put together.

use crate::address::Address;
use crate::graph::adjacency::Adjacency;
use crate::graph::adjacency::CHUNK_ROWS;
use crate::graph::adjacency::Chunk;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;
use crate::graph::marks::Marks;
use crate::heap::anomaly::Anomalies;
use crate::heap::objects::Flags;
use crate::heap::objects::Objects;
use crate::heap::plan::Plan;
use crate::heap::plans::Plans;
use crate::heap::references::Places;
use crate::heap::types::TypeTable;
use crate::heap::walk::Walk;
use crate::target::huge_pages::zeroed_column;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Sizes and flags of objects, in the order in which these were found.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) sizes: Vec<u64>,
    pub(super) flags: Vec<Flags>,
}

impl Columns {
    /// Columns to be filled by several threads; `sizes` are those that are known already, or none.
    pub(super) fn of(count: usize, sizes: Vec<u64>) -> Self {
        let sizes = if sizes.len() == count { sizes } else { column(count) };
        Self { sizes, flags: column(count) }
    }
}

/// A column with some room for the objects that are found otherwise.
fn column<T: Clone + Default>(count: usize) -> Vec<T> {
    let mut column = zeroed_column(count + count / 64 + (1 << 16));
    column.truncate(count);
    column
}

/// The facts of one chunk of objects, but for their columns.
#[derive(Default)]
pub(super) struct Facts {
    /// Id of the first object.
    pub(super) first: usize,
    /// What each refers to, or each of the `loose` ones.
    pub(super) chunk: Chunk,
    /// Where there are marks: the objects that refer to others and are not tracked.
    pub(super) loose: Vec<u32>,
    pub(super) owned: Vec<(u32, u32)>,
    pub(super) anomalies: Anomalies,
}

impl Facts {
    /// Nothing yet of the objects from this id on.
    pub(super) fn from(first: usize) -> Self {
        Self { first, ..Self::default() }
    }
}

/// Everything that the passes found, in the order in which they found it.
pub(super) struct Found {
    pub(super) addresses: Vec<u64>,
    pub(super) numbers: Vec<u32>,
    pub(super) facts: Vec<Facts>,
    pub(super) columns: Columns,
    pub(super) extra_facts: Vec<Facts>,
    pub(super) extra_columns: Columns,
    pub(super) roots: Vec<u32>,
    pub(super) thread_roots: Vec<u32>,
    /// What a reference leads to; none in heapy's view.
    pub(super) marks: Option<Marks>,
    /// Whether the facts have the references of all objects.
    pub(super) keeps_references: bool,
    pub(super) places: Places,
}

/// Renumbers extras and types in order of address and puts the columns together.
pub(super) fn finish(
    extras: &[(Address, u32)],
    plans: &Plans<'_>,
    found: Found,
    mut anomalies: Anomalies,
) -> Walk {
    let swept = found.addresses.len();
    let mut order: Vec<u32> = (0..extras.len() as u32).collect();
    order.sort_unstable_by_key(|&index| extras[index as usize].0);
    let mut rank = vec![0_u32; extras.len()];
    for (position, &index) in order.iter().enumerate() {
        rank[index as usize] = position as u32;
    }
    let renumber = |id: u32| match (id as usize).checked_sub(swept) {
        Some(extra) => swept as u32 + rank.get(extra).copied().unwrap_or(0),
        None => id,
    };
    let (mut columns, extra_columns) = (found.columns, found.extra_columns);
    columns.sizes.reserve(extras.len());
    columns.flags.reserve(extras.len());
    let mut chunks = Vec::with_capacity((swept + extras.len()) / CHUNK_ROWS + 1);
    let mut owned = Vec::new();
    for facts in found.facts {
        anomalies.join(&facts.anomalies);
        owned.extend(facts.owned);
        chunks.push(facts.chunk);
    }
    // The last chunk of the swept objects is filled up with the first extras.
    let mut tail = chunks.pop_if(|chunk| chunk.rows() < CHUNK_ROWS).unwrap_or_default();
    let keeps_references = found.keeps_references;
    let mut extra_rows: Vec<(usize, usize)> = Vec::with_capacity(extras.len());
    for (index, facts) in found.extra_facts.iter().enumerate() {
        anomalies.join(&facts.anomalies);
        owned.extend_from_slice(&facts.owned);
        extra_rows.extend((0..facts.chunk.rows()).map(|row| (index, row)));
    }
    for &index in &order {
        let index = index as usize;
        columns.sizes.push(extra_columns.sizes.get(index).copied().unwrap_or(0));
        columns.flags.push(extra_columns.flags.get(index).copied().unwrap_or_default());
        if keeps_references {
            if let Some(&(facts, row)) = extra_rows.get(index) {
                found.extra_facts[facts].chunk.row(row).iter().for_each(|&target| tail.push(target));
            }
            tail.end_row();
            if tail.rows() == CHUNK_ROWS {
                chunks.push(std::mem::take(&mut tail));
            }
        }
    }
    chunks.push(tail);
    let references = OnceLock::new();
    if !keeps_references {
        chunks.clear();
    }
    if let Some(mut marks) = found.marks {
        note_marks(&mut columns.flags, (swept, &order), &mut marks);
    }
    renumber_targets(&mut chunks, swept, &renumber);
    let mut addresses = found.addresses;
    addresses.reserve(extras.len());
    addresses.extend(order.iter().map(|&index| extras[index as usize].0.get()));
    let mut numbers = found.numbers;
    numbers.extend(order.iter().map(|&index| extras[index as usize].1));
    let (types, plans) = numbers_to_plans(plans);
    let type_ids = numbers_to_ids(numbers, &types);
    let rename = |&(dict, owner): &(u32, u32)| (ObjectId(renumber(dict)), ObjectId(renumber(owner)));
    let owned_dicts = owned.iter().map(rename).collect();
    if keeps_references {
        // Nobody else has it.
        let _ = references.set(Adjacency::new(chunks));
    }
    let (roots, thread_roots) = (ids(&found.roots, &renumber), ids(&found.thread_roots, &renumber));
    Walk {
        objects: Objects { swept, addresses, types: type_ids, sizes: columns.sizes, flags: columns.flags },
        references,
        places: found.places,
        types,
        plans,
        owned_dicts,
        roots,
        thread_roots,
        anomalies,
    }
}

fn numbers_to_ids(mut numbers: Vec<u32>, types: &TypeTable) -> Vec<TypeId> {
    numbers
        .par_iter_mut()
        .with_min_len(1 << 16)
        .for_each(|number| *number = types.ids.get(*number as usize).map_or(0, |id| id.0));
    // Collected in place.
    numbers.into_iter().map(TypeId).collect()
}

/// Roots by their final ids, each once.
fn ids(numbers: &[u32], renumber: &impl Fn(u32) -> u32) -> Vec<ObjectId> {
    let mut ids: Vec<ObjectId> = numbers.iter().map(|&id| ObjectId(renumber(id))).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Says of each object whether a reference leads to it; `order` has the extras by address.
fn note_marks(flags: &mut [Flags], (swept, order): (usize, &[u32]), marks: &mut Marks) {
    for (flags, mark) in flags.iter_mut().zip(marks.of_known()) {
        flags.0 |= mark * Flags::LED_TO;
    }
    for (flags, &index) in flags.iter_mut().skip(swept).zip(order) {
        flags.0 |= u8::from(marks.contains(swept as u32 + index)) * Flags::LED_TO;
    }
}

fn renumber_targets(chunks: &mut [Chunk], swept: usize, renumber: &(impl Fn(u32) -> u32 + Sync)) {
    chunks.par_iter_mut().for_each(|chunk| {
        chunk.targets_mut().iter_mut().filter(|id| **id as usize >= swept).for_each(|id| *id = renumber(*id));
    });
}

fn numbers_to_plans(made: &Plans<'_>) -> (TypeTable, Vec<Option<Plan>>) {
    let table = made.registry.table();
    let mut plans: Vec<Option<Plan>> = vec![None; table.records.len()];
    for (number, id) in table.ids.iter().enumerate() {
        if let Some(place) = plans.get_mut(id.index()) {
            *place = made.get(number as u32).cloned();
        }
    }
    (table, plans)
}
