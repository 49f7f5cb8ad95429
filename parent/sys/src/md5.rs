//! TCP-MD5 signatures (RFC 2385): keys of peers on a socket. Needs no privilege.
//!
//! A key on a listener is there for connections that are accepted later, on every copy of the listener in
//! whatever process; a connection that waits in its queue already stays without.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{Ordering, compiler_fence};

use nix::errno::Errno;

use crate::option;

/// The longest key, in octets.
pub const MAX_KEY_LEN: usize = 80;

/// Why a key was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`MAX_KEY_LEN`], or empty.
    #[error("a TCP-MD5 key has 1 to {MAX_KEY_LEN} octets")]
    Length,
    /// The kernel's memory for options of one socket is used up.
    #[error(
        "no room for another TCP-MD5 key on the listening socket: raise the sysctl net.core.optmem_max (about \
         136 octets a key; 1048576 is enough for 7,700 keys)"
    )]
    Full,
    /// Anything else.
    #[error("TCP-MD5 key: {0}")]
    Os(Errno),
}

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Sig {
    address: Address,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: i32,
    key: [u8; MAX_KEY_LEN],
}

/// `struct __kernel_sockaddr_storage`, as far as addresses of peers go: `sockaddr_in` has its address at
/// octet 4, `sockaddr_in6` at octet 8.
#[repr(C, align(8))]
struct Address {
    family: u16,
    rest: [u8; 126],
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        let mut rest = [0; 126];
        let family = match address {
            IpAddr::V4(a) => {
                rest[2..6].copy_from_slice(&a.octets());
                libc::AF_INET
            }
            IpAddr::V6(a) => {
                rest[6..22].copy_from_slice(&a.octets());
                libc::AF_INET6
            }
        };
        Address { family: family.unsigned_abs().try_into().unwrap_or_default(), rest }
    }
}

