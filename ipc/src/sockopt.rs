//! Socket options that an engine sets on connections it was given and that have no safe interface: the least
//! TTL or hop limit of received packets (RFC 5082, `ip(7)` IP_MINTTL, `linux/in6.h`). Needs no privilege.
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
    let value = libc::c_int::from(least);
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
