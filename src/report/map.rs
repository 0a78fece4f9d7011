//! Where in memory the heap is: by mapping, with what keeps it from shrinking, or in the recipe's bands.

use crate::inspection::Answers;
use crate::memory_map::Sector;
use crate::memory_map::quantity;
use crate::memory_map::recipe_text;
use crate::memory_map::regions::Region;
use crate::memory_map::regions::RegionMap;
use crate::memory_map::regions::SparseArenas;
use crate::report::BandsChoice;
use crate::report::Choice;
use crate::report::Report;
use crate::report::ReportOptions;
use crate::report::band_lines;
use crate::report::buffers;
use crate::report::document::Cell;
use crate::report::document::Column;
use crate::report::document::Document;
use crate::report::document::Fit;
use crate::report::document::Look;
use crate::report::document::Rows;
use crate::report::document::Table;
use crate::report::document::TextBlock;
use crate::report::overview;
use crate::report::picture;
use crate::report::subject;
use crate::report::words;
use std::collections::BTreeMap;

/// The report `map`.
pub(super) struct Map;

/// Regions with a band on a page, if the user does not say how many.
const PAGE_REGIONS: usize = 8;
/// Types that are named as holding arenas.
const PAGE_HOLDERS: usize = 4;

/// Columns of the regions, for machines.
const COLUMNS: [&str; 17] = [
    "kind",
    "name",
    "start",
    "bytes",
    "resident_bytes",
    "used_bytes",
    "objects",
    "object_bytes",
    "buffer_bytes",
    "sector_bytes",
    "sectors",
    "full",
    "fragmented",
    "free",
    "fragmentation_percent",
    "malloc_free_bytes",
    "map",
];

const KIND_COLUMNS: [Column; 6] = [
    Column { name: "kind", title: "what", width: 16 },
    Column { name: "regions", title: "regions", width: 8 },
    Column { name: "bytes", title: "bytes", width: 14 },
    Column { name: "resident_bytes", title: "resident", width: 13 },
    Column { name: "used_bytes", title: "in use", width: 13 },
    Column { name: "used_percent", title: "%", width: 5 },
];

impl Report for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    fn help(&self) -> &'static str {
        "Show where in memory the heap is and why it does not shrink"
    }

    fn formats(&self) -> &'static [&'static str] {
        &["text", "json", "csv", "svg"]
    }

    fn choices(&self) -> &'static [Choice] {
        &[Choice::Bands, Choice::WithBuffers]
    }

    fn misuse(&self, options: &ReportOptions, format: &str) -> Option<&'static str> {
        match options.bands {
            BandsChoice::Mapping if options.with_buffers => {
                Some("the map by mapping has the buffers anyway: --with-buffers is for --bands recipe")
            }
            BandsChoice::Recipe if format == "svg" => {
                Some("the recipe's bands are text: there is a picture of the map by mapping only")
            }
            _ => None,
        }
    }

    fn needs_buffers(&self, options: &ReportOptions) -> bool {
        options.bands == BandsChoice::Mapping || options.with_buffers
    }

    fn build<'a>(&self, answers: &'a dyn Answers, options: &ReportOptions) -> Document<'a> {
        let mut document = Document::new(self.name());
        subject::push_facts(&mut document, answers, options.view);
        match options.bands {
            BandsChoice::Mapping => by_mapping(&mut document, answers, options),
            BandsChoice::Recipe => by_recipe(&mut document, answers, options),
        }
        if self.needs_buffers(options) {
            buffers::push_problems(&mut document, answers, options.view);
        }
        document.tables.push(overview::anomalies(answers));
        document
    }
}

/// The recipe's three bands, as it prints them.
fn by_recipe(document: &mut Document<'_>, answers: &dyn Answers, options: &ReportOptions) {
    let bands = if options.with_buffers {
        answers.bands_with_buffers(options.view)
    } else {
        answers.bands(options.view)
    };
    overview::push_head(document, answers, options.view);
    overview::push_bands(document, &bands);
    let rows = bands.named().into_iter().map(|(name, band)| {
        let text = recipe_text(band);
        document.texts.push(TextBlock {
            title: name.to_owned(),
            lines: text.lines().map(|line| line.trim_end().to_owned()).collect(),
        });
        [Cell::text(name), Cell::text(text)]
    });
    document.tables.push(Table::hidden("bands", ["band", "text"], rows));
}

