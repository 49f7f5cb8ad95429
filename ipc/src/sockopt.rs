//! Socket options of connections that an engine was given, and of their listeners, that have no safe interface: the
//! least TTL or hop limit of received packets (RFC 5082, `ip(7)` IP_MINTTL, `linux/in6.h`), with which one a
//! connection began (`linux/tcp.h` TCP_SAVE_SYN), and in which groups the process at the other end of a Unix socket is
//! (`unix(7)` SO_PEERGROUPS). None needs a privilege.
#![expect(unsafe_code, reason = "the options are missing in nix and std")]

use std::io;
use std::mem::size_of;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

/// Not in the libc crate.
const IPV6_MINHOPCOUNT: libc::c_int = 73;

/// Makes the kernel drop packets of this TCP connection to `remote` whose TTL or hop limit is less than
/// `least`. An IPv4 address on an IPv6 socket (IPv4-mapped) takes the IPv4 option.
///
/// # Errors
/// Of setsockopt(2).
pub fn set_min_ttl(socket: &impl AsFd, remote: IpAddr, least: u8) -> io::Result<()> {
    let (level, option) = match remote.to_canonical() {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT),
    };
    set(socket, level, option, least.into())
}

/// Makes the kernel keep the headers of the SYN of every connection to this listener, for [`saved_syn_ttl`].
///
/// # Errors
/// Of setsockopt(2).
pub fn save_syns(listener: &impl AsFd) -> io::Result<()> {
    set(listener, libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, 1)
}

/// The TTL or hop limit that the SYN of an accepted connection arrived with; the kernel tells it once. `None` where
/// it kept nothing: the listener was not told to, or the connection came up by a SYN cookie.
///
/// # Errors
/// Of getsockopt(2).
pub fn saved_syn_ttl(accepted: &impl AsFd) -> io::Result<Option<u8>> {
    // The longest headers of IPv4 and TCP; IPv6 has few options in a SYN, and what is longer is an error.
    let mut headers = [0_u8; 256];
    let mut len = headers.len() as libc::socklen_t;
    // SAFETY: the fd is borrowed for the call; the kernel writes no more than `len` octets into a live local
    // array of that size, and how many it wrote into `len`.
    let result = unsafe {
        libc::getsockopt(
            accepted.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SAVED_SYN,
            headers.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let written = usize::try_from(len).ok().and_then(|len| headers.get(..len));
    Ok(written.and_then(ttl_of))
}

/// The most supplementary groups that a process can have (`getgroups(2)`, NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// The supplementary groups of the process that connected this Unix socket, as they were then.
///
/// # Errors
/// Of getsockopt(2).
pub fn peer_groups(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    // Few processes have more. Where this one has, the kernel says how many, and is asked again.
    let mut groups = vec![0_u32; 64];
    loop {
        let mut len = libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the fd is borrowed for the call; the kernel writes no more than `len` octets into a live vector of that
        // size, in units of gid_t, which is u32, and how many it wrote, or would have, into `len`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = usize::try_from(len).unwrap_or(0) / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MAX_GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// The TTL (RFC 791 §3.1) or hop limit (RFC 8200 §3) of a packet.
fn ttl_of(packet: &[u8]) -> Option<u8> {
    match packet.first()? >> 4 {
        4 => packet.get(8).copied(),
        6 => packet.get(7).copied(),
        _ => None,
    }
}

fn set(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the fd is borrowed for the call, and the kernel reads one c_int from a live local variable,
    // whose size is passed along.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
