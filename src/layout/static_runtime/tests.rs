//! The variables in made-up memory.

use super::*;
use crate::address::AddressRange;
use crate::target::Image;
use crate::target::image::Backing;
use crate::target::image::Segment;

const BASE: u64 = 0x7f00_0000_0000;
/// Where interpreters and threads are; variables are before.
const HEAP: u64 = BASE + 0x4000;
const OFFSETS: Offsets = Offsets { next: 0, threads: 8, interpreter: 16 };

/// Words by address, zero where nothing else is said.
struct Words(Vec<u8>);

impl Words {
    fn new() -> Self {
        Self(vec![0; 0x8000])
    }

    fn put(&mut self, address: u64, value: u64) -> &mut Self {
        let at = (address - BASE) as usize;
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// An interpreter at `HEAP + at` with a thread behind it.
    fn interpreter(&mut self, at: u64, next: u64) -> u64 {
        let (interpreter, thread) = (HEAP + at, HEAP + at + 0x100);
        self.put(interpreter, next).put(interpreter + 8, thread).put(thread + 16, interpreter);
        interpreter
    }

    /// Three heads, the first with an object that the list leads to, the others alone.
    fn generations(&mut self, first: u64, stride: u64) {
        let object = HEAP + 0x1000;
        self.put(first, object).put(first + 8, object).put(object, first).put(object + 8, first);
        for head in [first + stride, first + 2 * stride] {
            self.put(head, head).put(head + 8, head);
        }
    }

    fn image(&self) -> Image {
        let end = BASE + self.0.len() as u64;
        let range = AddressRange::new(Address::new(BASE), Address::new(end));
        Image::new(Backing::Owned(self.0.clone()), &[Segment { range, local: 0 }], Vec::new())
    }
}

fn variables() -> [AddressRange; 2] {
    [
        AddressRange::new(Address::new(BASE + 3), Address::new(BASE + 0x1000)),
        AddressRange::new(Address::new(BASE + 0x1000), Address::new(HEAP)),
    ]
}

#[test]
fn the_heads_tell_how_large_they_are() {
    for (stride, head_size) in [(32, 24), (48, 32)] {
        let mut words = Words::new();
        words.generations(BASE + 0x2008, stride);
        let image = words.image();
        let found = Generations { first: Address::new(BASE + 0x2008), head_size };
        assert_eq!(Generations::at(&image, found.first), Some(found));
        assert_eq!(static_scan::generations(&image, &variables()), Some(found));
        assert_eq!(generation_size(head_size), stride);
    }
}

#[test]
fn lists_that_do_not_lead_back_are_none() {
    let mut words = Words::new();
    words.generations(BASE + 0x2000, 32);
    words.put(BASE + 0x2020, HEAP + 0x1000);
    assert_eq!(static_scan::generations(&words.image(), &variables()), None);
    words.put(BASE + 0x2020, 0xdead_beef_0000);
    assert_eq!(static_scan::generations(&words.image(), &variables()), None);
    assert_eq!(static_scan::generations(&Words::new().image(), &variables()), None);
}

#[test]
fn the_newest_interpreter_is_the_first() {
    let mut words = Words::new();
    let main = words.interpreter(0, 0);
    words.put(BASE + 0x2000, main);
    assert_eq!(
        static_scan::interpreters(&words.image(), &variables(), OFFSETS),
        Some(Address::new(BASE + 0x2000))
    );
    // A variable that points to the main one is no longer the head once there is another.
    let newer = words.interpreter(0x400, main);
    words.put(BASE + 0x2100, newer);
    assert_eq!(
        static_scan::interpreters(&words.image(), &variables(), OFFSETS),
        Some(Address::new(BASE + 0x2100))
    );
    // A thread of another interpreter makes it none.
    words.put(newer + 0x100 + 16, main);
    assert_eq!(
        static_scan::interpreters(&words.image(), &variables(), OFFSETS),
        Some(Address::new(BASE + 0x2000))
    );
}

#[test]
fn an_interpreter_list_that_loops_ends() {
    let mut words = Words::new();
    let main = words.interpreter(0, HEAP);
    words.put(BASE + 0x2000, main);
    assert_eq!(
        static_scan::interpreters(&words.image(), &variables(), OFFSETS),
        Some(Address::new(BASE + 0x2000))
    );
}

#[test]
fn variables_make_a_structure_from_the_first_on() {
    let places = [
        ("_PyRuntimeState.interpreters.head", Address::new(0x2100)),
        ("_gc_runtime_state.generations", Address::new(0x2000)),
        ("_gc_runtime_state.collecting", Address::new(0x2204)),
    ];
    let found = put_together(&places, 24);
    let offset = |key| found.table.get(key).map(|entry| entry.offset);
    assert_eq!(found.address, Address::new(0x2000));
    assert_eq!(offset("_PyRuntimeState.interpreters.head"), Some(0x100));
    assert_eq!(offset("_gc_runtime_state.generations"), Some(0));
    assert_eq!(offset("_gc_runtime_state.collecting"), Some(0x204));
    assert_eq!(offset("sizeof(PyGC_Head)"), Some(24));
    assert_eq!(offset("gc_generation.count"), Some(28));
    assert_eq!(offset("_PyRuntimeState._finalizing"), None);
}
