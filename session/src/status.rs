//! Answers control's questions: what sessions are doing.

use std::time::Instant;

use ipc::control_session::{Agreed, ControlToSession, FsmState, PeerStatus, SessionToControl};
use ipc::{PeerId, QueryId};

use crate::engine::Engine;
use crate::peer::Peer;

/// How many octets of estimated size go into one answer, well below the largest datagram.
const PAGE: usize = 48 * 1024;

/// The longest error text that is shown, in characters.
const MAX_TEXT: usize = 512;

/// The answer's pages.
pub(crate) fn answer(engine: &Engine, question: &ControlToSession) -> Vec<SessionToControl> {
    match *question {
        ControlToSession::Peers { id, peer } => peers(engine, id, peer),
        ControlToSession::Errors { id, peer } => {
            let errors = engine.peer(peer).map_or_else(Vec::new, |p| p.state().stats.ended.all());
            vec![SessionToControl::ErrorsReply { id, errors }]
        }
        ControlToSession::Traffic { id } => {
            vec![SessionToControl::TrafficReply {
                id,
                traffic: ipc::figures::traffic(),
                gone: engine.gone.get(),
            }]
        }
    }
}

fn peers(engine: &Engine, id: QueryId, peer: Option<PeerId>) -> Vec<SessionToControl> {
    let asked = match peer {
        Some(peer) => engine.peer(peer).into_iter().collect(),
        None => engine.all_peers(),
    };
    let mut pages = vec![Vec::new()];
    let mut size = 0;
    for status in asked.iter().map(|p| status(p)) {
        let len = estimate(&status);
        if size + len > PAGE {
            pages.push(Vec::new());
            size = 0;
        }
        size += len;
        if let Some(page) = pages.last_mut() {
            page.push(status);
        }
    }
    let last = pages.len() - 1;
    let reply = |(i, peers)| SessionToControl::PeersReply { id, peers, last: i == last };
    pages.into_iter().enumerate().map(reply).collect()
}

/// At least the encoded size.
fn estimate(status: &PeerStatus) -> usize {
    let texts = status.capabilities_received.iter().chain(&status.capabilities_sent);
    let told = [&status.notification_received, &status.notification_sent];
    let told = told.into_iter().flatten().map(|n| n.text.len());
    let counted = 24 * (status.notifications.len() + status.transitions.len());
    320 + counted + status.last_error.len() + told.sum::<usize>() + texts.map(|t| t.len() + 3).sum::<usize>()
}

fn status(peer: &Peer) -> PeerStatus {
    let state = peer.state();
    let stats = &state.stats;
    let established = state.fsm.established();
    let session = established.map(|(_, session)| session);
    let conn = match established {
        Some((id, _)) => state.conns.iter().find(|c| c.id == id),
        None => state.conns.first(),
    };
    let uptime = stats.since.map_or(0, |since| Instant::now().saturating_duration_since(since).as_secs());
    PeerStatus {
        peer: peer.id,
        remote_asn: session.map_or(state.config.remote_asn, |s| s.remote_asn.0),
        state: fsm_state(state.fsm.state()),
        disabled: state.disabled,
        held: state.fsm.is_held(),
        uptime_seconds: uptime,
        flap_count: stats.flaps,
        last_error: stats.error().chars().take(MAX_TEXT).collect(),
        notification_received: stats.notification_received.clone(),
        notification_sent: stats.notification_sent.clone(),
        next_attempt: state.fsm.next_attempt().map(|at| {
            let left = at.saturating_duration_since(Instant::now()).as_secs_f32().ceil();
            // No wait is longer than 16 bits of seconds.
            left as u32
        }),
        received: stats.received,
        sent: stats.sent,
        hold_time: session.map_or(0, |s| s.hold_time.seconds()),
        send_hold_time: session
            .and_then(|s| state.fsm.settings().send_hold.time(s.hold_time))
            .map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX)),
        keepalive: session
            .and_then(|s| state.fsm.settings().keepalive_interval(s.hold_time))
            // No hold time is longer than 16 bits of seconds.
            .map_or(0, |t| t.as_secs_f32().round() as u16),
        families: session.map_or(bgp::FamilySet::EMPTY, |s| s.families),
        agreed: session.map(agreed),
        add_path_receive: session.map_or(bgp::FamilySet::EMPTY, |s| s.add_path_receive),
        add_path_send: session.map_or(bgp::FamilySet::EMPTY, |s| s.add_path_send),
        capabilities_received: session.map_or(Vec::new(), |s| texts(&s.capabilities)),
        capabilities_sent: texts(&state.fsm.our_open().capabilities),
        local: conn.map(|c| c.local),
        remote: conn.map(|c| c.remote),
        router_id: session.map(|s| s.router_id.0),
        peer_role: session.map(fsm::Session::peer_role).unwrap_or_default(),
        queued_octets: conn.map_or(0, |c| c.outbox.route_octets()),
        notifications: stats.tally.notifications(),
        transitions: stats.tally.transitions(),
    }
}

fn agreed(session: &fsm::Session) -> Agreed {
    let restart = session.restart;
    Agreed {
        four_octet_as: session.four_octet_as,
        route_refresh: session.route_refresh,
        enhanced_refresh: session.enhanced_refresh,
        extended_messages: usize::from(session.max_message) > bgp::MAX_MESSAGE,
        extended_next_hop: session.extended_next_hop,
        restart_time: restart.map(|r| r.restart_time),
        restart_families: restart.map_or(bgp::FamilySet::EMPTY, |r| r.families),
        restart_notification: restart.is_some_and(|r| r.notification),
    }
}

fn texts(capabilities: &[bgp::capability::Capability]) -> Vec<String> {
    capabilities.iter().map(ToString::to_string).collect()
}

pub(crate) fn fsm_state(state: fsm::State) -> FsmState {
    match state {
        fsm::State::Idle => FsmState::Idle,
        fsm::State::Connect => FsmState::Connect,
        fsm::State::Active => FsmState::Active,
        fsm::State::OpenSent => FsmState::OpenSent,
        fsm::State::OpenConfirm => FsmState::OpenConfirm,
        fsm::State::Established => FsmState::Established,
    }
}
