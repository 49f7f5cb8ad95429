//! BGP sockets: listeners with their keys, and connections to peers begun on session's request. Secrets
//! stay here: session gets sockets that have their keys already.
//!
//! RFC 2385 (TCP-MD5), RFC 5082 (GTSM).

mod keys;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ipnet::IpNet;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect, listen, setsockopt, socket,
    sockopt,
};

use crate::config::{Config, Neighbor, Secret};
use crate::plan;
use keys::Keys;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What session gets a connection to a peer with.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    local: Option<IpAddr>,
    passive: bool,
    /// TTL to send with, where it is not the system's.
    ttl: Option<u8>,
    min_ttl: Option<u8>,
    key: Option<Secret>,
}

/// A listening socket and what it is bound to.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) socket: OwnedFd,
}

/// All BGP sockets that the parent keeps, and what it needs to begin connections.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<Listener>,
    peers: Peers,
}

/// What sockets need to know of the neighbors of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    all: HashMap<IpAddr, Peer>,
    /// The keys of the listeners.
    keys: Keys,
}

/// Why a socket could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Somebody else listens there.
    #[error("cannot listen on {0}: the port is in use, perhaps by another rustbgpd")]
    InUse(SocketAddr),
    /// A port below 1024 without the capability.
    #[error(
        "cannot listen on {0}: permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE \
         (or set listen_port to 1024 or more)"
    )]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: Errno },
    /// A key was refused.
    #[error("neighbor {}: {error}", shown(*peer))]
    Key { peer: IpNet, error: sys::KeyError },
}

/// Why no connection was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// There is no such peer any more.
    #[error("the peer is not configured any more")]
    UnknownPeer,
    /// The configuration forbids it.
    #[error("the peer is passive")]
    Passive,
    /// No source address, no route, no key ...
    #[error("{step}: {error}")]
    Step { step: &'static str, error: io::Error },
}

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, ConnectError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, ConnectError> {
        self.map_err(|e| ConnectError::Step { step, error: e.into() })
    }
}

impl Sockets {
    /// Binds the listeners and sets the keys.
    ///
    /// # Errors
    /// Where an address can't be bound or a key can't be set.
    pub(crate) fn open(config: &Config) -> Result<Sockets, SocketError> {
        let mut listeners = Vec::new();
        if config.global.listen_port != 0 {
            for address in &config.global.listen_addresses {
                let address = SocketAddr::new(*address, config.global.listen_port);
                match bind_listener(address) {
                    Ok(socket) => listeners.push(Listener { address, socket }),
                    Err(Errno::EAFNOSUPPORT) if address.is_ipv6() && address.ip().is_unspecified() => {
                        tracing::warn!(%address, "not listening: this system has no IPv6");
                    }
                    Err(e) => return Err(refused(address, e)),
                }
            }
        }
        let mut sockets = Sockets { listeners, peers: Peers::default() };
        sockets.change(peers(config))?;
        Ok(sockets)
    }

    /// From now on these are the peers: the listeners get their keys. Gives those of before.
    ///
    /// # Errors
    /// Where a key can't be set; all is as before then.
    pub(crate) fn change(&mut self, peers: Peers) -> Result<Peers, SocketError> {
        let (before, after) = (&self.peers.keys, &peers.keys);
        let set = after.iter().filter(|(prefix, key)| before.get(prefix) != Some(key));
        let set = set.map(|(prefix, key)| (*prefix, Some(key)));
        // Last, so that nobody is without a key meanwhile.
        let removed =
            before.keys().filter(|prefix| !after.contains_key(prefix)).map(|prefix| (*prefix, None));
        let mut done = Vec::new();
        for (prefix, key) in set.chain(removed) {
            done.push(prefix);
            if let Err(error) = self.set_listener_key(prefix, key) {
                for prefix in done {
                    if let Err(error) = self.set_listener_key(prefix, before.get(&prefix)) {
                        tracing::error!(%error, "cannot set the key of before again");
                    }
                }
                return Err(error);
            }
        }
        Ok(std::mem::replace(&mut self.peers, peers))
    }

