//! Accepts connections on listeners that the parent bound. Who is no peer is closed at once, unless the address is in a
//! range of dynamic peers (`candidates`); who is one gets so many and no more, and all together do as well.
//!
//! What there can be at a time: one connection of a peer that has not told who it is (the next one takes its
//! place), and those that are on their way to their end, which are counted.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fsm::{ConnId, Input};
use tokio::net::{TcpListener, TcpStream};

use crate::engine::Engine;
use crate::limits::{LogLimit, Rate};
use crate::peer::Peer;

/// How long to wait after an error that will last, such as having no fds left.
const PAUSE: Duration = Duration::from_millis(100);

/// How often all listeners accept, 10,000 times a second: turning a stranger away costs little, so that strangers must
/// be many before they fill the kernel's queue, where a peer's connection waits for its turn like theirs.
const TOTAL: Rate = Rate::new(Duration::from_micros(100), 2000);

/// How often one peer may connect: often enough for one that comes back at once after each of many errors.
pub(crate) const PER_PEER: Rate = Rate::new(Duration::from_millis(100), 100);

/// Connections of one peer, and of all together, that are being closed.
const CLOSING_PER_PEER: usize = 16;
pub(crate) const CLOSING: usize = 1024;

/// What all listeners share.
#[derive(Debug)]
pub(crate) struct Gate {
    rate: RefCell<Rate>,
    errors: LogLimit,
    unknown: LogLimit,
    refused: LogLimit,
    distant: LogLimit,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            rate: RefCell::new(TOTAL),
            errors: LogLimit::default(),
            unknown: LogLimit::default(),
            refused: LogLimit::default(),
            distant: LogLimit::default(),
        }
    }
}

/// Accepts for as long as the process runs.
///
/// # Errors
/// Where the fd is no listening socket.
pub(crate) fn listen(engine: &Rc<Engine>, fd: OwnedFd) -> std::io::Result<()> {
    let listener = std::net::TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let engine = Rc::clone(engine);
    tokio::task::spawn_local(async move {
        loop {
            let accepted = listener.accept().await;
            match accepted {
                Ok((stream, remote)) => engine.gate.accepted(&engine, stream, remote.ip().to_canonical()),
                Err(error) => {
                    if let Some(left_out) = engine.gate.errors.admit(Instant::now(), NOBODY) {
                        tracing::warn!(%error, left_out, "cannot accept a connection");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            engine.gate.turn().await;
        }
    });
    Ok(())
}

/// Stands for no address in particular.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Gate {
    /// Waits until another connection may be accepted.
    async fn turn(&self) {
        loop {
            let taken = self.rate.borrow_mut().take(Instant::now());
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    fn accepted(&self, engine: &Engine, stream: TcpStream, remote: IpAddr) {
        if engine.leaving.get() {
            return;
        }
        let now = Instant::now();
        match engine.peer_at(remote) {
            Some(peer) => match peer.admit(engine, now) {
                Ok(()) => peer.accepted(stream, self),
                Err(why) => {
                    drop(stream);
                    if let Some(left_out) = self.refused.admit(now, remote) {
                        tracing::warn!(peer_addr = %remote, left_out, why, "connection of a neighbor closed");
                    }
                }
            },
            None if engine.candidates.concerns(remote) => engine.candidates.connected(stream, remote),
            None => {
                drop(stream);
                if let Some(left_out) = self.unknown.admit(now, remote) {
                    tracing::warn!(
                        address = %remote,
                        left_out,
                        "connection from an unknown address closed; to add it: \
                         rustbgpctl neighbor {remote} add --asn N"
                    );
                }
            }
        }
    }
}

impl Peer {
    fn admit(&self, engine: &Engine, now: Instant) -> Result<(), &'static str> {
        if self.closing.count() >= CLOSING_PER_PEER {
            return Err("too many of its connections are still being closed");
        }
        if engine.closing.count() >= CLOSING {
            return Err("too many connections are still being closed");
        }
        self.accepts.borrow_mut().take(now).map_err(|_| "it connects too often")
    }

    /// The peer connected to us.
    fn accepted(&self, stream: TcpStream, gate: &Gate) {
        if let Some(conn) = self.take_over(stream, gate) {
            self.input(Input::Accepted(conn));
        }
    }

    /// The connection that makes a dynamic peer, which is over at once where it is of no use.
    pub(crate) fn begin_with(&self, stream: TcpStream, gate: &Gate) {
        let conn = self.take_over(stream, gate);
        self.start();
        match conn {
            Some(conn) => self.input(Input::Accepted(conn)),
            None => self.input(Input::Timer),
        }
    }

    fn take_over(&self, stream: TcpStream, gate: &Gate) -> Option<ConnId> {
        let min_ttl = self.state().config.min_ttl;
        if let Some(least) = min_ttl
            && let Err(why) = guard(&stream, self.address, least)
        {
            if let Some(left_out) = gate.distant.admit(Instant::now(), self.address) {
                tracing::warn!(peer_addr = %self.address, left_out, why, "connection of a neighbor closed: GTSM");
            }
            return None;
        }
        self.adopt(stream)
    }
}

/// Lets in what comes from near enough only (RFC 5082). The limit on a socket holds for what arrives from then on;
/// whether the connection began well is told by its SYN, where the kernel has kept that. It has not where it
/// answered with a SYN cookie.
fn guard(stream: &TcpStream, peer: IpAddr, least: u8) -> Result<(), String> {
    ipc::sockopt::set_min_ttl(stream, peer, least).map_err(|e| format!("cannot set the least TTL: {e}"))?;
    match ipc::sockopt::saved_syn_ttl(stream) {
        Ok(Some(ttl)) if ttl < least => Err(format!("its SYN has TTL {ttl}, less than {least}")),
        Ok(_) => Ok(()),
        Err(e) => Err(format!("cannot ask for its SYN: {e}")),
    }
}
