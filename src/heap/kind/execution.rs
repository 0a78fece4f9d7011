//! Frames and generators.
//!
//! Up to 3.10 a frame is an object; from 3.11 on it is a C structure on the thread's data stack or inside
//! a generator, and a frame object is made only when somebody asks
//! (`Include/internal/pycore_frame.h`, `Objects/frameobject.c`, `Python/frame.c`).

use crate::address::Address;
use crate::heap::kind::Visit;
use crate::heap::kind::array;
use crate::heap::kind::field;
use crate::heap::kind::optional_field;
use crate::heap::plan::Plan;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::layout::features::FrameDepth;
use crate::layout::features::GeneratorStates;
use crate::layout::features::StackRefTags;
use crate::layout::schema::InterpreterFrame;

/// `FRAME_OWNED_BY_FRAME_OBJECT`, Include/internal/pycore_frame.h.
const OWNED_BY_FRAME_OBJECT: u8 = 2;
/// A frame has at most this many local variables and stack slots; more is damage.
const MOST_SLOTS: u64 = 1 << 20;

/// How many words a frame has for locals, and behind them for its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSlots {
    /// Local variables, cells and free variables.
    pub locals: u64,
    /// Room for the evaluation stack.
    pub stack: u64,
}

/// The evaluation stack of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackCells {
    /// The first cell.
    pub first: Address,
    /// How many of them are in use for sure; 0 while that is not stored.
    pub used: u64,
    /// How many there are.
    pub count: u64,
}

