//! Asking for memory before it is read. Objects come in order of address; what they have apart from themselves, and
//! what they refer to, comes in none, and in an old heap each of these is waited for.

use crate::address::Address;
use crate::heap::pass::Pass;
use crate::heap::plans::Plans;
use crate::target::prefetch::prefetch;

/// Unit: bytes.
const CACHE_LINE: u64 = 64;

/// Which types have instances that nothing need be fetched for, by number: numbers and text, most of all objects.
#[derive(Default)]
pub(super) struct LeafTypes(Vec<Option<bool>>);

impl LeafTypes {
    #[inline]
    fn contains(&mut self, plans: &Plans<'_>, number: u32) -> bool {
        match self.0.get(number as usize) {
            Some(&Some(is_leaf)) => is_leaf,
            _ => self.learn(plans, number),
        }
    }

    fn learn(&mut self, plans: &Plans<'_>, number: u32) -> bool {
        let is_leaf = plans.get(number).is_none_or(|plan| plan.is_leaf);
        if self.0.len() <= number as usize {
            self.0.resize(number as usize + 1, None);
        }
        self.0[number as usize] = Some(is_leaf);
        is_leaf
    }
}

impl Pass<'_> {
    /// Lets the processor fetch the table of a dict, the items of a list, the values of an instance, and what is
    /// known of the neighbour on the collector's list: they may be anywhere, while objects come in order of address.
    #[inline]
    pub(super) fn fetch(&self, leaves: &mut LeafTypes, address: Address, number: u32) {
        if leaves.contains(self.plans, number) {
            return;
        }
        let space = self.request.space;
        let image = space.image;
        let Some(plan) = self.plans.get(number) else { return };
        if let Some(offset) = plan.own_memory
            && let Some(own) = image.pointer(Address::new(address.get().wrapping_add_signed(offset)))
            && !own.is_null()
        {
            image.prefetch(own);
            // The rest of a small table, or of some items.
            image.prefetch(own.plus(CACHE_LINE));
        }
        // Its neighbour on the collector's list.
        if plan.record.is_gc()
            && space.features.free_threading.is_none()
            && let Some(next) =
                image.word(address.minus(space.layouts.gc_head.sizeof).plus(space.layouts.gc_head.next))
        {
            let neighbour = Address::new(next & !3).plus(space.layouts.gc_head.sizeof);
            self.fetch_place(neighbour);
        }
    }

    /// Lets the processor fetch what is known of an address.
    #[inline]
    pub(super) fn fetch_place(&self, address: Address) {
        if let Some(page) = self.request.space.image.page_of(address)
            && let Some(entry) = self.extras.index.entry(page, address)
        {
            prefetch(entry);
        }
    }
}
