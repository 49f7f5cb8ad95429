//! Which system calls each process may make, and why. What is not listed kills an engine, and fails in the parent: a list
//! that is too short is found by the lab, a list that is too long is found by nobody.

mod common;
mod control;
mod parent;
mod rde;
mod session;

use ipc::Role;

use crate::seccomp::Condition::{Is, Without};
use crate::seccomp::{Allowed, any_of, plain};

/// The calls of `role`.
pub(crate) fn of(role: Role) -> Vec<Allowed> {
    let more = match role {
        Role::Session => session::calls(),
        Role::Rde => rde::calls(),
        Role::Control => control::calls(),
        Role::Parent => return parent::calls(),
    };
    [common::calls(), more].concat()
}

/// `clone3`, whose flags are in memory, where no filter can look.
pub(crate) fn clone3() -> (u32, Allowed) {
    (libc::ENOSYS.unsigned_abs(), plain(libc::SYS_clone3))
}

/// Calls that fail instead of killing, with the error: most engines have one thread, none starts a program,
/// and a library that would like to is told so. The error of `clone3` makes the C library try `clone`.
pub(crate) fn refused(role: Role) -> Vec<(u32, Allowed)> {
    let clone = match role {
        Role::Rde => any_of(libc::SYS_clone, [vec![Without(0, libc::CLONE_THREAD.cast_unsigned().into())]]),
        _ => plain(libc::SYS_clone),
    };
    vec![clone3(), (libc::EAGAIN.unsigned_abs(), clone)]
}

/// `call` with these options only, given as level and name; for setsockopt and getsockopt.
fn options(call: libc::c_long, options: &[(i32, i32)]) -> Allowed {
    let option = |(level, name): &(i32, i32)| vec![Is(1, level.cast_unsigned()), Is(2, name.cast_unsigned())];
    any_of(call, options.iter().map(option))
}

/// `call` without MSG_FASTOPEN in its flags, which are argument number `flags`: on a socket whose connect
/// has failed that flag is a connect to anywhere.
fn no_fastopen(call: libc::c_long, flags: u8) -> Allowed {
    any_of(call, [vec![Without(flags, libc::MSG_FASTOPEN.cast_unsigned().into())]])
}
