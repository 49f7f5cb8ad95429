//! What every engine needs: memory, time, an event loop, its channels, its log, a way to end.

use libc::*;

use super::{no_fastopen, options};
use crate::seccomp::Condition::{Is, Null, Without};
use crate::seccomp::{Allowed, any_of, plain};

const EXEC: u64 = PROT_EXEC.cast_unsigned() as u64;

pub(super) fn calls() -> Vec<Allowed> {
    let mut calls = Vec::new();
    calls.extend(memory());
    calls.extend(time_and_chance());
    calls.extend(event_loop());
    calls.extend(channels());
    calls.extend(ending());
    calls
}

/// malloc and large buffers; never anything executable.
fn memory() -> Vec<Allowed> {
    vec![
        plain(SYS_brk),
        plain(SYS_munmap),
        plain(SYS_mremap),
        plain(SYS_madvise),
        any_of(SYS_mmap, [vec![Without(2, EXEC)]]),
        any_of(SYS_mprotect, [vec![Without(2, EXEC)]]),
    ]
}

/// Clocks, where the vDSO does not answer, and seeds of hash tables.
fn time_and_chance() -> Vec<Allowed> {
    vec![plain(SYS_clock_gettime), plain(SYS_getrandom)]
}

/// The runtime: epoll, its wake-up fd, and the socket pair that it makes for signals.
fn event_loop() -> Vec<Allowed> {
    vec![
        plain(SYS_epoll_create1),
        plain(SYS_epoll_ctl),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_epoll_wait),
        plain(SYS_epoll_pwait),
        plain(SYS_eventfd2),
        any_of(SYS_socketpair, [vec![Is(0, AF_UNIX.cast_unsigned())]]),
        plain(SYS_futex),
        plain(SYS_sched_yield),
        any_of(
            SYS_fcntl,
            [F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC]
                .map(|command| vec![Is(1, command.cast_unsigned())]),
        ),
        any_of(SYS_ioctl, [vec![Is(1, FIONBIO as u32)]]),
    ]
}

/// Messages with fds from and to the other processes, and lines of log.
fn channels() -> Vec<Allowed> {
    vec![
        // Its own figures, of which it has had an open file since its start.
        plain(SYS_pread64),
        plain(SYS_read),
        plain(SYS_write),
        plain(SYS_close),
        plain(SYS_recvmsg),
        no_fastopen(SYS_sendmsg, 2),
    ]
}

/// Connections that were accepted or handed over, for the roles that have some.
pub(super) fn streams() -> Vec<Allowed> {
    vec![
        plain(SYS_accept4),
        plain(SYS_recvfrom),
        plain(SYS_writev),
        // send(2) is sendto(2) without an address.
        any_of(SYS_sendto, [vec![Null(4), Without(3, MSG_FASTOPEN.cast_unsigned() as u64)]]),
        plain(SYS_getsockname),
        plain(SYS_getpeername),
        // How a connect that the parent began has ended.
        options(SYS_getsockopt, &[(SOL_SOCKET, SO_ERROR)]),
        // Half of a connection, or all.
        any_of(SYS_shutdown, [SHUT_WR, SHUT_RDWR].map(|how| vec![Is(1, how.cast_unsigned())])),
    ]
}

/// Return, panic, abort: signals to itself, and the end.
fn ending() -> Vec<Allowed> {
    let this_process = std::process::id();
    vec![
        plain(SYS_exit),
        plain(SYS_exit_group),
        plain(SYS_getpid),
        plain(SYS_gettid),
        plain(SYS_rt_sigaction),
        plain(SYS_rt_sigprocmask),
        plain(SYS_rt_sigreturn),
        plain(SYS_sigaltstack),
        plain(SYS_restart_syscall),
        any_of(SYS_tgkill, [vec![Is(0, this_process)]]),
    ]
}
