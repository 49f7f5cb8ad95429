//! control: HTTP/2 and HTTP on listeners that it is given. No socket of its own making, no connect, no file
//! but the bearer tokens, certificates and keys that it is given.

use libc::*;

use super::{common, options};
use crate::seccomp::{Allowed, plain};

pub(super) fn calls() -> Vec<Allowed> {
    let mut calls = common::streams();
    calls.push(options(SYS_setsockopt, &[(IPPROTO_TCP, TCP_NODELAY)]));
    // Who is at the other end of a Unix socket: user and group of the process, and its supplementary groups.
    calls.push(options(SYS_getsockopt, &[(SOL_SOCKET, SO_PEERCRED), (SOL_SOCKET, SO_PEERGROUPS)]));
    // A token is an open file that the parent hands over, to every control engine anew: read from its start.
    calls.push(plain(SYS_lseek));
    calls
}
