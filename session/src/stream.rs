//! One TCP connection: reading at message boundaries, vectored writing.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bgp::header::{self, HEADER_LEN, Header};
use fsm::ConnId;
use tokio::net::TcpStream;

use crate::outbox::{Kind, MAX_SLICES, Outbox};

/// A connection and its queues.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) stream: TcpStream,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The beginning of a message whose end has not arrived.
    partial: Vec<u8>,
    pub(crate) outbox: Outbox,
    /// When the socket last took something.
    taken: Instant,
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// So many octets are in the buffer, those of the last read's partial message included.
    Octets(usize),
    /// The connection is over.
    Over(String),
}

impl Conn {
    /// # Errors
    /// Where the socket is not connected (any more).
    pub(crate) fn new(id: ConnId, stream: TcpStream) -> io::Result<Conn> {
        let canonical = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
        let (local, remote) = (canonical(stream.local_addr()?), canonical(stream.peer_addr()?));
        stream.set_nodelay(true)?;
        let (outbox, taken) = (Outbox::default(), Instant::now());
        Ok(Conn { id, stream, local, remote, partial: Vec::new(), outbox, taken })
    }

    /// Reads up to `most` octets into the buffer, behind the message that the last read ended in.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], most: usize) -> Poll<Read> {
        let before = self.partial.len();
        if let Some(head) = buffer.get_mut(..before) {
            head.copy_from_slice(&self.partial);
        }
        loop {
            if let Err(e) = ready!(self.stream.poll_read_ready(cx)) {
                return Poll::Ready(Read::Over(e.to_string()));
            }
            let end = before.saturating_add(most).min(buffer.len());
            let space = buffer.get_mut(before..end).unwrap_or_default();
            match self.stream.try_read(space) {
                Ok(0) => return Poll::Ready(Read::Over("closed by the peer".to_owned())),
                Ok(n) => return Poll::Ready(Read::Octets(before + n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Read::Over(e.to_string())),
            }
        }
    }

    /// Keeps the message that a read ended in for the next one.
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.partial.clear();
        self.partial.extend_from_slice(rest);
    }

    /// Whether octets wait in the socket.
    pub(crate) fn has_unread(&self) -> bool {
        use nix::sys::socket::{MsgFlags, recv};
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.stream.as_raw_fd(), &mut [0], flags).is_ok_and(|n| n > 0)
    }

    /// When the socket last took something, or now where there is nothing to take.
    pub(crate) fn taken(&self) -> Instant {
        if self.outbox.is_empty() { Instant::now() } else { self.taken }
    }

    /// Writes what the socket takes. Ready where nothing is left or the connection is broken. Returns how many
    /// octets of routes were written, by `routes`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        routes: &mut u64,
        mut finished: impl FnMut(Kind),
    ) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let n = self.outbox.fill(&mut slices);
            match self.stream.try_write_vectored(slices.get(..n).unwrap_or_default()) {
                Ok(n) => {
                    *routes += self.outbox.advance(n, &mut finished);
                    self.taken = Instant::now();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The next whole message, of at most `longest` octets, at the beginning of `octets`; `None` where its end has
/// not arrived.
///
/// # Errors
/// See [`header::parse`].
#[inline]
pub(crate) fn next_message(octets: &[u8], longest: usize) -> Result<Option<Header>, bgp::Notification> {
    let Some(head) = octets.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let header = header::parse(head, longest)?;
    Ok((octets.len() >= usize::from(header.len)).then_some(header))
}
