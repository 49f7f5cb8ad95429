//! From changed prefixes to messages: the shared stream of an update group.
//!
//! A batch of slots is taken from the group's queue, what the group should have is compared with its
//! column, and the differences, sorted by who gets them and by attribute set, are written: attributes are
//! encoded once for all prefixes of the batch that share them, and once for all members.

use crate::attrs::AttrId;
use crate::catchup::CatchUpStep;
use crate::column::Sent;
use crate::export::Treatment;
use crate::family::{FamilyTable, Shared};
use crate::group::{CatchUp, Group};
use crate::pack;
use crate::paths::{List, Paths};
use crate::peers::PeerIdx;
use crate::rib::{Sink, Target};
use crate::slots::{Addr, Slots};

/// Slots that may wait before an initial table marks more.
const BUILD_AHEAD: u64 = 1 << 16;

/// Who gets an entry of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    All,
    Except(PeerIdx),
    Only(PeerIdx),
}

/// A difference to be sent: a route, or with no attributes its withdrawal.
///
/// What makes up a message is in numbers, so that sorting compares numbers: from the top, who gets it (so that
/// messages for the same members lie together), the attribute set, the treatment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    key: u64,
    /// ORIGINATOR_ID of a reflected route that brings none.
    originator: u32,
    pub(crate) slot: u32,
}

impl Entry {
    pub(crate) fn new(to: To, attr: AttrId, treatment: Treatment, slot: u32) -> Entry {
        let to = match to {
            To::All => 0,
            To::Except(peer) => 1 << 16 | u64::from(peer.0),
            To::Only(peer) => 2 << 16 | u64::from(peer.0),
        };
        let (treatment, originator) = match treatment {
            // Withdrawals look all the same.
            _ if !attr.is_some() => (0, 0),
            Treatment::Plain => (0, 0),
            Treatment::Injected => (1, 0),
            Treatment::Reflected { originator } => (2, originator),
        };
        Entry { key: to << 34 | u64::from(attr.0) << 2 | treatment, originator, slot }
    }

    /// Entries that are equal in this make up messages together.
    pub(crate) fn message(&self) -> u128 {
        u128::from(self.key) << 32 | u128::from(self.originator)
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the key apart")]
    pub(crate) fn to(self) -> To {
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

    fn treatment(self) -> Treatment {
        match self.key & 3 {
            0 => Treatment::Plain,
            1 => Treatment::Injected,
            _ => Treatment::Reflected { originator: self.originator },
        }
    }
}

/// Buffers that are used again for each batch.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) attributes: Vec<u8>,
    pub(crate) let_go: Vec<u32>,
}

impl<A: Addr> FamilyTable<A> {
    /// A step of work on the groups; returns how many slots it looked at. 0: nothing can be done now.
    pub(crate) fn flush_step(
        &mut self,
        shared: &mut Shared,
        scratch: &mut Scratch,
        budget: u32,
        now: u64,
        sink: &mut impl Sink,
    ) -> u32 {
        let FamilyTable { slots, paths, groups, .. } = self;
        let mut looked = 0;
        // Each step begins with another group, so that none starves when the sink is full.
        let turn = usize::from(groups.len() > 1);
        groups.rotate_left(turn);
        for group in groups.iter_mut() {
            if sink.is_full() {
                break;
            }
            if group.teardown.is_some() {
                looked += group.teardown_step(shared, slots, budget);
                continue;
            }
            // First, so that a new member with an empty column to walk gets the shared stream at once.
            let mut left = budget;
            for at in 0..group.members.len() {
                if left == 0 || sink.is_full() {
                    break;
                }
                let did = CatchUpStep { slots, shared, scratch, budget: left, sink }.run(group, at);
                left = left.saturating_sub(did);
                looked += did;
            }
            if left == 0 {
                // Who comes next is not always the same.
                group.members.rotate_left(1);
            }
            looked += group.build_step(slots, budget);
            if group.may_send(shared, now, sink) {
                looked += group.batch(shared, slots, paths, scratch, budget, sink);
            }
            group.report_ready(sink);
        }
        groups.retain(|g| g.teardown.is_none_or(|t| t < g.column.len()));
        looked
    }
}

impl Group {
    /// Marks prefixes that were there before the group began.
    fn build_step<A: Addr>(&mut self, slots: &mut Slots<A>, budget: u32) -> u32 {
        let Some(from) = self.build else { return 0 };
        if self.column.queued - self.column.taken > BUILD_AHEAD {
            return 0;
        }
        let found: Vec<u32> =
            slots.range(from, budget).filter(|(_, s)| s.list().count > 0).map(|(id, _)| id).collect();
        for id in found {
            if self.column.mark(id) {
                slots.hold(id);
            }
        }
        let end = from.saturating_add(budget);
        if end < slots.len() {
            self.build = Some(end);
            return budget;
        }
        self.build = None;
        self.ready_at = Some(self.column.queued);
        slots.len().saturating_sub(from)
    }

