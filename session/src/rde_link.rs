//! The two channels to rde: greeting, the tasks that serve them, and what happens when rde goes away.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bgp::Notification;
use bgp::notification::cease;
use ipc::channel::{Receiver, Sender};
use ipc::session_rde::{RdeToSession, RdeToSessionBulk, SessionToRde, SessionToRdeBulk};
use ipc::{Link, LinkError, Role};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::from_rde;

/// How many messages are taken before others get their turn.
const BURST: usize = 16;

/// How long sessions are left alone after rde was lost. All engines end with the parent, rde perhaps first:
/// then this process ends within this time, and no neighbor is told of a restart that is none.
const GRACE: Duration = Duration::from_millis(100);

/// Serves a pair of channels until one of them breaks. `old` serves the pair before.
pub(crate) fn serve(
    engine: &Rc<Engine>,
    old: Option<JoinHandle<()>>,
    bulk: OwnedFd,
    control: OwnedFd,
) -> JoinHandle<()> {
    let engine = Rc::clone(engine);
    tokio::task::spawn_local(async move {
        if let Some(old) = old {
            old.abort();
            // Aborted or ended before: gone in both cases.
            let _ = old.await;
        }
        let error = match greet(bulk, control).await {
            Ok((bulk, control)) => run(&engine, bulk, control).await,
            Err(error) => error,
        };
        tracing::error!(%error, "the channel to the routing engine is lost");
    })
}

type Bulk = Link<SessionToRdeBulk, RdeToSessionBulk>;
type Control = Link<SessionToRde, RdeToSession>;

async fn greet(bulk: OwnedFd, control: OwnedFd) -> Result<(Bulk, Control), LinkError> {
    let io = |error| LinkError::Io { with: Role::Rde, error };
    let mut bulk = Bulk::from_fd(bulk, Role::Rde).map_err(io)?;
    let mut control = Control::from_fd(control, Role::Rde).map_err(io)?;
    bulk.greet(Role::Session).await?;
    control.greet(Role::Session).await?;
    Ok((bulk, control))
}

async fn run(engine: &Rc<Engine>, bulk: Bulk, control: Control) -> LinkError {
    let (bulk_tx, bulk_rx): (Sender<SessionToRdeBulk>, _) = bulk.split();
    let (control_tx, control_rx): (Sender<SessionToRde>, _) = control.split();
    engine.to_rde.open(bulk_tx);
    let _closed = CloseOnDrop(engine);
    engine.set_open(true);
    engine.all_peers().iter().for_each(|p| p.start());
    let error = tokio::select! {
        error = engine.to_rde.flush() => error,
        error = engine.send_written(control_tx) => error,
        error = receive_control(engine, control_rx) => error,
        error = receive_bulk(engine, bulk_rx) => error,
    };
    tokio::time::sleep(GRACE).await;
    error
}

/// Without rde a session has no use: its routes are gone and nobody takes new ones.
struct CloseOnDrop<'a>(&'a Rc<Engine>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_open(false);
        self.0.to_rde.close();
        let text = "the routing engine restarts";
        let notification = Notification::cease_with_text(cease::ADMINISTRATIVE_RESET, text);
        self.0.all_peers().iter().for_each(|p| p.stop(notification.clone()));
        self.0.groups.clear();
    }
}

async fn receive_control(engine: &Engine, mut link: Receiver<RdeToSession>) -> LinkError {
    loop {
        match link.recv().await {
            Ok(received) => from_rde::control(engine, received.message),
            Err(error) => return error,
        }
    }
}

async fn receive_bulk(engine: &Engine, mut link: Receiver<RdeToSessionBulk>) -> LinkError {
    loop {
        for _ in 0..BURST {
            let result = match link.recv().await {
                Ok(received) => from_rde::bulk(engine, received),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return error;
            }
        }
        tokio::task::yield_now().await;
    }
}
