//! The parent, and the engines from their start until they have filters of their own, which are stricter. What is not listed
//! fails with an error: it is the C library's, which then does without.

use libc::*;

use crate::seccomp::Condition::{Is, Without};
use crate::seccomp::{Allowed, any_of, plain};

const EXEC: u64 = PROT_EXEC.cast_unsigned() as u64;
const WRITE: u64 = PROT_WRITE.cast_unsigned() as u64;

/// Flags of clone(2) for namespaces of its own.
const NAMESPACES: u64 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET)
    .cast_unsigned() as u64;

pub(super) fn calls() -> Vec<Allowed> {
    [memory(), event_loop(), files(), sockets(), engines(), account(), sandbox(), identity()].concat()
}

/// malloc, and the loader of programs, which maps code that cannot be written to.
fn memory() -> Vec<Allowed> {
    vec![
        plain(SYS_brk),
        plain(SYS_munmap),
        plain(SYS_mremap),
        plain(SYS_madvise),
        any_of(SYS_mmap, [vec![Without(2, EXEC)], vec![Without(2, WRITE)]]),
        any_of(SYS_mprotect, [vec![Without(2, EXEC)]]),
    ]
}

/// The runtime: epoll, wake-ups, signals, clocks, seeds of hash tables.
fn event_loop() -> Vec<Allowed> {
    vec![
        plain(SYS_epoll_create1),
        plain(SYS_epoll_ctl),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_epoll_wait),
        plain(SYS_epoll_pwait),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_poll),
        plain(SYS_ppoll),
        plain(SYS_eventfd2),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_pipe),
        plain(SYS_pipe2),
        plain(SYS_futex),
        plain(SYS_sched_yield),
        plain(SYS_clock_gettime),
        plain(SYS_clock_nanosleep),
        plain(SYS_getrandom),
        plain(SYS_rt_sigaction),
        plain(SYS_rt_sigprocmask),
        plain(SYS_rt_sigreturn),
        plain(SYS_sigaltstack),
        plain(SYS_restart_syscall),
    ]
}

/// The configuration file and its successor, what it names, the log, the state directory, accounts, the figures of
/// engines; and what the loader of programs reads.
fn files() -> Vec<Allowed> {
    vec![
        plain(SYS_openat),
        plain(SYS_read),
        plain(SYS_readv),
        plain(SYS_pread64),
        plain(SYS_write),
        plain(SYS_writev),
        plain(SYS_lseek),
        plain(SYS_close),
        plain(SYS_fstat),
        plain(SYS_newfstatat),
        plain(SYS_statx),
        plain(SYS_getdents64),
        plain(SYS_readlinkat),
        plain(SYS_faccessat),
        plain(SYS_faccessat2),
        plain(SYS_getcwd),
        // The new file takes the place of the old one, with its owner and mode, and is on the disk before.
        plain(SYS_fchown),
        plain(SYS_fchmod),
        plain(SYS_fsync),
        plain(SYS_fdatasync),
        plain(SYS_ftruncate),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_renameat),
        // The kernel has it there, the libc crate has no name for it.
        #[cfg(target_arch = "aarch64")]
        plain(38),
        plain(SYS_renameat2),
        plain(SYS_unlinkat),
        // Two daemons that look at a stale socket.
        plain(SYS_flock),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_open),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_stat),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_lstat),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_access),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_readlink),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_rename),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_unlink),
        plain(SYS_fcntl),
        // Not blocking; not passed on; whether the log is a terminal.
        any_of(SYS_ioctl, [FIONBIO, FIOCLEX, TCGETS].map(|request| vec![Is(1, request as u32)])),
        // A loader that takes files in at once.
        plain(SYS_fadvise64),
    ]
}

/// Connections to configured peers, keys, messages to engines and to the service manager; and what engines do with
/// connections that they are given.
fn sockets() -> Vec<Allowed> {
    vec![
        any_of(SYS_socket, [AF_UNIX, AF_INET, AF_INET6].map(|family| vec![Is(0, family.cast_unsigned())])),
        any_of(SYS_socketpair, [vec![Is(0, AF_UNIX.cast_unsigned())]]),
        plain(SYS_bind),
        plain(SYS_connect),
        plain(SYS_listen),
        plain(SYS_accept4),
        plain(SYS_getsockopt),
        plain(SYS_setsockopt),
        plain(SYS_getsockname),
        plain(SYS_getpeername),
        plain(SYS_sendto),
        plain(SYS_recvfrom),
        plain(SYS_sendmsg),
        plain(SYS_recvmsg),
        plain(SYS_shutdown),
    ]
}

/// Starting engines, waiting for them, ending them; and the threads of rde's tables. No namespaces.
fn engines() -> Vec<Allowed> {
    vec![
        any_of(SYS_clone, [vec![Without(0, NAMESPACES)]]),
        plain(SYS_execve),
        plain(SYS_wait4),
        plain(SYS_waitid),
        plain(SYS_kill),
        plain(SYS_tgkill),
        plain(SYS_pidfd_open),
        plain(SYS_pidfd_send_signal),
        #[cfg(target_arch = "x86_64")]
        plain(SYS_dup2),
        plain(SYS_dup3),
        plain(SYS_close_range),
        plain(SYS_exit),
        plain(SYS_exit_group),
        // What the C library sets up for a program and for a thread.
        #[cfg(target_arch = "x86_64")]
        plain(SYS_arch_prctl),
        plain(SYS_set_tid_address),
        plain(SYS_set_robust_list),
        plain(SYS_rseq),
        plain(SYS_sched_getaffinity),
        plain(SYS_prlimit64),
    ]
}

/// How an engine becomes the service account in an empty root directory.
fn account() -> Vec<Allowed> {
    vec![
        plain(SYS_chroot),
        plain(SYS_chdir),
        plain(SYS_setgroups),
        plain(SYS_setresgid),
        plain(SYS_setresuid),
        plain(SYS_capget),
        plain(SYS_capset),
    ]
}

/// How an engine locks the rest away.
fn sandbox() -> Vec<Allowed> {
    vec![
        plain(SYS_prctl),
        plain(SYS_seccomp),
        plain(SYS_landlock_create_ruleset),
        plain(SYS_landlock_add_rule),
        plain(SYS_landlock_restrict_self),
        // control gives way.
        plain(SYS_getpriority),
        plain(SYS_setpriority),
    ]
}

/// Who it is, and on what system.
fn identity() -> Vec<Allowed> {
    vec![
        plain(SYS_getpid),
        plain(SYS_getppid),
        plain(SYS_gettid),
        plain(SYS_getuid),
        plain(SYS_geteuid),
        plain(SYS_getgid),
        plain(SYS_getegid),
        plain(SYS_uname),
        plain(SYS_sysinfo),
    ]
}
