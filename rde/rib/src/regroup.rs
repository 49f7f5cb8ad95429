//! Peers get other policies while their sessions go on.
//!
//! Import: a walk asks the new policy about what the peer sent. Export: members whose policies are equal stay together;
//! others take a copy of what the group was sent into one of their own. Then all is looked at again, and since the
//! column says what everybody has, only what is really another route goes out.
//!
//! A copy is made in steps, while updates flow. Until it is there the members stay together, and are sent what the policy
//! says that the group had. A slot whose routes change after it was copied is copied again; what changes in the table is
//! marked in both. Which members then leave is decided when the copy is complete: policies may have changed once more.

use std::sync::Arc;

use bgp::Family;

use crate::family::{FamilyTable, Shared};
use crate::group::{Group, Member};
use crate::peers::{PeerIdx, PeerInfo};
use crate::policies::Export;
use crate::rib::{Rib, Sink};
use crate::sent_paths::{SentPath, release};
use crate::slots::{Addr, Slots};
use crate::walk::Task;

impl Rib {
    /// Peers have other policies, as these infos of the `Intake` say; the rest is done in steps of [`work`](Rib::work).
    pub fn set_policies(&mut self, peers: &[(PeerIdx, Arc<PeerInfo>)]) {
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
        self.v4.regroup(shared, next);
        self.v6.regroup(shared, next);
    }
}

/// What a group is that is still being made of another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copying {
    /// The group that is copied.
    of: u32,
    /// Slots from here on were not copied yet.
    cursor: u32,
}

impl<A: Addr> FamilyTable<A> {
    fn regroup(&mut self, shared: &Shared, next: &mut u32) {
        for at in 0..self.groups.len() {
            let Some(group) = self.groups.get_mut(at).filter(|g| g.teardown.is_none() && g.copying.is_none())
            else {
                continue;
            };
            // What is copied is looked at when the copy is complete.
            if group.copied.is_none() {
                let classes = classes::<A>(shared, group);
                self.assign(at, &classes, next);
            }
        }
    }

    /// Gives a group the policy of all its members, or begins a copy for some of them.
    fn assign(&mut self, at: usize, classes: &[Class], next: &mut u32) {
        let Some(group) = self.groups.get_mut(at) else { return };
        match classes {
            [] => {}
            [(export, _)] => {
                if *export != group.rules.export {
                    group.build = Some(0);
                }
                // Also where it is equal: what was compiled before is not kept any longer.
                group.rules.export.clone_from(export);
            }
            [_, _, ..] => {
                let mut new = Group::new(*next, group.rules.clone());
                *next += 1;
                new.copying = Some(Copying { of: group.id, cursor: 0 });
                group.copied = Some(Box::default());
                self.groups.push(new);
            }
        }
    }

    /// Goes on with copies of groups; returns how many slots it looked at.
    pub(crate) fn copy_step(
        &mut self,
        shared: &mut Shared,
        next: &mut u32,
        budget: u32,
        sink: &mut impl Sink,
    ) -> u32 {
        let mut looked = 0;
        for at in 0..self.groups.len() {
            if looked >= budget {
                break;
            }
            let Some(copying) = self.groups.get(at).and_then(|g| g.copying) else { continue };
            looked += 1;
            let of = self.groups.iter().position(|g| g.id == copying.of && g.teardown.is_none());
            let pair = of.and_then(|of| Some((of, self.groups.get_disjoint_mut([of, at]).ok()?)));
            let Some((of, [group, new])) = pair else {
                // All members have left.
                self.give_up(at);
                continue;
            };
            let (did, complete) = copy_slots(shared, &mut self.slots, group, new, budget);
            looked += did;
            if complete {
                self.part(shared, (of, at), next, sink);
            }
        }
        looked
    }

    /// A copy is complete: who needs it leaves with it.
    fn part(&mut self, shared: &mut Shared, (of, at): (usize, usize), next: &mut u32, sink: &mut impl Sink) {
        let Ok([group, new]) = self.groups.get_disjoint_mut([of, at]) else { return };
        group.copied = None;
        let mut classes = classes::<A>(shared, group);
        if classes.len() > 1
            && let Some((export, members)) = classes.pop()
        {
            new.copying = None;
            new.rules.export = export;
            new.ready = group.ready;
            new.default_route = group.default_route;
            if let Some(default) = new.default_route {
                shared.attrs.retain(default.attr, 1);
                self.slots.hold(default.slot);
            }
            if let (Some(from), Some(to)) = (&group.paths, &mut new.paths) {
                to.count_on(from);
            }
            members.iter().for_each(|peer| move_member(group, new, *peer, sink));
        } else {
            self.give_up(at);
        }
        self.assign(of, &classes, next);
    }

    /// Nobody needs the copy.
    fn give_up(&mut self, at: usize) {
        if let Some(new) = self.groups.get_mut(at) {
            new.copying = None;
            new.teardown = Some(0);
        }
    }
}

/// Goes on with a copy; returns how many slots were copied, and whether it is complete.
fn copy_slots<A: Addr>(
    shared: &mut Shared,
    slots: &mut Slots<A>,
    group: &mut Group,
    new: &mut Group,
    budget: u32,
) -> (u32, bool) {
    let (Some(copying), Some(mut changed)) = (&mut new.copying, group.copied.take()) else {
        return (0, true);
    };
    let (from, end) = (copying.cursor, group.column.len());
    let to = from.saturating_add(budget).min(end);
    copying.cursor = to;
    (from..to).for_each(|slot| copy_slot(shared, slots, group, new, slot));
    let mut did = to.saturating_sub(from);
    // More of them than a step of work can change, so that it comes to an end.
    while to >= end && did < 2 * budget {
        let Some(slot) = changed.pop() else { break };
        copy_slot(shared, slots, group, new, slot);
        did += 1;
    }
    let complete = to >= end && changed.is_empty();
    group.copied = Some(changed);
    (did, complete)
}

/// What one group was sent of a prefix becomes what another one was.
fn copy_slot<A: Addr>(shared: &mut Shared, slots: &mut Slots<A>, from: &Group, to: &mut Group, slot: u32) {
    let (old, new) = (to.sends(slot), from.sends(slot));
    match (&from.paths, &mut to.paths) {
        (Some(paths), Some(copy)) => {
            // The references are the lists'.
            let list: Box<[SentPath]> = paths.get(slot).into();
            list.iter().for_each(|p| shared.attrs.retain(p.attr, 1));
            release(shared, &copy.replace(slot, list));
            to.column.set(slot, new.best);
        }
        _ => to.store(shared, &old, &new, slot),
    }
    // Its paths may be gone, so that nobody else would look at it.
    if new.best.dirty && to.column.mark(slot) {
        slots.hold(slot);
    }
    match (old.best.attr.is_some(), new.best.attr.is_some()) {
        (false, true) => slots.hold(slot),
        (true, false) => slots.let_go(slot),
        _ => {}
    }
}

/// An export policy, and the members of a group that have it.
type Class = (Option<Export>, Vec<PeerIdx>);

/// The members of a group by their export policies. The first ones stay: those whose policy is the group's, else the most.
fn classes<A: Addr>(shared: &Shared, group: &Group) -> Vec<Class> {
    let ipv4 = A::FAMILY == Family::Ipv4Unicast;
    let mut classes: Vec<Class> = Vec::new();
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
