//! Which pages a running process writes to, without executing anything in it: the soft-dirty bits of its page
//! tables (Linux `Documentation/admin-guide/mm/soft-dirty.rst`), in kernels built with `CONFIG_MEM_SOFT_DIRTY`.
//!
//! `clear_refs` clears the bits of all pages and protects them; the first write to each sets its bit again. The
//! bits cannot be read and cleared in one step, as `PAGEMAP_SCAN` does with its own: what is written to
//! between the two would be lost. So they are cleared once only, before anything is copied, and every look tells
//! all that was written to since. Another round would have to copy all of that again, and there is none.
//!
//! A clear bit alone proves little. A mapping moved by whole page tables (`move_normal_pmd` in Linux
//! `mm/mremap.c`) brings its clear bits to an address where something else was copied, and memory given back
//! (`MADV_DONTNEED`) and then read shows the zero page, with its bit clear: both seen on Linux 6.1. So the place of
//! each page in the machine is remembered as well, and a page is only taken for unchanged if it is where it was.
//! The zero page, which is in many places at many times, never is. The kernel shows places only to those with
//! `CAP_SYS_ADMIN`; to others this is of no use. What escapes both is memory that is moved away in whole page
//! tables, replaced, and moved back, or merged with the same page of others by KSM twice, within one capture.
//!
//! The bits are those of a whole mapping when it is new: also of all that was there before, if the kernel joins the
//! two. A process that maps memory beside its heap just then has written to all of it, as far as we can tell, and
//! another strategy does better.
//!
//! The bits belong to the process, and one program at a time can use them. CRIU's incremental dumps do: after
//! this, its next one must be a whole one. If somebody else clears them meanwhile, pages that were seen
//! written to are so no longer, and the capture is given up.

use crate::address::Address;
use crate::address::AddressRange;
use crate::target::TargetError;
use crate::target::image::PAGE;
use crate::target::page_places::Places;
use crate::target::pagemap::Entry;
use crate::target::pagemap::Pagemap;
use crate::target::pagemap::push;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

/// What is written to `/proc/PID/clear_refs` to clear the soft-dirty bits.
const CLEAR: &[u8] = b"4";
/// Below this one thread reads a page map faster than two do. Unit: bytes of memory that it is about.
const WORTH_TWO_THREADS: u64 = 64 << 20;

/// The soft-dirty bits of a process, cleared at one moment.
pub(super) struct SoftDirty {
    pid: i32,
    places: Places,
    /// Where the zero page is, if the kernel shows it.
    zero: Option<u64>,
    /// Pages whose bit the last look found set, sorted.
    seen: Vec<AddressRange>,
    is_disturbed: bool,
    /// How long clearing took, in which page faults of the process waited.
    clearing: Duration,
    /// How long the last look took.
    looking: Duration,
}

/// What a look finds; all sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Pages in memory or in swap.
    pub(super) resident: Vec<AddressRange>,
    /// Those that may differ from what they were after the clearing.
    pub(super) written: Vec<AddressRange>,
    /// Those whose bit is set.
    marked: Vec<AddressRange>,
}

impl SoftDirty {
    /// Whether this kernel can do it, tried on pages of our own: a kernel without soft-dirty bits accepts the
    /// clearing all the same, and then shows all of them clear.
    pub(super) fn try_on_ourselves() -> Result<(), String> {
        let failed = |error: TargetError| format!("soft-dirty bits cannot be tried: {error}");
        // What the kernel joins with a new mapping has all its bits set: without a reserve it joins few others.
        let mut map = memmap2::MmapOptions::new()
            .len(4 * PAGE as usize)
            .no_reserve_swap()
            .map_anon()
            .map_err(|error| format!("soft-dirty bits cannot be tried: {error}"))?;
        // A huge page would have one bit for all. Without any huge pages the advice is refused.
        let _ = map.advise(memmap2::Advice::NoHugePage);
        (map[0], map[2 * PAGE as usize]) = (1, 1);
        let start = Address::new(map.as_ptr() as u64);
        let ranges = [AddressRange::new(start, start.plus(4 * PAGE))];
        let mut bits = Self::clear(std::process::id().cast_signed()).map_err(failed)?;
        bits.first_look(&ranges).map_err(failed)?;
        map[2 * PAGE as usize] = 2;
        let look = bits.look(&ranges).map_err(failed)?;
        let page = |index: u64| AddressRange::new(start.plus(index * PAGE), start.plus((index + 1) * PAGE));
        if look.resident != [page(0), page(2)] || look.marked != [page(2)] {
            return Err("this kernel has no soft-dirty bits".to_owned());
        }
        if bits.zero.is_none() || !bits.places.are_known() {
            return Err("soft-dirty bits are of use only with CAP_SYS_ADMIN".to_owned());
        }
        Ok(())
    }

