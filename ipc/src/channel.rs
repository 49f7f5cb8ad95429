//! The channel between two processes: typed messages over a `SOCK_SEQPACKET` pair.
//!
//! A datagram is a postcard-encoded header (one value of the direction's enum), followed by the raw
//! octets that the header says belong to it, with the fds that the header says ride along. Nothing may
//! be missing and nothing may be left over.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::coop::unconstrained;
use tokio_seqpacket::UnixSeqpacket;
use tokio_seqpacket::ancillary::{AncillaryMessageWriter, OwnedAncillaryMessage};

use crate::buffers::Buffers;
use crate::figures;
use crate::hello::{BUILD, Hello, PROTOCOL, Role};

/// The largest datagram, in octets, sent or accepted: a batch that is all but full, one more message of 65535
/// octets (RFC 8654), and the header.
pub const MAX_DATAGRAM: usize = 192 * 1024;

/// How full a batch should be before it is sent, in octets: datagrams of this size move most octets per
/// CPU second.
pub const BATCH: usize = 64 * 1024;

/// What a datagram is received into, in octets: a batch and its header.
const RECEIVE: usize = BATCH + 8 * 1024;

/// The most fds that one message carries.
pub const MAX_FDS: usize = 5;

const ANCILLARY: usize = 128;
const SEND_BUFFER: usize = 1 << 20;

/// A message of one direction of one pair.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// How many raw octets follow the header.
    fn payload_len(&self) -> usize {
        0
    }

    /// How many fds ride along.
    fn fd_count(&self) -> usize {
        0
    }
}

/// What went wrong on a channel. Everything but `Io` and `TooLarge` is the other side's doing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side is gone.
    #[error("{0} closed its end", .with.name())]
    Closed {
        /// The other side.
        with: Role,
    },
    /// A system call failed.
    #[error("channel to {}: {error}", .with.name())]
    Io {
        /// The other side.
        with: Role,
        /// How.
        error: io::Error,
    },
    /// Our own message does not fit into a datagram.
    #[error("message of {len} octets for {} is larger than {MAX_DATAGRAM}", .with.name())]
    TooLarge {
        /// The other side.
        with: Role,
        /// Its size.
        len: usize,
    },
    /// The other side sent what it must not: its process can't be trusted any more.
    #[error("{} misbehaved: {what}", .by.name())]
    Misbehaved {
        /// Who.
        by: Role,
        /// What it did.
        what: Misbehaviour,
    },
}

impl LinkError {
    /// The error of a message that makes sense by itself, but not in this state.
    pub fn out_of_state(by: Role, what: impl Into<String>) -> LinkError {
        LinkError::Misbehaved { by, what: Misbehaviour::OutOfState(what.into()) }
    }
}

/// What a sender did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// The header does not decode.
    #[error("a message of {len} octets does not decode: {error}")]
    Undecodable {
        /// Size of the datagram.
        len: usize,
        /// The decoder's words.
        error: String,
    },
    /// More or fewer octets follow the header than it says.
    #[error("a message announces {announced} octets of payload and carries {found}")]
    Payload {
        /// By the header.
        announced: usize,
        /// In the datagram.
        found: usize,
    },
    /// More or fewer fds ride along than the header says.
    #[error("a message of {announced} fds carries {found}")]
    Fds {
        /// By the header.
        announced: usize,
        /// In the datagram.
        found: usize,
    },
    /// The datagram is larger than [`MAX_DATAGRAM`].
    #[error("a message is larger than {MAX_DATAGRAM} octets")]
    Oversized,
    /// More fds than [`MAX_FDS`].
    #[error("a message carries more than {MAX_FDS} fds")]
    TooManyFds,
    /// The first message is not the expected [`Hello`].
    #[error(
        "it says hello as {role}, build {build}, protocol {protocol}, expected {expected}, build {BUILD}, protocol {PROTOCOL}"
    )]
    Hello {
        /// Whom it claims to be.
        role: &'static str,
        /// Its build.
        build: String,
        /// Its protocol version.
        protocol: u32,
        /// Who should be there.
        expected: &'static str,
    },
    /// The message makes no sense now.
    #[error("{0}")]
    OutOfState(String),
}

/// A message with what came with it.
#[derive(Debug)]
pub struct Received<M> {
    /// The header.
    pub message: M,
    /// The octets behind it; as many as the header says.
    pub payload: Bytes,
    /// The fds; as many as the header says.
    pub fds: Vec<OwnedFd>,
}

/// One end of a channel on which `Tx` is sent and `Rx` received.
#[derive(Debug)]
pub struct Link<Tx, Rx> {
    tx: Sender<Tx>,
    rx: Receiver<Rx>,
}

/// The sending half.
#[derive(Debug)]
pub struct Sender<Tx> {
    socket: Arc<UnixSeqpacket>,
    with: Role,
    _tx: PhantomData<fn(Tx)>,
}

