//! Accepts connections on listeners that the parent bound. Who is not a configured peer is closed at once.

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::engine::Engine;

/// How long to wait after an error that will last, such as having no fds left.
const PAUSE: Duration = Duration::from_millis(100);

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
        let log = RateLimit::default();
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => match engine.peer_at(remote.ip()) {
                    Some(peer) => peer.accepted(stream),
                    None => {
                        drop(stream);
                        log.unknown(remote.ip().to_canonical());
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    Ok(())
}

/// At most [`RateLimit::LINES`] log lines in each [`RateLimit::WINDOW`].
#[derive(Debug, Default)]
struct RateLimit(RefCell<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl RateLimit {
    const WINDOW: Duration = Duration::from_secs(10);
    const LINES: u32 = 5;

    fn unknown(&self, address: IpAddr) {
        let Some(left_out) = self.admit(Instant::now()) else { return };
        tracing::warn!(
            %address,
            left_out,
            "connection from an unknown address closed; to add it: rustbgpctl neighbor {address} add --asn N"
        );
    }

    /// How many lines were left out before this one, or `None` where this one is left out as well.
    fn admit(&self, now: Instant) -> Option<u64> {
        let window = &mut *self.0.borrow_mut();
        if window.began.is_none_or(|began| now.saturating_duration_since(began) >= Self::WINDOW) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines >= Self::LINES {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_unknown_connections_logs_a_few_lines_and_counts_the_rest() {
        let limit = RateLimit::default();
        let start = Instant::now();
        let admitted = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(admitted, 5);
        assert_eq!(limit.admit(start + RateLimit::WINDOW), Some(995));
        assert_eq!(limit.admit(start + RateLimit::WINDOW), Some(0));
    }
}
