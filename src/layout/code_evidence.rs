//! What the machine code of a function says where no number does: a fix that a distribution backports
//! changes neither a size nor the version.

use crate::binary::InterpreterImage;
use crate::layout::Features;
use crate::layout::features::InlineVisit;

/// How much of the function is looked at: both instructions are in its first part. Unit: bytes.
const LOOKED_AT: u64 = 160;
/// `Py_TPFLAGS_INLINE_VALUES`.
const INLINE_VALUES: u8 = 1 << 2;
/// `MANAGED_DICT_OFFSET`, -24, as a displacement.
const DICT: u8 = 0xe8;

/// Corrects what depends on fixes that were backported: gh-130327, which is in 3.13.13 and 3.14.4, and in
/// Debian's 3.13.5 from its revision `deb13u3` on, which brought that of gh-142516 as well. Asked only of releases of which builds with and without it
/// are known: the order in which a compiler lays out instructions is not always the order in which they run.
pub fn correct(features: &mut Features, image: &InterpreterImage) {
    if !features.inline_visit_is_in_code || features.free_threading.is_some() {
        return;
    }
    let symbol = image.module.find_symbol("PyObject_VisitManagedDict");
    let code = symbol.and_then(|(_, symbol)| {
        let length = symbol.size.min(LOOKED_AT);
        image.module.elf.bytes_at_address(symbol.address, length).ok()
    });
    if let Some(order) = code.and_then(|code| order_of_visits(&code)) {
        features.inline_visit = order;
        features.dict_visits_embedded_values |= order == InlineVisit::DictFirst;
        if order == InlineVisit::DictFirst {
            // It came with the same revision.
            features.visits.correct_for_trixie();
        }
    }
}

/// Which comes first in the code of `PyObject_VisitManagedDict` (Objects/dictobject.c): the load of the dict
/// or the test of `Py_TPFLAGS_INLINE_VALUES`. Whoever looks at the values first tests the flag before all else; the
/// dict is loaded at once by whoever looks at it first. (Where the test of `valid` lies says nothing: compilers put
/// it behind the load, and jump there and back.) `None` if either is not to be seen (another compiler, no
/// optimisation).
fn order_of_visits(code: &[u8]) -> Option<InlineVisit> {
    // mov r64, [reg - 24]: REX.W 8b, mode 01, any register but rsp, an 8-bit displacement.
    let dict = code.windows(4).position(
        |bytes| matches!(bytes, [0x48..=0x4f, 0x8b, mode, DICT] if mode & 0xc0 == 0x40 && mode & 7 != 4),
    )?;
    // test al, 4, or test r8, 4 (f6 /0, mode 11).
    let flag = code.windows(3).position(|bytes| {
        matches!(bytes, [0xa8, INLINE_VALUES, _]) || matches!(bytes, [0xf6, 0xc0..=0xc7, INLINE_VALUES])
    })?;
    Some(if dict < flag { InlineVisit::DictFirst } else { InlineVisit::ValuesFirst })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Load of the dict, test of the flag (of al or of dl), test of `valid`.
    const LOAD: &[u8] = &[0x48, 0x8b, 0x7f, 0xe8, 0x48, 0x85, 0xff];
    const FLAG: &[u8] = &[0xa8, 0x04, 0x74, 0x20];
    const FLAG_OF_DL: &[u8] = &[0xf6, 0xc2, 0x04, 0x74, 0x20];
    const VALID: &[u8] = &[0x80, 0x7f, 0x13, 0x00, 0x74, 0x10];

    #[test]
    fn what_is_looked_at_first_decides() {
        let order = |parts: &[&[u8]]| order_of_visits(&parts.concat());
        // 3.13.5 of trixie; 3.13.5 as released, by two compilers.
        assert_eq!(order(&[LOAD, FLAG, VALID]), Some(InlineVisit::DictFirst));
        assert_eq!(order(&[FLAG, VALID, LOAD]), Some(InlineVisit::ValuesFirst));
        assert_eq!(order(&[FLAG, LOAD, VALID]), Some(InlineVisit::ValuesFirst));
        assert_eq!(order(&[FLAG_OF_DL, LOAD]), Some(InlineVisit::ValuesFirst));
        assert_eq!(order(&[LOAD, FLAG_OF_DL]), Some(InlineVisit::DictFirst));
        assert_eq!(order(&[LOAD, VALID]), None);
        assert_eq!(order_of_visits(&[]), None);
    }
}
