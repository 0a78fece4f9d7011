//! Reading Python objects by layout: headers, sizes, the parts that several layers need.
//!
//! Every function returns `None` where memory is missing or says something impossible; none
//! believes a length before it has been bounded by what is readable.

use crate::address::Address;
use crate::heap::types::FLAG_GC;
use crate::heap::work::FREE_WORDS;
use crate::heap::work::Work;
use crate::layout::features::Features;
use crate::layout::features::ManagedDict;
use crate::layout::schema::Layouts;
use crate::target::Image;

/// `Py_TPFLAGS_MANAGED_DICT` (3.11+), `Include/object.h`.
pub const FLAG_MANAGED_DICT: u64 = 1 << 4;
/// `Py_TPFLAGS_MANAGED_WEAKREF` (3.12+), `Include/object.h`.
pub const FLAG_MANAGED_WEAKREF: u64 = 1 << 3;
/// `Py_TPFLAGS_INLINE_VALUES` (3.13+), `Include/object.h`.
pub const FLAG_INLINE_VALUES: u64 = 1 << 2;

/// The target's memory and what is known of its layout.
pub struct Space<'a> {
    /// The copied memory.
    pub image: &'a Image,
    /// Where fields are.
    pub layouts: &'a Layouts,
    /// What they mean.
    pub features: &'a Features,
    /// Every `PyInterpreterState`, the main one first.
    pub interpreters: &'a [Address],
    /// `dk_lookup` of tables whose keys may be of any type, before 3.11; `None` if it is not known.
    pub general_lookup: Option<Address>,
    /// How much may still be read.
    pub work: Work,
}

impl Space<'_> {
    /// `Py_TYPE`.
    #[inline]
    pub fn type_of(&self, object: Address) -> Option<Address> {
        self.image.pointer(object.plus(self.layouts.object.type_pointer))
    }

    /// `Py_SIZE` as a signed number.
    #[inline]
    pub fn signed_size(&self, object: Address) -> Option<i64> {
        self.image.signed(object.plus(self.layouts.variable_object.size_field))
    }

    /// `Py_SIZE` of an object whose size is never negative.
    #[inline]
    pub fn size(&self, object: Address) -> Option<u64> {
        u64::try_from(self.signed_size(object)?).ok()
    }

    /// Bytes before an instance of a type with these flags in its block (`_PyType_PreHeaderSize`).
    pub fn pre_header(&self, flags: u64) -> u64 {
        let collector = if flags & FLAG_GC != 0 { self.gc_head() } else { 0 };
        let managed = if flags & pre_header_flags(self.features) != 0 { 16 } else { 0 };
        collector + managed
    }

    /// Bytes of a collector header: none in free-threaded builds. (`size_of` of such a build adds none either.)
    #[inline]
    pub fn gc_head(&self) -> u64 {
        if self.features.free_threading.is_some() { 0 } else { self.layouts.gc_head.sizeof }
    }

    /// Whether an object is of the type `code`.
    pub fn is_code(&self, object: Address) -> bool {
        self.is_named(object, b"code\0")
    }

    /// Whether `tp_name` of an object's type is this one, which includes its NUL.
    fn is_named(&self, object: Address, expected: &[u8]) -> bool {
        let name = || {
            let name = self.image.pointer(self.type_of(object)?.plus(self.layouts.type_object.name))?;
            self.image.bytes(name, expected.len())
        };
        name() == Some(expected)
    }

    /// Whether an object is of a type that the collector does not know.
    pub fn is_atom(&self, object: Address) -> bool {
        let flags =
            self.type_of(object).and_then(|kind| self.image.word(kind.plus(self.layouts.type_object.flags)));
        flags.is_some_and(|flags| flags & FLAG_GC == 0)
    }

    /// Whether a collector header says by its count that no list has it: `_PyGC_REFS_UNTRACKED`, above a bit
    /// of its own (Include/objimpl.h up to 3.7, where the links of such a header are not set).
    pub fn is_untracked_by_count(&self, head: Address) -> bool {
        let count = self.layouts.gc_head.refs.filter(|_| self.features.gc_head_has_refs);
        count.and_then(|offset| self.image.signed(head.plus(offset))).is_some_and(|count| count >> 1 == -2)
    }

    /// The words from `start` on, `count` of them, as far as they are readable and the work allows.
    #[inline]
    pub fn for_each_word(&self, start: Address, count: u64, mut visit: impl FnMut(u64)) {
        let mut at = start;
        let mut left = count;
        while left > 0 {
            let Some(piece) = self.image.piece(at) else { return };
            let whole = (piece.len() / 8).min(usize::try_from(left).unwrap_or(usize::MAX));
            if count > FREE_WORDS && !self.work.take(whole.max(1) as u64) {
                return;
            }
            if whole == 0 {
                // A word across two pages: only in a target whose words are not aligned.
                let Some(word) = self.image.word(at) else { return };
                visit(word);
                at = at.plus(8);
                left -= 1;
                continue;
            }
            for word in piece.chunks_exact(8).take(whole) {
                visit(u64::from_le_bytes([
                    word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
                ]));
            }
            at = at.plus(whole as u64 * 8);
            left -= whole as u64;
        }
    }

    /// Whether an array of `count` items of `item` bytes can lie at `start` at all: a cheap bound for
    /// lengths that damage made huge.
    pub fn is_plausible_array(&self, start: Address, count: u64, item: u64) -> bool {
        count == 0
            || count
                .checked_mul(item)
                .and_then(|bytes| bytes.checked_sub(1))
                .is_some_and(|last| self.image.is_readable(start.plus(last)))
    }
}

/// The flags of types whose instances have two words before them
/// (`_PyType_PreHeaderSize`, `Include/internal/pycore_object.h`).
fn pre_header_flags(features: &Features) -> u64 {
    match features.managed_dict {
        ManagedDict::None => 0,
        ManagedDict::TwoPointers => FLAG_MANAGED_DICT,
        ManagedDict::TaggedWord | ManagedDict::InlineValues => FLAG_MANAGED_DICT | FLAG_MANAGED_WEAKREF,
    }
}

impl Space<'_> {
    /// `dk_lookup` of tables whose keys may be of any type (`lookdict`, Objects/dictobject.c, up to 3.10),
    /// which no symbol of a stripped binary names: `object.__subclasses__` has one, since its keys are
    /// ints (`add_subclass`, Objects/typeobject.c).
    pub fn find_general_lookup(&self, type_type: Address) -> Option<Address> {
        self.layouts.dict_keys.lookup?;
        let fields = &self.layouts.type_object;
        let object_type = self.image.pointer(type_type.plus(fields.base))?;
        let subclasses = self.image.pointer(object_type.plus(fields.subclasses))?;
        let keys = self.dict_keys(self.image.pointer(subclasses.plus(self.layouts.dict.keys))?)?;
        let mut has_other_key = false;
        self.for_each_entry(&keys, |key, _| has_other_key |= !self.is_named(key, b"str\0"));
        (has_other_key && !keys.lookup.is_null()).then_some(keys.lookup)
    }
}
