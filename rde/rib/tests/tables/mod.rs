//! Tables of any number of shards behind one interface, put together as the engine does it, but in one thread.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::HashMap;
use std::sync::Arc;

use bgp::attr::canonical::summarize;
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::{ReadContext, Update};
use bgp::{Family, NextHop};
use ipnet::IpNet;
use rib::{
    Applied, Batch, Counters, Explained, HashKey, Intake, PageDone, PeerIdx, PeerInfo, PeerPolicy, Query,
    Question, Refreshes, Rib, Settings, Sink, Target,
};

/// An intake and its shards.
pub(crate) struct Tables {
    intake: Intake,
    pub(crate) shards: Vec<Rib>,
    joint: Joint,
    refreshes: Refreshes,
    /// Slots of a group that are copied in a step, where it is not the usual number.
    pub(crate) copy_step: Option<u32>,
}

/// What is true when all shards have said so.
#[derive(Default)]
struct Joint {
    shards: u32,
    end_of_rib: HashMap<(PeerIdx, Family), u32>,
    refreshed: Vec<(PeerIdx, Family)>,
    forgotten: Vec<PeerIdx>,
}

/// The sink of one shard.
struct Part<'a, S> {
    shard: u32,
    joint: &'a mut Joint,
    sink: &'a mut S,
}

impl<S> Part<'_, S> {
    fn group(&self, group: u32) -> u32 {
        group * self.joint.shards + self.shard
    }
}

impl<S: Sink> Sink for Part<'_, S> {
    fn begin(&mut self, target: Target) -> &mut Vec<u8> {
        let target = match target {
            Target::Peer(p) => Target::Peer(p),
            Target::Group(g) => Target::Group(self.group(g)),
            Target::GroupExcept(g, p) => Target::GroupExcept(self.group(g), p),
        };
        self.sink.begin(target)
    }

    fn end(&mut self) {
        self.sink.end();
    }

    fn join(&mut self, group: u32, peer: PeerIdx) {
        let group = self.group(group);
        self.sink.join(group, peer);
    }

    fn leave(&mut self, group: u32, peer: PeerIdx) {
        let group = self.group(group);
        self.sink.leave(group, peer);
    }

    fn end_of_rib(&mut self, peer: PeerIdx, family: Family) {
        let told = self.joint.end_of_rib.entry((peer, family)).or_default();
        *told += 1;
        if *told == self.joint.shards {
            self.joint.end_of_rib.remove(&(peer, family));
            self.sink.end_of_rib(peer, family);
        }
    }

    fn refreshed(&mut self, peer: PeerIdx, family: Family) {
        self.joint.refreshed.push((peer, family));
    }

    fn forgotten(&mut self, peer: PeerIdx) {
        self.joint.forgotten.push(peer);
        self.sink.forgotten(peer);
    }

    fn is_full(&self) -> bool {
        self.sink.is_full()
    }
}

impl Tables {
    pub(crate) fn new(settings: Settings, shards: u32) -> Tables {
        let key = HashKey::default();
        Tables {
            intake: Intake::new(settings, key.clone(), shards as usize),
            shards: (0..shards as usize)
                .map(|n| Rib::new(settings, key.clone(), n, shards as usize))
                .collect(),
            joint: Joint { shards, ..Joint::default() },
            refreshes: Refreshes::new(shards as usize),
            copy_step: None,
        }
    }

    pub(crate) fn peer_up(&mut self, info: PeerInfo, now: u64) -> Option<PeerIdx> {
        let (idx, info, flow) = self.intake.peer_up(info, now)?;
        self.refreshes.peer_up(idx, info.families);
        for rib in &mut self.shards {
            rib.peer_up(idx, Arc::clone(&info), Arc::clone(&flow));
        }
        Some(idx)
    }

    pub(crate) fn peer_down(&mut self, peer: PeerIdx) {
        self.joint.end_of_rib.retain(|(p, _), _| *p != peer);
        self.refreshes.peer_down(peer);
        self.shards.iter_mut().for_each(|r| r.peer_down(peer));
    }

    pub(crate) fn apply(&mut self, peer: PeerIdx, update: &Update<'_>, ctx: &ReadContext) -> Applied {
        let mut batch = self.intake.batch();
        let applied = self.intake.take(peer, update, ctx, &mut batch);
        for (i, rib) in self.shards.iter_mut().enumerate() {
            rib.apply(&batch, i);
        }
        applied
    }

    pub(crate) fn inject(&mut self, prefix: IpNet, path_id: u32, attributes: &[u8], next_hop: NextHop) {
        self.change(|batch| batch.inject(prefix, path_id, attributes, next_hop, summarize(attributes)));
    }

    pub(crate) fn withdraw_injected(&mut self, prefix: IpNet, path_id: u32) -> bool {
        let shard = self.intake.shard(prefix);
        self.shards[shard].withdraw_injected(prefix, path_id)
    }

    pub(crate) fn mark_stale(&mut self, peer: PeerIdx, family: Family, loses: bool) {
        if loses {
            return self.shards.iter_mut().for_each(|r| r.mark_stale(peer, family, true));
        }
        self.change(|batch| batch.mark_stale(peer, family));
    }