impl Drop for Md5Sig {
    fn drop(&mut self) {
        for octet in &mut self.key {
            // SAFETY: a valid reference. Volatile, so that the key is overwritten though nobody reads it again.
            unsafe { std::ptr::write_volatile(octet, 0) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

/// `TCP_MD5SIG_EXT` of `linux/tcp.h`: takes flags.
const TCP_MD5SIG_EXT: libc::c_int = 32;

/// `TCP_MD5SIG_FLAG_PREFIX`: the key is for all peers in a prefix. Of several, the longest one counts.
const FLAG_PREFIX: u8 = 1;

/// The length of a prefix that is one address.
fn one_host(peer: IpAddr) -> u8 {
    if peer.is_ipv4() { 32 } else { 128 }
}

/// Sets or replaces the key for segments from and to `peer` on `socket`, which is of that family.
///
/// # Errors
/// See [`KeyError`]; none of them holds the key.
pub fn set_md5_key(socket: impl AsFd, peer: IpAddr, key: &[u8]) -> Result<(), KeyError> {
    set_md5_range_key(socket, peer, one_host(peer), key)
}

/// The same for all peers whose addresses begin with these bits of `network` and for which there is no key of a longer
/// prefix.
///
/// # Errors
/// See [`KeyError`]; none of them holds the key.
pub fn set_md5_range_key(
    socket: impl AsFd,
    network: IpAddr,
    prefix_len: u8,
    key: &[u8],
) -> Result<(), KeyError> {
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err(KeyError::Length);
    }
    apply(socket, network, prefix_len, key)
}

/// Takes the key of `peer` off `socket`. It is no error if there is none.
///
/// # Errors
/// Where `socket` is no TCP socket of the peer's family.
pub fn remove_md5_key(socket: impl AsFd, peer: IpAddr) -> Result<(), KeyError> {
    remove_md5_range_key(socket, peer, one_host(peer))
}

/// The same for the key of a prefix.
///
/// # Errors
/// Where `socket` is no TCP socket of the peers' family.
pub fn remove_md5_range_key(socket: impl AsFd, network: IpAddr, prefix_len: u8) -> Result<(), KeyError> {
    match apply(socket, network, prefix_len, &[]) {
        Err(KeyError::Os(Errno::ENOENT)) => Ok(()),
        other => other,
    }
}

fn apply(socket: impl AsFd, network: IpAddr, prefix_len: u8, key: &[u8]) -> Result<(), KeyError> {
    let mut option = Md5Sig {
        address: network.into(),
        flags: FLAG_PREFIX,
        prefix_len,
        key_len: u16::try_from(key.len()).map_err(|_| KeyError::Length)?,
        interface: 0,
        key: [0; MAX_KEY_LEN],
    };
    option.key.get_mut(..key.len()).ok_or(KeyError::Length)?.copy_from_slice(key);
    // SAFETY: the structure is the kernel's, all of its octets are set, and it has no padding.
    unsafe { option::set(socket, libc::IPPROTO_TCP, TCP_MD5SIG_EXT, &option) }.map_err(|e| match e {
        Errno::ENOMEM | Errno::ENOBUFS => KeyError::Full,
        e => KeyError::Os(e),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    };
    use nix::sys::time::TimeVal;

    use super::*;

    #[test]
    fn the_structure_is_the_kernels() {
        assert_eq!(size_of::<Md5Sig>(), 216);
        assert_eq!(std::mem::offset_of!(Md5Sig, key_len), 130);
        assert_eq!(std::mem::offset_of!(Md5Sig, key), 136);
    }

    #[test]
    fn keys_have_1_to_80_octets() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = Ipv4Addr::new(192, 0, 2, 1).into();
        assert_eq!(set_md5_key(&listener, peer, &[7; 80]), Ok(()));
        assert_eq!(set_md5_key(&listener, peer, &[7; 81]), Err(KeyError::Length));
        assert_eq!(set_md5_key(&listener, peer, &[]), Err(KeyError::Length));
        assert_eq!(remove_md5_key(&listener, peer), Ok(()));
        assert_eq!(remove_md5_key(&listener, peer), Ok(()));
    }

    #[test]
    fn too_many_keys_name_the_sysctl() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peers = (0..200_000u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n));
        let refused = peers.map(|p| set_md5_key(&listener, p.into(), b"key")).find_map(Result::err);
        assert!(refused.unwrap().to_string().contains("net.core.optmem_max"), "{refused:?}");
    }

    fn dial(to: SocketAddr, key: Option<&[u8]>) -> std::io::Result<TcpStream> {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        if let Some(key) = key {
            set_md5_key(&fd, to.ip(), key).unwrap();
        }
        // A segment with a wrong signature is dropped, not refused: bounds the wait for the answer.
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(0, 300_000))?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrStorage::from(to))?;
        Ok(fd.into())
    }

    #[test]
    fn only_the_right_key_connects() {
        for local in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let listener = TcpListener::bind((local, 0)).unwrap();
            let to = listener.local_addr().unwrap();
            set_md5_key(&listener, local, b"right").unwrap();
            for wrong in [Some(&b"wrong"[..]), None] {
                // Nothing but the end of our patience: no answer ever comes.
                let error = dial(to, wrong).unwrap_err().raw_os_error();
                assert_eq!(error, Some(libc::EINPROGRESS));
            }
            let mut ours = dial(to, Some(b"right")).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            theirs.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            ours.write_all(b"signed").unwrap();
            let mut read = [0; 6];
            theirs.read_exact(&mut read).unwrap();
            assert_eq!(&read, b"signed");
        }
    }

    #[test]
    fn the_key_of_the_longest_prefix_counts() {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Ipv4Addr::new(127, 0, 0, 0).into();
        let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let connects = |key: Option<&[u8]>| dial(to, key).is_ok();
        set_md5_range_key(&listener, network, 8, b"wide").unwrap();
        assert!(!connects(None) && !connects(Some(b"narrow")) && connects(Some(b"wide")));
        set_md5_range_key(&listener, network, 24, b"narrow").unwrap();
        assert!(connects(Some(b"narrow")) && !connects(Some(b"wide")));
        set_md5_key(&listener, to.ip(), b"one").unwrap();
        assert!(connects(Some(b"one")) && !connects(Some(b"narrow")));
        remove_md5_key(&listener, to.ip()).unwrap();
        remove_md5_range_key(&listener, network, 24).unwrap();
        assert!(connects(Some(b"wide")));
        remove_md5_range_key(&listener, network, 8).unwrap();
        assert!(connects(None));
    }
}
