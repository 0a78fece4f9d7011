//! The copied memory of the target: a page directory over one flat local buffer.
//!
//! Reading a word is two table look-ups and a load: the hot loops of the heap
//! walk read 10^8 objects through it. The page numbers it hands out are dense, so that other
//! layers can hang their own per-page columns (object bitmaps, ranks) on them.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::Memory;
use crate::target::Unreadable;
use crate::target::backing::Located;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

pub use crate::target::backing::Backing;

/// Bytes in a page of the directory. Unit: bytes.
pub const PAGE: u64 = 4096;
const PAGE_SHIFT: u32 = 12;
const TABLE_SHIFT: u32 = 21;
const TABLE_PAGES: usize = 512;
const DIRECTORY_ENTRIES: usize = 1 << (47 - TABLE_SHIFT);
const NONE: u32 = u32::MAX;
const BLOCK: u64 = 64 * 1024;

/// The number of a captured page: dense, `0..Image::page_count()`, in order of local storage.
pub type PageNumber = u32;

/// A run of target pages stored one after the other in the backing.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Target addresses, page-aligned at both ends.
    pub range: AddressRange,
    /// Where its first byte is stored in the backing; a multiple of [`PAGE`].
    pub local: u64,
}

/// Pages that the capture left out because a file has the same bytes: read when asked for.
pub struct FileOverlay {
    range: AddressRange,
    file: Arc<File>,
    offset: u64,
    blocks: Vec<OnceLock<Option<Box<[u8]>>>>,
}

impl FileOverlay {
    /// The file's bytes from `offset` on stand for `range`.
    pub fn new(range: AddressRange, file: impl Into<Arc<File>>, offset: u64) -> Self {
        let count = usize::try_from(range.length().div_ceil(BLOCK)).unwrap_or(0);
        let file = file.into();
        Self { range, file, offset, blocks: std::iter::repeat_with(OnceLock::new).take(count).collect() }
    }

    /// Addresses that the file stands for.
    pub fn range(&self) -> AddressRange {
        self.range
    }

    fn block(&self, index: usize) -> Option<&[u8]> {
        let read = || {
            let start = index as u64 * BLOCK;
            let length = usize::try_from(BLOCK.min(self.range.length().checked_sub(start)?)).ok()?;
            let mut bytes = vec![0; length];
            let mut filled = 0;
            while filled < length {
                match self.file.read_at(&mut bytes[filled..], self.offset + start + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return None,
                }
            }
            bytes.truncate(filled);
            Some(bytes.into_boxed_slice())
        };
        self.blocks.get(index)?.get_or_init(read).as_deref()
    }

