//! Where the pages of a process are in the machine, remembered to see whether the same page is still there
//! ([`crate::target::soft_dirty`]).

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::image::PAGE;
use crate::target::pagemap::Entry;

/// A place where no page is.
const NOWHERE: u64 = 0;

/// Where pages are in the machine: the number of a frame, or a place in swap.
#[derive(Default)]
pub(super) struct Places {
    /// Sorted, each with the index of the place of its first page.
    runs: Vec<(AddressRange, usize)>,
    places: Vec<u64>,
}

impl Places {
    /// Pages are added in order of address.
    pub(super) fn add(&mut self, page: Address, entry: Entry, zero: Option<u64>) {
        let end = page.plus(PAGE);
        match self.runs.last_mut() {
            Some((last, _)) if last.end == page => last.end = end,
            _ => self.runs.push((AddressRange::new(page, end), self.places.len())),
        }
        let is_zero = entry.is_of_file() || Some(entry.place()) == zero;
        self.places.push(if is_zero { NOWHERE } else { entry.place() });
    }

    pub(super) fn followed_by(mut self, other: Self) -> Self {
        let before = self.places.len();
        self.runs.extend(other.runs.into_iter().map(|(range, index)| (range, before.saturating_add(index))));
        self.places.extend(other.places);
        self
    }

    /// The place of a page. The cursor is 0 at first; after that pages must be asked for in order of address.
    pub(super) fn find(&self, page: Address, cursor: &mut usize) -> Option<u64> {
        let rest = self.runs.get(*cursor..)?;
        // Most often it is in the same run as the page before it.
        if rest.first().is_some_and(|(range, _)| range.end <= page) {
            *cursor = cursor.saturating_add(rest.partition_point(|(range, _)| range.end <= page));
        }
        let &(range, first) = self.runs.get(*cursor).filter(|(range, _)| range.contains(page))?;
        let offset = usize::try_from((page.get() - range.start.get()) / PAGE).ok()?;
        self.places.get(first.checked_add(offset)?).copied()
    }

    /// Whether the kernel shows them to us: else all pages in memory seem to be in frame 0.
    pub(super) fn are_known(&self) -> bool {
        !self.places.is_empty() && self.places.iter().all(|&place| Entry::is_known(place))
    }
}
