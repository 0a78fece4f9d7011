//! Which object each dict belongs to, as far as one has it for its own.

use crate::graph::id::ObjectId;
use rustc_hash::FxHashMap;

/// No owner.
const NOBODY: u32 = u32::MAX;
/// With fewer owners than one for so many objects, a column would be mostly empty.
const OBJECTS_FOR_OWNER: usize = 8;

/// The owner of each dict.
pub(super) enum Owners {
    /// By the id of the dict.
    Few(FxHashMap<u32, u32>),
    /// A place for every object.
    Many(Vec<u32>),
}

impl Owners {
    /// No owners yet; of `count` objects at most `owned` have one.
    pub(super) fn new(count: usize, owned: usize) -> Self {
        if owned < count / OBJECTS_FOR_OWNER {
            Self::Few(FxHashMap::default())
        } else {
            Self::Many(vec![NOBODY; count])
        }
    }

    /// The owner of a dict. O(1).
    #[inline]
    pub(super) fn of(&self, dict: ObjectId) -> Option<ObjectId> {
        let owner = match self {
            Self::Few(owners) => owners.get(&dict.0).copied(),
            Self::Many(owners) => owners.get(dict.index()).copied().filter(|&owner| owner != NOBODY),
        };
        owner.map(ObjectId)
    }

    /// Makes an object the owner of a dict.
    pub(super) fn set(&mut self, dict: ObjectId, owner: ObjectId) {
        match self {
            Self::Few(owners) => {
                owners.insert(dict.0, owner.0);
            }
            Self::Many(owners) => {
                if let Some(place) = owners.get_mut(dict.index()) {
                    *place = owner.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_owners_are_the_same() {
        for owned in [1, 1000] {
            let mut owners = Owners::new(1000, owned);
            assert_eq!(matches!(owners, Owners::Few(_)), owned == 1);
            owners.set(ObjectId(3), ObjectId(0));
            owners.set(ObjectId(3), ObjectId(7));
            assert_eq!(owners.of(ObjectId(3)), Some(ObjectId(7)));
            assert_eq!(owners.of(ObjectId(7)), None);
            assert_eq!(owners.of(ObjectId(2000)), None);
        }
    }
}
