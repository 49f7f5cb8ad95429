//! A BGP speaker that says exactly what a test tells it to, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bgpbench::bgp;

use crate::{Error, Host, Result, wait_for};

/// A message as it came, without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Type (RFC 4271 §4.1).
    pub kind: u8,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Message {
    /// Code and subcode, if it is a NOTIFICATION.
    pub fn notification(&self) -> Option<(u8, u8)> {
        match (self.kind, self.body.as_slice()) {
            (bgp::NOTIFICATION, [code, subcode, ..]) => Some((*code, *subcode)),
            _ => None,
        }
    }
}

/// One TCP connection that speaks BGP.
pub struct Speaker {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Speaker {
    /// Connects from a host; tries again until somebody listens.
    ///
    /// # Errors
    /// When nobody accepts within ten seconds.
    pub fn connect(host: &Host, to: SocketAddr) -> Result<Self> {
        let second = Duration::from_secs(1);
        let stream = wait_for(&format!("{to} to accept"), 10, || host.connect(to, second).map(Some))?;
        Self::over(stream)
    }

    /// Speaks over a connection that exists.
    ///
    /// # Errors
    /// When its options cannot be set.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Speaker { stream, received: Vec::new() })
    }

    /// Connects and goes through OPEN and KEEPALIVE until the session is Established.
    ///
    /// # Errors
    /// When the other side says something else.
    pub fn establish(host: &Host, to: SocketAddr, asn: u32, hold_time: u16, id: [u8; 4]) -> Result<Self> {
        let mut speaker = Self::connect(host, to)?;
        speaker.handshake(asn, hold_time, id, to.is_ipv6())?;
        Ok(speaker)
    }

    /// OPEN and KEEPALIVE, both ways.
    ///
    /// # Errors
    /// When the other side says something else.
    pub fn handshake(&mut self, asn: u32, hold_time: u16, id: [u8; 4], ipv6: bool) -> Result<()> {
        self.send(&bgp::open(asn, hold_time, id, ipv6))?;
        self.expect(bgp::OPEN)?;
        self.send(&bgp::keepalive())?;
        self.expect(bgp::KEEPALIVE).map(drop)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The connection itself, for reading and writing at once.
    ///
    /// # Errors
    /// When it cannot be duplicated.
    pub fn stream(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// The next message, or nothing when the other side has closed the connection.
    ///
    /// # Errors
    /// When nothing comes for `seconds`, or what comes is not BGP.
    pub fn receive(&mut self, seconds: u64) -> Result<Option<Message>> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Error::fail(format!("no BGP message for {seconds} s"));
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(n) => self.received.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The first whole message of what has been read.
    fn take_message(&mut self) -> Result<Option<Message>> {
        let Some(length) = bgp::message_len(&self.received) else { return Ok(None) };
        let length = length?;
        if self.received.len() < length {
            return Ok(None);
        }
        let whole: Vec<u8> = self.received.drain(..length).collect();
        let kind = whole.get(18).copied().unwrap_or_default();
        Ok(Some(Message { kind, body: whole.get(bgp::HEADER..).unwrap_or_default().to_vec() }))
    }

    /// The next message of a kind, within five seconds; others before it are skipped, but not a NOTIFICATION.
    ///
    /// # Errors
    /// When the connection ends or a NOTIFICATION comes instead.
    pub fn expect(&mut self, kind: u8) -> Result<Message> {
        loop {
            match self.receive(5)? {
                Some(message) if message.kind == kind => return Ok(message),
                Some(message) if message.kind == bgp::NOTIFICATION => {
                    return Error::fail(format!(
                        "NOTIFICATION {:?} instead of message type {kind}",
                        message.body
                    ));
                }
                Some(_) => {}
                None => return Error::fail(format!("connection closed instead of message type {kind}")),
            }
        }
    }

    /// Waits for the end of the session: the NOTIFICATION that came before it, if any.
    ///
    /// # Errors
    /// When it goes on for more than `seconds`.
    pub fn farewell(&mut self, seconds: u64) -> Result<Option<Message>> {
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut last = None;
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_secs().max(1);
            match self.receive(left).map_err(|e| Error::new(format!("{e}, after {last:?}")))? {
                Some(message) if message.notification().is_some() => last = Some(message),
                Some(_) => {}
                None => return Ok(last),
            }
        }
    }
}
