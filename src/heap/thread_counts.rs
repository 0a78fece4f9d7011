//! References that threads count on their own (free-threaded, 3.14 on).
//!
//! Classes, code and namespaces of modules would be fought over by all threads: each thread counts its
//! references to them in an array of its own, by a number that the object has
//! (`Include/internal/pycore_uniqueid.h`, `Python/uniqueid.c`).

use crate::address::Address;
use crate::heap::space::Space;
use crate::runtime::interpreters::Runtime;
use rustc_hash::FxHashMap;

/// More numbered objects than this are damage.
const MOST_NUMBERS: u64 = 1 << 24;

/// What is to be added to the reference count of each such object. Cost: one step for each thread and number.
pub fn read(space: &Space<'_>, runtime: &Runtime) -> FxHashMap<Address, i64> {
    let mut counts: FxHashMap<Address, i64> = FxHashMap::default();
    let layout = &space.layouts.interpreter;
    let (Some(table), Some(size)) = (layout.unique_ids, layout.unique_ids_size) else { return counts };
    let Some(state) = &space.layouts.thread_state_impl else { return counts };
    let (Some(values), Some(values_size)) = (state.refcounts, state.refcounts_size) else { return counts };
    let word = |at: Address| space.image.word(at).unwrap_or(0);
    for interpreter in &runtime.interpreters {
        let objects = Address::new(word(interpreter.address.plus(table)));
        let numbers = word(interpreter.address.plus(size)).min(MOST_NUMBERS);
        for thread in &interpreter.threads {
            let own = Address::new(word(thread.address.plus(values)));
            let count = word(thread.address.plus(values_size)).min(numbers);
            let mut index = 0;
            space.for_each_word(own, count, |value| {
                let object = objects.plus(8 * index);
                index += 1;
                if value != 0
                    && let Some(object) = space.image.pointer(object)
                {
                    let sum = counts.entry(object).or_default();
                    *sum = sum.saturating_add(value.cast_signed());
                }
            });
        }
    }
    counts
}
