//! Buffers of an inspected heap, as reports ask for them.

use crate::address::Address;
use crate::address::AddressRange;
use crate::buffers;
use crate::buffers::Buffer;
use crate::buffers::Buffers;
use crate::graph::id::ObjectId;
use crate::inspection::BufferProblem;
use crate::inspection::BufferRow;
use crate::inspection::Inspection;
use crate::layout::features::ArenaTable;
use crate::runtime::arenas;
use crate::runtime::arenas::Arena;
use crate::runtime::pymalloc;
use crate::runtime::pymalloc::Pool;

impl Inspection {
    /// Every buffer of the view's objects; found when first asked for.
    pub fn buffers(&self) -> &Buffers {
        self.buffers.get_or_init(|| {
            let is_in = |object| self.is_in_view(object);
            let mappings = &self.capture.mappings;
            buffers::collect(&self.space(), &self.descriptions, &self.heap, mappings, is_in)
        })
    }

    fn buffer_row<'a>(&'a self, buffer: &Buffer) -> Option<BufferRow<'a>> {
        let objects = self.heap.objects();
        let index = buffer.object.index();
        let label_of = |object: ObjectId| Some(self.heap.label(*objects.types.get(object.index())?));
        Some(BufferRow {
            object: Address::new(*objects.addresses.get(index)?),
            type_label: label_of(buffer.object)?,
            what: self.descriptions.word(buffer.what),
            address: buffer.address,
            bytes: buffer.bytes,
            attributed: buffer.attributed,
            role: buffer.role.name(),
            owner: buffer.owner,
            owner_label: buffer.owner.and_then(|owner| label_of(self.heap.find(owner)?)),
            counted: buffer.counted,
            mapping: buffer.mapped.then(|| self.mapping_name(buffer.address)).flatten(),
        })
    }

    /// The pools of pymalloc: none in builds without it, whatever looks like one.
    pub(super) fn pools(&self) -> Vec<Pool> {
        let features = &self.resolved.features;
        if features.arena_table == ArenaTable::Mimalloc {
            return Vec::new();
        }
        pymalloc::find_pools(&self.capture.image, features.pool_size as u32)
    }

    /// The arenas that pools were cut from, by address.
    pub(super) fn arenas(&self, pools: &[Pool]) -> Vec<Arena> {
        let (features, layouts) = (&self.resolved.features, &self.resolved.layouts);
        let places = self.places_of_tables();
        arenas::find(&self.capture.image, &layouts.arena, (pools, features.arena_size), &places)
    }

    /// Where the interpreters keep the pointers to their tables of arenas.
    fn places_of_tables(&self) -> Vec<AddressRange> {
        let own = self.binaries.iter().filter(|(_, file)| *file == self.interpreter.image_path);
        let mut places: Vec<AddressRange> = own.map(|&(range, _)| range).collect();
        let table = &self.resolved.table;
        let offset = |key: &str| table.get(key).map(|entry| entry.offset);
        let state = offset("PyInterpreterState.obmalloc").zip(offset("_obmalloc_state.mgmt.arenas"));
        for &interpreter in &self.interpreters {
            let Some((state, arenas)) = state else { break };
            // Part of the interpreter in 3.12, behind a pointer from 3.13 on: both are looked at.
            let inside = interpreter.plus(state);
            let behind = self.capture.image.pointer(inside).filter(|pointer| !pointer.is_null());
            for start in [Some(inside), behind].into_iter().flatten() {
                places.push(AddressRange::new(start.plus(arenas), start.plus(arenas + 8)));
            }
        }
        places
    }

    fn mapping_name(&self, address: Address) -> Option<&str> {
        let mappings = &self.capture.mappings;
        let after = mappings.partition_point(|mapping| mapping.range.start <= address);
        let mapping = after.checked_sub(1).and_then(|index| mappings.get(index))?;
        Some(if mapping.name.is_empty() { "anonymous" } else { &mapping.name })
    }
}

/// See [`Answers`](crate::inspection::Answers::for_each_buffer).
pub(super) fn for_each_buffer(inspection: &Inspection, visit: &mut dyn FnMut(&BufferRow<'_>) -> bool) {
    let buffers = inspection.buffers();
    for &index in &buffers.by_size {
        let row = buffers.rows.get(index as usize).and_then(|buffer| inspection.buffer_row(buffer));
        if row.is_some_and(|row| !visit(&row)) {
            return;
        }
    }
}

/// See [`Answers`](crate::inspection::Answers::buffer_problems).
pub(super) fn buffer_problems(inspection: &Inspection) -> Vec<BufferProblem> {
    let buffers = inspection.buffers();
    let refused = buffers.refused.iter().map(|refused| BufferProblem {
        kind: "description-refused",
        subject: inspection.heap.label(refused.kind).to_owned(),
        description: refused.reason.clone(),
        objects: refused.objects,
    });
    let troubles = buffers.troubles;
    let counted = [
        ("buffer-unreadable", "a field leads to no memory or says the impossible", troubles.unreadable),
        ("buffer-undescribed", "no description has conditions that the objects meet", troubles.none_fits),
        ("buffer-excess", "objects claim more structures than there can be", troubles.too_many),
        ("buffer-unmapped", "a buffer that is not mapped; it counts in no total", troubles.unmapped),
    ];
    let counted = counted.into_iter().filter(|&(_, _, objects)| objects > 0);
    let counted = counted.map(|(kind, description, objects)| BufferProblem {
        kind,
        subject: String::new(),
        description: description.to_owned(),
        objects,
    });
    let records = &inspection.heap.walk.types.records;
    let unmet = inspection.descriptions.user_types().iter().filter(|(_, name)| {
        // A type that nothing in the process refers to, or a mistake in the name.
        !records.iter().any(|record| record.name == *name)
    });
    let unmet = unmet.map(|(file, name)| BufferProblem {
        kind: "description-unused",
        subject: name.clone(),
        description: format!("{file}: the process has no type of this name"),
        objects: 0,
    });
    refused.chain(counted).chain(unmet).collect()
}

/// Spans of objects and of buffers merged; both are sorted.
pub(super) fn with_buffers<'a>(
    objects: impl Iterator<Item = (u64, u64)> + Clone + 'a,
    buffers: &'a [(u64, u64)],
) -> impl Iterator<Item = (u64, u64)> + Clone + 'a {
    let mut objects = objects.peekable();
    let mut buffers = buffers.iter().copied().peekable();
    std::iter::from_fn(move || match (objects.peek(), buffers.peek()) {
        (Some(object), Some(buffer)) if buffer < object => buffers.next(),
        (None, _) => buffers.next(),
        _ => objects.next(),
    })
}
