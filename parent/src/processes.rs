//! What the system says of the daemon's processes. Privileged process: it alone sees them all.

use std::time::{SystemTime, UNIX_EPOCH};

use ipc::Role;
use ipc::figures::{Process, Usage};
use ipc::report::Units;

use crate::engine::Engine;
use crate::supervisor::Supervisor;

/// The parent and the engines that live.
pub(crate) fn all(supervisor: &Supervisor) -> Vec<Process> {
    let units = Units::of_system();
    let own = Process {
        role: Role::Parent,
        pid: std::process::id(),
        started: supervisor.plan.started(),
        restarts: 0,
        usage: usage(std::process::id(), &units),
        queued: 0,
        sandbox: Some(supervisor.own_sandbox),
    };
    let restarts = |role| supervisor.restarts(role);
    let engines = [
        supervisor.session.as_ref().map(|e| engine(e, restarts(e.role), &units)),
        supervisor.rde.as_ref().map(|e| engine(e, restarts(e.role), &units)),
        supervisor.control.as_ref().map(|e| engine(e, restarts(e.role), &units)),
    ];
    std::iter::once(own).chain(engines.into_iter().flatten()).collect()
}

fn engine<Tx>(engine: &Engine<Tx>, restarts: u64, units: &Units) -> Process {
    Process {
        role: engine.role,
        pid: engine.pid,
        started: seconds(engine.started),
        restarts,
        // Where the parent may not look, the engine's word has to do.
        usage: usage(engine.pid, units).or_else(|| engine.report.and_then(|r| r.usage)),
        queued: engine.queued(),
        sandbox: engine.report.map(|r| r.sandbox),
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// `None` where the system hides processes from each other.
fn usage(pid: u32, units: &Units) -> Option<Usage> {
    units.parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}