    /// Whether the stream may go on, by how far its members have got. Members that have fallen behind the
    /// others leave it here.
    fn may_send(&mut self, shared: &Shared, now: u64, sink: &mut impl Sink) -> bool {
        if self.column.is_quiet() {
            return false;
        }
        let limits = &shared.limits;
        let (mut behind, mut keeping_up) = (0, 0);
        for at in 0..self.members.len() {
            let Some(member) = self.members.get_mut(at).filter(|m| m.catch_up.is_none()) else { continue };
            let Some(peer) = shared.peers.get(member.peer) else { continue };
            let outstanding = peer.flow.outstanding();
            if outstanding < limits.soft {
                keeping_up += u32::from(peer.flow.has_begun());
            } else if outstanding > limits.hard
                || now.saturating_sub(peer.flow.progress_at()) > limits.stalled
            {
                let peer = member.peer;
                // It has everything up to here: only what changes from now on is kept for it.
                member.catch_up = Some(Box::new(CatchUp::behind()));
                self.set_in_stream(peer, false);
                sink.leave(self.id, peer);
            } else {
                behind += 1;
            }
        }
        behind == 0 || keeping_up >= behind
    }

    fn batch<A: Addr>(
        &mut self,
        shared: &mut Shared,
        slots: &mut Slots<A>,
        paths: &Paths,
        scratch: &mut Scratch,
        budget: u32,
        sink: &mut impl Sink,
    ) -> u32 {
        let mut looked = 0;
        let readers = self.stream_len();
        scratch.entries.clear();
        while looked < budget {
            let Some(id) = self.column.take() else { break };
            looked += 1;
            let old = self.column.get(id);
            let new = self.wanted::<A>(shared, paths, id, slots.get(id).list());
            scratch.let_go.push(id);
            if !new.same_route(&old) {
                // The only one in the stream needs no message that is for all but itself.
                let alone = |peer| readers == 1 && self.in_stream(peer);
                let nobody = match new.attr.is_some() {
                    true => alone(new.source) && !old.attr.is_some(),
                    false => alone(old.source),
                };
                if readers > 0 && !nobody {
                    self.differ(shared, old, new, id, &mut scratch.entries);
                }
                self.replace(shared, slots, old, new, id, &mut scratch.let_go);
            }
        }
        if !scratch.entries.is_empty() {
            self.write(shared, slots, scratch, sink);
        }
        for id in scratch.let_go.drain(..) {
            slots.let_go(id);
        }
        looked
    }

    /// What the group should have of a prefix.
    fn wanted<A: Addr>(&self, shared: &Shared, paths: &Paths, slot: u32, list: List) -> Sent {
        if let Some(default) = self.default_route.filter(|d| d.slot == slot) {
            return default.sent();
        }
        let Some(best) = paths.get(list).first() else { return Sent::NOTHING };
        let (head, rank) = (shared.attrs.head(best.attr), shared.peers.rank(best.peer));
        let rules = &self.rules;
        if !rules.allow(head, rank) {
            return Sent::NOTHING;
        }
        let treatment = rules.treatment(head, rank);
        let Some(next_hop) = rules.next_hop(shared.attrs.next_hop(best.attr), treatment) else {
            return Sent::NOTHING;
        };
        let canonical = shared.attrs.canonical(best.attr);
        // Rewriting adds less than this; only giants need the exact answer.
        if canonical.as_bytes().len() + 256 > rules.max_message {
            let mut attributes = Vec::new();
            rules.write_attributes(canonical, treatment, next_hop, &mut attributes);
            if !rules.shape(&attributes, next_hop).fits(A::MAX_NLRI) {
                return Sent::NOTHING;
            }
        }
        Sent { attr: best.attr, source: best.peer, dirty: false }
    }

    /// How the group's members are sent what a column has.
    pub(crate) fn treatment(&self, shared: &Shared, sent: Sent) -> Treatment {
        self.rules.treatment(shared.attrs.head(sent.attr), shared.peers.rank(sent.source))
    }

    /// Who must be told what, when a prefix's entry changes. The member that a route is from does not get
    /// it; if it had the one before, that is withdrawn.
    fn differ(&self, shared: &Shared, old: Sent, new: Sent, slot: u32, entries: &mut Vec<Entry>) {
        let treatment = self.treatment(shared, new);
        let mut tell = |to, attr| entries.push(Entry::new(to, attr, treatment, slot));
        let except = |peer| if self.in_stream(peer) { To::Except(peer) } else { To::All };
        if !new.attr.is_some() {
            return tell(except(old.source), AttrId::NONE);
        }
        // Equal attributes make equal messages only where their sources are treated alike.
        if old.attr == new.attr && self.treatment(shared, old) == treatment {
            if self.in_stream(old.source) {
                tell(To::Only(old.source), new.attr);
            }
        } else {
            tell(except(new.source), new.attr);
        }
        if old.attr.is_some() && old.source != new.source && self.in_stream(new.source) {
            tell(To::Only(new.source), AttrId::NONE);
        }
    }