    /// Clears the bits of a process: what it writes to from now on can be told.
    ///
    /// Cost: 12 to 22 ms for each GiB in pages of 4 KiB, in which the process runs, but its page faults wait.
    pub(super) fn clear(pid: i32) -> Result<Self, TargetError> {
        let zero = zero_place()?;
        let started = Instant::now();
        std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/{pid}/clear_refs"))
            .and_then(|mut file| file.write_all(CLEAR))
            .map_err(|error| TargetError::from_proc(pid, "clear_refs", error))?;
        Ok(Self {
            pid,
            places: Places::default(),
            zero,
            seen: Vec::new(),
            is_disturbed: false,
            clearing: started.elapsed(),
            looking: Duration::ZERO,
        })
    }

    /// Finds the pages in memory or in swap, and remembers where they are. Whatever is copied must be copied
    /// after this. Sorted ranges.
    ///
    /// Cost: 100 ns for each page, with two threads half of that.
    pub(super) fn first_look(&mut self, ranges: &[AddressRange]) -> Result<Vec<AddressRange>, TargetError> {
        let (pid, zero) = (self.pid, self.zero);
        let (first, second) = in_two(ranges, |ranges| {
            let mut places = Places::default();
            let mut resident = Vec::new();
            for_each(pid, ranges, |page, entry| {
                push(&mut resident, page.get(), page.get() + PAGE);
                places.add(page, entry, zero);
            })?;
            Ok((places, resident))
        })?;
        self.places = first.0.followed_by(second.0);
        Ok(joined(first.1, second.1))
    }

    /// What was written to since the clearing.
    pub(super) fn look(&mut self, ranges: &[AddressRange]) -> Result<Look, TargetError> {
        let started = Instant::now();
        let (pid, places) = (self.pid, &self.places);
        let (first, second) = in_two(ranges, |ranges| {
            let mut look = Look::default();
            let mut cursor = 0;
            for_each(pid, ranges, |page, entry| look.add(page, entry, places, &mut cursor))?;
            Ok(look)
        })?;
        let look = Look {
            resident: joined(first.resident, second.resident),
            written: joined(first.written, second.written),
            marked: joined(first.marked, second.marked),
        };
        self.is_disturbed |= !look.confirms(&self.seen);
        self.seen.clone_from(&look.marked);
        self.looking = started.elapsed();
        Ok(look)
    }

    /// Whose bits they are.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether somebody else has cleared the bits.
    pub(super) fn is_disturbed(&self) -> bool {
        self.is_disturbed
    }

    /// How long clearing took.
    pub(super) fn clearing(&self) -> Duration {
        self.clearing
    }

    /// How long the last look took.
    pub(super) fn looking(&self) -> Duration {
        self.looking
    }
}

impl Look {
    /// The next page in memory or in swap.
    fn add(&mut self, page: Address, entry: Entry, places: &Places, cursor: &mut usize) {
        let (start, end) = (page.get(), page.get() + PAGE);
        push(&mut self.resident, start, end);
        if entry.is_soft_dirty() {
            push(&mut self.marked, start, end);
        }
        if entry.is_soft_dirty() || places.find(page, cursor) != Some(entry.place()) {
            push(&mut self.written, start, end);
        }
    }

    /// Whether all pages that had their bit set before still count as written to, if they are there. Bits are
    /// set by the process and cleared by nobody but us.
    fn confirms(&self, seen: &[AddressRange]) -> bool {
        let mut written = self.written.iter().peekable();
        let mut resident = self.resident.iter().peekable();
        let holds = |list: &mut std::iter::Peekable<std::slice::Iter<'_, AddressRange>>, page: Address| {
            while list.next_if(|range| range.end <= page).is_some() {}
            list.peek().is_some_and(|range| range.contains(page))
        };
        seen.iter().all(|range| {
            let pages = range.length() / PAGE;
            (0..pages).map(|index| range.start.plus(index * PAGE)).all(|page| {
                let is_there = holds(&mut resident, page);
                holds(&mut written, page) || !is_there
            })
        })
    }
}

