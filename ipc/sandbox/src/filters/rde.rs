//! rde: computes. No socket but the channels that it is given, no file. It may have threads.

use libc::*;

use crate::seccomp::Condition::Is;
use crate::seccomp::{Allowed, any_of, plain};

/// The flags with which the C library starts a thread. Nothing else may be started with `clone`: what is no
/// thread is refused with an error, what is one and more kills.
const THREAD: c_int = CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID;

/// The shards of the tables have a thread each. They are started when the configuration says how many.
pub(super) fn calls() -> Vec<Allowed> {
    vec![
        any_of(SYS_clone, [vec![Is(0, THREAD.cast_unsigned())]]),
        // What the C library registers for a thread: its list of robust locks and its restartable sequences.
        plain(SYS_set_robust_list),
        plain(SYS_rseq),
        // Its name.
        any_of(SYS_prctl, [vec![Is(0, PR_SET_NAME.cast_unsigned())]]),
        // Where its stack ends (the C library asks for the processors on the way).
        // Stacks, guard pages and their end are in `common`: mmap, mprotect, madvise, munmap, sigaltstack, exit.
        plain(SYS_sched_getaffinity),
    ]
}