impl<Tx> Clone for Sender<Tx> {
    fn clone(&self) -> Self {
        Sender { socket: Arc::clone(&self.socket), with: self.with, _tx: PhantomData }
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver<Rx> {
    socket: Arc<UnixSeqpacket>,
    with: Role,
    buffers: Buffers,
    _rx: PhantomData<fn() -> Rx>,
}

/// A connected pair of sockets for a channel, close-on-exec and non-blocking.
///
/// # Errors
/// Where the system has no fds left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
    let (a, b) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )?;
    for end in [&a, &b] {
        // The kernel caps it at net.core.wmem_max: less is slower, not wrong.
        setsockopt(end, sockopt::SndBuf, &SEND_BUFFER)?;
    }
    Ok((a, b))
}

impl<Tx: Message, Rx: Message> Link<Tx, Rx> {
    /// Takes over one end of a [`pair`] whose other end `with` holds. Must run inside of a tokio runtime.
    ///
    /// # Errors
    /// Where the fd is no such socket.
    pub fn from_fd(fd: OwnedFd, with: Role) -> io::Result<Link<Tx, Rx>> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let socket = Arc::new(UnixSeqpacket::try_from(fd)?);
        Ok(Link {
            tx: Sender { socket: Arc::clone(&socket), with, _tx: PhantomData },
            rx: Receiver { socket, with, buffers: Buffers::new(RECEIVE, MAX_DATAGRAM), _rx: PhantomData },
        })
    }

    /// Says who we are and hears who is there; the first thing to do on a new link.
    ///
    /// # Errors
    /// Where the other side is gone, is not who it should be, or was built separately.
    pub async fn greet(&mut self, we: Role) -> Result<(), LinkError> {
        let hello = Hello { protocol: PROTOCOL, build: BUILD.to_owned(), role: we };
        send(&self.tx.socket, self.tx.with, &hello, &[], &[]).await?;
        let theirs: Received<Hello> = recv(&self.rx.socket, self.rx.with, &mut self.rx.buffers).await?;
        let theirs = theirs.message;
        if theirs.role == self.rx.with && theirs.build == BUILD && theirs.protocol == PROTOCOL {
            return Ok(());
        }
        Err(LinkError::Misbehaved {
            by: self.rx.with,
            what: Misbehaviour::Hello {
                role: theirs.role.name(),
                build: theirs.build.chars().take(64).flat_map(char::escape_default).collect(),
                protocol: theirs.protocol,
                expected: self.rx.with.name(),
            },
        })
    }

    /// The two halves, to be used by different tasks.
    pub fn split(self) -> (Sender<Tx>, Receiver<Rx>) {
        (self.tx, self.rx)
    }

    /// Sends a message without payload and fds; waits while the channel is full.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn send(&self, message: &Tx) -> Result<(), LinkError> {
        self.tx.send(message).await
    }

    /// Receives the next message. Cancelling loses nothing.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn recv(&mut self) -> Result<Received<Rx>, LinkError> {
        self.rx.recv().await
    }
}

impl<Tx: Message> Sender<Tx> {
    /// Sends a message without payload and fds; waits while the channel is full.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn send(&self, message: &Tx) -> Result<(), LinkError> {
        send(&self.socket, self.with, message, &[], &[]).await
    }

    /// Sends a message with its fds, as many as the message says.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn send_with_fds(&self, message: &Tx, fds: &[BorrowedFd<'_>]) -> Result<(), LinkError> {
        debug_assert_eq!(message.fd_count(), fds.len(), "fds of the message");
        send(&self.socket, self.with, message, &[], fds).await
    }

    /// Sends a message with its payload, gathered from pieces.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn send_with_payload(&self, message: &Tx, payload: &[&[u8]]) -> Result<(), LinkError> {
        send(&self.socket, self.with, message, payload, &[]).await
    }

    /// Sends a message with its payload if the channel has room now; says whether it did. Call
    /// [`writable`](Self::writable) before trying again.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn try_send(&self, message: &Tx, payload: &[&[u8]]) -> Result<bool, LinkError> {
        let header = encode(self.with, message, payload)?;
        let slices = slices(&header, payload);
        // Not counted against the task's budget: "try again" would be said of a channel that has room, and
        // whoever then waits for room would not wait at all.
        let send = unconstrained(poll_fn(|cx| self.socket.poll_send_vectored(cx, &slices)));
        match std::pin::pin!(send).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(false),
            Poll::Ready(r) => {
                let len = r.map_err(|e| io_error(self.with, e))?;
                figures::sent(self.with, len);
                Ok(true)
            }
        }
    }

    /// Waits until the channel takes a message again. May return early.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn writable(&self) -> Result<(), LinkError> {
        match self.socket.as_async_fd().writable().await {
            Ok(mut guard) => {
                guard.retain_ready();
                Ok(())
            }
            Err(e) => Err(io_error(self.with, e)),
        }
    }

    /// Who is at the other end.
    pub fn with(&self) -> Role {
        self.with
    }
}

