//! Numbers as people read them.

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 object`, `2 objects`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `512 bytes`, `1.5 KiB`, `3.2 GiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} byte{}", if number == 1 { "" } else { "s" });
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded up to 1024.0 is shown in the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `0.4 ms`, `12 ms`, `1.5 s`.
pub fn duration(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds as f64 / 1e6;
    match nanoseconds {
        0..9_950_000 => format!("{milliseconds:.1} ms"),
        9_950_000..999_500_000 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.1} s", milliseconds / 1e3),
    }
}

/// `12.3 %` of a whole; 0 of nothing.
pub fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", percent(part, whole))
}

/// A share in percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(1), bytes(1023), bytes(1024)], ["1 byte", "1023 bytes", "1.0 KiB"]);
        assert_eq!([bytes(1024 * 1024 - 1), bytes(u64::MAX)], ["1.0 MiB", "16.0 EiB"]);
        assert_eq!(
            [
                duration(0),
                duration(9_949_999),
                duration(9_950_000),
                duration(999_499_999),
                duration(999_500_000)
            ],
            ["0.0 ms", "9.9 ms", "10 ms", "999 ms", "1.0 s"]
        );
        assert_eq!([share(1, 3), share(1, 0)], ["33.3 %", "0.0 %"]);
    }
}
