//! Shares the bytes that rde sends among the peers that they are for, and keeps the groups of peers that are
//! sent the same.
//!
//! The bulk channel is always read: what a slow peer doesn't take waits in its own queue, and rde, which hears
//! what was written, stops sending to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use bgp::header::{self, HEADER_LEN, MessageType};
use bytes::Bytes;
use fsm::{Exceeded, Input};
use ipc::session_rde::{Direction, RdeToSession, RdeToSessionBulk, Run, Source, Target};
use ipc::{GroupId, LinkError, PeerId, Received, Role};

use crate::engine::Engine;
use crate::peer::Peer;

/// Who is in which group.
#[derive(Debug, Default)]
pub(crate) struct Groups(RefCell<HashMap<GroupId, Members>>);

type Members = Vec<(PeerId, Rc<Peer>)>;

impl Groups {
    fn join(&self, group: GroupId, id: PeerId, peer: Rc<Peer>) {
        let mut groups = self.0.borrow_mut();
        let members = groups.entry(group).or_default();
        if !members.iter().any(|(member, _)| *member == id) {
            members.push((id, peer));
        }
    }

    fn leave(&self, group: GroupId, id: PeerId) {
        let mut groups = self.0.borrow_mut();
        if let Some(members) = groups.get_mut(&group) {
            members.retain(|(member, _)| *member != id);
            if members.is_empty() {
                groups.remove(&group);
            }
        }
    }

    /// Takes a peer out of all groups: its session is over.
    pub(crate) fn leave_all(&self, id: PeerId) {
        self.0.borrow_mut().retain(|_, members| {
            members.retain(|(member, _)| *member != id);
            !members.is_empty()
        });
    }

    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// Carries out a message of the bulk channel.
///
/// # Errors
/// Where its payload is not made of whole messages.
pub(crate) fn bulk(engine: &Engine, received: Received<RdeToSessionBulk>) -> Result<(), LinkError> {
    match received.message {
        RdeToSessionBulk::Join { group, member } => {
            if let Some(peer) = current(engine, member) {
                engine.groups.join(group, member.peer, peer);
            }
        }
        RdeToSessionBulk::Leave { group, member } => {
            if current(engine, member).is_some() {
                engine.groups.leave(group, member.peer);
            }
        }
        RdeToSessionBulk::Send(runs) => send(engine, &runs, &received.payload)?,
    }
    Ok(())
}

/// Where a run ends in the payload, and what there is up to there.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at: usize,
    updates: u32,
    refreshes: u32,
}

/// Where each run begins, and behind them where the last one ends.
fn marks(runs: &[Run<Target>], payload: &[u8]) -> Result<Vec<Mark>, LinkError> {
    let mut marks = Vec::with_capacity(runs.len() + 1);
    let mut mark = Mark::default();
    marks.push(mark);
    for run in runs {
        let end = mark.at + run.len as usize;
        // The channel checked that the runs' lengths add up to the payload's.
        let (updates, refreshes) = count(payload.get(mark.at..end).unwrap_or_default())?;
        mark = Mark { at: end, updates: mark.updates + updates, refreshes: mark.refreshes + refreshes };
        marks.push(mark);
    }
    Ok(marks)
}

fn send(engine: &Engine, runs: &[Run<Target>], payload: &Bytes) -> Result<(), LinkError> {
    let marks = marks(runs, payload)?;
    let mut marks = &marks[..];
    for span in runs.chunk_by(|a, b| group(a.of).is_some() && group(a.of) == group(b.of)) {
        let (here, next) = (marks, marks.get(span.len()..).unwrap_or_default());
        marks = next;
        match span {
            [Run { of: Target::Peer(source), .. }, ..] => {
                if let Some(peer) = current(engine, *source) {
                    queue(&peer, payload, here, 0..1);
                }
            }
            [run, ..] => to_group(engine, group(run.of), span, payload, here),
            [] => {}
        }
    }
    Ok(())
}

fn group(target: Target) -> Option<GroupId> {
    match target {
        Target::Group(group) | Target::GroupExcept(group, _) => Some(group),
        Target::Peer(_) => None,
    }
}

