//! Which thread holds the lock of an interpreter.

use crate::address::Address;
use crate::layout::gil::GilFields;
use crate::layout::schema::Layouts;
use crate::runtime::interpreters::Runtime;
use crate::runtime::interpreters::Thread;
use crate::target::Memory;

/// The threads that hold a lock: one at most where all interpreters share it, else one for each at most.
///
/// Before 3.7 the lock is a variable of which nothing exported tells, but `_PyThreadState_Current`
/// (Python/pystate.c) is the thread that has taken it, and null while none has.
pub fn holders<'a>(
    memory: &dyn Memory,
    runtime: &'a Runtime,
    layouts: &Layouts,
    fields: GilFields,
) -> Vec<&'a Thread> {
    let mut locks: Vec<(Address, Address)> = Vec::new();
    let threads = || runtime.interpreters.iter().flat_map(|interpreter| &interpreter.threads);
    if let Some(current) = layouts.runtime.current_thread.filter(|_| layouts.runtime.gil_locked.is_none()) {
        let current = memory.read_address(runtime.address.plus(current));
        return threads().filter(|thread| current == Ok(thread.address)).collect();
    }
    let of_runtime = layouts.runtime.gil_last_holder.zip(layouts.runtime.gil_locked);
    if let Some((holder, locked)) = of_runtime {
        locks.push((runtime.address.plus(holder), runtime.address.plus(locked)));
    } else if let Some(pointer) = layouts.interpreter.gil {
        let gils = runtime.interpreters.iter();
        let gils = gils.filter_map(|interpreter| memory.read_address(interpreter.address.plus(pointer)).ok());
        locks.extend(gils.map(|gil| (gil.plus(fields.last_holder), gil.plus(fields.locked))));
    }
    locks.sort_unstable();
    locks.dedup();
    let held = locks.into_iter().filter(|(_, locked)| memory.read_u32(*locked) == Ok(1));
    let states: Vec<Address> = held.filter_map(|(holder, _)| memory.read_address(holder).ok()).collect();
    threads().filter(|thread| states.contains(&thread.address)).collect()
}
