//! Copying pieces to places that are not one after the other.

use crate::address::AddressRange;
use crate::target::TargetError;
use crate::target::capture::copy::Limits;
use crate::target::diagnose::refused;
use crate::target::image::PAGE;
use crate::target::image::Segment;
use crate::target::watchdog;
use nix::errno::Errno;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::io::IoSliceMut;

/// Pieces and bytes that one call may name.
const PIECES: usize = 512;
const LARGEST_CALL: u64 = 4 << 20;
/// Below this one thread is faster than starting another.
const WORTH_TWO_THREADS: u64 = 4 << 20;

/// Copies each piece to its place in `destination`. Gives the pages that could not be read, sorted by place.
pub(super) fn copy(
    pid: i32,
    pieces: &[Segment],
    destination: &mut [u8],
    threads: u32,
    limits: Limits<'_>,
) -> Result<Vec<AddressRange>, TargetError> {
    let mut cut: Vec<Segment> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mut at = 0;
        while at < piece.range.length() {
            let length = LARGEST_CALL.min(piece.range.length() - at);
            let start = piece.range.start.plus(at);
            let range = AddressRange::new(start, start.plus(length));
            cut.push(Segment { range, local: piece.local + at });
            at += length;
        }
    }
    cut.sort_unstable_by_key(|piece| piece.local);
    let total: u64 = cut.iter().map(|piece| piece.range.length()).sum();
    if threads < 2 || total < WORTH_TWO_THREADS {
        return copy_part(pid, &cut, (destination, 0), limits);
    }
    let mut half = 0;
    let middle = cut.partition_point(|piece| {
        half += piece.range.length();
        half <= total / 2
    });
    let (first, second) = cut.split_at(middle);
    let border = second.first().map_or(destination.len() as u64, |piece| piece.local);
    let (low, high) =
        destination.split_at_mut(usize::try_from(border).unwrap_or(usize::MAX).min(destination.len()));
    let (ours, theirs) = std::thread::scope(|scope| {
        let other = scope.spawn(|| copy_part(pid, second, (high, border), limits));
        let ours = copy_part(pid, first, (low, 0), limits);
        (ours, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let mut holes = ours?;
    holes.extend(theirs?);
    Ok(holes)
}

/// Copies pieces, sorted by place, to a part of the destination that begins at the given place.
fn copy_part(
    pid: i32,
    pieces: &[Segment],
    (mut destination, mut at): (&mut [u8], u64),
    limits: Limits<'_>,
) -> Result<Vec<AddressRange>, TargetError> {
    let mut holes = Vec::new();
    let mut rest = pieces;
    while !rest.is_empty() {
        limits.check(pid)?;
        watchdog::alive();
        let mut bytes = 0;
        let mut count = 0;
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        for piece in rest.iter().take(PIECES) {
            let length = piece.range.length();
            if count > 0 && bytes + length > LARGEST_CALL {
                break;
            }
            let skipped = usize::try_from(piece.local.saturating_sub(at)).unwrap_or(usize::MAX);
            let Some((_, after)) = std::mem::take(&mut destination).split_at_mut_checked(skipped) else {
                break;
            };
            let Some((place, after)) = after.split_at_mut_checked(length as usize) else { break };
            local.push(IoSliceMut::new(place));
            remote.push(RemoteIoVec { base: piece.range.start.get() as usize, len: length as usize });
            destination = after;
            at = piece.local + length;
            bytes += length;
            count += 1;
        }
        if count == 0 {
            // There is no place: whoever planned this did not ask for enough.
            holes.extend(rest.iter().map(|piece| piece.range));
            break;
        }
        read(pid, &mut local, &remote, &mut holes)?;
        rest = &rest[count..];
    }
    Ok(holes)
}

fn read(
    pid: i32,
    local: &mut [IoSliceMut<'_>],
    remote: &[RemoteIoVec],
    holes: &mut Vec<AddressRange>,
) -> Result<(), TargetError> {
    let wanted: usize = remote.iter().map(|range| range.len).sum();
    loop {
        match process_vm_readv(Pid::from_raw(pid), local, remote) {
            Ok(count) if count == wanted => return Ok(()),
            Ok(_) | Err(Errno::EFAULT) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::ESRCH) => return Err(TargetError::Gone { pid }),
            Err(error) => return Err(refused(pid, "read", error.into())),
        }
    }
    // Something in it cannot be read: page by page.
    for (place, range) in local.iter_mut().zip(remote) {
        for (index, page) in place.chunks_mut(PAGE as usize).enumerate() {
            let start = crate::address::Address::new(range.base as u64).plus(index as u64 * PAGE);
            let length = page.len();
            let remote = [RemoteIoVec { base: start.get() as usize, len: length }];
            if process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(page)], &remote) != Ok(length) {
                holes.push(AddressRange::new(start, start.plus(length as u64)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn pieces_go_to_their_places() {
        let pages = 3000_usize;
        let mut map = memmap2::MmapMut::map_anon(pages * PAGE as usize).unwrap();
        for (index, page) in map.chunks_mut(PAGE as usize).enumerate() {
            page[..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
        }
        let start = Address::new(map.as_ptr() as u64);
        let page = |index: u64| AddressRange::new(start.plus(index * PAGE), start.plus((index + 1) * PAGE));
        // Every other page, backwards, and one that is not there.
        let mut pieces: Vec<Segment> =
            (0..1500).map(|index| Segment { range: page(2 * index), local: (1499 - index) * PAGE }).collect();
        let nowhere = AddressRange::new(Address::new(PAGE), Address::new(3 * PAGE));
        pieces.push(Segment { range: nowhere, local: 1500 * PAGE });
        let mut destination = vec![0; 1502 * PAGE as usize];
        let limits = Limits { signals: None, until: None };
        let holes = copy(std::process::id().cast_signed(), &pieces, &mut destination, 2, limits).unwrap();
        assert_eq!(holes.iter().map(|hole| hole.length()).sum::<u64>(), 2 * PAGE);
        for (index, page) in destination.chunks(PAGE as usize).take(1500).enumerate() {
            let number = u64::from_le_bytes(page[..8].try_into().unwrap());
            assert_eq!(number, 2 * (1499 - index as u64) + 1);
        }
    }
}
