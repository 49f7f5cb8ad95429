//! Clients' connections: who may have one, how many there are, and for how long one may ask for nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use ipc::config::AllowedPeers;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

use crate::authority::Filter;

/// Connections at a time on one listener. More wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// How long a connection may be without a request that is let through.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause after a failed accept, such as when there are no fds left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are refused are logged once in this time, and counted in between.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Whose processes a Unix socket lets in. All others are gone before anything is read from them.
#[derive(Debug)]
pub(crate) struct Allowed {
    peers: AllowedPeers,
    /// When a refusal was logged last.
    logged: Option<Instant>,
    left_out: u64,
}

impl Allowed {
    /// These.
    pub(crate) fn new(peers: AllowedPeers) -> Allowed {
        Allowed { peers, logged: None, left_out: 0 }
    }

    fn lets_in(&mut self, stream: &UnixStream) -> bool {
        if self.peers.is_everybody() {
            return true;
        }
        let peer = match stream.peer_cred() {
            Ok(peer) => peer,
            Err(error) => {
                self.log(
                    |left_out| tracing::warn!(%error, left_out, "cannot tell whose a connection is: closed"),
                );
                return false;
            }
        };
        let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid());
        let by_group = |gid: &u32| self.peers.gids.contains(gid);
        if self.peers.uids.contains(&uid)
            || by_group(&gid)
            || !self.peers.gids.is_empty()
                && ipc::sockopt::peer_groups(stream).is_ok_and(|groups| groups.iter().any(by_group))
        {
            return true;
        }
        self.log(|left_out| {
            let why = "neither allow_uids nor allow_gids has it";
            tracing::warn!(uid, gid, pid, left_out, why, "connection to the gRPC socket closed");
        });
        false
    }

    /// Logs a refusal with how many others were not, unless one was logged a moment ago.
    fn log(&mut self, line: impl FnOnce(u64)) {
        let now = Instant::now();
        if self.logged.is_some_and(|at| now.duration_since(at) < LOG_INTERVAL) {
            self.left_out += 1;
            return;
        }
        self.logged = Some(now);
        line(std::mem::take(&mut self.left_out));
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Acceptor {
    /// A Unix socket, for these processes.
    Unix(UnixListener, Allowed),
    /// A TCP port.
    Tcp(TcpListener),
}

impl Acceptor {
    async fn accept(&mut self) -> io::Result<Socket> {
        match self {
            Acceptor::Unix(l, allowed) => loop {
                let stream = l.accept().await?.0;
                if allowed.lets_in(&stream) {
                    return Ok(Socket::Unix(stream, Box::new(Filter::new())));
                }
            },
            Acceptor::Tcp(l) => {
                let stream = l.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// Connections as they come, never more than [`MAX_CONNECTIONS`] at a time.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        futures_util::stream::unfold((self, room), |(mut acceptor, room)| async move {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            loop {
                match acceptor.accept().await {
                    Ok(socket) => {
                        let connection = Connection {
                            socket,
                            admission: Admission::default(),
                            patience: Box::pin(tokio::time::sleep(PATIENCE)),
                            _permit: permit,
                        };
                        return Some((Ok(connection), (acceptor, room)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a client");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
    }
}

/// Whether a connection has had a request that was let through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(Arc<AtomicBool>);

impl Admission {
    /// It has.
    pub(crate) fn grant(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_granted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client's connection. It ends where the client does not ask for anything that it may have within [`PATIENCE`]: whoever
/// only holds a place, whatever is sent meanwhile, holds it no longer than that.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    admission: Admission,
    patience: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream, Box<Filter>),
    Tcp(TcpStream),
}

impl Connected for Connection {
    type ConnectInfo = Admission;

    fn connect_info(&self) -> Admission {
        self.admission.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Once it is granted nobody looks at the clock any more.
        if !self.admission.is_granted() && self.patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.socket {
            Socket::Unix(stream, filter) => poll_read_filtered(Pin::new(stream), filter, cx, buf),
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

fn poll_read_filtered(
    mut stream: Pin<&mut UnixStream>,
    filter: &mut Filter,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    while !filter.is_ready() {
        let mut space = [0; 8192];
        let mut arrived = ReadBuf::new(&mut space);
        ready!(stream.as_mut().poll_read(cx, &mut arrived))?;
        if arrived.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        filter.push(arrived.filled());
    }
    filter.drain_into(buf);
    Poll::Ready(Ok(()))
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_write(cx, data),
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_write_vectored(cx, data),
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_flush(cx),
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
