//! Differences to be sent, and how they become messages: entries that agree in who gets them, in their attribute set
//! and in their treatment share messages, and their attributes are encoded once.

use crate::attrs::AttrId;
use crate::export::{Rules, Treatment};
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

/// Treatments as a key has them. With `REFLECTED_FROM`, routes of one attribute set may have different originators.
const PLAIN: u64 = 0;
const INJECTED: u64 = 1;
const REFLECTED: u64 = 2;
const REFLECTED_FROM: u64 = 3;
/// With these two below it.
const MARKED: u64 = 4;
const LAST_CHOICE: u64 = 2;
const NO_EXPORT: u64 = 1;

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
            Treatment::Marked { last_choice, no_export } => {
                let last_choice = if last_choice { LAST_CHOICE } else { 0 };
                let no_export = if no_export { NO_EXPORT } else { 0 };
                (MARKED | last_choice | no_export, 0)
            }
        };
        Entry { key: to << 35 | u64::from(attr.0) << 3 | treatment, slot, detail }
    }

    /// The same in a group with several paths, for one of them.
    pub(crate) fn of_path(self, id: u32) -> Entry {
        Entry { detail: id, ..self }
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the key apart")]
    fn to(self) -> To {
        let peer = PeerIdx((self.key >> 35) as u16);
        match self.key >> 51 {
            0 => To::All,
            1 => To::Except(peer),
            _ => To::Only(peer),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the key apart")]
    fn attr(self) -> AttrId {
        AttrId((self.key >> 3) as u32)
    }

    fn has_originator(self) -> bool {
        self.key & 7 == REFLECTED_FROM
    }

    /// `originator`: where it [has one](Self::has_originator).
    fn treatment(self, originator: u32) -> Treatment {
        match self.key & 7 {
            PLAIN => Treatment::Plain,
            INJECTED => Treatment::Injected,
            REFLECTED => Treatment::Reflected { originator: 0 },
            REFLECTED_FROM => Treatment::Reflected { originator },
            marks => {
                Treatment::Marked { last_choice: marks & LAST_CHOICE != 0, no_export: marks & NO_EXPORT != 0 }
            }
        }
    }
}

/// Makes entries of a group into messages.
pub(crate) struct Writer<'a, A> {
    pub(crate) group: &'a Group,
    /// The group's, or those of the one member that all entries are for.
    pub(crate) rules: &'a Rules,
    pub(crate) shared: &'a Shared,
    pub(crate) slots: &'a Slots<A>,
}

impl<A: Addr> Writer<'_, A> {
    /// Writes the messages for entries; `sent` hears how many octets went to whom.
    pub(crate) fn write(
        &self,
        entries: &mut [Entry],
        attributes: &mut Vec<u8>,
        sink: &mut impl Sink,
        mut sent: impl FnMut(To, u64),
    ) {
        entries.sort_unstable_by_key(|e| e.key);
        for run in entries.chunk_by_mut(|a, b| a.key == b.key) {
            let Some(first) = run.first().copied() else { continue };
            if !first.has_originator() {
                let octets = self.write_run(run, first.treatment(0), attributes, sink);
                sent(first.to(), octets);
                continue;
            }
            let originator = |e: &Entry| self.originator(e);
            let its = originator(&first);
            if run.iter().any(|e| originator(e) != its) {
                run.sort_by_cached_key(originator);
            }
            for run in run.chunk_by(|a, b| originator(a) == originator(b)) {
                let treatment = first.treatment(run.first().map_or(0, originator));
                let octets = self.write_run(run, treatment, attributes, sink);
                sent(first.to(), octets);
            }
        }
    }

    /// The originator of an entry that has one.
    fn originator(&self, entry: &Entry) -> u32 {
        let Some(paths) = &self.group.paths else { return entry.detail };
        let path = paths.get(entry.slot).iter().find(|p| p.id == entry.detail);
        path.map_or(0, |p| self.shared.peers.rank(p.source).router_id)
    }

    /// Writes the messages of entries with equal attributes; returns the octets written.
    fn write_run(
        &self,
        run: &[Entry],
        treatment: Treatment,
        attributes: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> u64 {
        let Writer { group, rules, shared, slots } = *self;
        let Some(first) = run.first() else { return 0 };
        let target = match first.to() {
            To::All => Target::Group(group.id),
            To::Except(peer) => Target::GroupExcept(group.id, peer),
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
        let outgoing = shared.attrs.outgoing(attr);
        let (_, own) = outgoing;
        let Some(next_hop) = rules.next_hop(shared.attrs.next_hop(attr), treatment, own) else { return 0 };
        attributes.clear();
        rules.write_attributes(outgoing, treatment, next_hop, attributes);
        let shape = rules.shape(attributes, next_hop);
        // What the group has fits; with one community more it may not.
        if rules.draining && !shape.fits(A::MAX_NLRI + rules.add_path.map_or(0, |_| pack::PATH_ID)) {
            return pack::withdraw(rules.max_message, prefixes, target, sink);
        }
        pack::announce(shape, prefixes, target, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_was_put_into_it() {
        assert_eq!(size_of::<Entry>(), 16, "they are sorted for each batch");
        let reflected = [0, u32::MAX].map(|originator| Treatment::Reflected { originator });
        let marked = [(true, false), (false, true), (true, true)]
            .map(|(last_choice, no_export)| Treatment::Marked { last_choice, no_export });
        let treatments = [&[Treatment::Plain, Treatment::Injected][..], &reflected[..], &marked[..]].concat();
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
