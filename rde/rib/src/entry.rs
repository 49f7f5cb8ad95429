//! Differences to be sent, and how they become messages: entries that agree in who gets them, in their attribute set
//! and in their treatment share messages, and their attributes are encoded once.

use crate::attrs::AttrId;
use crate::export::Treatment;
use crate::family::Shared;
use crate::group::Group;
use crate::pack;
use crate::peers::PeerIdx;
use crate::rib::{Sink, Target};
use crate::slots::{Addr, Slots};

/// Who gets an entry of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    All,
    Except(PeerIdx),
    Only(PeerIdx),
}

/// A difference to be sent: a route, or with no attributes its withdrawal.
///
/// What makes up a message is one number, so that sorting compares numbers: from the top, who gets it (so that
/// messages for the same members lie together), the attribute set, the treatment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    key: u64,
    pub(crate) slot: u32,
    /// Our identifier of the path, in a group with several; elsewhere the ORIGINATOR_ID of a reflected route that
    /// brings none.
    detail: u32,
}

/// Treatments as a key has them. With the last one, routes of one attribute set may have different originators.
const PLAIN: u64 = 0;
const INJECTED: u64 = 1;
const REFLECTED: u64 = 2;
const REFLECTED_FROM: u64 = 3;

impl Entry {
    pub(crate) fn new(to: To, attr: AttrId, treatment: Treatment, slot: u32) -> Entry {
        let to = match to {
            To::All => 0,
            To::Except(peer) => 1 << 16 | u64::from(peer.0),
            To::Only(peer) => 2 << 16 | u64::from(peer.0),
        };
        let (treatment, detail) = match treatment {
            // Withdrawals look all the same.
            _ if !attr.is_some() => (PLAIN, 0),
            Treatment::Plain => (PLAIN, 0),
            Treatment::Injected => (INJECTED, 0),
            Treatment::Reflected { originator: 0 } => (REFLECTED, 0),
            Treatment::Reflected { originator } => (REFLECTED_FROM, originator),
        };
        Entry { key: to << 34 | u64::from(attr.0) << 2 | treatment, slot, detail }
    }

    /// The same in a group with several paths, for one of them.
    pub(crate) fn of_path(self, id: u32) -> Entry {
        Entry { detail: id, ..self }
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the key apart")]
    fn to(self) -> To {
        let peer = PeerIdx((self.key >> 34) as u16);
        match self.key >> 50 {
            0 => To::All,
            1 => To::Except(peer),
            _ => To::Only(peer),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the key apart")]
    fn attr(self) -> AttrId {
        AttrId((self.key >> 2) as u32)
    }

    fn has_originator(self) -> bool {
        self.key & 3 == REFLECTED_FROM
    }

    /// `originator`: where it [has one](Self::has_originator).
    fn treatment(self, originator: u32) -> Treatment {
        match self.key & 3 {
            PLAIN => Treatment::Plain,
            INJECTED => Treatment::Injected,
            REFLECTED => Treatment::Reflected { originator: 0 },
            _ => Treatment::Reflected { originator },
        }
    }
}

impl Group {
    /// Writes the messages for entries; `sent` hears how many octets went to whom.
    pub(crate) fn write_entries<A: Addr>(
        &self,
        shared: &Shared,
        slots: &Slots<A>,
        entries: &mut [Entry],
        attributes: &mut Vec<u8>,
        sink: &mut impl Sink,
        mut sent: impl FnMut(To, u64),
    ) {
        entries.sort_unstable_by_key(|e| e.key);
        for run in entries.chunk_by_mut(|a, b| a.key == b.key) {
            let Some(first) = run.first().copied() else { continue };
            if !first.has_originator() {
                let octets = self.write_run(shared, slots, run, first.treatment(0), attributes, sink);
                sent(first.to(), octets);
                continue;
            }
            let originator = |e: &Entry| self.originator(shared, e);
            let its = originator(&first);
            if run.iter().any(|e| originator(e) != its) {
                run.sort_by_cached_key(originator);
            }
            for run in run.chunk_by(|a, b| originator(a) == originator(b)) {
                let treatment = first.treatment(run.first().map_or(0, originator));
                let octets = self.write_run(shared, slots, run, treatment, attributes, sink);
                sent(first.to(), octets);
            }
        }
    }

    /// The originator of an entry that has one.
    fn originator(&self, shared: &Shared, entry: &Entry) -> u32 {
        let Some(paths) = &self.paths else { return entry.detail };
        let path = paths.get(entry.slot).iter().find(|p| p.id == entry.detail);
        path.map_or(0, |p| shared.peers.rank(p.source).router_id)
    }

    /// Writes the messages of entries with equal attributes; returns the octets written.
    fn write_run<A: Addr>(
        &self,
        shared: &Shared,
        slots: &Slots<A>,
        run: &[Entry],
        treatment: Treatment,
        attributes: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> u64 {
        let rules = &self.rules;
        let Some(first) = run.first() else { return 0 };
        let target = match first.to() {
            To::All => Target::Group(self.id),
            To::Except(peer) => Target::GroupExcept(self.id, peer),
            To::Only(peer) => Target::Peer(peer),
        };
        let prefixes = run.iter().map(|e| {
            let slot = slots.get(e.slot);
            (slot.addr, slot.len, rules.add_path.map(|_| e.detail))
        });
        let attr = first.attr();
        if !attr.is_some() {
            return pack::withdraw(rules.max_message, prefixes, target, sink);
        }
        let Some(next_hop) = rules.next_hop(shared.attrs.next_hop(attr), treatment) else { return 0 };
        attributes.clear();
        rules.write_attributes(shared.attrs.canonical(attr), treatment, next_hop, attributes);
        pack::announce(rules.shape(attributes, next_hop), prefixes, target, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_was_put_into_it() {
        assert_eq!(size_of::<Entry>(), 16, "they are sorted for each batch");
        let reflected = [0, u32::MAX].map(|originator| Treatment::Reflected { originator });
        let treatments = [[Treatment::Plain, Treatment::Injected], reflected].concat();
        for to in [To::All, To::Except(PeerIdx(0)), To::Except(PeerIdx(u16::MAX)), To::Only(PeerIdx(7))] {
            for attr in [AttrId::NONE, AttrId(1), AttrId(u32::MAX)] {
                for treatment in &treatments {
                    let entry = Entry::new(to, attr, *treatment, 9);
                    let expected = if attr.is_some() { *treatment } else { Treatment::Plain };
                    assert_eq!((entry.to(), entry.attr(), entry.slot), (to, attr, 9));
                    assert_eq!(entry.treatment(entry.detail), expected);
                    let has_originator = expected == Treatment::Reflected { originator: u32::MAX };
                    assert_eq!(entry.has_originator(), has_originator);
                    let of_path = entry.of_path(5);
                    assert_eq!((of_path.key, of_path.slot, of_path.detail), (entry.key, 9, 5));
                }
            }
        }
    }
}
