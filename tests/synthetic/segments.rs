//! Segments of mimalloc written by hand, sound and hostile ones.
//!
//! The offsets are those of Include/internal/mimalloc/mimalloc/types.h, of free-threaded builds, and on purpose
//! not taken from the tables under test.

use heapattach::address::Address;
use heapattach::address::AddressRange;
use heapattach::layout;
use heapattach::layout::Build;
use heapattach::layout::Layouts;
use heapattach::layout::ResolveRequest;
use heapattach::layout::Version;
use heapattach::runtime::interpreters::Interpreter;
use heapattach::runtime::interpreters::Runtime;
use heapattach::runtime::interpreters::Thread;
use heapattach::runtime::mimalloc;
use heapattach::runtime::mimalloc::Mimalloc;
use heapattach::runtime::mimalloc::Purpose;
use heapattach::runtime::mimalloc::blocks::FreeBlocks;
use heapattach::target::Image;
use heapattach::target::image::Backing;
use heapattach::target::image::Segment;
use std::time::Duration;
use std::time::Instant;

const SEGMENT: u64 = 32 << 20;
const SLICE: u64 = 64 << 10;
/// What is captured of each segment: its header and two slices.
const CAPTURED: u64 = 4 * SLICE;
const BASE: u64 = 0x200_0000_0000;
const INTERPRETER: u64 = BASE + SLICE;
const THREAD: u64 = BASE + 2 * SLICE;
const COOKIE: u64 = 0x1234_5678_9abc_def1;
/// A free-list link that is encoded needs keys; their place in the page for the test of it.
const KEYS: u64 = 72;

/// Where one version of mimalloc keeps what.
#[derive(Clone, Copy)]
struct Places {
    version: Version,
    segment_slices: u64,
    header_slices: u64,
    kind: u64,
    entries: u64,
    thread: u64,
    used: u64,
    cookie: u64,
    slices: u64,
    page_size: u64,
    page_used: u64,
    local_free: u64,
    from_others: u64,
    heap: u64,
    /// Of the first heap in the thread's state, and of a heap: its size, `thread_delayed_free`, first queue.
    heaps: u64,
    heap_size: u64,
    delayed: u64,
    queues: u64,
}

const OLD: Places = Places {
    version: Version::release(3, 13, 15),
    segment_slices: 224,
    header_slices: 232,
    kind: 240,
    entries: 248,
    thread: 256,
    used: 208,
    cookie: 216,
    slices: 264,
    page_size: 96,
    page_used: 24,
    local_free: 32,
    from_others: 40,
    heap: 48,
    heaps: 360,
    heap_size: 3064,
    delayed: 2840,
    queues: 1040,
};

const NEW: Places = Places {
    version: Version::release(3, 14, 10),
    segment_slices: 248,
    header_slices: 256,
    kind: 264,
    entries: 272,
    thread: 280,
    used: 216,
    cookie: 224,
    slices: 288,
    page_size: 112,
    page_used: 32,
    local_free: 24,
    from_others: 56,
    heap: 64,
    heaps: 944,
    heap_size: 3088,
    delayed: 8,
    queues: 1288,
};

/// An interpreter with a thread, and so many segments after it.
struct Memory {
    bytes: Vec<u8>,
    places: Places,
    segments: u64,
}

impl Memory {
    fn new(places: Places, segments: u64) -> Self {
        let bytes = vec![0; ((segments + 1) * CAPTURED) as usize];
        Self { bytes, places, segments }
    }

    fn segment(index: u64) -> u64 {
        BASE + (index + 1) * SEGMENT
    }

    fn put(&mut self, address: u64, value: u64, length: usize) {
        let (segment, within) = ((address - BASE) / SEGMENT, (address - BASE) % SEGMENT);
        assert!(within < CAPTURED);
        let at = (segment * CAPTURED + within) as usize;
        self.bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    }

    /// The header of a segment with two pages in use, owned by a thread or by none.
    fn write_segment(&mut self, index: u64, thread: u64) -> u64 {
        let (segment, places) = (Self::segment(index), self.places);
        for (place, value) in [
            (places.segment_slices, 512),
            (places.header_slices, 1),
            (places.entries, 512),
            (places.thread, thread),
            (places.used, 2),
            (places.cookie, COOKIE ^ segment),
        ] {
            self.put(segment + place, value, 8);
        }
        // Everything behind the two pages is one free run.
        self.put(self.descriptor(segment, 3), 509, 4);
        segment
    }