    /// Fills a page from the file as far as the file goes; false if it does not reach there.
    fn read_uncached(&self, address: Address, page: &mut [u8]) -> bool {
        let Some(into) = self.range.start.distance_to(address) else { return false };
        let Some(offset) = self.offset.checked_add(into) else { return false };
        let mut filled = 0;
        while filled < page.len() {
            match self.file.read_at(&mut page[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        filled > 0
    }

    /// The address after the page that has the last byte of the file.
    fn end_of_file(&self) -> Address {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        let there = length.saturating_sub(self.offset).div_ceil(PAGE).saturating_mul(PAGE);
        self.range.start.plus(there.min(self.range.length()))
    }

    /// The bytes from `address` on, up to the end of a block; never empty.
    fn piece(&self, address: Address) -> Option<&[u8]> {
        let at = self.range.start.distance_to(address)?;
        let block = self.block(usize::try_from(at / BLOCK).ok()?)?;
        block.get(usize::try_from(at % BLOCK).ok()?..).filter(|piece| !piece.is_empty())
    }
}

/// What was readable in the target at one instant.
pub struct Image {
    /// Per 2 MiB of address space: which table, or `NONE`.
    directory: Vec<u32>,
    /// Per 4 KiB: the page number in the backing, or `NONE`.
    tables: Vec<[u32; TABLE_PAGES]>,
    /// Address of the first page of each table, sorted.
    table_starts: Vec<u64>,
    backing: Located,
    overlays: Vec<FileOverlay>,
    /// Pages of the target that were not copied because they hold no pointer; sorted.
    left_out: Vec<AddressRange>,
    /// How often one of them was wanted nevertheless.
    missed: AtomicU64,
}

impl Image {
    /// Builds the directory. Where segments overlap the later one wins; overlays stand behind all
    /// segments. Segments that reach outside the backing or above 2^47 are cut. Cost: one step per page.
    pub fn new(backing: Backing, segments: &[Segment], mut overlays: Vec<FileOverlay>) -> Self {
        overlays.sort_by_key(|overlay| overlay.range.start);
        let mut image = Self {
            directory: vec![0; DIRECTORY_ENTRIES],
            tables: Vec::new(),
            table_starts: Vec::new(),
            backing: Located::new(backing),
            overlays,
            left_out: Vec::new(),
            missed: AtomicU64::new(0),
        };
        // Tables are made in address order, whatever the order of the segments.
        let mut sorted: Vec<Segment> = segments.to_vec();
        sorted.sort_by_key(|segment| segment.range.start);
        for segment in &sorted {
            image.add_tables(segment.range);
        }
        for segment in segments {
            image.add_segment(segment);
        }
        image
    }

    /// Puts files behind all segments, instead of those that are there.
    pub fn set_overlays(&mut self, mut overlays: Vec<FileOverlay>) {
        overlays.sort_by_key(|overlay| overlay.range.start);
        self.overlays = overlays;
    }

    /// Puts more files behind all segments, at addresses where there is none yet.
    pub fn add_overlays(&mut self, more: Vec<FileOverlay>) {
        let mut overlays = std::mem::take(&mut self.overlays);
        overlays.extend(more);
        self.set_overlays(overlays);
    }

    /// Notes which readable pages were left out on purpose: sorted, and none of them in a segment.
    #[must_use]
    pub fn with_left_out(mut self, ranges: Vec<AddressRange>) -> Self {
        self.left_out = ranges;
        self
    }

    /// How often something was wanted that was left out, or that is no longer in reach: unless this is
    /// 0, what was found is not all that there is.
    pub fn missed(&self) -> u64 {
        let late = if let Backing::OnDemand(memory) = self.backing.backing() { memory.missed() } else { 0 };
        self.missed.load(Ordering::Relaxed).saturating_add(late)
    }

    /// Lets go a process that is read on demand; what was not read by now is out of reach.
    /// `None` for any other image. `pid` is for messages.
    pub fn release(&self, pid: i32) -> Option<crate::target::on_demand::Released> {
        if let Backing::OnDemand(memory) = self.backing.backing() { memory.release(pid) } else { None }
    }

    /// Whether the target could read this address: also true for what was left out.
    pub fn is_readable(&self, address: Address) -> bool {
        self.page_of(address).is_some() || self.is_left_out(address) || self.piece(address).is_some()
    }

    fn is_left_out(&self, address: Address) -> bool {
        let after = self.left_out.partition_point(|range| range.start <= address);
        let range = after.checked_sub(1).and_then(|index| self.left_out.get(index));
        range.is_some_and(|range| range.contains(address))
    }

    /// Notes that something was wanted at an address that is in no page; it counts if the address was
    /// left out.
    #[cold]
    pub fn note_missing(&self, address: Address) {
        if self.is_left_out(address) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add_tables(&mut self, range: AddressRange) {
        if range.is_empty() {
            return;
        }
        let first = range.start.get() >> TABLE_SHIFT;
        let last = (range.end.get() - 1) >> TABLE_SHIFT;
        for index in first..=last.min(DIRECTORY_ENTRIES as u64 - 1) {
            // Zero in the directory means none, so that the untouched parts of it cost no memory.
            let entry = &mut self.directory[index as usize];
            if *entry == 0 {
                self.tables.push([NONE; TABLE_PAGES]);
                self.table_starts.push(index << TABLE_SHIFT);
                *entry = u32::try_from(self.tables.len()).unwrap_or(0);
            }
        }
    }

    fn add_segment(&mut self, segment: &Segment) {
        let stored = (self.backing.backing().length() as u64).saturating_sub(segment.local) / PAGE;
        let pages = (segment.range.length() / PAGE).min(stored);
        for index in 0..pages {
            let page = (segment.range.start.get() >> PAGE_SHIFT) + index;
            let Some(&table) = self.directory.get((page >> (TABLE_SHIFT - PAGE_SHIFT)) as usize) else {
                return;
            };
            let Some(table) = (table as usize).checked_sub(1).and_then(|table| self.tables.get_mut(table))
            else {
                return;
            };
            table[page as usize % TABLE_PAGES] = u32::try_from(segment.local / PAGE + index).unwrap_or(NONE);
        }
    }

    /// The number of the page that holds `address`, if it was captured.
    #[inline]
    pub fn page_of(&self, address: Address) -> Option<PageNumber> {
        let value = address.get();
        let table = *self.directory.get((value >> TABLE_SHIFT) as usize)?;
        let table = self.tables.get((table as usize).wrapping_sub(1))?;
        let page = table[(value >> PAGE_SHIFT) as usize % TABLE_PAGES];
        (page != NONE).then_some(page)
    }

    /// How many page numbers there are: every one handed out is below this.
    pub fn page_count(&self) -> usize {
        self.backing.backing().length() / PAGE as usize
    }

    /// Every captured page with its address, in order of address.
    pub fn pages(&self) -> impl Iterator<Item = (Address, PageNumber)> + '_ {
        self.pages_in(AddressRange::new(Address::NULL, Address::new(u64::MAX)))
    }

    /// The captured pages that a range touches, in order of address. Cost: by the memory that was captured,
    /// however long the range is.
    pub fn pages_in(&self, range: AddressRange) -> impl Iterator<Item = (Address, PageNumber)> + '_ {
        let first = range.start.get() >> PAGE_SHIFT;
        let end = if range.is_empty() { 0 } else { range.end.get().div_ceil(PAGE) };
        let length = TABLE_PAGES as u64;
        let skipped = self.table_starts.partition_point(|start| (start >> PAGE_SHIFT) + length <= first);
        let tables = self.tables.iter().zip(&self.table_starts).skip(skipped);
        let tables = tables.map(|(table, start)| (table, start >> PAGE_SHIFT));
        tables.take_while(move |(_, start)| *start < end).flat_map(move |(table, start)| {
            let from = first.saturating_sub(start).min(length);
            let pages = table.get(from as usize..(end - start).min(length) as usize).unwrap_or(&[]);
            let pages = (start + from..).zip(pages).filter(|&(_, &page)| page != NONE);
            pages.map(|(number, &page)| (Address::new(number << PAGE_SHIFT), page))
        })
    }

    /// The bytes of a captured page; none if it is out of reach, as one of a process that was let go may be.
    #[inline]
    pub fn page_bytes(&self, page: PageNumber) -> &[u8] {
        let start = page as usize * PAGE as usize;
        self.backing.bytes(start, PAGE as usize).unwrap_or(&[])
    }

    /// The bytes from `address` to at least `length` further, if they are stored in one piece.
    #[inline]
    pub fn bytes(&self, address: Address, length: usize) -> Option<&[u8]> {
        let within = (address.get() % PAGE) as usize;
        let Some(page) = self.page_of(address) else { return self.overlay_bytes(address, length) };
        let start = page as usize * PAGE as usize + within;
        if within + length <= PAGE as usize || self.is_contiguous(address, page, length) {
            self.backing.bytes(start, length)
        } else {
            None
        }
    }

    /// Tells the processor that the bytes at an address will be wanted soon, if they were captured.
    #[inline]
    pub fn prefetch(&self, address: Address) {
        if let Some(page) = self.page_of(address) {
            self.backing.prefetch(page as usize * PAGE as usize + (address.get() % PAGE) as usize);
        }
    }

    fn is_contiguous(&self, address: Address, first: PageNumber, length: usize) -> bool {
        let pages = ((address.get() % PAGE) as usize).saturating_add(length).div_ceil(PAGE as usize);
        (1..pages).all(|index| {
            self.page_of(address.plus(index as u64 * PAGE))
                .is_some_and(|page| page as usize == first as usize + index)
        })
    }

    /// The captured pages at the beginning of a range of whole pages, as far as they are stored one after the
    /// other; none if the first was not captured.
    pub fn run(&self, range: AddressRange) -> Option<&[u8]> {
        let first = self.page_of(range.start)?;
        let follows = |&index: &u64| {
            self.page_of(range.start.plus(index * PAGE))
                .is_some_and(|page| u64::from(page) == u64::from(first) + index)
        };
        let count = (0..range.length() / PAGE).take_while(follows).count();
        self.backing.bytes(first as usize * PAGE as usize, count * PAGE as usize)
    }

    fn overlay_bytes(&self, address: Address, length: usize) -> Option<&[u8]> {
        self.overlay_piece(address)?.get(..length)
    }

    fn overlay_piece(&self, address: Address) -> Option<&[u8]> {
        let Some(overlay) = self.overlay_at(address) else {
            self.note_missing(address);
            return None;
        };
        overlay.piece(address)
    }

    fn overlay_at(&self, address: Address) -> Option<&FileOverlay> {
        let index = self.overlays.partition_point(|overlay| overlay.range.start <= address).checked_sub(1)?;
        self.overlays.get(index).filter(|overlay| overlay.range.contains(address))
    }

    /// The bytes from `address` on that lie in one page (or one block of a file); never empty.
    pub fn piece(&self, address: Address) -> Option<&[u8]> {
        match self.page_of(address) {
            // A page of a process that is read on demand may be out of reach.
            Some(page) => {
                self.page_bytes(page).get((address.get() % PAGE) as usize..).filter(|piece| !piece.is_empty())
            }
            None => self.overlay_piece(address),
        }
    }

    /// Copies one page, from a file if it was not captured, without keeping what the file has. False if it is
    /// nowhere; what lies behind the end of a file stays as it is.
    pub fn read_page(&self, address: Address, page: &mut [u8; PAGE as usize]) -> bool {
        if let Some(number) = self.page_of(address) {
            let bytes = self.page_bytes(number).first_chunk();
            return bytes.is_some_and(|bytes| {
                *page = *bytes;
                true
            });
        }
        self.overlay_at(address).is_some_and(|overlay| overlay.read_uncached(address, page))
    }

    /// How far a range is readable from its start on, whole pages, as far as captured pages and one file reach.
    pub fn readable_up_to(&self, range: AddressRange) -> Address {
        let file_end = self.overlay_at(range.start).map_or(range.start, FileOverlay::end_of_file);
        let mut end = file_end.min(range.end).max(range.start);
        while end < range.end && self.page_of(end).is_some() {
            end = end.plus(PAGE);
        }
        end
    }

    /// A 64-bit little-endian word.
    #[inline]
    pub fn word(&self, address: Address) -> Option<u64> {
        if address.get() % PAGE <= PAGE - 8
            && let Some(page) = self.page_of(address)
        {
            let start = page as usize * PAGE as usize + (address.get() % PAGE) as usize;
            let bytes = self.backing.bytes(start, 8)?;
            return Some(u64::from_le_bytes(bytes.try_into().ok()?));
        }
        self.read_u64(address).ok()
    }

    /// A pointer.
    #[inline]
    pub fn pointer(&self, address: Address) -> Option<Address> {
        self.word(address).map(Address::new)
    }

    /// A signed 64-bit word.
    #[inline]
    pub fn signed(&self, address: Address) -> Option<i64> {
        self.word(address).map(u64::cast_signed)
    }

    /// A 32-bit word.
    #[inline]
    pub fn word32(&self, address: Address) -> Option<u32> {
        self.read_u32(address).ok()
    }

    /// A byte.
    #[inline]
    pub fn byte(&self, address: Address) -> Option<u8> {
        self.piece(address)?.first().copied()
    }
}

impl Memory for Image {
    fn read_into(&self, address: Address, buffer: &mut [u8]) -> Result<(), Unreadable> {
        if let Some(bytes) = self.bytes(address, buffer.len()) {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let piece = self.piece(address.plus(filled as u64)).ok_or(Unreadable { address })?;
            let count = piece.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&piece[..count]);
            filled += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(Address::new(start), Address::new(end))
    }

    fn two_pages_stored_backwards() -> Image {
        let mut bytes = vec![0; 2 * PAGE as usize];
        bytes[..8].copy_from_slice(&0x2222_u64.to_le_bytes());
        bytes[2 * PAGE as usize - 8..].copy_from_slice(&0x1111_u64.to_le_bytes());
        let segments = [
            Segment { range: range(0x7000_0000_1000, 0x7000_0000_2000), local: 0 },
            Segment { range: range(0x7000_0000_0000, 0x7000_0000_1000), local: PAGE },
        ];
        Image::new(Backing::Owned(bytes), &segments, Vec::new())
    }

    #[test]
    fn a_word_across_two_pages_is_put_together() {
        let image = two_pages_stored_backwards();
        assert_eq!(image.word(Address::new(0x7000_0000_0ff8)), Some(0x1111));
        assert_eq!(image.word(Address::new(0x7000_0000_1000)), Some(0x2222));
        assert_eq!(image.word(Address::new(0x7000_0000_0ffc)), Some(0x2222 << 32));
        assert_eq!(image.bytes(Address::new(0x7000_0000_0ff8), 16), None);
    }

    #[test]
    fn what_was_not_captured_is_unreadable_and_never_zero() {
        let image = two_pages_stored_backwards();
        assert_eq!(image.word(Address::new(0x7000_0000_2000)), None);
        assert_eq!(image.word(Address::new(0x7000_0000_1ffc)), None);
        assert_eq!(image.word(Address::new(u64::MAX - 3)), None);
        assert_eq!(image.word(Address::NULL), None);
    }

    #[test]
    fn pages_come_in_order_of_address() {
        let image = two_pages_stored_backwards();
        let pages: Vec<_> = image.pages().map(|(address, page)| (address.get(), page)).collect();
        assert_eq!(pages, [(0x7000_0000_0000, 1), (0x7000_0000_1000, 0)]);
    }

    #[test]
    fn a_run_ends_where_the_storage_jumps() {
        let image = two_pages_stored_backwards();
        let run =
            |start, end| image.run(range(start, end)).map(|bytes| (bytes.len() as u64 / PAGE, bytes[0]));
        assert_eq!(run(0x7000_0000_0000, 0x7000_0000_2000), Some((1, 0)));
        assert_eq!(run(0x7000_0000_1000, 0x7000_0000_9000), Some((1, 0x22)));
        assert_eq!(image.run(range(0x7000_0000_2000, 0x7000_0000_3000)), None);
        assert_eq!(image.run(range(0x7000_0000_0000, 0x7000_0000_0000)), Some(&[][..]));
        let segment = Segment { range: range(0x1000, 0x4000), local: 0 };
        let image = Image::new(Backing::Owned(vec![0; 3 * PAGE as usize]), &[segment], Vec::new());
        assert_eq!(image.run(range(0x1000, 0x9000)).map(<[u8]>::len), Some(3 * PAGE as usize));
        assert_eq!(image.run(range(0x2000, 0x3000)).map(<[u8]>::len), Some(PAGE as usize));
    }

    #[test]
    fn the_pages_of_a_range_are_those_that_it_touches() {
        let image = two_pages_stored_backwards();
        for (start, end, expected) in [
            (0x7000_0000_0000, 0x7000_0000_1000, &[1][..]),
            (0x7000_0000_0fff, 0x7000_0000_1001, &[1, 0]),
            (0x7000_0000_1000, 0x7fff_ffff_f000, &[0]),
            (0, u64::MAX, &[1, 0]),
            (0x7000_0000_2000, 0x7fff_ffff_f000, &[]),
            (0x7000_0000_1800, 0x7000_0000_1800, &[]),
        ] {
            let pages: Vec<_> = image.pages_in(range(start, end)).map(|(_, page)| page).collect();
            assert_eq!(pages, expected, "{start:#x} to {end:#x}");
        }
    }

    #[test]
    fn what_was_left_out_is_unreadable_and_noted() {
        let image =
            two_pages_stored_backwards().with_left_out(vec![range(0x7000_0000_2000, 0x7000_0000_4000)]);
        let inside = Address::new(0x7000_0000_3000);
        assert!(image.is_readable(inside) && image.page_of(inside).is_none());
        assert!(!image.is_readable(Address::new(0x7000_0000_4000)));
        assert_eq!(image.word(Address::new(0x7000_0000_4000)), None);
        assert_eq!(image.missed(), 0, "a look at what is not there is no miss");
        assert_eq!(image.word(inside), None);
        assert!(image.missed() > 0);
    }

    #[test]
    fn a_file_stands_behind_what_was_copied() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"0123456789abcdef").unwrap();
        let overlay = FileOverlay::new(range(0x40_0000, 0x40_1000), file, 8);
        let image = Image::new(Backing::Owned(Vec::new()), &[], vec![overlay]);
        assert_eq!(image.bytes(Address::new(0x40_0000), 8), Some(&b"89abcdef"[..]));
        assert_eq!(image.bytes(Address::new(0x40_0004), 8), None, "past the end of the file");
    }
}
