//! What was looked up a moment ago: neighbours in memory mostly ask for the same few addresses.

use crate::address::Address;

const SLOTS: usize = 512;

/// A direct-mapped cache from addresses to numbers. Never asked for the null address.
pub struct Recent {
    slots: Box<[(u64, u32); SLOTS]>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: Box::new([(0, 0); SLOTS]) }
    }
}

fn slot(address: Address) -> usize {
    let bits = address.get() >> 3;
    (bits ^ bits >> 9 ^ bits >> 21) as usize % SLOTS
}

impl Recent {
    /// The number last stored for an address, if no other took its place.
    #[inline]
    pub fn get(&self, address: Address) -> Option<u32> {
        let (known, number) = self.slots[slot(address)];
        (known == address.get() && known != 0).then_some(number)
    }

    /// Stores a number.
    #[inline]
    pub fn set(&mut self, address: Address, number: u32) {
        self.slots[slot(address)] = (address.get(), number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_address_takes_the_place_of_an_older_one_and_never_its_number() {
        let mut recent = Recent::default();
        assert_eq!(recent.get(Address::NULL), None);
        for address in (8..1 << 16).step_by(8) {
            recent.set(Address::new(address), address as u32);
            assert_eq!(recent.get(Address::new(address)), Some(address as u32));
        }
        let wrong = (8..1 << 16).step_by(8).filter(|&address| {
            recent.get(Address::new(address)).is_some_and(|number| u64::from(number) != address)
        });
        assert_eq!(wrong.count(), 0);
    }
}
