//! Turns a role's list of system calls into filters and installs them. After this there is no way back.

use std::collections::BTreeMap;
use std::io;

use ipc::Role;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::enter::SandboxError;
use crate::filters;

/// A system call that a role may make.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    pub(crate) call: libc::c_long,
    /// One of these must hold, each of all of its conditions; empty = always allowed.
    pub(crate) only: Vec<Vec<Condition>>,
}

/// A condition on an argument, counted from 0, of a system call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition {
    /// Its low 32 bits are this value.
    Is(u8, u32),
    /// None of these bits is set.
    Without(u8, u64),
    /// It is a null pointer.
    Null(u8),
}

/// Always allowed.
pub(crate) fn plain(call: libc::c_long) -> Allowed {
    Allowed { call, only: Vec::new() }
}

/// Allowed where one of these holds.
pub(crate) fn any_of(call: libc::c_long, only: impl IntoIterator<Item = Vec<Condition>>) -> Allowed {
    Allowed { call, only: only.into_iter().collect() }
}

/// Installs the filters of `role` for this process, which has one thread.
pub(crate) fn install(role: Role) -> Result<(), SandboxError> {
    // The kernel asks every filter and takes the strictest verdict: the first one answers some calls with
    // an error and lets all others pass to the second one, which kills.
    let mut allowed = filters::of(role);
    for (errno, refused) in filters::refused(role) {
        allowed.push(refused.clone());
        apply(&compile(vec![refused], SeccompAction::Allow, SeccompAction::Errno(errno))?)?;
    }
    apply(&compile(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?)
}

/// Installs the filter of the parent, which engines inherit.
pub(crate) fn install_parent() -> Result<(), SandboxError> {
    let (errno, refused) = filters::clone3();
    let mut allowed = filters::of(Role::Parent);
    allowed.push(refused.clone());
    apply(&compile(vec![refused], SeccompAction::Allow, SeccompAction::Errno(errno))?)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(&compile(allowed, denied, SeccompAction::Allow)?)
}

fn compile(
    calls: Vec<Allowed>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let mut rules = BTreeMap::new();
    for Allowed { call, only } in calls {
        let only = only.into_iter().map(rule).collect::<Result<Vec<_>, _>>().map_err(backend)?;
        // Listed twice, once with conditions: the entries must not undo each other.
        rules.entry(call).or_insert_with(Vec::new).extend(only);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(backend)?;
    let filter = SeccompFilter::new(rules, otherwise, listed, arch).map_err(backend)?;
    filter.try_into().map_err(backend)
}

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, BackendError> {
    let conditions = conditions.into_iter().map(|c| match c {
        Condition::Is(argument, value) => {
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into())
        }
        Condition::Without(argument, bits) => {
            SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), 0)
        }
        Condition::Null(argument) => {
            SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
        }
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

fn backend(error: BackendError) -> SandboxError {
    SandboxError::Step { step: "compile the seccomp filter", error: io::Error::other(error.to_string()) }
}

fn apply(program: &BpfProgram) -> Result<(), SandboxError> {
    seccompiler::apply_filter(program)
        .map_err(|e| SandboxError::Step { step: "seccomp", error: io::Error::other(e.to_string()) })
}