/// Where the zero page is: what a page shows that was read and never written to.
fn zero_place() -> Result<Option<u64>, TargetError> {
    let system = |source| TargetError::System { action: "map a page".to_owned(), source };
    let map = memmap2::MmapMut::map_anon(PAGE as usize).map_err(system)?;
    let _ = map.advise(memmap2::Advice::NoHugePage);
    std::hint::black_box(map[0]);
    let start = Address::new(map.as_ptr() as u64);
    let mut place = None;
    for_each(std::process::id().cast_signed(), &[AddressRange::new(start, start.plus(PAGE))], |_, entry| {
        place = Some(entry.place()).filter(|&place| Entry::is_known(place));
    })?;
    Ok(place)
}

/// Calls `visit` with each page in memory or in swap.
fn for_each(
    pid: i32,
    ranges: &[AddressRange],
    mut visit: impl FnMut(Address, Entry),
) -> Result<(), TargetError> {
    let mut pagemap = Pagemap::open(pid)?;
    for &range in ranges {
        pagemap.for_each_entry(range, |page, entry| {
            if entry.is_resident() {
                visit(page, entry);
            }
        })?;
    }
    Ok(())
}

/// Does something for the lower half of sorted ranges, and for the upper one, at the same time.
fn in_two<T: Default + Send>(
    ranges: &[AddressRange],
    work: impl Fn(&[AddressRange]) -> Result<T, TargetError> + Sync,
) -> Result<(T, T), TargetError> {
    let total = ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.length()));
    if total < WORTH_TWO_THREADS {
        return Ok((work(ranges)?, T::default()));
    }
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    let mut room = total / 2 / PAGE * PAGE;
    for range in ranges {
        let cut = range.start.plus(room.min(range.length()));
        room -= cut.get() - range.start.get();
        for (half, part) in [
            (&mut lower, AddressRange::new(range.start, cut)),
            (&mut upper, AddressRange::new(cut, range.end)),
        ] {
            if part.length() > 0 {
                half.push(part);
            }
        }
    }
    let (ours, theirs) = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(&upper));
        let ours = work(&lower);
        (ours, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    Ok((ours?, theirs?))
}

