//! Addresses in the inspected process, kept apart from our own indexes and from file offsets.

use std::fmt;

/// A virtual address in the inspected process. Unit: bytes. Nothing about it is trusted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(u64);

impl Address {
    /// The null pointer.
    pub const NULL: Self = Self(0);

    /// Wraps a raw value read from the target or from `/proc`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The raw value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is the null pointer.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on; wraps around, which no mapped range does, so that a
    /// nonsense sum is simply unreadable.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// The address `bytes` before; wraps around as [`Address::plus`] does.
    #[must_use]
    pub const fn minus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }

    /// The address moved by a signed distance; wraps around as [`Address::plus`] does.
    #[must_use]
    pub const fn offset(self, distance: i64) -> Self {
        Self(self.0.wrapping_add_signed(distance))
    }

    /// Whether the address is a multiple of `alignment` (a power of two).
    pub const fn is_aligned(self, alignment: u64) -> bool {
        self.0 & (alignment - 1) == 0
    }

    /// The distance to a higher or equal address, in bytes.
    pub const fn distance_to(self, later: Self) -> Option<u64> {
        later.0.checked_sub(self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

/// A half-open range of addresses, `start <= end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AddressRange {
    /// First address in the range.
    pub start: Address,
    /// First address after the range.
    pub end: Address,
}

impl AddressRange {
    /// The range `[start, end)`; empty if `end < start`.
    pub fn new(start: Address, end: Address) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Length in bytes.
    pub const fn length(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Whether the range holds no address.
    pub const fn is_empty(self) -> bool {
        self.end.0 == self.start.0
    }

    /// Whether `address` lies in the range.
    pub fn contains(self, address: Address) -> bool {
        self.start <= address && address < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_wraps_instead_of_panicking() {
        assert_eq!(Address::new(u64::MAX).plus(2), Address::new(1));
        assert_eq!(Address::new(16).offset(-8), Address::new(8));
        assert_eq!(Address::new(16).distance_to(Address::new(8)), None);
    }

    #[test]
    fn a_range_is_half_open() {
        let range = AddressRange::new(Address::new(0x1000), Address::new(0x2000));
        assert!(range.contains(Address::new(0x1000)));
        assert!(!range.contains(Address::new(0x2000)));
        assert_eq!(range.length(), 0x1000);
    }
}