    fn descriptor(&self, segment: u64, slice: u64) -> u64 {
        segment + self.places.slices + slice * self.places.page_size
    }

    /// A page of one slice; gives its first block.
    fn write_page(&mut self, segment: u64, slice: u64, tag: u64, (block_size, carved): (u64, u64)) -> u64 {
        let (at, places) = (self.descriptor(segment, slice), self.places);
        let skipped = if block_size <= 64 { 3 * block_size } else { block_size };
        let first = segment + slice * SLICE + skipped;
        self.put(at, 1, 4);
        self.put(at + 10, carved, 2);
        self.put(at + 12, carved, 2);
        if places.version == OLD.version {
            self.put(at + 8, tag << 3 | 1, 1);
            self.put(at + 24, carved, 4);
            self.put(at + 28, block_size, 4);
        } else {
            self.put(at + 32, carved, 2);
            self.put(at + 35, tag, 1);
            self.put(at + 40, block_size, 8);
            self.put(at + 48, first, 8);
        }
        self.put(at + places.heap, THREAD + places.heaps + tag * places.heap_size, 8);
        first
    }

    /// Chains blocks and puts the first into a field.
    fn chain(&mut self, field: u64, blocks: &[u64], flags: u64) {
        self.put(field, blocks.first().map_or(0, |first| first | flags), 8);
        for (index, &block) in blocks.iter().enumerate() {
            self.put(block, blocks.get(index + 1).copied().unwrap_or(0), 8);
        }
    }

    fn image(&self) -> Image {
        let segments: Vec<Segment> = (0..=self.segments)
            .map(|index| {
                let start = Address::new(BASE + index * SEGMENT);
                let range = AddressRange::new(start, start.plus(CAPTURED));
                Segment { range, local: index * CAPTURED }
            })
            .collect();
        Image::new(Backing::Owned(self.bytes.clone()), &segments, Vec::new())
    }

    fn layouts(&self) -> Layouts {
        let build = Build { free_threaded: true, ..Build::default() };
        let request = ResolveRequest {
            version: self.places.version,
            build,
            runtime_size: None,
            dwarf: None,
            published: None,
            best_effort: false,
        };
        layout::resolve(&request).expect("the release is in the tables").layouts
    }

    fn find(&self) -> (Image, Mimalloc) {
        let image = self.image();
        let found = mimalloc::find(&image, &self.layouts(), &runtime());
        (image, found)
    }
}

fn runtime() -> Runtime {
    let thread = Thread { address: Address::new(THREAD), ident: 1, native_id: None, frames: Vec::new() };
    let main = Interpreter { address: Address::new(INTERPRETER), id: 0, threads: vec![thread] };
    Runtime { address: Address::new(BASE), interpreters: vec![main], is_cut: false }
}

/// Live blocks and the mismatch of each page.
fn live(image: &Image, found: &Mimalloc) -> Vec<(Purpose, Vec<u64>, u32)> {
    let mut free = FreeBlocks::default();
    let mut all = Vec::new();
    for page in &found.pages {
        let mut blocks = Vec::new();
        let mismatch = page.for_each_live(image, (&mut free, found), |block, bytes| {
            assert!(bytes.len() as u64 <= page.block_size);
            blocks.push(block.get());
        });
        all.push((page.purpose, blocks, mismatch));
    }
    all
}

