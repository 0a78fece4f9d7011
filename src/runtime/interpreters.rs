//! The interpreters of a process, their threads and the frames that run.
//!
//! `_PyRuntime.interpreters.head` -> `PyInterpreterState.next`, `threads.head` -> `PyThreadState.next`
//! (`Include/internal/pycore_runtime.h`, `pycore_interp.h`, `Include/cpython/pystate.h`).

use crate::address::Address;
use crate::layout::features::CollectorOwner;
use crate::layout::features::Features;
use crate::layout::schema::Layouts;
use crate::runtime::collector;
use crate::runtime::collector::CollectorList;
use crate::target::Image;
use crate::target::Memory;
use crate::target::Unreadable;
use rustc_hash::FxHashSet;
use thiserror::Error;

/// More interpreters, threads or frames than this are a loop in damaged memory.
const MOST_INTERPRETERS: usize = 10_000;
const MOST_THREADS: usize = 1_000_000;
const MOST_FRAMES: usize = 10_000_000;
/// The same of all together.
const MOST_MEMBERS: usize = 20_000_000;
/// `FRAME_OWNED_BY_CSTACK` and the interpreter's own frame of 3.14 (Include/internal/pycore_frame.h).
const FIRST_C_OWNER: u8 = 3;

/// A thread state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Where the `PyThreadState` is.
    pub address: Address,
    /// `thread_id`: what `threading.get_ident()` says.
    pub ident: u64,
    /// The kernel's thread id, from 3.11 on.
    pub native_id: Option<u64>,
    /// Frame objects (up to 3.10) or interpreter frames, newest first.
    pub frames: Vec<Address>,
}

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Where the `PyInterpreterState` is.
    pub address: Address,
    /// Its number; 0 is the main one.
    pub id: u64,
    /// Its threads, newest first.
    pub threads: Vec<Thread>,
}

/// The runtime state of a process, read at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `_PyRuntime`.
    pub address: Address,
    /// All interpreters, newest first.
    pub interpreters: Vec<Interpreter>,
    /// Whether a list ended where memory ended, or looped.
    pub is_cut: bool,
}

/// Why a candidate is no runtime state to work with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuntimeError {
    /// Nothing is initialised yet.
    #[error("the interpreter has not finished starting")]
    NotStarted,
    /// `Py_Finalize` runs or ran.
    #[error("the interpreter is finalizing")]
    Finalizing,
    /// What is there makes no sense with this layout.
    #[error("the runtime state at {address} does not fit the layout: {what}")]
    DoesNotFit {
        /// `_PyRuntime`.
        address: Address,
        /// Which check failed.
        what: &'static str,
    },
    /// It is not readable.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Reads the runtime state at `address` and checks that it is one: links back where CPython has
/// links back. Cost: a few reads per interpreter, thread and frame.
pub fn read(
    memory: &dyn Memory,
    layouts: &Layouts,
    features: &Features,
    address: Address,
) -> Result<Runtime, RuntimeError> {
    let does_not_fit = |what| RuntimeError::DoesNotFit { address, what };
    let runtime = &layouts.runtime;
    let head = memory.read_address(address.plus(runtime.interpreters_head))?;
    let pointer = |offset: Option<u64>| offset.map(|at| memory.read_address(address.plus(at))).transpose();
    let main = pointer(runtime.interpreters_main)?;
    if head.is_null() || main == Some(Address::NULL) {
        return Err(RuntimeError::NotStarted);
    }
    if pointer(runtime.finalizing)?.is_some_and(|thread| !thread.is_null()) {
        return Err(RuntimeError::Finalizing);
    }
    let mut reader = Reader { memory, layouts, features, seen: FxHashSet::default(), is_cut: false };
    let mut interpreters = reader.interpreters(head);
    // The oldest is last; before 3.7 nothing else says which is the main one.
    let oldest = interpreters.last().map_or(Address::NULL, |interpreter| interpreter.address);
    let main = main.unwrap_or(oldest);
    // A damaged list may end before the main one.
    if !interpreters.iter().any(|interpreter| interpreter.address == main) {
        reader.is_cut = true;
        interpreters.extend(reader.interpreter(main));
    }
    let main = interpreters.iter().find(|interpreter| interpreter.address == main);
    let main = main.ok_or(does_not_fit("the main interpreter is unreadable"))?;
    if main.threads.is_empty() {
        return Err(RuntimeError::NotStarted);
    }
    let modules = memory.read_address(main.address.plus(layouts.interpreter.modules))?;
    if modules.is_null() {
        return Err(RuntimeError::NotStarted);
    }
    Ok(Runtime { address, interpreters, is_cut: reader.is_cut })
}

/// Follows the lists of a runtime, none of which need have an end.
struct Reader<'a> {
    memory: &'a dyn Memory,
    layouts: &'a Layouts,
    features: &'a Features,
    /// Every interpreter, thread and frame met: each is on one list, once.
    seen: FxHashSet<Address>,
    is_cut: bool,
}

