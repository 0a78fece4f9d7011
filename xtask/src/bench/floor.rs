//! How fast the memory of a program could be copied at all: by two readers, into memory that is already there.

use anyhow::Result;
use heapattach::target::proc_maps::read_mappings;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::io::IoSliceMut;
use std::time::Instant;

/// Each reader takes at most so much: enough to be far beyond every cache.
const MOST: usize = 512 << 20;
/// Read by one call.
const PIECE: usize = 1 << 20;
const READERS: usize = 2;

/// Milliseconds per GiB, the best of three; `None` if the program has too little memory to tell.
pub(super) fn milliseconds_per_gib(pid: u32) -> Result<Option<f64>> {
    let pid = i32::try_from(pid)?;
    let pieces = pieces(pid)?;
    if pieces.len() < 2 * READERS {
        return Ok(None);
    }
    let share = (pieces.len() / READERS).min(MOST / PIECE);
    let mut buffers: Vec<Vec<u8>> = (0..READERS).map(|_| vec![1; share * PIECE]).collect();
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        let read: usize = std::thread::scope(|scope| {
            let readers: Vec<_> = buffers
                .iter_mut()
                .zip(pieces.chunks(share))
                .map(|(buffer, pieces)| scope.spawn(move || read(pid, pieces, buffer)))
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap_or(0)).sum()
        });
        let gib = read as f64 / f64::from(1 << 30);
        if gib > 0.0 {
            best = best.min(start.elapsed().as_secs_f64() * 1e3 / gib);
        }
    }
    Ok(best.is_finite().then_some(best))
}

/// Starts of pieces of the program's own memory.
fn pieces(pid: i32) -> Result<Vec<usize>> {
    let mut pieces = Vec::new();
    for mapping in read_mappings(pid)? {
        if mapping.readable && mapping.writable && mapping.inode == 0 && !mapping.shared {
            let (start, end) = (mapping.range.start.get() as usize, mapping.range.end.get() as usize);
            pieces.extend((start..end).step_by(PIECE).filter(|at| at + PIECE <= end));
        }
    }
    Ok(pieces)
}

/// How many bytes could be read.
fn read(pid: i32, pieces: &[usize], buffer: &mut [u8]) -> usize {
    let reads = pieces.iter().zip(buffer.chunks_mut(PIECE)).map(|(&base, piece)| {
        let remote = [RemoteIoVec { base, len: piece.len() }];
        process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(piece)], &remote).unwrap_or(0)
    });
    reads.sum()
}
