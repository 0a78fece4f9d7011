//! What keeps objects alive from outside: fields of interpreters and threads, frames, static types.

use crate::address::Address;
use crate::heap::kind::execution;
use crate::heap::kind::field;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::work::FREE_WORDS;
use crate::layout::schema::NamedOffset;
use crate::runtime::interpreters::Interpreter;
use crate::runtime::interpreters::Runtime;
use crate::runtime::interpreters::Thread;
use crate::runtime::interpreters::is_python_frame;
use rustc_hash::FxHashMap;

/// A reference from outside the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The object.
    pub target: Address,
    /// Who counts it as a root.
    pub seen: Seen,
}

/// The static strings are a few thousand.
const MOST_BUCKETS: u64 = 1 << 20;
/// Longest chain of exception states that is followed.
const MOST_EXCEPTION_STATES: usize = 100_000;

/// Every root of the process. heapy looks from the main thread of the main interpreter (its
/// `rootstate.c`): other threads' frames are no roots to it, their dicts are.
pub fn find(space: &Space<'_>, runtime: &Runtime) -> Vec<Root> {
    let mut roots = Vec::new();
    static_strings(space, runtime, &mut roots);
    for interpreter in &runtime.interpreters {
        of_interpreter(space, interpreter, &mut roots);
    }
    roots
}

/// The roots of one interpreter and its threads.
pub fn of_interpreter(space: &Space<'_>, interpreter: &Interpreter, roots: &mut Vec<Root>) {
    interpreter_roots(space, interpreter, roots);
    for thread in &interpreter.threads {
        thread_roots(space, interpreter, thread, roots);
    }
}

fn push(roots: &mut Vec<Root>) -> impl FnMut(Address, Seen) + '_ {
    |target, seen| roots.push(Root { target, seen })
}

/// Members that hold no reference to a living object: an array of C structures up to 3.13
/// (Modules/atexitmodule.c), and a dead slice kept for reuse (Objects/sliceobject.c).
fn is_no_root(space: &Space<'_>, name: &str) -> bool {
    let has_array = space.layouts.interpreter.atexit_count.is_some();
    name == "slice_cache" || (name == "atexit.callbacks" && has_array)
}

fn named(space: &Space<'_>, base: Address, fields: &[NamedOffset], heapy: &[&str], roots: &mut Vec<Root>) {
    for member in fields {
        if is_no_root(space, member.name) {
            continue;
        }
        let seen = if heapy.contains(&member.name) { Seen::HEAPY_AND_HELD } else { Seen::HELD };
        field(space, base.plus(member.offset), seen, &mut push(roots));
    }
}

/// The table of interned strings that are static objects (`_PyRuntime.cached_objects.interned_strings`,
/// Objects/unicodeobject.c, 3.12+): a `_Py_hashtable_t` (Include/internal/pycore_hashtable.h).
fn static_strings(space: &Space<'_>, runtime: &Runtime, roots: &mut Vec<Root>) {
    let read = |at: Address| space.image.pointer(at).filter(|target| !target.is_null());
    let Some(table) =
        space.layouts.runtime.interned_strings.and_then(|offset| read(runtime.address.plus(offset)))
    else {
        return;
    };
    let (layout, entry_layout) = (&space.layouts.hash_table, &space.layouts.hash_table_entry);
    let count = space.image.word(table.plus(layout.bucket_count)).unwrap_or(0).min(MOST_BUCKETS);
    let (Some(buckets), Some(key)) = (read(table.plus(layout.buckets)), entry_layout.key) else { return };
    for bucket in 0..count {
        if !space.work.take(1) {
            return;
        }
        let mut entry = read(buckets.plus(8 * bucket));
        for _ in 0..MOST_BUCKETS {
            let Some(at) = entry else { break };
            if !space.work.take(1) {
                return;
            }
            field(space, at.plus(key), Seen::HELD, &mut push(roots));
            entry = read(at.plus(entry_layout.next));
        }
        if roots.len() > MOST_BUCKETS as usize {
            return;
        }
    }
}

fn is_seen_by_heapy(space: &Space<'_>, interpreter: &Interpreter) -> bool {
    interpreter.id == 0 || space.features.heapy.sees_all_interpreters
}

fn interpreter_roots(space: &Space<'_>, interpreter: &Interpreter, roots: &mut Vec<Root>) {
    let layout = &space.layouts.interpreter;
    let base = interpreter.address;
    let heapy: &[&str] =
        if is_seen_by_heapy(space, interpreter) { &space.features.heapy.interpreter_roots } else { &[] };
    named(space, base, &layout.roots, heapy, roots);
    let mut words = |offset: Option<u64>, count: u64| {
        if let Some(offset) = offset {
            crate::heap::kind::array(
                space,
                base.plus(offset),
                count,
                Seen::HELD.with(Seen::SCANNED),
                &mut push(roots),
            );
        }
    };
    // Arrays of objects inside the structure: their lengths are in pycore_interp.h; words that are
    // no object are left out like any scanned word.
    words(layout.small_ints, 262);
    words(layout.latin1, 256);
    words(layout.monitoring_callables, 8 * 19);
    words(layout.monitoring_tool_names, 8);
    words(layout.common_constants, 12);
    atexit_callbacks(space, interpreter, roots);
}