#[test]
fn live_blocks_are_the_carved_ones_on_no_list() {
    for places in [OLD, NEW] {
        let mut memory = Memory::new(places, 1);
        let segment = memory.write_segment(0, 77);
        let first = memory.write_page(segment, 1, 2, (64, 10));
        let other = memory.write_page(segment, 2, 3, (96, 4));
        let at = memory.descriptor(segment, 1);
        let block = |index: u64| first + 64 * index;
        memory.chain(at + 16, &[block(9), block(2)], 0);
        memory.chain(at + places.local_free, &[block(4)], 0);
        memory.chain(at + places.from_others, &[block(6), block(7)], 2);
        memory.chain(THREAD + places.heaps + 2 * places.heap_size + places.delayed, &[block(0)], 0);
        memory.put(at + places.page_used, 7, 2);
        let (image, found) = memory.find();
        assert_eq!((found.segments, found.abandoned_segments, found.damaged), (1, 0, 0));
        let pages = live(&image, &found);
        let expected: Vec<u64> = [1, 3, 5, 8].map(block).to_vec();
        assert_eq!(pages[0], (Purpose::Collected, expected, 0), "{}", places.version);
        let all: Vec<u64> = (0..4).map(|index| other + 96 * index).collect();
        assert_eq!(pages[1], (Purpose::CollectedWithPreHeader, all, 0));
        assert!(found.pages.iter().all(|page| found.heaps.get(&page.heap) == Some(&0)));
    }
}

#[test]
fn a_block_larger_than_a_segment_is_one_page() {
    for places in [OLD, NEW] {
        let mut memory = Memory::new(places, 1);
        let segment = memory.write_segment(0, 77);
        let size = 700 * SLICE;
        memory.write_page(segment, 1, 1, (size, 1));
        memory.put(segment + places.kind, 1, 4);
        memory.put(segment + places.segment_slices, 701, 8);
        memory.put(segment + places.used, 1, 8);
        let at = memory.descriptor(segment, 1);
        memory.put(at, 700, 4);
        memory.put(at + 48, if places.version == OLD.version { 0 } else { segment + SLICE }, 8);
        let (image, found) = memory.find();
        assert_eq!(live(&image, &found), [(Purpose::Object, vec![segment + SLICE], 0)]);
        assert_eq!(found.pages[0].span.length(), size);
    }
}

#[test]
fn encoded_links_are_decoded() {
    let mut memory = Memory::new(OLD, 1);
    let segment = memory.write_segment(0, 77);
    let first = memory.write_page(segment, 1, 1, (64, 4));
    let at = memory.descriptor(segment, 1);
    let keys = [0x1111_2222_3333_4445_u64, 0x9999_8888_7777_6666];
    memory.put(at + KEYS, keys[0], 8);
    memory.put(at + KEYS + 8, keys[1], 8);
    // mi_ptr_encode: rotl(p ^ keys[1], keys[0]) + keys[0]; the page stands for null.
    let encode = |link: u64| (link ^ keys[1]).rotate_left((keys[0] % 64) as u32).wrapping_add(keys[0]);
    memory.put(at + 16, first + 64, 8);
    memory.put(first + 64, encode(first + 192), 8);
    memory.put(first + 192, encode(at), 8);
    memory.put(at + 24, 2, 4);
    let mut layouts = memory.layouts();
    layouts.mimalloc_page.as_mut().expect("3.13t has mimalloc").keys = Some(KEYS);
    let image = memory.image();
    let found = mimalloc::find(&image, &layouts, &runtime());
    assert_eq!(live(&image, &found), [(Purpose::Object, vec![first, first + 128], 0)]);
}

#[test]
fn segments_of_ended_threads_belong_to_their_interpreter() {
    // PyInterpreterState.mimalloc in 3.13.15t: abandoned_visited, abandoned@64; abandoned_next@176.
    const POOL: u64 = INTERPRETER + 10_816;
    let mut memory = Memory::new(OLD, 3);
    for index in 0..3 {
        let segment = memory.write_segment(index, 0);
        memory.write_page(segment, 1, 2, (64, 1));
    }
    let [one, two, three] = [0, 1, 2].map(Memory::segment);
    memory.put(POOL + 64, one | 5, 8);
    memory.put(one + 176, two, 8);
    memory.put(POOL, three, 8);
    // The last one leads to itself.
    memory.put(three + 176, three, 8);
    let (_, found) = memory.find();
    assert_eq!(found.abandoned_segments, 3);
    assert_eq!(found.abandoned.len(), 3);
    // Nothing is lost by a list that was cut.
    memory.put(one + 176, 0xdead_0000_0000, 8);
    assert_eq!(memory.find().1.pages.len(), 3);
}

