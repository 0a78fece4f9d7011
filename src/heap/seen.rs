//! Who sees a reference: the collector, heapy, or only one who knows the layout.

/// Which of the three ways to look at a heap a reference belongs to, as a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen(u8);

impl Seen {
    /// Nobody: the reference is not emitted.
    pub const NOBODY: Self = Self(0);
    /// `tp_traverse` visits it: `gc.get_referents` lists it.
    pub const COLLECTOR: Self = Self(1);
    /// heapy's traversal visits it.
    pub const HEAPY: Self = Self(2);
    /// The object keeps the other alive: the complete view has it.
    pub const HELD: Self = Self(4);
    /// Found by scanning memory of unknown layout: it looks like a reference.
    pub const SCANNED: Self = Self(8);
    /// All three see it: the normal case.
    pub const ALL: Self = Self(1 | 2 | 4);
    /// Visited by mistake: a borrowed reference, which keeps nothing alive.
    pub const TRAVERSED: Self = Self(1 | 2);
    /// Held, and heapy knows it, but the collector does not.
    pub const HEAPY_AND_HELD: Self = Self(2 | 4);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a member in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
