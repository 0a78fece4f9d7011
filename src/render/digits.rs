//! Numbers as digits, without the cost of general formatting: lists have 10^8 of them.

/// Room for the digits of any number.
pub(super) type Digits = [u8; 20];

/// An empty room.
pub(super) const NO_DIGITS: Digits = [0; 20];

/// The number in decimal.
pub(super) fn decimal(mut number: u64, digits: &mut Digits) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[start..]).unwrap_or_default()
}

/// The number in hexadecimal, with `0x`.
pub(super) fn hexadecimal(mut number: u64, digits: &mut Digits) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
        if number == 0 {
            break;
        }
    }
    start -= 2;
    digits[start..start + 2].copy_from_slice(b"0x");
    std::str::from_utf8(&digits[start..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 255, 1_234_567_890, u64::MAX - 1, u64::MAX] {
            assert_eq!(decimal(number, &mut NO_DIGITS.clone()), number.to_string());
            assert_eq!(hexadecimal(number, &mut NO_DIGITS.clone()), format!("{number:#x}"));
        }
    }
}
