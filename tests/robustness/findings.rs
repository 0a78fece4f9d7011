//! What campaigns found and what no seed does again: each is done to a core on purpose.

use crate::victim::Victim;
use crate::victim::request;
use crate::victim::word_at;
use crate::watch::Watch;
use heapattach::inspection::Answers;
use heapattach::inspection::View;
use heapattach::inspection::inspect_core;
use std::time::Duration;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// Segments that a damaged binary claims. Word by word they take minutes, by what was captured a second.
const CLAIMS: usize = 2000;
/// What each of them claims to have. Unit: bytes.
const CLAIMED: u64 = 1 << 46;

/// A binary whose headers say that it has variables everywhere; there are many, and its file is on no machine. All
/// libraries of the core are damaged like this, one after the other.
pub(crate) fn binaries_that_claim_everything(victim: &Victim, watch: &Watch) {
    let mut damaged = 0;
    for &at in victim.targets.binaries.iter().skip(1) {
        let own = usize::from(u16::from_le_bytes([victim.bytes[at + 56], victim.bytes[at + 57]]));
        let room = victim.stored_from(at).saturating_sub(HEADER) / PROGRAM_HEADER;
        let count = CLAIMS.min(room);
        if count <= own || word_at(&victim.bytes, at + 32) != HEADER as u64 {
            continue;
        }
        damaged += 1;
        victim.write_file(at + 56, &(count as u16).to_le_bytes());
        for index in own..count {
            victim.write_file(at + HEADER + index * PROGRAM_HEADER, &claim(index as u64));
        }
        watch
            .allow(Duration::from_secs(60), format!("{}: a binary at {at:#x} that claims much", victim.name));
        let inspection =
            inspect_core(&request(&victim.path, View::Complete.into(), false)).expect("Python is unharmed");
        assert_eq!(inspection.totals(View::Complete).all.objects, victim.objects(View::Complete));
        for region in &inspection.region_map(View::Complete).regions {
            assert!(region.used() <= region.range.length());
        }
        watch.done();
        victim.mend();
    }
    assert!(damaged > 0, "{}: no library could be damaged", victim.name);
}

/// A loadable, writable segment.
fn claim(index: u64) -> Vec<u8> {
    let kind_and_flags = 1 | 6 << 32_u64;
    let address = index << 32;
    let words = [kind_and_flags, 0, address, address, 0, CLAIMED, 4096];
    words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect()
}