/// Queues runs for one group. A member gets what lies between the runs that are not for it in one piece: with
/// many members that are also sources, there are as many runs as members.
fn to_group(engine: &Engine, group: Option<GroupId>, runs: &[Run<Target>], payload: &Bytes, marks: &[Mark]) {
    let mut except: Vec<(PeerId, usize)> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        if let Target::GroupExcept(_, peer) = run.of {
            except.push((peer, at));
        }
    }
    except.sort_unstable();
    let groups = engine.groups.0.borrow();
    for (id, peer) in group.and_then(|g| groups.get(&g)).into_iter().flatten() {
        let first = except.partition_point(|(excepted, _)| excepted < id);
        let own = except.iter().skip(first).take_while(|(excepted, _)| excepted == id);
        let mut from = 0;
        for (_, at) in own {
            queue(peer, payload, marks, from..*at);
            from = at + 1;
        }
        queue(peer, payload, marks, from..runs.len());
    }
}

/// What is a smaller part of a datagram than one in so many is copied for the one that gets it.
const SMALL: usize = 8;

/// Queues the runs of a range for one peer.
fn queue(peer: &Peer, payload: &Bytes, marks: &[Mark], runs: Range<usize>) {
    let (Some(from), Some(to)) = (marks.get(runs.start), marks.get(runs.end)) else { return };
    if from.at < to.at {
        let mut bytes = payload.slice(from.at..to.at);
        if bytes.len() < payload.len() / SMALL {
            // A slow reader must not keep a whole datagram for a few octets of it.
            bytes = Bytes::copy_from_slice(&bytes);
        }
        peer.queue_routes(bytes, to.updates - from.updates, to.refreshes - from.refreshes);
    }
}

/// Counts UPDATEs and ROUTE-REFRESHes, once for all who get them, and checks that a run is made of those.
fn count(mut bytes: &[u8]) -> Result<(u32, u32), LinkError> {
    let wrong = || LinkError::out_of_state(Role::Rde, "sends octets that are not whole messages for peers");
    let (mut updates, mut refreshes) = (0, 0);
    while let Some(head) = bytes.first_chunk::<HEADER_LEN>() {
        let header = header::parse(head, bgp::MAX_EXTENDED_MESSAGE).map_err(|_| wrong())?;
        match header.kind {
            MessageType::Update => updates += 1,
            MessageType::RouteRefresh => refreshes += 1,
            _ => return Err(wrong()),
        }
        bytes = bytes.get(usize::from(header.len)..).ok_or_else(wrong)?;
    }
    if bytes.is_empty() { Ok((updates, refreshes)) } else { Err(wrong()) }
}

/// Carries out a message of the control channel.
pub(crate) fn control(engine: &Engine, message: RdeToSession) {
    match message {
        RdeToSession::Consumed(list) => {
            for (source, octets) in list {
                if let Some(peer) = current(engine, source) {
                    peer.credit(octets);
                }
            }
        }
        RdeToSession::Notify { source, code, subcode, data, reason } => {
            if let Some(peer) = current(engine, source) {
                peer.notify(bgp::Notification { code, subcode, data }, reason);
            }
        }
        RdeToSession::NothingKept(source) => {
            if let Some(peer) = engine.peer(source.peer) {
                peer.nothing_kept(source.epoch);
            }
        }
        RdeToSession::OverLimit { source, direction, family, limit } => {
            if let Some(peer) = current(engine, source) {
                let direction = match direction {
                    Direction::Received => fsm::Direction::Received,
                    Direction::Advertised => fsm::Direction::Advertised,
                };
                peer.input(Input::OverLimit(Exceeded { direction, family, limit }));
            }
        }
    }
}

/// The peer, if this incarnation of it is still there. rde can't know yet that it is not.
fn current(engine: &Engine, source: Source) -> Option<Rc<Peer>> {
    engine.peer(source.peer).filter(|peer| peer.epoch() == Some(source.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_updates_and_refreshes_are_taken_from_rde() {
        let message = |kind, body: &[u8]| {
            let mut out = Vec::new();
            let start = header::write(&mut out, kind);
            out.extend_from_slice(body);
            header::finish(&mut out, start);
            out
        };
        let update = message(MessageType::Update, &[0; 4]);
        let refresh = message(MessageType::RouteRefresh, &[0, 1, 0, 1]);
        let good = [update.clone(), refresh, update.clone()].concat();
        assert_eq!(count(&good).ok(), Some((2, 1)));
        assert_eq!(count(&[]).ok(), Some((0, 0)));
        assert!(count(&good[..good.len() - 1]).is_err());
        assert!(count(&good[1..]).is_err());
        assert!(count(&header::KEEPALIVE).is_err());
    }
}
