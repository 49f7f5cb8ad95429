//! From changed prefixes to messages: the shared stream of an update group.
//!
//! A batch of slots is taken from the group's queue, what the group should have is compared with its
//! column, and the differences, sorted by who gets them and by attribute set, are written: attributes are
//! encoded once for all prefixes of the batch that share them, and once for all members.

use smallvec::SmallVec;

use crate::catchup::CatchUpStep;
use crate::column::Sent;
use crate::entry::{Entry, To, Writer};
use crate::export::{Refusal, Treatment};
use crate::family::{FamilyTable, Shared};
use crate::group::{CatchUp, Group, Member};
use crate::instead::Sends;
use crate::pack;
use crate::paths::{Path, Paths, taken};
use crate::peers::PeerIdx;
use crate::rib::Sink;
use crate::sent_paths::release;
use crate::slots::{Addr, Slots};

/// Slots that may wait before an initial table marks more.
const BUILD_AHEAD: u64 = 1 << 16;

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
        let FamilyTable { slots, paths, groups, behind_best, .. } = self;
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
            if group.copying.is_some() {
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
            if let Some(pacing) = &mut group.pacing {
                looked += pacing.step(now, group.ready, &mut group.column, slots, budget);
            }
            if group.may_send(shared, now, sink) {
                looked += group.batch(shared, slots, paths, scratch, budget, sink);
                group.end_round(now);
            }
            group.report_ready(sink);
        }
        groups.retain(|g| g.teardown.is_none_or(|t| t < g.column.len()));
        *behind_best = groups.iter().any(|g| g.looks_behind_best() && g.teardown.is_none());
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
        let closed = self.pacing.as_ref().is_some_and(|p| p.is_closed());
        scratch.entries.clear();
        while looked < budget {
            let Some(id) = self.column.take() else { break };
            looked += 1;
            scratch.let_go.push(id);
            let list = slots.get(id).list();
            if self.paths.is_some() {
                looked += self.batch_paths::<A>(shared, slots, taken(paths.get(list)), id, scratch);
                continue;
            }
            let (old, new) = (self.sends(id), self.wanted(shared, slots, taken(paths.get(list)), id));
            if self.instead.is_some() {
                looked += u32::from(list.count);
            }
            if closed && new.best.attr.is_some() && !new.takes_from(&old) {
                if self.pacing.as_mut().is_some_and(|p| p.wait(id)) {
                    // It stays held.
                    scratch.let_go.pop();
                }
                continue;
            }
            if !new.same_routes(&old) {
                if let Some(pacing) = self.pacing.as_mut().filter(|_| new.best.attr.is_some()) {
                    pacing.announces();
                }
                if readers > 0 {
                    self.differ(shared, &old, &new, readers, id, &mut scratch.entries);
                }
                self.replace(shared, slots, &old, &new, id, &mut scratch.let_go);
            }
        }
        if !scratch.entries.is_empty() {
            self.write(shared, slots, scratch, sink);
        }
        for id in scratch.let_go.drain(..) {
            slots.let_go(id);
        }
        shared.settle();
        looked
    }

    /// A round of announcements ends where nothing is left to be sent.
    fn end_round(&mut self, now: u64) {
        if self.is_quiet()
            && let Some(pacing) = &mut self.pacing
        {
            pacing.round_ends(now);
        }
    }

    /// What the members should have of a prefix with these paths.
    fn wanted<A: Addr>(&self, shared: &mut Shared, slots: &Slots<A>, paths: &[Path], slot: u32) -> Sends {
        if let Some(default) = self.default_route.filter(|d| d.slot == slot) {
            return Sends { best: default.sent(), ..Sends::NOTHING };
        }
        if self.instead.is_some() {
            return self.own_best(shared, slots, paths, slot);
        }
        let best = paths.first().and_then(|best| self.may_have(shared, slots, slot, best));
        Sends { best: best.unwrap_or(Sent::NOTHING), ..Sends::NOTHING }
    }

    /// A path as the group is sent it, if it may be and can be. Its set is held until [`Shared::settle`].
    #[inline]
    pub(crate) fn may_have<A: Addr>(
        &self,
        shared: &mut Shared,
        slots: &Slots<A>,
        slot: u32,
        path: &Path,
    ) -> Option<Sent> {
        self.outgoing(shared, slots, slot, path).ok()
    }

    /// The same, with the reason why not.
    pub(crate) fn outgoing<A: Addr>(
        &self,
        shared: &mut Shared,
        slots: &Slots<A>,
        slot: u32,
        path: &Path,
    ) -> Result<Sent, Refusal> {
        let rank = shared.peers.rank(path.peer);
        let rules = &self.rules;
        if let Some(refusal) = rules.refusal(shared.attrs.head(path.attr), rank) {
            return Err(refusal);
        }
        let mut sent = shared.sent(path);
        if let Some(export) = &rules.export {
            let at = slots.get(slot);
            let prefix = at.addr.net(at.len);
            sent.attr = shared.export(export, prefix, path).ok_or(Refusal::Policy)?;
        }
        let head = shared.attrs.head(sent.attr);
        let treatment = rules.treatment(head, rank, sent.last_choice);
        let next_hop = rules.next_hop(shared.attrs.next_hop(sent.attr), treatment, head.own);
        let next_hop = next_hop.ok_or(Refusal::NoNextHop)?;
        let outgoing = shared.attrs.outgoing(sent.attr);
        // Rewriting adds less than this; only giants need the exact answer.
        if outgoing.0.as_bytes().len() + 256 <= rules.max_message {
            return Ok(sent);
        }
        let mut attributes = Vec::new();
        rules.write_attributes(outgoing, treatment, next_hop, &mut attributes);
        let path_id = rules.add_path.map_or(0, |_| pack::PATH_ID);
        let fits = rules.shape(&attributes, next_hop).fits(A::MAX_NLRI + path_id);
        if fits { Ok(sent) } else { Err(Refusal::TooLarge) }
    }

    /// How the group's members are sent what a column has.
    pub(crate) fn treatment(&self, shared: &Shared, sent: Sent) -> Treatment {
        let (head, rank) = (shared.attrs.head(sent.attr), shared.peers.rank(sent.source));
        self.rules.treatment(head, rank, sent.last_choice)
    }

    /// Whether members are sent the same of two routes. Sets that came as they are are different ones; what policies make
    /// of them need not be.
    pub(crate) fn look_alike(&self, shared: &Shared, a: Sent, b: Sent) -> bool {
        if !a.attr.is_some() || !b.attr.is_some() {
            return a.attr == b.attr;
        }
        let attrs = &shared.attrs;
        if a.attr != b.attr && !attrs.is_made([a.attr, b.attr]) {
            return false;
        }
        let (t, u) = (self.treatment(shared, a), self.treatment(shared, b));
        if a.attr == b.attr { t == u } else { self.rules.look_alike(attrs, (a.attr, t), (b.attr, u)) }
    }

    /// Who must be told what, when what the members are sent of a prefix changes. `readers`: how many get the stream.
    fn differ(
        &self,
        shared: &Shared,
        old: &Sends,
        new: &Sends,
        readers: u32,
        slot: u32,
        entries: &mut Vec<Entry>,
    ) {
        // Equal attributes make equal messages only where their sources are treated alike.
        let same = |a: Sent, b: Sent| !a.attr.is_some() && !b.attr.is_some() || self.look_alike(shared, a, b);
        let mut tell = |to, sent: Sent| {
            let treatment = self.treatment(shared, sent);
            entries.push(Entry::new(to, sent.attr, treatment, slot));
        };
        // The source of the best route does not get it. Where that is withdrawn, its source has nothing to lose but
        // what it had instead.
        let source = if new.best.attr.is_some() { new.best.source } else { old.best.source };
        let all_have = !new.best.attr.is_some() && old.instead.attr.is_some();
        let apart = Some(source).filter(|s| !all_have && self.in_stream(*s));
        let to_all = !same(old.best, new.best);
        match apart {
            _ if !to_all => {}
            // The only one in the stream needs no message that is for all but itself.
            Some(_) if readers == 1 => {}
            Some(peer) => tell(To::Except(peer), new.best),
            None => tell(To::All, new.best),
        }
        let mut tell_one = |member: PeerIdx| {
            let told = to_all && apart != Some(member);
            if self.in_stream(member) && !told && !same(old.to(member), new.to(member)) {
                tell(To::Only(member), new.to(member));
            }
        };
        tell_one(old.best.source);
        if new.best.source != old.best.source {
            tell_one(new.best.source);
        }
    }

    /// Notes what the members are sent of a prefix, also for those that are not in the stream.
    fn replace<A: Addr>(
        &mut self,
        shared: &mut Shared,
        slots: &mut Slots<A>,
        old: &Sends,
        new: &Sends,
        id: u32,
        let_go: &mut Vec<u32>,
    ) {
        self.store(shared, old, new, id);
        match (old.best.attr.is_some(), new.best.attr.is_some()) {
            (false, true) => slots.hold(id),
            (true, false) => let_go.push(id),
            _ => {}
        }
        for member in &mut self.members {
            let has = |s: &Sends| s.to(member.peer).attr.is_some();
            if !has(old) && !has(new) {
                continue;
            }
            if let Some(c) = member.catch_up.as_mut()
                && c.knows(id)
                && c.pending.insert(id)
            {
                slots.hold(id);
            }
        }
    }

    /// Writes column and exceptions.
    pub(crate) fn store(&mut self, shared: &mut Shared, old: &Sends, new: &Sends, id: u32) {
        self.copy_again(id);
        shared.attrs.retain(new.best.attr, 1);
        shared.attrs.release(old.best.attr);
        self.column.set(id, new.best);
        if let Some(instead) = &mut self.instead {
            shared.attrs.retain(new.instead.attr, 1);
            shared.attrs.release(old.instead.attr);
            instead.change(id, old, new);
        }
    }

    /// What was copied of the slot is wrong from now on.
    pub(crate) fn copy_again(&mut self, id: u32) {
        if let Some(changed) = &mut self.copied {
            changed.insert(id);
        }
    }

    fn write<A: Addr>(
        &mut self,
        shared: &Shared,
        slots: &Slots<A>,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) {
        let Scratch { entries, attributes, .. } = scratch;
        let mut to_all = 0;
        // Who was not sent how much of that. Entries are in the order of who gets them.
        let mut excluded: SmallVec<[(PeerIdx, u64); 16]> = SmallVec::new();
        let writer = Writer { group: self, rules: &self.rules, shared, slots };
        writer.write(entries, attributes, sink, |to, octets| match to {
            To::All => to_all += octets,
            To::Except(peer) => {
                to_all += octets;
                match excluded.last_mut() {
                    Some((last, sum)) if *last == peer => *sum += octets,
                    _ => excluded.push((peer, octets)),
                }
            }
            To::Only(peer) => {
                if let Some(p) = shared.peers.get(peer) {
                    p.flow.add_sent(octets);
                }
            }
        });
        for member in self.members.iter().filter(|m| m.catch_up.is_none()) {
            let found = excluded.binary_search_by_key(&member.peer, |(peer, _)| *peer).ok();
            let not_sent = found.and_then(|at| excluded.get(at)).map_or(0, |(_, octets)| *octets);
            if let Some(p) = shared.peers.get(member.peer) {
                p.flow.add_sent(to_all - not_sent);
            }
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
        let column = &self.column;
        let done =
            |m: &&mut Member| m.end_of_rib_due && (m.catch_up.is_none() || m.draining && m.has_all(column));
        for member in self.members.iter_mut().filter(done) {
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
        if let Some(pacing) = &mut self.pacing {
            pacing.give_up(slots);
        }
        let from = self.teardown.unwrap_or(0);
        let end = from.saturating_add(budget).min(self.column.len());
        for id in from..end {
            let sends = self.sends(id);
            if sends.best.attr.is_some() {
                match &mut self.paths {
                    Some(paths) => {
                        release(shared, &paths.replace(id, Box::default()));
                        self.column.set(id, Sent::NOTHING);
                    }
                    None => self.store(shared, &sends, &Sends::NOTHING, id),
                }
                slots.let_go(id);
            }
        }
        self.teardown = Some(end);
        end - from
    }
}