fn by_mapping(document: &mut Document<'_>, answers: &dyn Answers, options: &ReportOptions) {
    // Before the head, which says whether everything could be read.
    let map = answers.region_map(options.view);
    overview::push_head(document, answers, options.view);
    let used: u64 = map.regions.iter().map(Region::used).sum();
    let resident: u64 = map.regions.iter().filter_map(|region| region.resident).sum();
    document.fact("region_totals.used_bytes", Cell::Bytes(used));
    document.fact("region_totals.resident_bytes", Cell::Bytes(resident));
    document.fact("region_totals.elsewhere_bytes", Cell::Bytes(map.elsewhere));
    document.line(
        "in use",
        format!(
            "{} in {}; private memory there: {} resident",
            words::bytes(used),
            words::counted(map.regions.len() as u64, "region"),
            words::bytes(resident)
        ),
        Fit::Wrap,
    );
    push_arenas(document, &map);
    push_malloc(document, &map);
    push_region_table(document, &map, options);
    push_kinds(document, &map);
    push_sparse(document, &map);
    push_bands(document, &map, options);
    let target = answers.target();
    let title = format!("Memory of process {} by mapping", target.pid);
    let subtitles = vec![
        target.command.join(" "),
        format!(
            "{} in use in {}; what is in use fills a cell from below, in the colour of what has most of it",
            words::bytes(used),
            words::counted(map.regions.len() as u64, "region"),
        ),
    ];
    document.picture = Some(picture::picture_of(&map, title, subtitles));
}

fn push_arenas(document: &mut Document<'_>, map: &RegionMap) {
    let Some(arenas) = &map.arenas else { return };
    for (key, value) in [
        ("arenas", arenas.arenas),
        ("pools", arenas.pools),
        ("free_pools", arenas.free_pools),
        ("blocks", arenas.blocks),
        ("free_blocks", arenas.free_blocks),
    ] {
        document.fact(format!("pymalloc.{key}"), Cell::Count(value));
    }
    for (key, value) in [
        ("bytes", arenas.bytes),
        ("free_pool_bytes", arenas.free_pool_bytes),
        ("block_bytes", arenas.block_bytes),
        ("free_block_bytes", arenas.free_block_bytes),
    ] {
        document.fact(format!("pymalloc.{key}"), Cell::Bytes(value));
    }
    let share = |bytes| words::share(bytes, arenas.bytes);
    document.line(
        "pymalloc",
        format!(
            "{}, {}: {} ({}) in live blocks; free: {} ({}) in {}, {} ({}) in {} for one size each",
            words::counted(arenas.arenas, "arena"),
            words::bytes(arenas.bytes),
            words::bytes(arenas.block_bytes),
            share(arenas.block_bytes),
            words::bytes(arenas.free_pool_bytes),
            share(arenas.free_pool_bytes),
            words::counted(arenas.free_pools, "free pool"),
            words::bytes(arenas.free_block_bytes),
            share(arenas.free_block_bytes),
            words::counted(arenas.free_blocks, "block"),
        ),
        Fit::Wrap,
    );
    for sparse in &map.sparse {
        document.line("", sparse_line(sparse), Fit::Wrap);
    }
}

fn sparse_line(sparse: &SparseArenas) -> String {
    let holders: Vec<String> = sparse
        .holders
        .iter()
        .take(PAGE_HOLDERS)
        .map(|(label, objects, bytes)| {
            format!("{} {label} ({})", words::count(*objects), words::bytes(*bytes))
        })
        .collect();
    let by = if holders.is_empty() { String::new() } else { format!(": {}", holders.join(", ")) };
    format!(
        "{} ({}) at most {} % full, kept by {}{by}",
        words::counted(sparse.arenas, "arena"),
        words::bytes(sparse.bytes),
        sparse.percent,
        words::bytes(sparse.live_bytes),
    )
}

fn push_malloc(document: &mut Document<'_>, map: &RegionMap) {
    for region in &map.regions {
        let Some(malloc) = &region.malloc else { continue };
        let text = format!(
            "brk heap of {}: {} free in {} (largest {}), {} free at its end",
            words::bytes(region.range.length()),
            words::bytes(malloc.free),
            words::counted(malloc.free_chunks, "chunk"),
            words::bytes(malloc.largest_free),
            words::bytes(malloc.top),
        );
        document.line("malloc", text, Fit::Wrap);
        document.fact("malloc.bytes", Cell::Bytes(region.range.length()));
        document.fact("malloc.free_bytes", Cell::Bytes(malloc.free));
        document.fact("malloc.free_chunks", Cell::Count(malloc.free_chunks));
        document.fact("malloc.largest_free_bytes", Cell::Bytes(malloc.largest_free));
        document.fact("malloc.top_bytes", Cell::Bytes(malloc.top));
    }
}

