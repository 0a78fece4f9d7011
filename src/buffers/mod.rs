//! Memory that objects own outside of themselves: which, how much, whose, and whether `sys.getsizeof`
//! counts it.

mod collect;
mod settle;

use crate::address::Address;
use crate::graph::id::ObjectId;
use crate::graph::id::TypeId;

pub use collect::collect;

/// Whose a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The object frees it.
    Owner,
    /// Several objects hold it together; the last one frees it.
    Shared,
    /// The object only looks at it.
    View,
}

impl Role {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Shared => "shared",
            Self::View => "view",
        }
    }
}

/// A piece of memory that an object has outside of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The object.
    pub object: ObjectId,
    /// Where the memory begins.
    pub address: Address,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Bytes of it that no row before this one has: over all rows they add up to what there is.
    pub attributed: u64,
    /// What it is ([`Bound::word`](crate::descriptions::Bound::word)).
    pub what: u16,
    /// Whose it is.
    pub role: Role,
    /// The object that owns it, if it is another one and known; not necessarily an object of the heap.
    pub owner: Option<Address>,
    /// Whether `sys.getsizeof` of some object counts it.
    pub counted: bool,
    /// Whether all of it is mapped. What is not counts in no total.
    pub mapped: bool,
}

/// A type that is described, but whose description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedType {
    /// The type.
    pub kind: TypeId,
    /// Its objects.
    pub objects: u64,
    /// Why: the file and the reason.
    pub reason: String,
}

/// Objects whose description could not be followed to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// A field leads nowhere or says the impossible.
    pub unreadable: u64,
    /// No description of the type has conditions that they meet.
    pub none_fits: u64,
    /// They claim more structures than there can be.
    pub too_many: u64,
    /// Buffers that are not mapped.
    pub unmapped: u64,
}

/// All buffers of a heap.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    /// Every buffer, by address, owners before those who look.
    pub rows: Vec<Buffer>,
    /// The rows by size, the largest first.
    pub by_size: Vec<u32>,
    /// What `sys.getsizeof` does not count, as stretches (address, bytes) that do not touch, by address.
    pub uncounted: Vec<(u64, u64)>,
    /// Descriptions that are not used.
    pub refused: Vec<RefusedType>,
    /// What went wrong.
    pub troubles: Troubles,
}