impl<Rx: Message> Receiver<Rx> {
    /// Receives the next message. Cancelling loses nothing.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn recv(&mut self) -> Result<Received<Rx>, LinkError> {
        recv(&self.socket, self.with, &mut self.buffers).await
    }

    /// Receives a message if one is there.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn try_recv(&mut self) -> Result<Option<Received<Rx>>, LinkError> {
        // For the same reason as in `try_send`.
        let future = unconstrained(recv(&self.socket, self.with, &mut self.buffers));
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(None),
            Poll::Ready(r) => r.map(Some),
        }
    }

    /// Who is at the other end.
    pub fn with(&self) -> Role {
        self.with
    }
}

fn io_error(with: Role, error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => LinkError::Closed { with },
        _ => LinkError::Io { with, error },
    }
}

fn encode<M: Message>(with: Role, message: &M, payload: &[&[u8]]) -> Result<Vec<u8>, LinkError> {
    let payload: usize = payload.iter().map(|p| p.len()).sum();
    debug_assert_eq!(message.payload_len(), payload, "payload of the message");
    let header =
        postcard::to_stdvec(message).map_err(|e| LinkError::Io { with, error: io::Error::other(e) })?;
    let len = header.len() + payload;
    if len > MAX_DATAGRAM { Err(LinkError::TooLarge { with, len }) } else { Ok(header) }
}

fn slices<'a>(header: &'a [u8], payload: &[&'a [u8]]) -> Vec<IoSlice<'a>> {
    std::iter::once(header).chain(payload.iter().copied()).map(IoSlice::new).collect()
}

async fn send<M: Message>(
    socket: &UnixSeqpacket,
    with: Role,
    message: &M,
    payload: &[&[u8]],
    fds: &[BorrowedFd<'_>],
) -> Result<(), LinkError> {
    let header = encode(with, message, payload)?;
    let slices = slices(&header, payload);
    let sent = if fds.is_empty() {
        socket.send_vectored(&slices).await
    } else {
        let mut space = [0; ANCILLARY];
        let mut ancillary = AncillaryMessageWriter::new(&mut space);
        ancillary.add_fds(fds.iter().map(|f| f.as_fd())).map_err(|e| io_error(with, e.into()))?;
        socket.send_vectored_with_ancillary(&slices, &mut ancillary).await
    };
    let len = sent.map_err(|e| io_error(with, e))?;
    figures::sent(with, len);
    Ok(())
}

async fn recv<M: Message>(
    socket: &UnixSeqpacket,
    with: Role,
    buffers: &mut Buffers,
) -> Result<Received<M>, LinkError> {
    let misbehaved = |what| LinkError::Misbehaved { by: with, what };
    let mut space = [0; ANCILLARY];
    let (len, truncated, fds_truncated, fds) = {
        let (info, ancillary) = socket
            .recv_vectored_with_ancillary(&mut buffers.space(), &mut space)
            .await
            .map_err(|e| io_error(with, e))?;
        let fds: Vec<OwnedFd> = ancillary
            .into_messages()
            .filter_map(|m| match m {
                OwnedAncillaryMessage::FileDescriptors(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        (info.bytes_read(), info.truncated(), info.ancillary_truncated(), fds)
    };
    if truncated {
        return Err(misbehaved(Misbehaviour::Oversized));
    }
    if fds_truncated || fds.len() > MAX_FDS {
        return Err(misbehaved(Misbehaviour::TooManyFds));
    }
    if len == 0 {
        return Err(LinkError::Closed { with });
    }
    figures::received(with, len);
    let (message, rest) = postcard::take_from_bytes::<M>(buffers.received(len))
        .map_err(|e| misbehaved(Misbehaviour::Undecodable { len, error: e.to_string() }))?;
    if rest.len() != message.payload_len() {
        let (announced, found) = (message.payload_len(), rest.len());
        return Err(misbehaved(Misbehaviour::Payload { announced, found }));
    }
    if fds.len() != message.fd_count() {
        let (announced, found) = (message.fd_count(), fds.len());
        return Err(misbehaved(Misbehaviour::Fds { announced, found }));
    }
    let header = len - rest.len();
    Ok(Received { payload: buffers.take(header, len), message, fds })
}

/// Splits `items`, to be sent to `with`, into lists that each fit a datagram as part of a message.
///
/// # Errors
/// [`LinkError::TooLarge`] where a single item does not fit.
pub fn batches<T: Serialize>(
    with: Role,
    items: impl IntoIterator<Item = T>,
) -> Result<Vec<Vec<T>>, LinkError> {
    // Half of a datagram: the rest of the message has room as well.
    let mut batches = Vec::new();
    let (mut batch, mut octets) = (Vec::new(), 0);
    for item in items {
        let len = postcard::experimental::serialized_size(&item)
            .map_err(|e| LinkError::Io { with, error: io::Error::other(e) })?;
        if len > BATCH {
            return Err(LinkError::TooLarge { with, len });
        }
        if octets + len > BATCH {
            batches.push(std::mem::take(&mut batch));
            octets = 0;
        }
        octets += len;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    Ok(batches)
}
