//! Every object of a heap, as columns.

use crate::graph::id::TypeId;

/// Facts of one object, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// On a list of the collector.
    pub const TRACKED: u8 = 1;
    /// In the data of a binary.
    pub const STATIC: u8 = 2;
    /// An instance whose dict heapy would make.
    pub const UNMADE_DICT: u8 = 4;
    /// Not in memory: heapy would make it.
    pub const SYNTHETIC: u8 = 8;
    /// Refers to others, and the collector does not track it. Not in heapy's view.
    pub const LOOSE: u8 = 16;
    /// A root, an object that the collector tracks, or what these lead to refers to it. Not in heapy's
    /// view.
    pub const LED_TO: u8 = 32;

    /// Whether the fact holds.
    pub const fn has(self, fact: u8) -> bool {
        self.0 & fact != 0
    }
}

/// Every object found, as columns by object id.
///
/// Ids are in order of address within `0..swept` and within `swept..count`.
pub struct Objects {
    /// How many were found by sweeping pools.
    pub swept: usize,
    /// Where they are.
    pub addresses: Vec<u64>,
    /// Their types.
    pub types: Vec<TypeId>,
    /// `sys.getsizeof`, in bytes.
    pub sizes: Vec<u64>,
    /// Other facts.
    pub flags: Vec<Flags>,
}
