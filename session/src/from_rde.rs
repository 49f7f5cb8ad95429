//! Shares the bytes that rde sends among the peers that they are for, and keeps the groups of peers that are
//! sent the same.
//!
//! The bulk channel is always read: what a slow peer doesn't take waits in its own queue, and rde, which hears
//! what was written, stops sending to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bgp::header::{self, HEADER_LEN, MessageType};
use bytes::Bytes;
use ipc::session_rde::{RdeToSession, RdeToSessionBulk, Run, Source, Target};
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

fn send(engine: &Engine, runs: &[Run<Target>], payload: &Bytes) -> Result<(), LinkError> {
    let mut at = 0;
    for run in runs {
        let end = at + run.len as usize;
        // The channel checked that the runs' lengths add up to the payload's.
        let bytes = payload.slice(at..end);
        at = end;
        let (updates, refreshes) = count(&bytes)?;
        match run.of {
            Target::Peer(source) => {
                if let Some(peer) = current(engine, source) {
                    peer.queue_routes(bytes, updates, refreshes);
                }
            }
            Target::Group(group) => to_group(engine, group, None, &bytes, updates, refreshes),
            Target::GroupExcept(group, except) => {
                to_group(engine, group, Some(except), &bytes, updates, refreshes);
            }
        }
    }
    Ok(())
}

fn to_group(
    engine: &Engine,
    group: GroupId,
    except: Option<PeerId>,
    bytes: &Bytes,
    updates: u32,
    refreshes: u32,
) {
    let groups = engine.groups.0.borrow();
    for (id, peer) in groups.get(&group).into_iter().flatten() {
        if Some(*id) != except {
            peer.queue_routes(bytes.clone(), updates, refreshes);
        }
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