impl Reader<'_> {
    /// A pointer; null where there is none to be read.
    fn pointer(&self, at: Address) -> Address {
        self.memory.read_address(at).unwrap_or(Address::NULL)
    }

    /// Whether a list may go on with this member: it is new, and there are not too many.
    fn may_follow(&mut self, member: Address, count: usize, most: usize) -> bool {
        let may = count < most && self.seen.len() < MOST_MEMBERS && self.seen.insert(member);
        self.is_cut |= !may;
        may
    }

    fn interpreters(&mut self, head: Address) -> Vec<Interpreter> {
        let mut interpreters = Vec::new();
        let mut next = head;
        while !next.is_null() && self.may_follow(next, interpreters.len(), MOST_INTERPRETERS) {
            let Some(interpreter) = self.interpreter(next) else {
                self.is_cut = true;
                break;
            };
            next = self.pointer(next.plus(self.layouts.interpreter.next));
            interpreters.push(interpreter);
        }
        // Before 3.7 they have no numbers: they get those that they would have if none had ended.
        if self.layouts.interpreter.id.is_none() {
            (0..).zip(interpreters.iter_mut().rev()).for_each(|(id, interpreter)| interpreter.id = id);
        }
        interpreters
    }

    fn interpreter(&mut self, address: Address) -> Option<Interpreter> {
        let id =
            self.layouts.interpreter.id.map_or(Ok(0), |at| self.memory.read_u64(address.plus(at))).ok()?;
        let mut threads = Vec::new();
        let head = address.plus(self.layouts.interpreter.threads_head);
        let mut next = self.memory.read_address(head).ok()?;
        while !next.is_null() && self.may_follow(next, threads.len(), MOST_THREADS) {
            let Some(thread) = self.thread(address, next) else {
                self.is_cut = true;
                break;
            };
            threads.push(thread);
            next = self.pointer(next.plus(self.layouts.thread_state.next));
        }
        Some(Interpreter { address, id, threads })
    }

    /// A thread state: the link back to the interpreter is what tells it from anything else.
    fn thread(&mut self, interpreter: Address, address: Address) -> Option<Thread> {
        let state = &self.layouts.thread_state;
        if self.pointer(address.plus(state.interpreter)) != interpreter {
            return None;
        }
        let ident = self.memory.read_u64(address.plus(state.thread_id)).ok()?;
        let native_id = state.native_thread_id.map(|offset| self.memory.read_u64(address.plus(offset)));
        let native_id = native_id.transpose().ok()?;
        Some(Thread { address, ident, native_id, frames: self.frames(address) })
    }

    fn frames(&mut self, thread: Address) -> Vec<Address> {
        let Some((mut frame, previous)) = self.first_frame(thread) else { return Vec::new() };
        let mut frames = Vec::new();
        while !frame.is_null() && self.may_follow(frame, frames.len(), MOST_FRAMES) {
            frames.push(frame);
            frame = self.pointer(frame.plus(previous));
        }
        frames
    }

    /// The newest frame of a thread, and where a frame has its link to the next older one.
    fn first_frame(&self, thread: Address) -> Option<(Address, u64)> {
        let state = &self.layouts.thread_state;
        let Some(layout) =
            self.layouts.interpreter_frame.as_ref().filter(|_| self.features.interpreter_frames)
        else {
            return Some((self.pointer(thread.plus(state.frame?)), self.layouts.frame.back));
        };
        let through = state.c_frame.filter(|_| self.features.frame_through_c_frame);
        let first = match (through, &self.layouts.c_frame, state.current_frame) {
            (Some(offset), Some(c_frame), _) => c_frame
                .current_frame
                .map_or(Address::NULL, |field| self.pointer(self.pointer(thread.plus(offset)).plus(field))),
            (_, _, Some(offset)) => self.pointer(thread.plus(offset)),
            _ => Address::NULL,
        };
        Some((first, layout.previous))
    }
}

/// Where each collector keeps its `collecting` flag (an `int`): non-zero while it runs.
pub fn collecting_flags(runtime: &Runtime, layouts: &Layouts, features: &Features) -> Vec<Address> {
    let Some(flag) = layouts.gc_state.collecting else { return Vec::new() };
    collectors(runtime, layouts, features).into_iter().map(|gc| gc.plus(flag)).collect()
}

/// Every `_gc_runtime_state` of the process.
pub fn collectors(runtime: &Runtime, layouts: &Layouts, features: &Features) -> Vec<Address> {
    match features.collector_owner {
        CollectorOwner::Runtime => {
            layouts.runtime.gc.map(|offset| runtime.address.plus(offset)).into_iter().collect()
        }
        CollectorOwner::Interpreter => {
            let offset = layouts.interpreter.gc;
            let of = |interpreter: &Interpreter| offset.map(|offset| interpreter.address.plus(offset));
            runtime.interpreters.iter().filter_map(of).collect()
        }
    }
}

/// The lists of one collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// The number of the interpreter that it works for; 0, the main one, if it works for all (up to 3.8).
    pub interpreter: u64,
    /// Its lists.
    pub lists: Vec<CollectorList>,
}

/// The lists of every collector of the process.
pub fn collector_lists(
    image: &Image,
    runtime: &Runtime,
    layouts: &Layouts,
    features: &Features,
) -> Vec<Collector> {
    let collectors = collectors(runtime, layouts, features).into_iter();
    let interpreters = match features.collector_owner {
        CollectorOwner::Runtime => vec![0],
        CollectorOwner::Interpreter => {
            runtime.interpreters.iter().map(|interpreter| interpreter.id).collect::<Vec<_>>()
        }
    };
    let lists = |gc| collector::lists(image, layouts, features, gc);
    interpreters
        .into_iter()
        .zip(collectors)
        .map(|(interpreter, gc)| Collector { interpreter, lists: lists(gc) })
        .collect()
}

/// Whether an interpreter frame is a Python frame: not one that belongs to C code.
pub fn is_python_frame(memory: &dyn Memory, layouts: &Layouts, frame: Address) -> bool {
    let Some(layout) = &layouts.interpreter_frame else { return true };
    let mut owner = [0];
    memory.read_into(frame.plus(layout.owner), &mut owner).is_ok() && owner[0] < FIRST_C_OWNER
}
