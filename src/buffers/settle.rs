//! From what each object says of itself to who owns what: views are matched with owners, memory that
//! several hold counts once.

use crate::address::Address;
use crate::address::AddressRange;
use crate::buffers::Buffer;
use crate::buffers::Buffers;
use crate::buffers::Role;
use crate::buffers::collect::Said;
use crate::descriptions::Hold;
use crate::graph::id::ObjectId;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::size::SizeRule;
use crate::heap::space::Space;

/// Puts the rows together. `mapped` is the address space, sorted. Cost: a sort of the buffers and a few
/// binary searches for each.
pub(super) fn settle(
    space: &Space<'_>,
    heap: &Heap,
    mapped: &[AddressRange],
    said: Vec<Said>,
    mut buffers: Buffers,
) -> Buffers {
    buffers.rows = said.into_iter().map(|said| row(heap, mapped, &said)).collect();
    sort(heap, &mut buffers.rows);
    let owners = Owners::of(&buffers.rows);
    let holder = |row: &Buffer| owners.of_memory(heap, &buffers.rows, row);
    let found: Vec<Option<Known>> = buffers
        .rows
        .iter()
        .map(|row| match row.role {
            Role::Owner => None,
            Role::Shared | Role::View if !row.mapped => None,
            Role::Shared | Role::View => holder(row)
                .filter(|known| known.role == Role::Owner)
                .or_else(|| inline_object(space, heap, row))
                .or_else(|| holder(row)),
        })
        .collect();
    for (row, known) in buffers.rows.iter_mut().zip(found) {
        if let Some(known) = known {
            row.counted = known.counted;
            if row.role == Role::Shared && known.role != Role::Shared {
                row.role = Role::View;
            }
            let itself = Some(known.owner) == address_of(heap, row.object);
            row.owner = row.owner.or(Some(known.owner).filter(|_| !itself));
        } else if row.role != Role::Owner {
            row.counted = false;
        }
    }
    sort(heap, &mut buffers.rows);
    attribute(&mut buffers.rows);
    buffers.uncounted = stretches(&buffers.rows);
    buffers.troubles.unmapped = buffers.rows.iter().filter(|row| !row.mapped).count() as u64;
    let mut by_size: Vec<u32> = (0..u32::try_from(buffers.rows.len()).unwrap_or(u32::MAX)).collect();
    by_size.sort_by_key(|&index| std::cmp::Reverse(buffers.rows[index as usize].bytes));
    buffers.by_size = by_size;
    buffers
}

fn row(heap: &Heap, mapped: &[AddressRange], said: &Said) -> Buffer {
    let claim = &said.claim;
    let (role, owner) = match claim.hold {
        Hold::Owned => (Role::Owner, None),
        Hold::Shared => (Role::Shared, None),
        Hold::View(owner) => (Role::View, owner),
    };
    Buffer {
        object: said.object,
        address: claim.address,
        bytes: claim.bytes,
        attributed: 0,
        what: claim.what,
        role,
        owner: owner.filter(|&owner| Some(owner) != address_of(heap, said.object)),
        counted: claim.counted,
        mapped: is_mapped(mapped, claim.address, claim.bytes),
    }
}

fn address_of(heap: &Heap, object: ObjectId) -> Option<Address> {
    heap.objects().addresses.get(object.index()).copied().map(Address::new)
}

fn end_of(row: &Buffer) -> u64 {
    row.address.get().saturating_add(row.bytes)
}

/// By address; at the same one those who own first, then the longest, then the lowest object.
fn sort(heap: &Heap, rows: &mut [Buffer]) {
    rows.sort_by_key(|row| {
        (row.address, row.role, std::cmp::Reverse(row.bytes), address_of(heap, row.object), row.what)
    });
}

fn is_mapped(mapped: &[AddressRange], start: Address, bytes: u64) -> bool {
    let after = mapped.partition_point(|range| range.start <= start);
    let range = after.checked_sub(1).and_then(|index| mapped.get(index));
    let end = start.get().checked_add(bytes);
    range.zip(end).is_some_and(|(range, end)| end <= range.end.get())
}

