//! Whether the collector's lists hold together: every member's neighbour must point back at it.
//!
//! Asked of core files, whose process may have died because of what is found here. Objects are found without
//! the lists, too, so that nothing depends on the answer but the answer.

use crate::address::Address;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::objects::Flags;
use crate::inspection::Inspection;
use crate::layout::features::CollectorLists;
use rayon::prelude::*;

/// Counts broken links that the walk did not meet. While the collector runs it keeps numbers where the links
/// back are, and nothing can be said. Cost: a look at each tracked object and its neighbour.
pub(super) fn note(inspection: &mut Inspection) {
    let has_lists = inspection.resolved.features.collector_lists != CollectorLists::None;
    if !has_lists || inspection.capture.statistics.collecting {
        return;
    }
    let layout = &inspection.resolved.layouts.gc_head;
    let image = &inspection.capture.image;
    let link = |head: Address, offset: u64| image.word(head.plus(offset)).map(|word| Address::new(word & !3));
    let objects = inspection.heap.objects();
    let all = objects.addresses.par_iter().zip(&objects.flags);
    let tracked = all.filter(|(_, flags)| flags.has(Flags::TRACKED) && !flags.has(Flags::SYNTHETIC));
    let broken = tracked.filter_map(|(&address, _)| {
        let head = Address::new(address).minus(layout.sizeof);
        let next = link(head, layout.next)?;
        (link(next, layout.previous) != Some(head)).then_some((1_u64, address))
    });
    let Some((count, first)) = broken.reduce_with(|one, other| (one.0 + other.0, one.1.min(other.1))) else {
        return;
    };
    let is_list =
        |&(kind, ..): &(AnomalyKind, u64, Option<Address>)| kind == AnomalyKind::BrokenCollectorList;
    let known = inspection.anomalies.iter().find(is_list).map_or(0, |(_, count, _)| count);
    let kind = AnomalyKind::BrokenCollectorList;
    inspection.anomalies.add_many(kind, count.saturating_sub(known), Some(Address::new(first)));
}
