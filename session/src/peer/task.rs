//! A peer's task: it polls the connections, writes what is queued for them, and looks at the clock. Reading is in
//! `receive`.

use std::task::{Context, Poll};

use fsm::Input;

use super::{Peer, State, adopt, count_sent, now};
use crate::stream::Conn;

/// For every so many written octets rde is told.
const REPORT: u64 = 64 * 1024;

impl Peer {
    /// The task: connects, reads, writes and looks at the clock until there is nothing to wait for.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let state = &mut *self.state.borrow_mut();
        self.poll_connecting(state, cx);
        self.poll_reads(state, cx);
        self.poll_timers(state, cx);
        self.poll_writes(state, cx);
        if state.removed && state.conns.is_empty() {
            let [received, sent] = self.engine.gone.get();
            let (all, more) = (&self.engine.gone, &state.stats);
            all.set([received + more.received.update, sent + more.sent.update]);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_connecting(&self, state: &mut State, cx: &mut Context<'_>) {
        let Some((_, stream)) = &state.connecting else { return };
        let Poll::Ready(ready) = stream.poll_write_ready(cx) else { return };
        let failed = ready.and_then(|()| stream.take_error()).unwrap_or_else(Some);
        let Some((attempt, stream)) = state.connecting.take() else { return };
        let result = match failed {
            Some(error) => Err(error),
            None => adopt(state, stream),
        };
        match result {
            Ok(conn) => self.handle(state, Input::Connected { attempt, conn }),
            Err(error) => self.no_connection(state, attempt, &error.to_string()),
        }
    }

    fn poll_timers(&self, state: &mut State, cx: &mut Context<'_>) {
        while let Some(deadline) = state.fsm.next_deadline() {
            if deadline > now() {
                match &mut state.sleep {
                    // One that is early finds nothing due and is set again: cheaper than moving it with every
                    // message.
                    Some(sleep) if sleep.deadline().into_std() <= deadline && !sleep.is_elapsed() => {}
                    Some(sleep) => sleep.as_mut().reset(deadline.into()),
                    none => *none = Some(Box::pin(tokio::time::sleep_until(deadline.into()))),
                }
                match state.sleep.as_mut().map(|s| s.as_mut().poll(cx)) {
                    Some(Poll::Ready(())) => continue,
                    _ => return,
                }
            }
            // Octets that we didn't read are a sign of life.
            if let Some(conn) = state.fsm.silent(now())
                && state.conns.iter().any(|c| c.id == conn && c.has_unread())
            {
                self.handle(state, Input::Alive(conn));
                continue;
            }
            if let Some(conn) = state.fsm.stuck(now()) {
                // Perhaps it was us who did not come to writing.
                self.poll_writes(state, cx);
                if let Some(at) = state.conns.iter().find(|c| c.id == conn).map(Conn::taken) {
                    self.handle(state, Input::Taken { conn, at });
                }
            }
            self.handle(state, Input::Timer);
        }
    }

    fn poll_writes(&self, state: &mut State, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(conn) = state.conns.get_mut(at) {
            let mut routes = 0;
            let sent = &mut state.stats.sent;
            let result = conn.poll_write(cx, &mut routes, |kind| count_sent(sent, kind));
            let rest = conn.outbox.route_octets();
            if routes > 0 {
                self.wrote(routes, rest == 0);
            }
            match result {
                Poll::Ready(Err(error)) => {
                    let conn = conn.id;
                    self.handle(state, Input::Lost { conn, error: error.to_string() });
                    // Another connection may be there now in its place.
                    cx.waker().wake_by_ref();
                    return;
                }
                _ => at += 1,
            }
        }
    }

    fn wrote(&self, octets: u64, empty: bool) {
        self.written.set(self.written.get() + octets);
        if (empty || self.written.get() >= REPORT) && !self.reporting.replace(true) {
            self.engine.report_written(self.id);
        }
    }
}