fn push_region_table(document: &mut Document<'_>, map: &RegionMap, options: &ReportOptions) {
    let row = |region: &Region| {
        let band = region.band();
        let count = |kind| Cell::Count(band.count(kind) as u64);
        [
            Cell::text(region.kind.name()),
            Cell::text(region.name.clone()),
            Cell::Address(region.range.start),
            Cell::Bytes(region.range.length()),
            region.resident.map_or(Cell::Missing, Cell::Bytes),
            Cell::Bytes(region.used()),
            Cell::Count(region.objects),
            Cell::Bytes(region.object_bytes),
            Cell::Bytes(region.buffer_bytes),
            Cell::Bytes(region.sector_bytes),
            Cell::Count(band.sectors.len() as u64),
            count(Sector::Used),
            count(Sector::Fragmented),
            count(Sector::Free),
            Cell::Percent(band.fragmentation()),
            region.malloc.map_or(Cell::Missing, |malloc| Cell::Bytes(malloc.free.saturating_add(malloc.top))),
            Cell::text(band.map()),
        ]
    };
    let table = Table::hidden("regions", COLUMNS, map.regions.iter().map(row));
    document.tables.push(Table { limit: options.limit, ..table });
}

/// Regions of a kind added up: number, bytes, resident, in use.
type KindSum = (u64, u64, Option<u64>, u64);

fn push_kinds(document: &mut Document<'_>, map: &RegionMap) {
    let mut sums: BTreeMap<_, KindSum> = BTreeMap::new();
    for region in &map.regions {
        let sum = sums.entry(region.kind).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(region.range.length());
        sum.2 = region.resident.map(|bytes| bytes + sum.2.unwrap_or(0)).or(sum.2);
        sum.3 = sum.3.saturating_add(region.used());
    }
    let rows = sums.into_iter().map(|(kind, (regions, bytes, resident, used))| {
        vec![
            Cell::text(kind.name()),
            Cell::Count(regions),
            Cell::Bytes(bytes),
            resident.map_or(Cell::Missing, Cell::Bytes),
            Cell::Bytes(used),
            Cell::Percent(words::percent(used, resident.unwrap_or(bytes))),
        ]
    });
    document.tables.push(Table {
        path: "region_kinds",
        title: "",
        look: Look::Columns,
        columns: KIND_COLUMNS.to_vec(),
        rows: Rows::Listed(rows.collect()),
        limit: None,
    });
}

fn push_sparse(document: &mut Document<'_>, map: &RegionMap) {
    let names = ["percent", "arenas", "bytes", "live_bytes", "type", "type_objects", "type_bytes"];
    let rows = map.sparse.iter().flat_map(|sparse| {
        sparse.holders.iter().map(|(label, objects, bytes)| {
            [
                Cell::Count(sparse.percent),
                Cell::Count(sparse.arenas),
                Cell::Bytes(sparse.bytes),
                Cell::Bytes(sparse.live_bytes),
                Cell::text(label.clone()),
                Cell::Count(*objects),
                Cell::Bytes(*bytes),
            ]
        })
    });
    document.tables.push(Table::hidden("sparse_arenas", names, rows));
}

/// A band for each of the regions with most in use, by address.
fn push_bands(document: &mut Document<'_>, map: &RegionMap, options: &ReportOptions) {
    let mut order: Vec<usize> = (0..map.regions.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(map.regions[index].used()));
    let left = order.split_off(order.len().min(options.limit.unwrap_or(PAGE_REGIONS)));
    order.sort_unstable();
    let title = "Map by mapping: * full, - partly used, blank free".to_owned();
    let mut lines = Vec::new();
    for region in order.into_iter().filter_map(|index| map.regions.get(index)) {
        let (band, mut folded) = band_lines::shortened(&region.band());
        let name = region.name.rsplit('/').next().unwrap_or_default();
        let name = if name.is_empty() { String::new() } else { format!(" {name}") };
        lines.push(format!(
            "{}{name}: {} from {}, {} in use",
            region.kind.name(),
            words::bytes(region.range.length()),
            region.range.start,
            words::bytes(region.used()),
        ));
        lines.push(format!(
            "  by {}: {} full, {} partly, {} free ({:.0} % fragmented)",
            quantity(band.sector_bytes.into()),
            band.count(Sector::Used),
            band.count(Sector::Fragmented),
            band.count(Sector::Free),
            band.fragmentation(),
        ));
        lines.append(&mut folded);
    }
    document.texts.push(TextBlock { title, lines });
    if !left.is_empty() {
        let bytes = left.iter().map(|&index| map.regions[index].used()).sum();
        document.notes.push(format!(
            "<{} with {} in use; --limit {} shows all>",
            words::counted(left.len() as u64, "more region"),
            words::bytes(bytes),
            map.regions.len()
        ));
    }
}
