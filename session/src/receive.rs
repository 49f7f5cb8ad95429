//! Reads a peer's sockets: session messages go to its state machine, UPDATEs and ROUTE-REFRESHes unparsed into
//! the frame for rde.

use std::task::{Context, Poll};

use bgp::header::{HEADER_LEN, MessageType};
use fsm::{ConnId, Input};
use ipc::channel::BATCH;
use ipc::control_session::MessageCounts;
use ipc::session_rde::RECEIVE_WINDOW;

use crate::engine::{LEAST_READ, READ};
use crate::peer::{Peer, State};
use crate::stream::{Read, next_message};

/// How often one peer's socket is read before others get their turn.
const READS: usize = 4;

impl Peer {
    /// Reads what there is, within the bounds.
    pub(crate) fn poll_reads(&self, state: &mut State, cx: &mut Context<'_>) {
        let ids: [Option<ConnId>; 2] = [0, 1].map(|i| state.conns.get(i).map(|c| c.id));
        for id in ids.into_iter().flatten() {
            self.poll_read(state, id, cx);
        }
    }

    fn poll_read(&self, state: &mut State, id: ConnId, cx: &mut Context<'_>) {
        for _ in 0..READS {
            let left = RECEIVE_WINDOW.saturating_sub(self.outstanding.get());
            if left < LEAST_READ || self.engine().to_rde.is_full(self.id, cx.waker()) {
                return;
            }
            let Some(conn) = state.conns.iter_mut().find(|c| c.id == id) else { return };
            let buffer = &mut *self.engine().scratch.borrow_mut();
            let most = usize::try_from(left).map_or(READ, |left| left.min(READ));
            match conn.poll_read(cx, buffer, most) {
                Poll::Pending => return,
                Poll::Ready(Read::Octets(n)) => self.octets(state, id, buffer.get(..n).unwrap_or(&[])),
                Poll::Ready(Read::Over(error)) => {
                    return self.handle(state, Input::Lost { conn: id, error });
                }
            }
        }
        // There may be more, but others wait as well.
        cx.waker().wake_by_ref();
    }

    /// Cuts octets into messages. A run of messages for rde is copied once.
    fn octets(&self, state: &mut State, id: ConnId, octets: &[u8]) {
        let mut at = 0;
        let mut run = 0;
        let mut room = self.engine().to_rde.room();
        let mut established = is_established(state, id);
        let mut longest = state.fsm.longest(id);
        loop {
            let rest = octets.get(at..).unwrap_or(&[]);
            let header = match next_message(rest, longest) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(notification) => {
                    self.forward(octets.get(run..at));
                    let detail = format!("header {}", hex(rest.get(..HEADER_LEN).unwrap_or(rest)));
                    return self.handle(state, Input::Fault { conn: id, notification, detail });
                }
            };
            let end = at + usize::from(header.len);
            count_received(&mut state.stats.received, header.kind);
            match header.kind {
                MessageType::Update | MessageType::RouteRefresh if established => {
                    if end - run > room {
                        self.forward(octets.get(run..at));
                        self.engine().to_rde.seal();
                        room = BATCH;
                        run = at;
                    }
                }
                kind => {
                    room = room.saturating_sub(self.forward(octets.get(run..at)));
                    run = end;
                    let body = octets.get(at + HEADER_LEN..end).unwrap_or(&[]);
                    self.handle(state, Input::Received { conn: id, kind: kind as u8, body });
                    if !state.conns.iter().any(|c| c.id == id) {
                        return;
                    }
                    established = is_established(state, id);
                    longest = state.fsm.longest(id);
                }
            }
            at = end;
        }
        self.forward(octets.get(run..at));
        if at > 0 && established {
            self.handle(state, Input::Alive(id));
        }
        if let Some(conn) = state.conns.iter_mut().find(|c| c.id == id) {
            conn.keep(octets.get(at..).unwrap_or(&[]));
        }
    }

    /// Appends a run of messages to the frame for rde and returns its length.
    fn forward(&self, run: Option<&[u8]>) -> usize {
        match (run, self.source()) {
            (Some(run @ [_, ..]), Some(source)) => {
                self.outstanding.set(self.outstanding.get() + run.len() as u64);
                self.engine().to_rde.append(source, run);
                run.len()
            }
            _ => 0,
        }
    }
}

fn is_established(state: &State, id: ConnId) -> bool {
    state.fsm.established().is_some_and(|(conn, _)| conn == id)
}

fn count_received(received: &mut MessageCounts, kind: MessageType) {
    match kind {
        MessageType::Open => received.open += 1,
        MessageType::Update => received.update += 1,
        MessageType::Notification => received.notification += 1,
        MessageType::Keepalive => received.keepalive += 1,
        MessageType::RouteRefresh => received.route_refresh += 1,
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