/// 3.10 to 3.13: an array of pointers to (function, arguments, keywords) (Modules/atexitmodule.c).
fn atexit_callbacks(space: &Space<'_>, interpreter: &Interpreter, roots: &mut Vec<Root>) {
    let layout = &space.layouts.interpreter;
    let (Some(callbacks), Some(count)) = (layout.atexit_callbacks, layout.atexit_count) else { return };
    let Some(array) = space.image.pointer(interpreter.address.plus(callbacks)) else { return };
    let count = space.image.word32(interpreter.address.plus(count)).unwrap_or(0).min(1 << 16);
    for index in 0..u64::from(count) {
        // The array ends where memory does; interpreters that are none may claim one each.
        let Some(callback) = space.image.pointer(array.plus(8 * index)).filter(|_| space.work.take(1)) else {
            return;
        };
        if !callback.is_null() {
            crate::heap::kind::array(space, callback, 3, Seen::HELD, &mut push(roots));
        }
    }
}

fn thread_roots(space: &Space<'_>, interpreter: &Interpreter, thread: &Thread, roots: &mut Vec<Root>) {
    let heapy: &[&str] =
        if is_seen_by_heapy(space, interpreter) { &space.features.heapy.thread_roots } else { &[] };
    named(space, thread.address, &space.layouts.thread_state.roots, heapy, roots);
    if let Some(layout) = &space.layouts.thread_state_impl {
        named(space, thread.address, &layout.roots, heapy, roots);
    }
    exception_states(space, thread, roots);
    for &frame in &thread.frames {
        if space.features.interpreter_frames {
            // A frame that belongs to C code is not filled in but for its links.
            if !is_python_frame(space.image, space.layouts, frame) {
                continue;
            }
            execution::interpreter_frame(space, frame, Seen::HELD, &mut push(roots));
        } else {
            roots.push(Root { target: frame, seen: Seen::HELD });
        }
    }
    // heapy's own thread is taken to be the main one: the oldest, last in the list.
    let is_main = interpreter.id == 0 && interpreter.threads.last() == Some(thread);
    if is_main && !space.features.interpreter_frames {
        roots.extend(thread.frames.first().map(|&target| Root { target, seen: Seen::HEAPY }));
    }
}

/// `exc_info` and the states that it was pushed upon (`_PyErr_StackItem.previous_item`; 3.7 on).
fn exception_states(space: &Space<'_>, thread: &Thread, roots: &mut Vec<Root>) {
    let (Some(layout), Some(first)) =
        (&space.layouts.exception_stack_item, space.layouts.thread_state.exception_info)
    else {
        return;
    };
    let mut state = space.image.pointer(thread.address.plus(first));
    for index in 1..MOST_EXCEPTION_STATES as u64 {
        if index.is_multiple_of(FREE_WORDS) && !space.work.take(FREE_WORDS) {
            return;
        }
        let Some(at) = state.filter(|state| !state.is_null()) else { return };
        field(space, at.plus(layout.value), Seen::HELD, &mut push(roots));
        state = space.image.pointer(at.plus(layout.previous));
    }
}

/// What heapy starts from in the other threads of its interpreter when it looks for referrers: their newest
/// frames (its `rootstate.c`, without a limit frame). Of each thread the Python frames, newest first; up to
/// 3.10 only the newest frame object.
pub fn other_threads_frames(space: &Space<'_>, runtime: &Runtime) -> Vec<Vec<Address>> {
    let main = runtime.interpreters.iter().find(|interpreter| interpreter.id == 0);
    let threads = main.map_or(&[][..], |interpreter| &interpreter.threads);
    let others = threads.split_last().map_or(&[][..], |(_, others)| others);
    let frames = |thread: &Thread| -> Vec<Address> {
        let most = if space.features.interpreter_frames { usize::MAX } else { 1 };
        let is_frame = |frame: &Address| most == 1 || is_python_frame(space.image, space.layouts, *frame);
        thread.frames.iter().copied().filter(is_frame).take(most).collect()
    };
    others.iter().map(frames).filter(|frames| !frames.is_empty()).collect()
}

/// From each frame that heapy makes an object of (3.11 on) to the next older one; from the oldest to null.
pub fn frame_backs(
    space: &Space<'_>,
    frames: &[Address],
    other_frames: &[Vec<Address>],
) -> FxHashMap<Address, Address> {
    let mut backs = FxHashMap::default();
    if !space.features.interpreter_frames {
        return backs;
    }
    for frames in std::iter::once(frames).chain(other_frames.iter().map(Vec::as_slice)) {
        let olders = frames.iter().copied().skip(1).chain([Address::NULL]);
        for (&frame, older) in frames.iter().zip(olders) {
            backs.entry(frame).or_insert(older);
        }
    }
    backs
}

/// The Python frames of heapy's thread, newest first.
pub fn main_thread_frames(space: &Space<'_>, runtime: &Runtime) -> Vec<Address> {
    let main = runtime.interpreters.iter().find(|interpreter| interpreter.id == 0);
    let Some(thread) = main.and_then(|interpreter| interpreter.threads.last()) else { return Vec::new() };
    thread
        .frames
        .iter()
        .copied()
        .filter(|&frame| is_python_frame(space.image, space.layouts, frame))
        .collect()
}