    /// Writes the column, and notes the change for members that are not in the stream.
    fn replace<A: Addr>(
        &mut self,
        shared: &mut Shared,
        slots: &mut Slots<A>,
        old: Sent,
        new: Sent,
        id: u32,
        let_go: &mut Vec<u32>,
    ) {
        shared.attrs.retain(new.attr, 1);
        shared.attrs.release(old.attr);
        self.column.set(id, new.attr, new.source);
        match (old.attr.is_some(), new.attr.is_some()) {
            (false, true) => slots.hold(id),
            (true, false) => let_go.push(id),
            _ => {}
        }
        for member in &mut self.members {
            if let Some(c) = member.catch_up.as_mut()
                && c.knows(id)
                && c.pending.insert(id)
            {
                slots.hold(id);
            }
        }
    }

    fn write<A: Addr>(
        &mut self,
        shared: &Shared,
        slots: &Slots<A>,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) {
        scratch.entries.sort_unstable_by_key(Entry::message);
        let mut to_all = 0;
        for run in scratch.entries.chunk_by(|a, b| a.message() == b.message()) {
            let Some(first) = run.first() else { continue };
            let target = match first.to() {
                To::All => Target::Group(self.id),
                To::Except(peer) => Target::GroupExcept(self.id, peer),
                To::Only(peer) => Target::Peer(peer),
            };
            let len = write_run(&self.rules, shared, slots, run, &mut scratch.attributes, target, sink);
            match first.to() {
                To::All => to_all += len,
                To::Except(peer) => {
                    to_all += len;
                    if let Some(m) = self.members.iter_mut().find(|m| m.peer == peer) {
                        m.excluded += len;
                    }
                }
                To::Only(peer) => {
                    if let Some(p) = shared.peers.get(peer) {
                        p.flow.add_sent(len);
                    }
                }
            }
        }
        for member in self.members.iter_mut().filter(|m| m.catch_up.is_none()) {
            if let Some(p) = shared.peers.get(member.peer) {
                p.flow.add_sent(to_all - member.excluded);
            }
            member.excluded = 0;
        }
    }

    /// Once the initial table is out, its members are to be told (RFC 4724 §2).
    fn report_ready(&mut self, sink: &mut impl Sink) {
        if !self.ready && self.ready_at.is_some_and(|at| self.column.taken >= at) {
            self.ready = true;
        }
        if !self.ready {
            return;
        }
        for member in self.members.iter_mut().filter(|m| m.end_of_rib_due && m.catch_up.is_none()) {
            member.end_of_rib_due = false;
            sink.end_of_rib(member.peer, self.rules.family);
        }
    }

    /// Gives back what a group without members holds.
    fn teardown_step<A: Addr>(&mut self, shared: &mut Shared, slots: &mut Slots<A>, budget: u32) -> u32 {
        if let Some(default) = self.default_route.take() {
            shared.attrs.release(default.attr);
            slots.let_go(default.slot);
        }
        while let Some(id) = self.column.take() {
            slots.let_go(id);
        }
        let from = self.teardown.unwrap_or(0);
        let end = from.saturating_add(budget).min(self.column.len());
        for id in from..end {
            let entry = self.column.get(id);
            if entry.attr.is_some() {
                shared.attrs.release(entry.attr);
                self.column.set(id, AttrId::NONE, entry.source);
                slots.let_go(id);
            }
        }
        self.teardown = Some(end);
        end - from
    }
}

/// Writes the messages of entries with equal attributes; returns the octets written.
pub(crate) fn write_run<A: Addr>(
    rules: &crate::export::Rules,
    shared: &Shared,
    slots: &Slots<A>,
    run: &[Entry],
    attributes: &mut Vec<u8>,
    target: Target,
    sink: &mut impl Sink,
) -> u64 {
    let prefixes = run.iter().map(|e| {
        let slot = slots.get(e.slot);
        (slot.addr, slot.len)
    });
    let Some(first) = run.first().filter(|e| e.attr().is_some()) else {
        return pack::withdraw(rules.max_message, prefixes, target, sink);
    };
    let (attr, treatment) = (first.attr(), first.treatment());
    let Some(next_hop) = rules.next_hop(shared.attrs.next_hop(attr), treatment) else { return 0 };
    attributes.clear();
    rules.write_attributes(shared.attrs.canonical(attr), treatment, next_hop, attributes);
    pack::announce(rules.shape(attributes, next_hop), prefixes, target, sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_was_put_into_it() {
        let reflected = Treatment::Reflected { originator: u32::MAX };
        for to in [To::All, To::Except(PeerIdx(0)), To::Except(PeerIdx(u16::MAX)), To::Only(PeerIdx(7))] {
            for attr in [AttrId::NONE, AttrId(1), AttrId(u32::MAX)] {
                for treatment in [Treatment::Plain, Treatment::Injected, reflected] {
                    let entry = Entry::new(to, attr, treatment, 9);
                    let expected = if attr.is_some() { treatment } else { Treatment::Plain };
                    assert_eq!((entry.to(), entry.attr(), entry.slot), (to, attr, 9));
                    assert_eq!(entry.treatment(), expected);
                }
            }
        }
    }
}