    pub(crate) fn sweep_stale(&mut self, peer: PeerIdx, family: Family) {
        self.change(|batch| batch.sweep_stale(peer, family));
    }

    fn change(&mut self, fill: impl FnOnce(&mut Batch)) {
        let mut batch = self.intake.batch();
        fill(&mut batch);
        for (i, rib) in self.shards.iter_mut().enumerate() {
            rib.apply(&batch, i);
        }
    }

    pub(crate) fn reevaluate(&mut self, peer: PeerIdx, family: Family) {
        self.shards.iter_mut().for_each(|r| r.reevaluate(peer, family));
    }

    /// Stale routes of a peer.
    pub(crate) fn stale(&self, peer: PeerIdx) -> u64 {
        self.shards.iter().flat_map(|r| r.stale_routes(peer)).sum()
    }

    pub(crate) fn written(&self, peer: PeerIdx, octets: u64, now: u64) {
        if let Some(flow) = self.intake.flow(peer) {
            flow.add_written(octets, now);
        }
    }

    pub(crate) fn sent(&self, peer: PeerIdx, octets: u64) {
        if let Some(flow) = self.intake.flow(peer) {
            flow.add_sent(octets);
        }
    }

    /// A peer asks for a family's table; says whether it is on its way.
    pub(crate) fn refresh(&mut self, peer: PeerIdx, family: Family, sink: &mut impl Sink) -> bool {
        self.refreshes.ask(peer, family);
        self.begin_refresh(peer, family, sink)
    }

    /// The End-of-RIB of an initial table is out; says whether a refresh follows.
    pub(crate) fn end_of_rib_is_out(&mut self, peer: PeerIdx, family: Family, sink: &mut impl Sink) -> bool {
        self.refreshes.end_of_rib(peer, family);
        self.begin_refresh(peer, family, sink)
    }

    fn begin_refresh(&mut self, peer: PeerIdx, family: Family, sink: &mut impl Sink) -> bool {
        let begins = self.refreshes.begin(peer, family);
        if begins {
            self.demarcate(peer, family, Subtype::Begin, sink);
            for (shard, rib) in (0..).zip(&mut self.shards) {
                rib.refresh(peer, family, &mut Part { shard, joint: &mut self.joint, sink });
            }
        }
        begins
    }

    fn demarcate(&self, peer: PeerIdx, family: Family, subtype: Subtype, sink: &mut impl Sink) {
        let message = RouteRefresh { afi: family.afi(), safi: family.safi(), subtype }.encode();
        self.sent(peer, message.len() as u64);
        sink.begin(Target::Peer(peer)).extend(message);
        sink.end();
    }

    pub(crate) fn drain(&mut self, peer: PeerIdx, on: bool, sink: &mut impl Sink) {
        for (shard, rib) in (0..).zip(&mut self.shards) {
            rib.drain(peer, on, &mut Part { shard, joint: &mut self.joint, sink });
        }
    }

    /// Peers have other policies: for import, for export.
    pub(crate) fn set_policies(&mut self, peers: &[(PeerIdx, [Option<Arc<PeerPolicy>>; 2])]) {
        let intake = &mut self.intake;
        let known = peers.iter().filter_map(|(idx, p)| Some((*idx, intake.set_policies(*idx, p.clone())?)));
        let list: Vec<_> = known.collect();
        self.shards.iter_mut().for_each(|r| r.set_policies(&list));
    }

    pub(crate) fn work(&mut self, now: u64, sink: &mut impl Sink) -> bool {
        let mut did = false;
        for (shard, rib) in (0..).zip(&mut self.shards) {
            let sink = &mut Part { shard, joint: &mut self.joint, sink };
            did |= match self.copy_step {
                Some(step) => rib.work_copying(step, now, sink),
                None => rib.work(now, sink),
            };
        }
        for (peer, family) in std::mem::take(&mut self.joint.refreshed) {
            if self.refreshes.end(peer, family) {
                self.demarcate(peer, family, Subtype::End, sink);
                did |= self.begin_refresh(peer, family, sink);
            }
        }
        self.joint.forgotten.drain(..).for_each(|p| self.intake.forgotten(p));
        did
    }

    pub(crate) fn explain(&mut self, question: Question, prefix: IpNet) -> Vec<Explained> {
        let shard = self.intake.shard(prefix);
        self.shards[shard].explain(question, prefix)
    }

    pub(crate) fn page(&mut self, query: &Query) -> PageDone {
        let parts = (self.shards.iter_mut())
            .map(|rib| {
                rib.begin_query(1, query.clone());
                loop {
                    if let Some((_, done)) = rib.query_step() {
                        return done;
                    }
                }
            })
            .collect();
        PageDone::merge(parts, query.limit)
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.shards.iter().for_each(|r| sum.add(&r.counters()));
        sum
    }

    pub(crate) fn peer_counters(&self, peer: PeerIdx) -> ([u64; 4], [u64; 4]) {
        let (mut received, mut advertised) = ([0; 4], [0; 4]);
        for rib in &self.shards {
            let (r, a) = rib.peer_counters(peer);
            (0..4).for_each(|i| {
                received[i] += r[i];
                advertised[i] += a[i];
            });
        }
        (received, advertised)
    }
}
