//! Members that are not in the shared stream: new ones that need the table, slow ones, and those that
//! asked for a refresh. Each gets the group's column on its own, and joins the stream when it has all. One
//! whose session is about to be shut down does not: what it is sent differs from what the others are sent.

use crate::attrs::AttrId;
use crate::entry::{Entry, To, Writer};
use crate::export::Treatment;
use crate::family::Shared;
use crate::flush::Scratch;
use crate::group::{CatchUp, Group};
use crate::peers::PeerIdx;
use crate::rib::Sink;
use crate::sent_paths::SentPaths;
use crate::slots::{Addr, Slots};

/// What a step works with.
pub(crate) struct CatchUpStep<'a, A, S> {
    pub(crate) slots: &'a mut Slots<A>,
    pub(crate) shared: &'a mut Shared,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) budget: u32,
    pub(crate) sink: &'a mut S,
}

impl<A: Addr, S: Sink> CatchUpStep<'_, A, S> {
    /// Goes on with one member; returns how many slots it looked at.
    pub(crate) fn run(mut self, group: &mut Group, at: usize) -> u32 {
        let Some(member) = group.members.get_mut(at) else { return 0 };
        let (peer, draining) = (member.peer, member.draining);
        if draining && !member.refreshing && member.has_all(&group.column) {
            return 0;
        }
        let Some(mut catch_up) = member.catch_up.take() else { return 0 };
        if self.shared.peers.get(peer).is_none_or(|p| p.flow.outstanding() >= self.shared.limits.soft) {
            member.catch_up = Some(catch_up);
            return 0;
        }
        let looked = self.collect(group, peer, &mut catch_up);
        let rules = group.rules_for(peer);
        let mut sent = 0;
        let Scratch { entries, attributes, .. } = &mut *self.scratch;
        let writer = Writer { group, rules: &rules, shared: self.shared, slots: self.slots };
        writer.write(entries, attributes, self.sink, |_, octets| sent += octets);
        if let Some(p) = self.shared.peers.get(peer) {
            p.flow.add_sent(sent);
        }
        for id in self.scratch.let_go.drain(..) {
            self.slots.let_go(id);
        }
        let has_all = catch_up.has_all(&group.column);
        if has_all && group.members.get_mut(at).is_some_and(|m| std::mem::take(&mut m.refreshing)) {
            self.sink.refreshed(peer, group.rules.family);
        }
        if has_all && draining {
            *catch_up = CatchUp::behind();
        }
        if has_all && !draining {
            group.set_in_stream(peer, true);
            self.sink.join(group.id, peer);
        } else if let Some(member) = group.members.get_mut(at) {
            member.catch_up = Some(catch_up);
        }
        looked.max(1)
    }

    /// What to send: first what changed, then the rest of the column.
    fn collect(&mut self, group: &Group, peer: PeerIdx, catch_up: &mut CatchUp) -> u32 {
        self.scratch.entries.clear();
        let mut looked = 0;
        while looked < self.budget {
            let Some(id) = catch_up.pending.pop() else { break };
            looked += 1;
            self.scratch.let_go.push(id);
            match &group.paths {
                Some(paths) => looked += self.add_paths(group, paths, id, peer, catch_up.held.remove(&id)),
                None => self.add(group, peer, id, true),
            }
        }
        let end = group.column.len();
        while looked < self.budget && catch_up.cursor < end {
            match &group.paths {
                Some(paths) => looked += self.add_paths(group, paths, catch_up.cursor, peer, None),
                None => self.add(group, peer, catch_up.cursor, false),
            }
            catch_up.cursor += 1;
            looked += 1;
        }
        looked
    }

    fn add(&mut self, group: &Group, peer: PeerIdx, slot: u32, changed: bool) {
        let sent = group.sends(slot).to(peer);
        if sent.attr.is_some() || changed {
            let treatment = group.treatment(self.shared, sent);
            self.scratch.entries.push(Entry::new(To::Only(peer), sent.attr, treatment, slot));
        }
    }

    /// The same for a group with several paths. `held`: the identifiers that the member has of a slot that changed.
    fn add_paths(
        &mut self,
        group: &Group,
        paths: &SentPaths,
        slot: u32,
        peer: PeerIdx,
        held: Option<Box<[u32]>>,
    ) -> u32 {
        let before = self.scratch.entries.len();
        let gone = held.iter().flatten().filter(|id| paths.of(slot, peer).all(|p| p.id != **id));
        let withdrawn =
            |id: &u32| Entry::new(To::Only(peer), AttrId::NONE, Treatment::Plain, slot).of_path(*id);
        self.scratch.entries.extend(gone.map(withdrawn));
        for path in paths.of(slot, peer) {
            let treatment = group.treatment(self.shared, path.as_sent());
            let entry = Entry::new(To::Only(peer), path.attr, treatment, slot).of_path(path.id);
            self.scratch.entries.push(entry);
        }
        u32::try_from(self.scratch.entries.len() - before).unwrap_or(u32::MAX)
    }
}
