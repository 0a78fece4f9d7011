//! A band as the text that the recipe's `report_memmap` writes, character for character.

use crate::memory_map::Band;
use crate::memory_map::Sector;
use crate::memory_map::bands::LINE;
use std::fmt::Write;

/// The text of a band, or `empty`. It ends, as the recipe's does, with a line of eight blanks
/// that is not closed.
pub fn recipe_text(band: Option<&Band>) -> String {
    let Some(band) = band else { return "empty".to_owned() };
    let mut text =
        format!("{} total, {} per sector\n", quantity(band.length()), quantity(band.sector_bytes.into()));
    for line in band.sectors.chunks(LINE as usize) {
        text.extend(line.iter().map(|sector| sector.symbol()));
        if line.len() == LINE as usize {
            text.push('\n');
        }
    }
    let _ = write!(
        text,
        "\n        Fragmentation: {:.2}%\n        Fragmented sectors: {}\n        \
         Contiguous used sectors: {}\n        Contiguous free sectors: {}\n        ",
        band.fragmentation(),
        band.count(Sector::Fragmented),
        band.count(Sector::Used),
        band.count(Sector::Free),
    );
    text
}

/// Bytes as the recipe writes them: `12b`, `1.00Kb`, `1.50Mb`, `43344.00Gb`.
pub fn quantity(bytes: u128) -> String {
    const KIB: u128 = 1024;
    let scaled = |unit: u128| bytes as f64 / unit as f64;
    match bytes {
        _ if bytes < KIB => format!("{bytes}b"),
        _ if bytes < KIB * KIB => format!("{:.2}Kb", scaled(KIB)),
        _ if bytes < KIB * KIB * KIB => format!("{:.2}Mb", scaled(KIB * KIB)),
        _ => format!("{:.2}Gb", scaled(KIB * KIB * KIB)),
    }
}
