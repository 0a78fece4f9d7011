//! How many bytes of its block an object needs: the allocator's size, not `sys.getsizeof`.

use crate::address::Address;
use crate::heap::space::FLAG_INLINE_VALUES;
use crate::heap::space::Space;
use crate::heap::types::Ancestor;
use crate::heap::types::TypeRecord;
use crate::layout::features::ManagedDict;

/// What is needed to tell whether an instance fits its block.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes before the object in its block.
    pub pre_header: u32,
    /// Whether a collector header is among them.
    pub is_gc: bool,
    basic_size: u32,
    item_size: u32,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Exactly the basic size.
    Fixed,
    /// Basic size and items.
    Items,
    /// Basic size, and inline attribute values whose number the instance says.
    InlineValues,
    /// At least this many bytes: what follows is not said in the object itself.
    AtLeast(u32),
    Long,
    Bytes,
    Unicode,
    /// Never in a pool.
    Never,
}

/// An object in its block.
pub struct ShapeContext<'a> {
    /// Layouts and memory.
    pub space: &'a Space<'a>,
    /// Where the object is.
    pub address: Address,
    /// Its bytes, to the end of the block.
    pub object: &'a [u8],
}

/// Types whose instances end in parts that `tp_basicsize` and `ob_size` do not tell, or that come in a
/// shorter form: generators, frames (genobject.c, frameobject.c), times without a time zone
/// (_datetimemodule.c), struct sequences (structseq.c: `ob_size` counts only the visible fields).
const OPEN_ENDED: &[&str] = &["generator", "coroutine", "async_generator", "frame"];
const SHORTER_FORM: &[&str] = &["datetime.datetime", "datetime.time"];

impl Shape {
    /// The shape of a type's instances.
    pub fn of(space: &Space<'_>, record: &TypeRecord) -> Self {
        let basic_size = record.basic_size as u32;
        let base_is_shorter = |name: &str| SHORTER_FORM.contains(&name);
        let is_shorter = base_is_shorter(&record.name) || inherits_shorter_form(space, record);
        let rule = match record.ancestor {
            Ancestor::Type => Rule::Never,
            Ancestor::Long => Rule::Long,
            Ancestor::Bytes => Rule::Bytes,
            Ancestor::Unicode => Rule::Unicode,
            _ if !record.is_heap() && OPEN_ENDED.contains(&record.name.as_str()) => Rule::AtLeast(64),
            _ if is_shorter => Rule::AtLeast(24),
            Ancestor::Tuple => Rule::Items,
            _ if record.flags & FLAG_INLINE_VALUES != 0
                && space.features.managed_dict == ManagedDict::InlineValues =>
            {
                Rule::InlineValues
            }
            _ if record.item_size > 0 => Rule::Items,
            _ => Rule::Fixed,
        };
        Self {
            pre_header: record.pre_header as u32,
            is_gc: record.is_gc(),
            basic_size,
            item_size: record.item_size as u32,
            rule,
        }
    }

    /// Whether the object, which starts `start` bytes into a block of `block` bytes, needs just
    /// such a block.
    #[inline]
    pub fn fits(&self, context: &ShapeContext<'_>, block: usize, start: usize) -> bool {
        let room = block - start;
        let exact = |need: Option<u64>| {
            need.is_some_and(|need| {
                need <= room as u64 && (room as u64 - need < 16 || is_shrunk(need, start, block))
            })
        };
        match self.rule {
            Rule::Never => false,
            Rule::Fixed => (self.basic_size as usize) <= room && room - (self.basic_size as usize) < 16,
            Rule::AtLeast(least) => least as usize <= room,
            Rule::Items => exact(self.with_items(context))
                .then_some(())
                .or_else(|| self.fits_more(context, room))
                .is_some(),
            Rule::InlineValues => exact(self.with_inline_values(context)),
            Rule::Long => self.long_fits(context, room),
            Rule::Bytes => exact(self.bytes_need(context)),
            Rule::Unicode => exact(self.unicode_need(context)),
        }
    }

    /// Whether the object ends within `room` bytes, for an allocator whose pages say which blocks hold objects:
    /// blocks are larger than what was asked for, and stay where they are when they shrink to half
    /// (`_mi_heap_realloc_zero`, Objects/mimalloc/alloc.c).
    pub fn fits_within(&self, context: &ShapeContext<'_>, room: u64) -> bool {
        let need = match self.rule {
            Rule::Fixed | Rule::Never => Some(u64::from(self.basic_size)),
            Rule::AtLeast(least) => Some(u64::from(least)),
            Rule::Items => self.with_items(context),
            Rule::InlineValues => self.with_inline_values(context),
            Rule::Long => context
                .space
                .digit_count_in(context.object)
                .and_then(|digits| (4 * digits).checked_add(context.space.layouts.int.digits)),
            Rule::Bytes => signed(context.object, context.space.layouts.variable_object.size_field)
                .and_then(|length| u64::try_from(length).ok())
                .and_then(|length| length.checked_add(u64::from(self.basic_size))),
            Rule::Unicode => self.unicode_need(context),
        };
        need.is_some_and(|need| need <= room)
    }

