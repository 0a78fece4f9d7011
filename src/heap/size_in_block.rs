//! The size of numbers and text, told while the sweep has their block at hand: then nothing need look at them
//! again, and they are most of all objects.

use crate::heap::plan::Plan;
use crate::heap::size;
use crate::heap::size::SizeRule;
use crate::heap::space::Space;

/// How the size of the instances of a type is told from their bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeInBlock {
    /// It is not: the pass over the objects finds it.
    Unknown,
    /// All have this size. Unit: bytes.
    Fixed(u64),
    /// An `int`: what its type says, and what is before it.
    Int(u64, u64),
    /// An ASCII `str`, and what is before it.
    Text(u64),
}

impl SizeInBlock {
    /// For the instances of a planned type.
    pub fn of(space: &Space<'_>, plan: &Plan) -> Self {
        if !plan.is_leaf || plan.overrides_size {
            return Self::Unknown;
        }
        match (plan.fixed_size, plan.size_rule) {
            (Some(size), _) if size > 0 => Self::Fixed(size),
            (None, SizeRule::Int) => Self::Int(plan.record.basic_size, size::leaf_header(space, plan)),
            (None, SizeRule::Text) => Self::Text(size::leaf_header(space, plan)),
            _ => Self::Unknown,
        }
    }

    /// `sys.getsizeof` of the object that these bytes begin with; `None` where more is needed to tell it.
    #[inline]
    pub fn read(self, space: &Space<'_>, object: &[u8]) -> Option<u64> {
        let (size, header) = match self {
            Self::Unknown => return None,
            Self::Fixed(size) => (size, 0),
            Self::Int(basic, header) => {
                (size::int_size(space, basic, space.digit_count_in(object)?)?, header)
            }
            Self::Text(header) => {
                let text = space.text_header_in(object)?;
                let has_wide_form = || {
                    let at = space.layouts.ascii_string.wstr? as usize;
                    object.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word) != 0)
                };
                if !(text.is_compact && text.is_ascii) || has_wide_form() == Some(true) {
                    return None;
                }
                (text.data_offset.checked_add(text.length.checked_add(1)?.checked_mul(text.kind)?)?, header)
            }
        };
        size.checked_add(header).filter(|&size| size <= size::LARGEST_SIZE)
    }
}
