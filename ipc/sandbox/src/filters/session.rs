//! session: TCP connections to peers, accepted or begun by the parent. No socket of its own making, no
//! connect, no file.

use libc::*;

use super::{common, options};
use crate::seccomp::Allowed;

pub(super) fn calls() -> Vec<Allowed> {
    let mut calls = common::streams();
    // Among what is missing here: the keys (TCP_MD5SIG, TCP_AO_*), which would change those of the listener
    // that the parent holds as well.
    calls.push(options(
        SYS_setsockopt,
        &[
            // The least TTL differs by peer, so it is set on what was accepted (RFC 5082).
            (IPPROTO_IP, IP_MINTTL),
            (IPPROTO_IPV6, IPV6_MINHOPCOUNT),
            (IPPROTO_TCP, TCP_NODELAY),
        ],
    ));
    // With which TTL an accepted connection began.
    calls.push(options(SYS_getsockopt, &[(IPPROTO_TCP, TCP_SAVED_SYN)]));
    calls
}