/// `frame_traverse`, Objects/frameobject.c; heapy has its own rule from 3.11 on, which sees no stack.
pub fn frame(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.frame;
    field(space, object.plus(layout.back), Seen::ALL, visit);
    field(space, object.plus(layout.trace), Seen::ALL, visit);
    for offset in [layout.extra_locals, layout.locals_cache, layout.overwritten_fast_locals] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    for offset in [layout.code, layout.builtins, layout.globals, layout.locals] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    for offset in [layout.exception_type, layout.exception_value, layout.exception_traceback] {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    if let Some(pointer) = layout.frame {
        let Some(frame) = space.image.pointer(object.plus(pointer)) else { return };
        object_of_interpreter_frame(space, frame, visit);
    } else {
        old_frame_slots(space, object, visit);
    }
}

/// What a frame object adds to its interpreter frame: all of it if it owns it, and for heapy in any case.
fn object_of_interpreter_frame(space: &Space<'_>, frame: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.interpreter_frame else { return };
    let owner = space.image.byte(frame.plus(layout.owner));
    if owner == Some(OWNED_BY_FRAME_OBJECT) {
        interpreter_frame(space, frame, Seen::COLLECTOR.with(Seen::HELD), visit);
    }
    frame_as_heapy_sees_it(space, frame, visit);
}

/// The references that heapy gives a frame object of 3.11 and later (`frame_traverse` in guppy3's
/// stdtypes.c): function, code, builtins, globals, locals and local variables.
pub fn frame_as_heapy_sees_it(space: &Space<'_>, frame: Address, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.interpreter_frame else { return };
    let mut emit = |word: u64| {
        if let Some(target) = space.stack_reference(word) {
            visit(target, Seen::HEAPY);
        }
    };
    for offset in [layout.executable, layout.function_object, layout.builtins, layout.globals, layout.locals]
    {
        emit(space.image.word(frame.plus(offset)).unwrap_or(0));
    }
    let locals =
        space.frame_code(frame).and_then(|code| space.frame_slots(code)).map_or(0, |slots| slots.locals);
    space.for_each_word(frame.plus(layout.locals_plus), locals, emit);
}

/// `_PyFrame_Traverse`, Python/frame.c. While the frame runs its stack depth is not stored: then the
/// words of the stack may be stale, and what they say is marked as scanned.
pub fn interpreter_frame(space: &Space<'_>, frame: Address, seen: Seen, visit: &mut impl Visit) {
    let Some(layout) = &space.layouts.interpreter_frame else { return };
    field(space, frame.plus(layout.frame_object), seen, visit);
    field(space, frame.plus(layout.locals), seen, visit);
    for offset in [layout.function_object, layout.executable] {
        if let Some(target) =
            space.image.word(frame.plus(offset)).and_then(|word| space.stack_reference(word))
        {
            visit(target, seen);
        }
    }
    let slots = space
        .frame_code(frame)
        .and_then(|code| space.frame_slots(code))
        .unwrap_or(FrameSlots { locals: 0, stack: 0 });
    let known = stack_depth(space, layout, frame).filter(|&depth| depth <= slots.locals + slots.stack);
    let mut index = 0;
    let end = known.unwrap_or(slots.locals + slots.stack);
    space.for_each_word(frame.plus(layout.locals_plus), end, |word| {
        let is_certain = known.is_some() || index < slots.locals;
        index += 1;
        if let Some(target) = space.stack_reference(word) {
            let maybe = Seen::HELD.with(Seen::SCANNED);
            visit(target, if is_certain { seen } else { maybe });
        }
    });
}

/// Number of words in use from `localsplus` on; `None` while the frame runs.
fn stack_depth(space: &Space<'_>, layout: &InterpreterFrame, frame: Address) -> Option<u64> {
    match space.features.frame_depth {
        FrameDepth::StackPointer => {
            let pointer = space
                .image
                .pointer(frame.plus(layout.stack_pointer?))
                .filter(|pointer| !pointer.is_null())?;
            Some(frame.plus(layout.locals_plus).distance_to(pointer)? / 8)
        }
        _ => u64::try_from(space.image.word32(frame.plus(layout.stack_top?))?.cast_signed()).ok(),
    }
}

/// The slots of a frame of 3.10 and before: local variables, cells, then the stack.
fn old_frame_slots(space: &Space<'_>, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.frame;
    let (Some(code), Some(first)) = (layout.code, layout.localsplus) else { return };
    let Some(slots) = space.image.pointer(object.plus(code)).and_then(|code| space.frame_slots(code)) else {
        return;
    };
    array(space, object.plus(first), slots.locals, Seen::ALL, visit);
    let Some(stack) = layout.valuestack.and_then(|offset| space.image.pointer(object.plus(offset))) else {
        return;
    };
    match old_stack_depth(space, object, stack).filter(|&depth| depth <= slots.stack) {
        Some(depth) => array(space, stack, depth, Seen::ALL, visit),
        None => array(space, stack, slots.stack, Seen::HELD.with(Seen::SCANNED), visit),
    }
}

/// How many values are on the stack of a frame of 3.10 and before; `None` while it runs.
fn old_stack_depth(space: &Space<'_>, object: Address, stack: Address) -> Option<u64> {
    let layout = &space.layouts.frame;
    match (space.features.frame_depth, layout.stackdepth, layout.stacktop) {
        (FrameDepth::StackDepth, Some(depth), _) => {
            space.image.word32(object.plus(depth)).and_then(|depth| u64::try_from(depth.cast_signed()).ok())
        }
        (FrameDepth::StackTopPointer, _, Some(top)) => space
            .image
            .pointer(object.plus(top))
            .filter(|top| !top.is_null())
            .and_then(|top| stack.distance_to(top))
            .map(|bytes| bytes / 8),
        _ => None,
    }
}

/// `gen_traverse` and `async_gen_traverse`, Objects/genobject.c.
pub fn generator(space: &Space<'_>, plan: &Plan, object: Address, visit: &mut impl Visit) {
    let layout = &space.layouts.generator;
    for offset in [layout.name, layout.qualname] {
        field(space, object.plus(offset), Seen::ALL, visit);
    }
    let exception = [layout.exception_value, layout.exception_type, layout.exception_traceback];
    for offset in [layout.frame, layout.code].into_iter().chain(exception) {
        optional_field(space, object, offset, Seen::ALL, visit);
    }
    match plan.record.name.as_str() {
        "coroutine" => {
            optional_field(space, object, space.layouts.coroutine.origin_or_finalizer, Seen::HELD, visit);
        }
        "async_generator" => {
            field(space, object.plus(space.layouts.async_generator.origin_or_finalizer), Seen::ALL, visit);
        }
        _ => {}
    }
    let Some(frame) = layout.interpreter_frame.map(|offset| object.plus(offset)) else { return };
    if space.is_cleared_generator(object) {
        let seen = if space.features.cleared_generator_visits_code { Seen::ALL } else { Seen::HELD };
        let Some(frame_layout) = &space.layouts.interpreter_frame else { return };
        let executable = space.image.word(frame.plus(frame_layout.executable));
        if let Some(code) = executable.and_then(|word| space.stack_reference(word)) {
            visit(code, seen);
        }
    } else {
        interpreter_frame(space, frame, Seen::ALL, visit);
    }
}

impl Space<'_> {
    /// The object that a word of a frame refers to (`Include/internal/pycore_stackref.h`).
    pub fn stack_reference(&self, word: u64) -> Option<Address> {
        let pointer = match self.features.stack_ref_tags {
            StackRefTags::None => word,
            StackRefTags::Deferred => word & !1,
            StackRefTags::Tagged => {
                if word & 3 == 3 {
                    return None;
                }
                word & !3
            }
        };
        (pointer != 0).then_some(Address::new(pointer))
    }

    /// The evaluation stack inside a frame object: that of 3.10 and before, or of the frame that a later one
    /// owns.
    pub fn frame_stack(&self, object: Address) -> Option<StackCells> {
        let layout = &self.layouts.frame;
        if let Some(data) = layout.frame_data {
            return self.interpreter_frame_stack(object.plus(data));
        }
        let slots = self.frame_slots(self.image.pointer(object.plus(layout.code?))?)?;
        let first = object.plus(layout.localsplus? + 8 * slots.locals);
        let used = old_stack_depth(self, object, first).filter(|&depth| depth <= slots.stack);
        Some(StackCells { first, used: used.unwrap_or(0), count: slots.stack })
    }

    /// The evaluation stack inside a generator, where the version has it there.
    pub fn generator_stack(&self, object: Address) -> Option<StackCells> {
        self.interpreter_frame_stack(object.plus(self.layouts.generator.interpreter_frame?))
    }

    fn interpreter_frame_stack(&self, frame: Address) -> Option<StackCells> {
        let layout = self.layouts.interpreter_frame.as_ref()?;
        let slots = self.frame_slots(self.frame_code(frame)?)?;
        let depth = stack_depth(self, layout, frame).filter(|&depth| depth <= slots.locals + slots.stack);
        let used = depth.map_or(0, |depth| depth.saturating_sub(slots.locals));
        let first = frame.plus(layout.locals_plus + 8 * slots.locals);
        Some(StackCells { first, used, count: slots.stack })
    }

    /// The code object that a frame runs; also where it runs something else.
    pub fn frame_code(&self, frame: Address) -> Option<Address> {
        let layout = self.layouts.interpreter_frame.as_ref()?;
        self.stack_reference(self.image.word(frame.plus(layout.executable))?)
    }

    /// The slots that a code object asks for; `None` where they make no sense, as in an object that
    /// is no code.
    pub fn frame_slots(&self, code: Address) -> Option<FrameSlots> {
        if !self.is_code(code) {
            return None;
        }
        let layout = &self.layouts.code;
        let stack = u64::from(self.image.word32(code.plus(layout.stack_size))?);
        let locals = if let Some(offset) = layout.locals_plus_count {
            u64::from(self.image.word32(code.plus(offset))?)
        } else {
            let length = |offset: Option<u64>| self.size(self.image.pointer(code.plus(offset?))?);
            u64::from(self.image.word32(code.plus(layout.locals_count))?)
                .checked_add(length(layout.cellvars)?)?
                .checked_add(length(layout.freevars)?)?
        };
        (locals <= MOST_SLOTS && stack <= MOST_SLOTS).then_some(FrameSlots { locals, stack })
    }

    fn is_cleared_generator(&self, object: Address) -> bool {
        let state =
            self.layouts.generator.frame_state.and_then(|offset| self.image.byte(object.plus(offset)));
        match self.features.generator_states {
            GeneratorStates::FrameObject => false,
            GeneratorStates::Signed => state == Some(4),
            GeneratorStates::Unsigned => state == Some(5),
        }
    }
}
