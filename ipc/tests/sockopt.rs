//! Options of sockets, against the kernel.
#![allow(clippy::unwrap_used, reason = "a test's own tools fail loudly")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use ipc::sockopt::{peer_groups, save_syns, saved_syn_ttl};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};

/// Whether loopback has this address at all.
fn listener(address: IpAddr) -> Option<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, 0)).ok()
}

#[test]
fn rfc5082_the_ttl_or_hop_limit_of_a_syn_is_told_once_where_it_was_kept() {
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let Some(listener) = listener(address) else {
            assert!(address.is_ipv6(), "no IPv4 loopback");
            continue;
        };
        let dial = |ttl: i32| {
            let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
            match address {
                IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4Ttl, &ttl).unwrap(),
                IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6Ttl, &ttl).unwrap(),
            }
            connect(socket.as_raw_fd(), &SockaddrStorage::from(listener.local_addr().unwrap())).unwrap();
            (socket, listener.accept().unwrap().0)
        };
        let (_client, before) = dial(7);
        assert_eq!(saved_syn_ttl(&before).unwrap(), None, "it was not asked for");
        save_syns(&listener).unwrap();
        for ttl in [1, 64, 255] {
            let (_client, accepted) = dial(ttl);
            assert_eq!(saved_syn_ttl(&accepted).unwrap(), u8::try_from(ttl).ok(), "{address}");
            assert_eq!(saved_syn_ttl(&accepted).unwrap(), None, "the kernel has let go of it");
        }
    }
}

#[test]
fn the_other_end_of_a_unix_socket_has_the_groups_of_its_process() {
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut own: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|g| g.as_raw()).collect();
    let mut told = peer_groups(&one).unwrap();
    own.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, own);
    let no_socket = std::fs::File::open("/dev/null").unwrap();
    assert!(peer_groups(&no_socket).is_err());
}