/// Whose a piece of memory is.
struct Known {
    owner: Address,
    role: Role,
    counted: bool,
}

/// The rows that own memory: one for each address, with the furthest end of all up to it.
struct Owners {
    rows: Vec<u32>,
    reach: Vec<u64>,
}

impl Owners {
    /// `rows` are sorted: the first one at an address stands for all there.
    fn of(rows: &[Buffer]) -> Self {
        let mut owners = Self { rows: Vec::new(), reach: Vec::new() };
        let mut furthest = 0;
        let mut last = None;
        for (index, row) in (0_u32..).zip(rows) {
            if row.role != Role::View && row.mapped && last != Some(row.address) {
                last = Some(row.address);
                furthest = end_of(row).max(furthest);
                owners.rows.push(index);
                owners.reach.push(furthest);
            }
        }
        owners
    }

    /// Whose all the memory of a row is. Of several the owner that begins last; where a damaged heap has
    /// very many that overlap, none.
    fn of_memory(&self, heap: &Heap, rows: &[Buffer], row: &Buffer) -> Option<Known> {
        const MOST_LOOKED_AT: usize = 64;
        let at = |index: usize| rows.get(*self.rows.get(index)? as usize);
        let after = self.rows.partition_point(|&index| {
            rows.get(index as usize).is_some_and(|owner| owner.address <= row.address)
        });
        let near = (after.saturating_sub(MOST_LOOKED_AT)..after).rev();
        let best = near
            .take_while(|&index| self.reach.get(index).is_some_and(|&reach| reach >= end_of(row)))
            .filter_map(at)
            .filter(|owner| end_of(owner) >= end_of(row))
            .min_by_key(|owner| owner.role)?;
        let counted = best.role == Role::Owner && best.counted;
        Some(Known { owner: address_of(heap, best.object)?, role: best.role, counted })
    }
}

/// The object whose own bytes a row's memory is part of: the bytes of a `bytes`, say.
fn inline_object(space: &Space<'_>, heap: &Heap, row: &Buffer) -> Option<Known> {
    let object = heap.find_at_or_before(row.address)?;
    let objects = heap.objects();
    let index = object.index();
    let start = address_of(heap, object)?;
    let plan = heap.walk.plans.get(objects.types.get(index)?.index())?.as_ref()?;
    // Only such a size is all in one piece, from the headers before the object on.
    let is_inline = plan.size_rule == SizeRule::Default && !objects.flags.get(index)?.has(Flags::SYNTHETIC);
    let end = start
        .get()
        .checked_add(*objects.sizes.get(index)?)?
        .checked_sub(space.pre_header(plan.record.flags))?;
    (is_inline && end_of(row) <= end).then_some(Known { owner: start, role: Role::Owner, counted: true })
}

/// Gives each byte to the first row that has it.
fn attribute(rows: &mut [Buffer]) {
    let mut reached = 0;
    for row in rows.iter_mut().filter(|row| row.mapped && !row.counted) {
        let end = end_of(row);
        row.attributed = end.saturating_sub(reached.max(row.address.get()));
        reached = end.max(reached);
    }
    let mut reached = 0;
    for row in rows.iter_mut().filter(|row| row.mapped && row.counted && row.role == Role::Owner) {
        let end = end_of(row);
        row.attributed = end.saturating_sub(reached.max(row.address.get()));
        reached = end.max(reached);
    }
}

/// What `sys.getsizeof` does not count, joined where it touches.
fn stretches(rows: &[Buffer]) -> Vec<(u64, u64)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for row in rows.iter().filter(|row| row.mapped && !row.counted) {
        let (start, end) = (row.address.get(), end_of(row));
        match stretches.last_mut() {
            Some((last, bytes)) if start <= *last + *bytes => *bytes = (*bytes).max(end - *last),
            _ => stretches.push((start, end - start)),
        }
    }
    stretches
}
