//! Which system calls each engine may make, and why. Whatever is not listed kills the process: a list that
//! is too short is found by the lab, a list that is too long is found by nobody.

mod common;
mod control;
mod rde;
mod session;

use ipc::Role;

use crate::seccomp::Condition::{Is, Without};
use crate::seccomp::{Allowed, any_of};

/// The calls of `role`.
pub(crate) fn of(role: Role) -> Vec<Allowed> {
    let mut calls = common::calls();
    match role {
        Role::Session => calls.extend(session::calls()),
        Role::Rde => calls.extend(rde::calls()),
        Role::Control => calls.extend(control::calls()),
        // Lives without a filter: it spawns programs and opens what the configuration names.
        Role::Parent => {}
    }
    calls
}

/// Calls that fail instead of killing, with the error: an engine has one thread, and a library that would
/// like another one is told so. `clone3` comes first, and its error makes the C library try `clone`.
pub(crate) fn refused() -> Vec<(u32, Vec<libc::c_long>)> {
    vec![
        (libc::ENOSYS.unsigned_abs(), vec![libc::SYS_clone3]),
        (libc::EAGAIN.unsigned_abs(), vec![libc::SYS_clone]),
    ]
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
