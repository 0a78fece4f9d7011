//! The recipe's `heapStats()`: its dict of heapy's pages, dumps and map, as a pickle.

use crate::render::Format;
use crate::render::PageOptions;
use crate::render::digits::NO_DIGITS;
use crate::render::digits::decimal;
use crate::render::heapy_table::HeapyTable;
use crate::render::pickle::Stream;
use crate::render::pickle::Value;
use crate::render::pickle::write_pickle;
use crate::render::text_wrap::LongWords;
use crate::report::Document;
use crate::report::Partition;
use crate::report::stats::HeapStats;
use rayon::prelude::*;
use std::io;
use std::io::Write;

/// Entries of the memory map that one thread writes down at a time, and those that are kept until all have.
const TASK: usize = 1 << 13;
const BATCH: usize = 1 << 17;
/// Largest number that protocol 0 writes as an `int` of Python 2.
const LARGEST_INT: u64 = 0x7fff_ffff;

/// The format `pickle`.
pub(super) struct Pickle;

impl Format for Pickle {
    fn name(&self) -> &'static str {
        "pickle"
    }

    fn write(&self, document: &Document<'_>, _page: &PageOptions, out: &mut dyn Write) -> io::Result<()> {
        let Some(stats) = &document.stats else {
            return Err(io::Error::other("only the report 'stats' has a pickle"));
        };
        let detail = Detail { stats };
        write_pickle(&heap_stats(stats, &detail), stats.protocol, out)
    }
}

/// The dict, in the recipe's order.
pub(super) fn heap_stats<'a>(stats: &HeapStats<'_>, detail: &'a dyn Stream) -> Value<'a> {
    let text = |text: String| Value::Text(text.into());
    let reachable = table(&stats.reachable, stats);
    let unreachable = table(&stats.unreachable, stats);
    let referrers = table(&stats.referrers, stats);
    let pages = |table: &HeapyTable<'_>| Value::List((0..3).map(|page| text(table.page(page))).collect());
    let mut memory_map = vec![("detail", Value::Bytes(detail))];
    memory_map.extend(stats.bands.iter().map(|(name, map)| (*name, text(map.clone()))));
    Value::Dict(vec![
        (
            "byclodo",
            Value::Dict(vec![
                ("reachable", pages(&reachable)),
                ("uncollectable", pages(&unreachable)),
                ("statdump", text(reachable.stat_dump(stats.made))),
                ("statdumpu", text(unreachable.stat_dump(stats.made))),
                ("refs", text(reachable.by_count().page(0))),
            ]),
        ),
        (
            "byrcs",
            Value::Dict(vec![
                ("reachable", pages(&referrers)),
                ("statdump", text(referrers.stat_dump(stats.made))),
            ]),
        ),
        ("memmap", Value::Dict(memory_map)),
    ])
}

fn table<'p>(partition: &'p Partition, stats: &HeapStats<'_>) -> HeapyTable<'p> {
    let rows = partition.rows.iter().map(|row| (row.label.as_str(), row.objects, row.bytes));
    let long_words = if stats.breaks_after_hyphen { LongWords::AfterHyphen } else { LongWords::AtWidth };
    HeapyTable::new(partition.header, rows).long_words(long_words)
}

/// The list of (address, size), pickled with protocol 0: what Python 3's pickler writes for it.
pub(super) struct Detail<'a, 's> {
    pub(super) stats: &'a HeapStats<'s>,
}

impl Stream for Detail<'_, '_> {
    fn length(&self) -> u64 {
        let mut length = (LIST.len() + 1) as u64;
        let mut place = 0;
        (self.stats.spans)(&mut |address, bytes| {
            place += 1;
            // The two marks, `t`, `p`, its line's end and `a`.
            length += 5 + int_length(address) + int_length(bytes) + digits(place);
            true
        });
        length
    }

    fn write(&self, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        out(LIST)?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut place = 0;
        let mut result = Ok(());
        (self.stats.spans)(&mut |address, bytes| {
            batch.push((address, bytes));
            if batch.len() == BATCH {
                result = write_batch(&batch, place, out);
                place += batch.len() as u64;
                batch.clear();
            }
            result.is_ok()
        });
        result?;
        write_batch(&batch, place, out)?;
        out(b".")
    }
}

/// The empty list that the entries are appended to.
const LIST: &[u8] = b"(lp0\n";

/// Writes entries down with both cores; `place` of them were written before.
fn write_batch(
    batch: &[(u64, u64)],
    place: u64,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let pieces: Vec<Vec<u8>> = batch
        .par_chunks(TASK)
        .enumerate()
        .map(|(index, spans)| {
            let mut piece = Vec::with_capacity(spans.len() * 40);
            let mut place = place + (index * TASK) as u64;
            for &(address, bytes) in spans {
                place += 1;
                piece.push(b'(');
                push_int(&mut piece, address);
                push_int(&mut piece, bytes);
                piece.extend_from_slice(b"tp");
                piece.extend_from_slice(decimal(place, &mut NO_DIGITS.clone()).as_bytes());
                piece.extend_from_slice(b"\na");
            }
            piece
        })
        .collect();
    pieces.iter().try_for_each(|piece| out(piece))
}

/// `I...` within 31 bits, else `L...L`.
fn push_int(piece: &mut Vec<u8>, number: u64) {
    let is_long = number > LARGEST_INT;
    piece.push(if is_long { b'L' } else { b'I' });
    piece.extend_from_slice(decimal(number, &mut NO_DIGITS.clone()).as_bytes());
    piece.extend_from_slice(if is_long { b"L\n" } else { b"\n" });
}

fn int_length(number: u64) -> u64 {
    digits(number) + 2 + u64::from(number > LARGEST_INT)
}

fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_counted_is_what_is_written() {
        for count in [0, 1, 9, 10, 100, BATCH as u64 - 1, BATCH as u64 + 100] {
            let spans = move |visit: &mut dyn FnMut(u64, u64) -> bool| {
                for index in 0..count {
                    if !visit(index << (index % 45), index * 97) {
                        return;
                    }
                }
            };
            let empty = || Partition::new("Type", Vec::new());
            let stats = HeapStats {
                reachable: empty(),
                unreachable: empty(),
                referrers: empty(),
                bands: [("lo", String::new()), ("med", String::new()), ("hi", String::new())],
                spans: Box::new(spans),
                made: Duration::ZERO,
                breaks_after_hyphen: true,
                protocol: 2,
            };
            let mut written = Vec::new();
            let detail = Detail { stats: &stats };
            let mut keep = |piece: &[u8]| {
                written.extend_from_slice(piece);
                Ok(())
            };
            detail.write(&mut keep).unwrap();
            assert_eq!(detail.length(), written.len() as u64, "{count}");
            let text = std::str::from_utf8(&written).unwrap();
            assert_eq!(text.matches('a').count() as u64, count);
        }
    }
}