    fn set_listener_key(&self, peer: IpNet, key: Option<&Secret>) -> Result<(), SocketError> {
        let (network, prefix_len) = (peer.addr(), peer.prefix_len());
        for listener in self.listeners.iter().filter(|l| l.address.is_ipv4() == network.is_ipv4()) {
            match key {
                Some(key) => sys::set_md5_range_key(&listener.socket, network, prefix_len, key.expose()),
                None => sys::remove_md5_range_key(&listener.socket, network, prefix_len),
            }
            .map_err(|error| SocketError::Key { peer, error })?;
        }
        Ok(())
    }

    /// A connection to the peer at `address`, with its options set and its connect begun.
    ///
    /// # Errors
    /// Where none could be begun.
    pub(crate) fn begin_connect(&self, address: IpAddr) -> Result<OwnedFd, ConnectError> {
        let peer = self.peers.all.get(&address).ok_or(ConnectError::UnknownPeer)?;
        if peer.passive {
            return Err(ConnectError::Passive);
        }
        let socket = tcp(peer.address.ip()).step("socket")?;
        if let Some(key) = &peer.key {
            sys::set_md5_key(&socket, peer.address.ip(), key.expose())
                .map_err(io::Error::other)
                .step("set the TCP-MD5 key")?;
        }
        if let Some(ttl) = peer.ttl {
            set_ttl(&socket, peer.address.ip(), ttl).step("set the TTL")?;
        }
        if let Some(ttl) = peer.min_ttl {
            ipc::sockopt::set_min_ttl(&socket, peer.address.ip(), ttl).step("set the least TTL")?;
        }
        if let Some(local) = peer.local {
            // The port is chosen with the destination known: as many connections as there are peers.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).step("bind")?;
            let local = SockaddrStorage::from(SocketAddr::new(local, 0));
            bind(socket.as_raw_fd(), &local).step("bind to local_address")?;
        }
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(peer.address)) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
            Err(e) => Err(e).step("connect"),
        }
    }
}

impl Peer {
    fn new(neighbor: &Neighbor) -> Peer {
        Peer {
            address: SocketAddr::new(neighbor.address, neighbor.port),
            local: neighbor.local_address,
            passive: neighbor.passive,
            ttl: if neighbor.ttl_security { Some(u8::MAX) } else { neighbor.multihop },
            min_ttl: plan::min_ttl(neighbor),
            key: neighbor.md5_password.clone(),
        }
    }
}

/// What is needed of the neighbors of `config`.
pub(crate) fn peers(config: &Config) -> Peers {
    let all = config.neighbors.iter().map(|n| (n.address, Peer::new(n))).collect();
    Peers { all, keys: keys::of(config) }
}

/// One address as an address.
fn shown(peer: IpNet) -> String {
    if peer.prefix_len() == peer.max_prefix_len() { peer.addr().to_string() } else { peer.to_string() }
}

fn refused(address: SocketAddr, error: Errno) -> SocketError {
    match error {
        Errno::EADDRINUSE => SocketError::InUse(address),
        Errno::EACCES => SocketError::Denied(address),
        error => SocketError::Listen { address, error },
    }
}

fn tcp(address: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

fn set_ttl(socket: impl AsFd, address: IpAddr, ttl: u8) -> Result<(), Errno> {
    match address {
        IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4Ttl, &ttl.into()),
        IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6Ttl, &ttl.into()),
    }
}

fn bind_listener(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = tcp(address.ip())?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    // A peer with GTSM drops our answer to its SYN unless it has the highest TTL; to all others it is all
    // the same.
    set_ttl(&socket, address.ip(), u8::MAX)?;
    // How far away a peer is that connects: session compares.
    ipc::sockopt::save_syns(&socket).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or_default()))?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}