    fn with_items(&self, context: &ShapeContext<'_>) -> Option<u64> {
        let count = signed(context.object, context.space.layouts.variable_object.size_field)?.unsigned_abs();
        u64::from(self.basic_size).checked_add(count.checked_mul(u64::from(self.item_size))?)
    }

    /// A struct sequence has more items than `ob_size` says.
    fn fits_more(&self, context: &ShapeContext<'_>, room: usize) -> Option<()> {
        let count = signed(context.object, context.space.layouts.variable_object.size_field)?;
        let need = self.with_items(context)?;
        (self.item_size == 8 && count > 0 && count < 64 && need <= room as u64 && need * 4 > room as u64)
            .then_some(())
    }

    fn with_inline_values(&self, context: &ShapeContext<'_>) -> Option<u64> {
        // PyDictValues after the fixed part: capacity@0 (Include/internal/pycore_dict.h), then the
        // values and a byte of insertion order each, rounded up to a word.
        let at = self.basic_size as usize;
        let capacity = match context.object.get(at) {
            Some(&capacity) => capacity,
            None => context.space.image.byte(context.address.plus(at as u64))?,
        };
        let capacity = u64::from(capacity);
        Some(u64::from(self.basic_size) + 8 + 8 * capacity + capacity.next_multiple_of(8))
    }

    fn long_fits(&self, context: &ShapeContext<'_>, room: usize) -> bool {
        let Some(digits) = context.space.digit_count_in(context.object) else { return false };
        let header = context.space.layouts.int.digits;
        // A subclass starts its digits where int does and adds its fields behind `tp_basicsize`.
        let extra = u64::from(self.basic_size).saturating_sub(header + 4).next_multiple_of(8);
        let need =
            header + 4 * digits.max(1) + if u64::from(self.basic_size) > header + 12 { extra } else { 0 };
        if need > room as u64 || digits > 256 {
            return false;
        }
        // A result may be shorter than what was allocated for it (long_normalize): its highest digit
        // is then not zero, and every digit has 30 bits.
        (0..digits).all(|index| {
            let at = (header + 4 * index) as usize;
            let digit = context
                .object
                .get(at..at + 4)
                .map(|digit| u32::from_le_bytes([digit[0], digit[1], digit[2], digit[3]]));
            digit.is_some_and(|digit| digit < 1 << 30 && (index + 1 < digits || digit != 0))
        })
    }

    fn bytes_need(&self, context: &ShapeContext<'_>) -> Option<u64> {
        let length =
            u64::try_from(signed(context.object, context.space.layouts.variable_object.size_field)?).ok()?;
        let end = context.space.layouts.bytes.data.checked_add(length)?;
        // The terminating NUL is always written (bytesobject.c).
        (*context.object.get(usize::try_from(end).ok()?)? == 0).then_some(())?;
        u64::from(self.basic_size).checked_add(length)
    }

    fn unicode_need(&self, context: &ShapeContext<'_>) -> Option<u64> {
        let text = context.space.text_header_in(context.object)?;
        if !text.is_compact {
            return Some(u64::from(self.basic_size));
        }
        text.data_offset.checked_add(text.length.checked_add(1)?.checked_mul(text.kind)?)
    }
}

fn inherits_shorter_form(space: &Space<'_>, record: &TypeRecord) -> bool {
    let mut base = record.base;
    for _ in 0..16 {
        if base.is_null() {
            return false;
        }
        let fields = &space.layouts.type_object;
        let name = space
            .image
            .pointer(base.plus(fields.name))
            .and_then(|name| crate::target::Memory::read_c_string(space.image, name, 64).ok());
        if name.is_some_and(|name| SHORTER_FORM.iter().any(|short| short.as_bytes() == name)) {
            return true;
        }
        let Some(next) = space.image.pointer(base.plus(fields.base)) else { return false };
        base = next;
    }
    false
}

/// pymalloc leaves a block where it is when `realloc` shrinks it by no more than a quarter
/// (`pymalloc_realloc`, Objects/obmalloc.c).
fn is_shrunk(need: u64, start: usize, block: usize) -> bool {
    let request = need + start as u64;
    4 * (request + 16) > 3 * block as u64
}

fn signed(object: &[u8], offset: u64) -> Option<i64> {
    let at = usize::try_from(offset).ok()?;
    Some(i64::from_le_bytes(object.get(at..at + 8)?.try_into().ok()?))
}
