//! Peers get other policies while their sessions go on.
//!
//! Import: a walk asks the new policy about what the peer sent. Export: members whose policies are equal stay together;
//! others take a copy of what the group was sent into one of their own. Then all is looked at again, and since the
//! column says what everybody has, only what is really another route goes out.

use std::sync::Arc;

use bgp::Family;

use crate::family::{FamilyTable, Shared};
use crate::group::{Group, Member};
use crate::peers::{PeerIdx, PeerInfo};
use crate::policies::Export;
use crate::rib::{Rib, Sink};
use crate::slots::Addr;
use crate::walk::Task;

impl Rib {
    /// Peers have other policies, as these infos of the `Intake` say; the rest is done in steps of [`work`](Rib::work).
    pub fn set_policies(&mut self, peers: &[(PeerIdx, Arc<PeerInfo>)], sink: &mut impl Sink) {
        for (idx, info) in peers {
            let Some(peer) = self.shared.peers.get_mut(*idx).filter(|p| !p.gone) else { continue };
            let before = std::mem::replace(&mut peer.info, Arc::clone(info));
            peer.imports = info.import.is_some();
            if before.import != info.import {
                self.v4.walks.begin(*idx, Task::Policy);
                self.v6.walks.begin(*idx, Task::Policy);
            }
        }
        let (shared, next) = (&mut self.shared, &mut self.next_group);
        self.v4.regroup(shared, next, sink);
        self.v6.regroup(shared, next, sink);
    }
}

impl<A: Addr> FamilyTable<A> {
    fn regroup(&mut self, shared: &mut Shared, next: &mut u32, sink: &mut impl Sink) {
        let there = self.groups.len();
        for at in 0..there {
            let Some(group) = self.groups.get_mut(at).filter(|g| g.teardown.is_none()) else { continue };
            let classes = classes::<A>(shared, group);
            let Some((stays, leave)) = classes.split_first() else { continue };
            if stays.0 != group.rules.export {
                group.build = Some(0);
            }
            // Also where it is equal: what was compiled before is not kept any longer.
            group.rules.export.clone_from(&stays.0);
            let mut made = Vec::new();
            for (export, members) in leave {
                let mut new = self.copy(shared, at, *next, export.clone());
                *next += 1;
                if let Some(group) = self.groups.get_mut(at) {
                    members.iter().for_each(|peer| move_member(group, &mut new, *peer, sink));
                }
                made.push(new);
            }
            self.groups.append(&mut made);
        }
    }

    /// A group without members that was sent what this one was.
    fn copy(&mut self, shared: &mut Shared, at: usize, id: u32, export: Option<Export>) -> Group {
        let FamilyTable { slots, groups, .. } = self;
        let group = &groups[at];
        let mut rules = group.rules.clone();
        rules.export = export;
        let mut new = Group::new(id, rules);
        new.ready = group.ready;
        new.column = group.column.copy();
        new.instead.clone_from(&group.instead);
        new.paths.clone_from(&group.paths);
        new.default_route = group.default_route;
        if let Some(default) = new.default_route {
            shared.attrs.retain(default.attr, 1);
            slots.hold(default.slot);
        }
        new.instead.iter().flat_map(|i| i.sets()).for_each(|attr| shared.attrs.retain(attr, 1));
        for slot in 0..group.column.len() {
            let entry = group.column.get(slot);
            if !entry.attr.is_some() {
                continue;
            }
            slots.hold(slot);
            match &new.paths {
                // The references are the lists'.
                Some(paths) => paths.get(slot).iter().for_each(|p| shared.attrs.retain(p.attr, 1)),
                None => shared.attrs.retain(entry.attr, 1),
            }
            // Its paths may be gone, so that nobody else would look at it.
            if entry.dirty && new.column.mark(slot) {
                slots.hold(slot);
            }
        }
        new
    }
}

/// The members of a group by their export policies. The first ones stay: those whose policy is the group's, else the most.
fn classes<A: Addr>(shared: &Shared, group: &Group) -> Vec<(Option<Export>, Vec<PeerIdx>)> {
    let ipv4 = A::FAMILY == Family::Ipv4Unicast;
    let mut classes: Vec<(Option<Export>, Vec<PeerIdx>)> = Vec::new();
    for member in &group.members {
        let export = shared.peers.get(member.peer).and_then(|p| Export::of(&p.info, ipv4));
        match classes.iter_mut().find(|(e, _)| *e == export) {
            Some((_, members)) => members.push(member.peer),
            None => classes.push((export, vec![member.peer])),
        }
    }
    classes.sort_by_key(|(export, members)| (*export != group.rules.export, usize::MAX - members.len()));
    classes
}

/// What the member was sent is what both groups were sent.
fn move_member(from: &mut Group, to: &mut Group, peer: PeerIdx, sink: &mut impl Sink) {
    let Some(at) = from.members.iter().position(|m| m.peer == peer) else { return };
    let member: Member = from.members.swap_remove(at);
    if from.in_stream(peer) {
        from.set_in_stream(peer, false);
        sink.leave(from.id, peer);
        to.set_in_stream(peer, true);
        sink.join(to.id, peer);
    }
    to.members.push(member);
}
