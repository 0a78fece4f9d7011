//! The digits of an `int`.

use crate::address::Address;
use crate::heap::space::Space;

impl Space<'_> {
    /// How many 30-bit digits an `int` has; zero has none. `None` if the count is impossible.
    ///
    /// `Include/cpython/longintrepr.h`: from 3.12 on the count is in `lv_tag` above three bits, before
    /// it is the absolute value of `ob_size`.
    pub fn digit_count(&self, object: Address) -> Option<u64> {
        match self.layouts.int.tag {
            Some(tag) => self.image.word(object.plus(tag)).map(|tag| tag >> 3),
            None => self.signed_size(object).map(i64::unsigned_abs),
        }
        .filter(|&count| count < 1 << 40)
    }

    /// The same, from the bytes of the object.
    pub fn digit_count_in(&self, object: &[u8]) -> Option<u64> {
        let read = |offset: u64| {
            let at = usize::try_from(offset).ok()?;
            Some(u64::from_le_bytes(object.get(at..at + 8)?.try_into().ok()?))
        };
        match self.layouts.int.tag {
            Some(tag) => read(tag).map(|tag| tag >> 3),
            None => {
                read(self.layouts.variable_object.size_field).map(|size| size.cast_signed().unsigned_abs())
            }
        }
        .filter(|&count| count < 1 << 40)
    }

    /// The value of an `int` of at most two digits that is not negative.
    pub fn read_small_int(&self, object: Address) -> Option<u64> {
        let count = self.digit_count(object)?;
        let digit =
            |index: u64| self.image.word32(object.plus(self.layouts.int.digits + 4 * index)).map(u64::from);
        match count {
            0 => Some(0),
            1 => digit(0),
            2 => Some(digit(0)? | digit(1)? << 30),
            _ => None,
        }
    }
}
