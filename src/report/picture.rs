//! A picture, as data: strips of cells, each filled to some part in one of a few colours.

use crate::memory_map::regions::GROUPS;
use crate::memory_map::regions::Region;
use crate::memory_map::regions::RegionMap;
use crate::memory_map::regions::SectorFill;
use crate::report::words;

/// Cells in a row of a strip.
pub const ROW: usize = 128;
/// Rows that a strip may have.
const MOST_ROWS: usize = 8;
/// Strips of a picture; the regions with most in use have one.
const MOST_STRIPS: usize = 40;

/// A cell of a strip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureCell {
    /// The entry of the legend; `None` if nothing is in the cell.
    pub group: Option<usize>,
    /// The part that is in use, from 0 to 1.
    pub part: f64,
}

/// One region.
#[derive(Clone, Debug)]
pub struct Strip {
    /// What it is.
    pub title: String,
    /// Its numbers.
    pub subtitle: String,
    /// Its cells, [`ROW`] in a row.
    pub cells: Vec<PictureCell>,
}

/// An entry of the legend.
#[derive(Clone, Debug)]
pub struct LegendEntry {
    /// What it stands for.
    pub name: String,
    /// Bytes of it in the whole picture.
    pub bytes: u64,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What is seen.
    pub title: String,
    /// Lines below it.
    pub subtitles: Vec<String>,
    /// The strips, from top to bottom.
    pub strips: Vec<Strip>,
    /// The colours, most important first; cells refer to them by position.
    pub legend: Vec<LegendEntry>,
    /// What was left out.
    pub note: Option<String>,
}

/// The picture of a map by mapping.
pub(super) fn picture_of(map: &RegionMap, title: String, subtitles: Vec<String>) -> Picture {
    let mut order: Vec<usize> = (0..map.regions.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(map.regions[index].used()));
    let left_out = order.split_off(order.len().min(MOST_STRIPS));
    order.sort_unstable();
    let mut legend: Vec<LegendEntry> =
        map.groups.iter().map(|name| LegendEntry { name: name.clone(), bytes: 0 }).collect();
    for fill in map.regions.iter().flat_map(|region| &region.fills) {
        for (entry, bytes) in legend.iter_mut().zip(fill.groups) {
            entry.bytes = entry.bytes.saturating_add(bytes);
        }
    }
    let note = (!left_out.is_empty()).then(|| {
        let bytes = left_out.iter().map(|&index| map.regions[index].used()).sum();
        format!(
            "Not drawn: {} with {} in use.",
            words::counted(left_out.len() as u64, "smaller region"),
            words::bytes(bytes)
        )
    });
    let strips = order.into_iter().map(|index| strip(&map.regions[index])).collect();
    Picture { title, subtitles, strips, legend, note }
}

fn strip(region: &Region) -> Strip {
    let mut per_cell = 1;
    while region.fills.len().div_ceil(per_cell) > ROW * MOST_ROWS {
        per_cell *= 2;
    }
    let cells = region
        .fills
        .chunks(per_cell)
        .enumerate()
        .map(|(index, fills)| {
            let first = index * per_cell;
            let room: u64 = (first..first + fills.len()).map(|sector| region.sector_room(sector)).sum();
            cell(fills, room)
        })
        .collect();
    let name = if region.name.is_empty() { String::new() } else { format!(" {}", region.name) };
    let resident =
        region.resident.map_or(String::new(), |bytes| format!(", {} resident", words::bytes(bytes)));
    Strip {
        title: format!("{}{name}", region.kind.name()),
        subtitle: format!(
            "{} from {}{resident}, {} in use, {} per cell",
            words::bytes(region.range.length()),
            region.range.start,
            words::bytes(region.used()),
            words::bytes(region.sector_bytes * per_cell as u64),
        ),
        cells,
    }
}

fn cell(fills: &[SectorFill], room: u64) -> PictureCell {
    let mut sum = SectorFill::default();
    for fill in fills {
        sum.used += fill.used;
        for group in 0..GROUPS {
            sum.groups[group] += fill.groups[group];
        }
    }
    let part = if room == 0 { 0.0 } else { (sum.used as f64 / room as f64).min(1.0) };
    PictureCell { group: sum.main_group(), part }
}
