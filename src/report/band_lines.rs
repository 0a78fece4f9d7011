//! The three bands on a page: the recipe's map with blank and repeated lines folded, in larger
//! sectors where it would still be long.

use crate::memory_map::Band;
use crate::memory_map::Bands;
use crate::memory_map::Sector;
use crate::memory_map::quantity;
use crate::report::document::TextBlock;

/// Sectors in a line, as in the recipe.
const LINE: usize = 80;
/// Lines that a band may have on a page.
const MOST_LINES: usize = 8;
/// Lines that one of several parts of a band has, if it needs them.
const LEAST_LINES: usize = 3;
/// The block for the page.
pub(super) fn text_block(bands: &Bands) -> TextBlock {
    let mut lines = Vec::new();
    for (name, band) in bands.named() {
        match band {
            None => lines.push(format!("{name:4}empty")),
            // Where a program and what it maps are terabytes apart, one band of both would show nothing else.
            Some(_) if name == "hi" && !bands.hi_parts.is_empty() => {
                let most_lines = (MOST_LINES / bands.hi_parts.len()).max(LEAST_LINES);
                for part in &bands.hi_parts {
                    push_band(&mut lines, name, part, most_lines);
                }
            }
            Some(band) => push_band(&mut lines, name, band, MOST_LINES),
        }
    }
    TextBlock { title: "Memory map by sectors: * full, - partly used, blank free".to_owned(), lines }
}

fn push_band(lines: &mut Vec<String>, name: &str, band: &Band, most_lines: usize) {
    let (shown, mut folded) = shortened_to(band, most_lines);
    lines.push(format!(
        "{name:4}{} from {:#x} by {}: {} full, {} partly, {} free",
        quantity(shown.length()),
        shown.start.get(),
        quantity(shown.sector_bytes.into()),
        shown.count(Sector::Used),
        shown.count(Sector::Fragmented),
        shown.count(Sector::Free),
    ));
    lines.append(&mut folded);
}

/// The band in sectors that are large enough, and its lines.
pub(super) fn shortened(band: &Band) -> (Band, Vec<String>) {
    shortened_to(band, MOST_LINES)
}

fn shortened_to(band: &Band, most_lines: usize) -> (Band, Vec<String>) {
    let mut shown = band.clone();
    let mut folded = fold(&shown);
    while folded.len() > most_lines && shown.sectors.len() > LINE {
        shown = shown.coarser();
        folded = fold(&shown);
    }
    (shown, folded)
}

/// The lines of the map, runs of equal lines as one.
fn fold(band: &Band) -> Vec<String> {
    let map: Vec<String> = band
        .sectors
        .chunks(LINE)
        .map(|line| line.iter().map(|sector| sector.symbol()).collect::<String>().trim_end().to_owned())
        .collect();
    let mut lines = Vec::new();
    for run in map.chunk_by(|one, other| one == other) {
        match run {
            [blank, _, ..] if blank.is_empty() => lines.push(format!("({} blank lines)", run.len())),
            [line, _, _, ..] => {
                lines.push(line.clone());
                lines.push(format!("({} more lines like this)", run.len() - 1));
            }
            _ => lines.extend_from_slice(run),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_independent_program_is_shown_in_parts() {
        let block = text_block(&Bands::of(&[(0x5555_5555_0000, 4096), (0x7fff_0000_0000, 4096)]));
        assert_eq!(
            block.lines,
            [
                "lo  empty",
                "med empty",
                "hi  8.00Kb from 0x555555550000 by 4.00Kb: 1 full, 1 partly, 0 free",
                "*-",
                "hi  8.00Kb from 0x7fff00000000 by 4.00Kb: 1 full, 1 partly, 0 free",
                "*-",
            ]
        );
    }

    #[test]
    fn a_long_band_is_shown_in_larger_sectors() {
        let spans: Vec<_> = (0..3000_u64).map(|page| (0x40_0000 + page * 4096, page * 977 % 5000)).collect();
        let block = text_block(&Bands::of(&spans));
        assert!(block.lines.len() <= 3 + MOST_LINES, "{:#?}", block.lines);
        assert!(block.lines.iter().all(|line| line.len() <= LINE));
        assert!(
            fold(Bands::of(&[]).lo.as_ref().unwrap_or(&Bands::of(&spans).lo.unwrap())).len() > MOST_LINES
        );
    }

    #[test]
    fn equal_lines_are_folded() {
        let full = Bands::of(&[(0x40_0000, 4096 * 800), (0x40_0000 + 4096 * 800, 1)]).lo.unwrap();
        assert_eq!(fold(&full)[1..], ["(9 more lines like this)", "-"]);
    }
}
