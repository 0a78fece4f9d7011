//! Memory of the process that was never there: regions of its map, and buffers.

use heapattach::address::Address;
use heapattach::address::AddressRange;
use heapattach::inspection::BufferProblem;
use heapattach::inspection::BufferRow;
use heapattach::memory_map::regions::ArenaFigures;
use heapattach::memory_map::regions::GROUPS;
use heapattach::memory_map::regions::MallocFigures;
use heapattach::memory_map::regions::Piece;
use heapattach::memory_map::regions::Region;
use heapattach::memory_map::regions::RegionKind;
use heapattach::memory_map::regions::RegionMap;
use heapattach::memory_map::regions::SparseArenas;

/// Memory of buffers that no object counts.
pub(crate) const UNCOUNTED: [(u64, u64); 1] = [(0x7f10_0000_0000, 8_000_000)];

const FILE: &str =
    "/srv/shop/var/cache/production-frankfurt-2/catalogue/availability-by-region-\u{1b}[31m.bin";

/// What is in use is what the objects, given by address and size, have.
pub(crate) fn region_map(spans: &[(u64, u64)]) -> RegionMap {
    let mut regions: Vec<Region> = [
        (RegionKind::BrkHeap, "[heap]", 0x5555_5555_0000, 0x5555_5600_0000),
        (RegionKind::Arenas, "", 0x7f00_0000_0000, 0x7f00_0100_0000),
        (RegionKind::File, FILE, UNCOUNTED[0].0, UNCOUNTED[0].0 + 0x80_0000),
    ]
    .into_iter()
    .map(|(kind, name, start, end)| {
        let range = AddressRange::new(Address::new(start), Address::new(end));
        Region::new(Piece { range, kind, name: name.to_owned() })
    })
    .collect();
    for region in &mut regions {
        let is_file = region.kind == RegionKind::File;
        let spans = if is_file { &UNCOUNTED[..] } else { spans };
        let mut parts = Vec::new();
        for &(start, bytes) in spans {
            let before = parts.len();
            region.split(Address::new(start), bytes, |sector, part| parts.push((sector, part)));
            region.objects += u64::from(!is_file && parts.len() > before);
        }
        for (sector, part) in parts {
            region.fills[sector].used += part;
            region.fills[sector].groups[if is_file { GROUPS - 2 } else { 0 }] += part;
            *(if is_file { &mut region.buffer_bytes } else { &mut region.object_bytes }) += part;
        }
        region.resident = (!is_file).then_some(region.used());
    }
    regions[0].malloc = Some(MallocFigures { free: 4096, free_chunks: 1, largest_free: 4096, top: 132_000 });
    let mut groups = vec![String::new(); GROUPS];
    groups[0] = "<every>thing & \u{1b}[31mmore".to_owned();
    groups[GROUPS - 2] = "buffers not counted".to_owned();
    let arenas = ArenaFigures {
        arenas: 16,
        bytes: 1 << 24,
        pools: 1000,
        free_pools: 24,
        free_pool_bytes: 24 << 14,
        blocks: 100_000,
        block_bytes: 12_000_000,
        free_blocks: 5000,
        free_block_bytes: 300_000,
    };
    let holders = vec![("esc\u{1b}[31m\nape".to_owned(), 12, 3456), ("str".to_owned(), 1, 49)];
    let sparse = SparseArenas { percent: 10, arenas: 2, bytes: 2 << 20, live_bytes: 4096, holders };
    RegionMap { regions, groups, arenas: Some(arenas), sparse: vec![sparse], elsewhere: 123_456 }
}

/// An owner, a view of it, memory that counts, and a buffer where nothing is mapped.
pub(crate) fn for_each_buffer(visit: &mut dyn FnMut(&BufferRow<'_>) -> bool) {
    let (start, bytes) = UNCOUNTED[0];
    let array = BufferRow {
        object: Address::new(0x7f00_0000_1000),
        type_label: "numpy.ndarray",
        what: "array data",
        address: Address::new(start),
        bytes,
        attributed: bytes,
        role: "owner",
        owner: None,
        owner_label: None,
        counted: false,
        mapping: Some(FILE),
    };
    let view = BufferRow {
        object: Address::new(0x7f00_0000_2000),
        type_label: "memoryview",
        what: "view",
        bytes: bytes / 2,
        attributed: 0,
        role: "view",
        owner: Some(array.object),
        owner_label: Some(array.type_label),
        ..array
    };
    let counted = BufferRow {
        object: Address::new(0x7f00_0000_3000),
        type_label: "bytearray",
        what: "bytes",
        address: Address::new(0x5555_5556_0000),
        bytes: 4096,
        attributed: 4096,
        counted: true,
        mapping: Some("[heap]"),
        ..array
    };
    let nowhere = BufferRow {
        object: Address::new(0x7f00_0000_4000),
        address: Address::new(0x10),
        bytes: 64,
        attributed: 0,
        mapping: None,
        ..array
    };
    let _ = [array, view, counted, nowhere].iter().all(visit);
}

/// What is wrong with them.
pub(crate) fn buffer_problems() -> Vec<BufferProblem> {
    let problem = |kind, subject: &str, description: &str, objects| BufferProblem {
        kind,
        subject: subject.to_owned(),
        description: description.to_owned(),
        objects,
    };
    vec![
        problem("buffer-unmapped", "", "a buffer that is not mapped; it counts in no total", 1),
        problem("description-unused", "a.B", "own.toml: the process has no type of this name", 0),
    ]
}