#[test]
fn another_mimalloc_in_the_process_is_not_ours() {
    let mut memory = Memory::new(OLD, 3);
    for index in 0..3 {
        let segment = memory.write_segment(index, 77);
        memory.write_page(segment, 1, 2, (64, 1));
        if index > 0 {
            memory.put(segment + OLD.cookie, 0x5555 ^ segment, 8);
        }
    }
    // Two of three have another cookie; the page in the queue of our thread's heap tells whose is whose.
    let ours = memory.descriptor(Memory::segment(0), 1);
    memory.put(THREAD + OLD.heaps + 2 * OLD.heap_size + OLD.queues, ours, 8);
    let (_, found) = memory.find();
    assert_eq!(found.pages.iter().map(|page| page.segment.get()).collect::<Vec<_>>(), [Memory::segment(0)]);
}

#[test]
fn lists_that_loop_or_lead_away_end() {
    for places in [OLD, NEW] {
        for link in [0, 1, 64, 65, SLICE, SEGMENT, u64::MAX] {
            let mut memory = Memory::new(places, 1);
            let segment = memory.write_segment(0, 77);
            let first = memory.write_page(segment, 1, 2, (64, 10));
            let at = memory.descriptor(segment, 1);
            memory.put(at + 16, first + 64, 8);
            memory.put(first + 64, first.wrapping_add(link), 8);
            // The heap's list leads into the same loop.
            memory.put(THREAD + places.heaps + 2 * places.heap_size + places.delayed, first + 64, 8);
            let (image, found) = memory.find();
            let pages = live(&image, &found);
            assert!((8..=9).contains(&pages[0].1.len()), "link {link:#x}: {:?}", pages[0].1.len());
        }
    }
}

#[test]
fn absurd_numbers_lose_their_page_and_no_other() {
    for places in [OLD, NEW] {
        let used = if places.version == OLD.version { 4 } else { 2 };
        for (field, value, length) in [
            (10, 0xffff, 2),
            (0, 0xffff_fff0, 4),
            (0, 0, 4),
            (places.page_used, 0xffff, used),
            (if used == 4 { 28 } else { 40 }, 0x7fff_fff8, 4),
        ] {
            let mut memory = Memory::new(places, 1);
            let segment = memory.write_segment(0, 77);
            memory.write_page(segment, 1, 2, (64, 10));
            memory.write_page(segment, 2, 2, (64, 10));
            let at = memory.descriptor(segment, 2);
            memory.put(at + field, value, length);
            let (image, found) = memory.find();
            let whole = found.pages.iter().filter(|page| page.first.get() < segment + 2 * SLICE).count();
            assert_eq!(whole, 1, "{field} {value:#x}");
            assert!(live(&image, &found).iter().all(|(_, blocks, _)| blocks.len() <= 1024));
        }
    }
}

#[test]
fn no_flipped_bit_breaks_the_reader() {
    let start = Instant::now();
    let mut memory = Memory::new(OLD, 2);
    for index in 0..2 {
        let segment = memory.write_segment(index, 77);
        let first = memory.write_page(segment, 1, 2, (64, 10));
        let at = memory.descriptor(segment, 1);
        memory.chain(at + 16, &[first, first + 128], 0);
        memory.put(at + OLD.page_used, 8, 4);
    }
    let anchor = memory.descriptor(Memory::segment(1), 1);
    memory.put(THREAD + OLD.heaps + 2 * OLD.heap_size + OLD.queues, anchor, 8);
    let header = CAPTURED as usize..CAPTURED as usize + 264 + 4 * 96;
    for byte in header {
        for bit in [0, 3, 7] {
            memory.bytes[byte] ^= 1 << bit;
            let (image, found) = memory.find();
            assert!(
                found.pages.iter().any(|page| page.segment.get() == Memory::segment(1)),
                "byte {byte} bit {bit}"
            );
            let blocks: usize = live(&image, &found).iter().map(|(_, blocks, _)| blocks.len()).sum();
            assert!(blocks <= (2 * CAPTURED / 8) as usize, "byte {byte} bit {bit}: {blocks}");
            memory.bytes[byte] ^= 1 << bit;
        }
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
