//! The header of an object: how many references it has, and what the collector noted in it.
//!
//! With a global lock there is one count, and the collector keeps its notes in two words before the object.
//! Free-threaded builds split the count between the thread that made the object and all others, and have a
//! byte for the collector (`Include/object.h`, `Include/refcount.h`, `Include/internal/pycore_gc.h`).

use crate::address::Address;
use crate::heap::space::Space;
use crate::layout::free_threading::FreeThreading;

/// `_Py_IMMORTAL_REFCNT_LOCAL`: such an object is never freed (`Include/refcount.h`).
const IMMORTAL_LOCAL: u32 = u32::MAX;
/// Bytes that hold all parts of a free-threaded header.
const HEADER: usize = 32;

/// The parts of a free-threaded header that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SplitHeader {
    /// References by the owning thread.
    local: u32,
    /// References by others, and flags.
    shared: i64,
    /// The collector's byte.
    bits: u8,
    rules: FreeThreading,
}

impl SplitHeader {
    /// From the first bytes of an object.
    fn read(space: &Space<'_>, bytes: &[u8]) -> Option<Self> {
        let layout = &space.layouts.object;
        let local = bytes.get(layout.ref_local? as usize..)?.first_chunk()?;
        let shared = bytes.get(layout.ref_shared? as usize..)?.first_chunk()?;
        let bits = *bytes.get(layout.gc_bits? as usize)?;
        let rules = space.features.free_threading?;
        Some(Self { local: u32::from_le_bytes(*local), shared: i64::from_le_bytes(*shared), bits, rules })
    }

    fn at(space: &Space<'_>, object: Address) -> Option<Self> {
        if let Some(bytes) = space.image.bytes(object, HEADER) {
            return Self::read(space, bytes);
        }
        let mut copy = [0; HEADER];
        crate::target::Memory::read_into(space.image, object, &mut copy).ok()?;
        Self::read(space, &copy)
    }

    const fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    /// Both counts without what deferred counting adds.
    const fn count(self) -> i64 {
        let bias = if self.has(self.rules.deferred_bit) { self.rules.deferred_bias } else { 0 };
        (self.local as i64).wrapping_add(self.shared >> self.rules.shared_shift).wrapping_sub(bias)
    }

    /// Nobody refers to it, and the collector does not know it: it is on a free list, or was just freed. A
    /// tracked one without references waits for the collector, which is to see that it is garbage.
    const fn is_dead(self) -> bool {
        self.local == 0 && self.shared >> self.rules.shared_shift == 0 && !self.has(self.rules.tracked_bit)
    }
}

/// Whether a reference count is that of no living object. 3.12+ splits the word: the count is its
/// lower half (Include/object.h); a count above 2^32 is a pointer in a block that holds no object.
#[inline]
pub const fn is_dead_count(count: u64) -> bool {
    count as u32 == 0 || count & 0x0000_ffff_0000_0000 != 0
}

impl Space<'_> {
    /// Whether the object is on a free list or was just freed, by its reference count; also where
    /// it cannot be read.
    pub fn is_dead(&self, object: Address) -> bool {
        match self.layouts.object.refcount {
            Some(refcount) => self.image.word(object.plus(refcount)).is_none_or(is_dead_count),
            None => SplitHeader::at(self, object).is_none_or(SplitHeader::is_dead),
        }
    }

    /// The same, from the bytes of an object of a free-threaded build.
    pub fn is_dead_split(&self, bytes: &[u8]) -> bool {
        SplitHeader::read(self, bytes).is_none_or(SplitHeader::is_dead)
    }

    /// The number of references that are counted; an immortal object shows the count that it carries. In a
    /// free-threaded build it is the sum of both parts without what deferred counting adds, and without what
    /// threads count on their own (see [`crate::heap::thread_counts`]).
    pub fn reference_count(&self, object: Address) -> Option<u64> {
        let Some(refcount) = self.layouts.object.refcount else {
            let header = SplitHeader::at(self, object)?;
            if header.local == IMMORTAL_LOCAL {
                return Some(u64::from(IMMORTAL_LOCAL));
            }
            return Some(header.count().max(0).unsigned_abs());
        };
        self.image.word(object.plus(refcount)).map(|word| word & 0xffff_ffff)
    }

    /// Whether the collector tracks an object of a type that it knows.
    pub fn is_tracked(&self, object: Address) -> bool {
        if let Some(rules) = self.features.free_threading {
            return self.collector_bits(object) & rules.tracked_bit != 0;
        }
        let head = object.minus(self.layouts.gc_head.sizeof);
        self.image.word(head.plus(self.layouts.gc_head.next)).is_some_and(|next| next & !3 != 0)
    }

    /// Whether what is before an object can be its collector header: not on a list, or linked to readable
    /// memory. Free-threaded builds have none.
    pub fn has_collector_header(&self, object: Address) -> bool {
        let head = object.minus(self.layouts.gc_head.sizeof);
        let next = self.image.word(head.plus(self.layouts.gc_head.next)).map(|next| next & !3);
        let is_linked = |next: u64| next == 0 || self.image.page_of(Address::new(next)).is_some();
        self.features.free_threading.is_some() || next.is_some_and(is_linked)
    }

    /// Whether `gc.freeze` marked the object; only free-threaded builds mark objects.
    pub fn is_marked_frozen(&self, object: Address) -> bool {
        let bit = self.features.free_threading.map_or(0, |rules| rules.frozen_bit);
        self.collector_bits(object) & bit != 0
    }

    fn collector_bits(&self, object: Address) -> u8 {
        self.layouts.object.gc_bits.and_then(|offset| self.image.byte(object.plus(offset))).unwrap_or(0)
    }
}
