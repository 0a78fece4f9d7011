//! Dense names of objects and types, so that facts about them are columns and not hash maps.

/// An object: dense, `0..object_count`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub u32);

impl ObjectId {
    /// The id of the `index`th object.
    ///
    /// A heap has fewer than 2^32 objects: the walk stops adding before (see `heap::walk`).
    pub const fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    /// The position in every column.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A type: dense, `0..type_count`, in order of address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The id of the `index`th type.
    pub const fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    /// The position in the type table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