/// One list after the other.
fn joined(mut first: Vec<AddressRange>, second: Vec<AddressRange>) -> Vec<AddressRange> {
    for range in second {
        push(&mut first, range.start.get(), range.end.get());
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZERO: u64 = 1;
    const PAGES: usize = 6;

    /// A page of a process, as far as this is about it.
    #[derive(Clone, Copy, Debug)]
    struct Page {
        frame: u64,
        is_soft_dirty: bool,
        content: u64,
        was_moved: bool,
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Write(usize),
        /// With its page table, so that its bit stays as it is.
        Move(usize, usize),
        GiveBack(usize),
        Read(usize),
        /// By us, for the copy.
        Copy(usize),
    }

    /// What a kernel does.
    #[derive(Default)]
    struct Machine {
        pages: [Option<Page>; PAGES],
        copied: [u64; PAGES],
        last: u64,
    }

    impl Machine {
        fn take(&mut self, step: Step) {
            self.last += 1;
            let number = self.last + ZERO;
            match step {
                Step::Write(index) => {
                    let was_moved = self.pages[index].is_some_and(|page| page.was_moved);
                    let there = self.pages[index].map(|page| page.frame).filter(|&frame| frame != ZERO);
                    let frame = there.unwrap_or(number);
                    self.pages[index] = Some(Page { frame, is_soft_dirty: true, content: number, was_moved });
                }
                // What is moved away and back is not found, as is said above.
                Step::Move(from, to)
                    if from != to && self.pages[from].is_some_and(|page| !page.was_moved) =>
                {
                    self.pages[to] = self.pages[from].take().map(|page| Page { was_moved: true, ..page });
                }
                Step::Move(..) => {}
                Step::GiveBack(index) => self.pages[index] = None,
                Step::Read(index) => {
                    self.read(index);
                }
                Step::Copy(index) => self.copied[index] = self.read(index),
            }
        }

        fn read(&mut self, index: usize) -> u64 {
            let zero = Page { frame: ZERO, is_soft_dirty: false, content: 0, was_moved: false };
            self.pages[index].get_or_insert(zero).content
        }

        fn entries(&self) -> impl Iterator<Item = (usize, Address, Entry)> {
            self.pages.iter().enumerate().filter_map(|(index, page)| {
                let entry = page.map(|page| Entry::new(page.frame, page.is_soft_dirty))?;
                Some((index, Address::new(index as u64 * PAGE), entry))
            })
        }

        fn places(&self) -> Places {
            let mut places = Places::default();
            for (_, page, entry) in self.entries() {
                places.add(page, entry, Some(Entry::new(ZERO, false).place()));
            }
            places
        }

        fn look(&self, places: &Places) -> Look {
            let mut look = Look::default();
            let mut cursor = 0;
            for (_, page, entry) in self.entries() {
                look.add(page, entry, places, &mut cursor);
            }
            look
        }

        fn clear(&mut self) {
            for page in self.pages.iter_mut().flatten() {
                (page.is_soft_dirty, page.was_moved) = (false, false);
            }
        }

        /// The pages of which a copy is out of date that a look does not tell.
        fn overlooked(&self, look: &Look) -> Vec<usize> {
            let stale = |&(index, page, _): &(usize, Address, Entry)| {
                let is_written = look.written.iter().any(|range| range.contains(page));
                !is_written && self.pages[index].is_some_and(|page| page.content != self.copied[index])
            };
            self.entries().filter(stale).map(|(index, _, _)| index).collect()
        }
    }

    fn steps(longest: usize, may_copy: bool) -> impl Strategy<Value = Vec<Step>> {
        let step =
            (0..if may_copy { 5 } else { 4 }, 0..PAGES, 0..PAGES).prop_map(
                |(kind, index, other)| match kind {
                    0 => Step::Write(index),
                    1 => Step::Move(index, other),
                    2 => Step::GiveBack(index),
                    3 => Step::Read(index),
                    _ => Step::Copy(index),
                },
            );
        proptest::collection::vec(step, 0..longest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn no_page_is_overlooked(
            before in steps(12, false),
            between in steps(4, false),
            copying in steps(30, true),
            after in steps(8, false),
        ) {
            let mut machine = Machine::default();
            for step in before {
                machine.take(step);
            }
            machine.clear();
            for step in between {
                machine.take(step);
            }
            let places = machine.places();
            let first: Vec<usize> = machine.entries().map(|(index, _, _)| index).collect();
            for step in copying {
                machine.take(step);
            }
            // Whatever was there has been copied by now, at some time.
            for index in first {
                machine.take(Step::Copy(index));
            }
            for step in after {
                machine.take(step);
            }
            let look = machine.look(&places);
            prop_assert_eq!(machine.overlooked(&look), Vec::<usize>::new());
        }
    }

    /// Why it takes more than the bits.
    #[test]
    fn bits_alone_overlook_what_was_moved_or_given_back() {
        let mut machine = Machine::default();
        for index in 0..3 {
            machine.take(Step::Write(index));
        }
        machine.clear();
        let places = machine.places();
        for step in
            [Step::Copy(0), Step::Copy(1), Step::Copy(2), Step::Move(0, 1), Step::GiveBack(2), Step::Read(2)]
        {
            machine.take(step);
        }
        let look = machine.look(&places);
        assert_eq!(look.marked, []);
        assert_eq!(machine.overlooked(&Look { written: Vec::new(), ..Look::default() }), [1, 2]);
        assert_eq!(machine.overlooked(&look), [0_usize; 0]);
    }

    #[test]
    fn bits_that_somebody_else_has_cleared_are_missed() {
        let range =
            |start: u64, end: u64| AddressRange::new(Address::new(start * PAGE), Address::new(end * PAGE));
        let look = |resident: AddressRange, written: AddressRange| Look {
            resident: vec![resident],
            written: vec![written],
            marked: Vec::new(),
        };
        let seen = [range(1, 3), range(6, 8)];
        assert!(look(range(0, 10), range(1, 9)).confirms(&seen));
        assert!(look(range(0, 7), range(1, 7)).confirms(&seen), "what is gone needs no bit");
        assert!(!look(range(0, 10), range(1, 7)).confirms(&seen));
        assert!(!look(range(0, 10), range(2, 9)).confirms(&seen));
    }

    #[test]
    fn both_halves_make_the_whole() {
        let range =
            |start: u64, end: u64| AddressRange::new(Address::new(start * PAGE), Address::new(end * PAGE));
        let many = 3 * WORTH_TWO_THREADS / PAGE;
        let ranges = [range(0, 7), range(9, 10), range(20, 20 + many), range(30 + many, 33 + many)];
        let (lower, upper) = in_two(&ranges, |ranges| Ok(ranges.to_vec())).unwrap();
        let pages = |ranges: &[AddressRange]| ranges.iter().map(|range| range.length() / PAGE).sum::<u64>();
        assert!(pages(&lower).abs_diff(pages(&upper)) <= 1, "{lower:?} {upper:?}");
        assert_eq!(joined(lower, upper), ranges);
        let (all, nothing) = in_two(&ranges[..2], |ranges| Ok(ranges.to_vec())).unwrap();
        assert_eq!((all.as_slice(), nothing), (&ranges[..2], Vec::new()));
    }

    /// A kernel without them takes the command all the same, and the trial must notice.
    #[test]
    fn the_trial_agrees_with_how_the_kernel_was_built() {
        let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let configuration = std::process::Command::new("zcat").arg("/proc/config.gz").output();
        let mut text = configuration.map(|output| output.stdout).unwrap_or_default();
        text.extend(std::fs::read(format!("/boot/config-{}", version.trim())).unwrap_or_default());
        let has = |line: &str| String::from_utf8_lossy(&text).lines().any(|other| other == line);
        let trial = SoftDirty::try_on_ourselves();
        if has("CONFIG_MEM_SOFT_DIRTY=y") && nix::unistd::geteuid().is_root() {
            assert_eq!(trial, Ok(()));
        } else if has("# CONFIG_MEM_SOFT_DIRTY is not set") {
            assert_eq!(trial.unwrap_err(), "this kernel has no soft-dirty bits");
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    #[expect(unsafe_code, reason = "no safe calls move and give back memory")]
    fn the_kernel_does_what_is_said_of_it_here() {
        use nix::libc;
        const TABLE: usize = 2 << 20;
        if let Err(reason) = SoftDirty::try_on_ourselves() {
            eprintln!("SKIPPED: {reason}");
            return;
        }
        let mut map = memmap2::MmapMut::map_anon(8 * TABLE).unwrap();
        let _ = map.advise(memmap2::Advice::NoHugePage);
        map.fill(1);
        let first = (map.as_ptr() as usize).next_multiple_of(TABLE);
        let start = Address::new(first as u64);
        let ranges = [AddressRange::new(start, start.plus(6 * TABLE as u64))];
        let mut bits = SoftDirty::clear(std::process::id().cast_signed()).unwrap();
        let resident = bits.first_look(&ranges).unwrap();
        assert_eq!(resident, ranges);
        assert_eq!(bits.look(&ranges).unwrap().written, []);
        let at = |table: usize| (first + table * TABLE) as *mut libc::c_void;
        // SAFETY: all of it is within a mapping of our own, of which nothing is borrowed meanwhile; what is
        // moved away and given back is there again, as zeros, when it is read or unmapped.
        unsafe {
            *at(0).cast::<u8>() = 2;
            assert_eq!(libc::madvise(at(1), TABLE, libc::MADV_DONTNEED), 0);
            assert_eq!(at(1).cast::<u8>().read_volatile(), 0);
            let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            assert_eq!(libc::mremap(at(4), TABLE, TABLE, flags, at(3)), at(3));
        }
        let look = bits.look(&ranges).unwrap();
        let page = |table: u64| start.plus(table * TABLE as u64);
        let one = |start: Address| AddressRange::new(start, start.plus(PAGE));
        let moved = AddressRange::new(page(3), page(4));
        assert_eq!(look.written, [one(page(0)), one(page(1)), moved]);
        assert!(look.marked.starts_with(&[one(page(0))]));
        assert!(!bits.is_disturbed());
        drop(SoftDirty::clear(std::process::id().cast_signed()).unwrap());
        let look = bits.look(&ranges).unwrap();
        assert_eq!(look.marked, []);
        assert!(bits.is_disturbed(), "the first page had its bit set");
    }
}
