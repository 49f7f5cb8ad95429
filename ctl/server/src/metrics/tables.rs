//! Figures of the tables, and of what was wrong with UPDATEs, of all peers together.

use bgp::{Family, FaultKind};
use ipc::errors::FaultCount;

use super::{count, of};
use crate::app::Counters;
use crate::convert::of_family;
use crate::exposition::Text;

/// Writes them; every family, table and kind is there from the start.
pub(super) fn write(text: &mut Text, counters: &Counters, faults: &[FaultCount]) {
    let tables = &counters.tables;
    let mut samples = text.metric(&of::RIB_PREFIXES);
    for (table, figures) in [
        ("adj_rib_in", &tables.adj_rib_in),
        ("loc_rib", &tables.loc_rib),
        ("adj_rib_out", &tables.adj_rib_out),
    ] {
        for f in Family::ALL {
            samples.sample(&[table, f.name()], of_family(figures, f));
        }
    }
    let mut samples = text.metric(&of::LOC_PREFIXES);
    for f in Family::ALL {
        samples.sample(&[f.name()], of_family(&tables.loc_rib, f));
    }
    text.metric(&of::ATTRIBUTE_SETS).sample(&[], tables.attribute_sets);
    let mut samples = text.metric(&of::UPDATE_ERRORS);
    for (number, kind) in FaultKind::NAMES.into_iter().enumerate() {
        let of_kind = faults.iter().filter(|f| usize::from(f.kind) == number);
        samples.sample(&[kind], of_kind.map(|f| f.count).sum::<u64>());
    }
    restarts(text, counters);
}

fn restarts(text: &mut Text, counters: &Counters) {
    let restarting = || counters.peers.values().filter(|c| c.restart.is_some());
    text.metric(&of::GR_PEERS).sample(&[], count(restarting().count()));
    text.metric(&of::GR_STALE).sample(&[], restarting().flat_map(|c| c.stale).sum::<u64>());
    text.metric(&of::GR_EXPIRED).sample(&[], counters.tables.restarts_expired);
}
