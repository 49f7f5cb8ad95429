//! What the system says of the daemon's processes. Privileged process: it alone sees them all.

use std::time::{SystemTime, UNIX_EPOCH};

use ipc::Role;
use ipc::figures::{Process, Usage};
use nix::unistd::{SysconfVar, sysconf};

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
        usage: units.usage(std::process::id()),
        queued: 0,
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
        usage: units.usage(engine.pid),
        queued: engine.queued(),
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// In what the system counts.
#[derive(Debug, Clone, Copy)]
struct Units {
    ticks_per_second: u64,
    page: u64,
}

impl Units {
    fn of_system() -> Units {
        let value = |name| {
            let value = sysconf(name).ok().flatten();
            value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0)
        };
        Units {
            ticks_per_second: value(SysconfVar::CLK_TCK).unwrap_or(100),
            page: value(SysconfVar::PAGE_SIZE).unwrap_or(4096),
        }
    }

    /// `None` where the system hides processes from each other.
    fn usage(&self, pid: u32) -> Option<Usage> {
        self.parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields of proc_pid_stat(5). The name in brackets may have anything in it, brackets as well.
    fn parse(&self, stat: &str) -> Option<Usage> {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        // The first of them is the third of the file.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)?.saturating_add(field(15)?);
        Some(Usage {
            cpu_ms: ticks.saturating_mul(1000) / self.ticks_per_second,
            resident: field(24)?.saturating_mul(self.page),
            threads: u32::try_from(field(20)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_process_are_read_whatever_its_name() {
        let units = Units { ticks_per_second: 100, page: 4096 };
        let stat = "77 (a) (b c) S 1 77 77 0 -1 4194560 900 0 3 0 150 25 0 0 20 0 4 0 12345 1000000 300 1844 1 1 0 0 0";
        assert_eq!(units.parse(stat), Some(Usage { cpu_ms: 1750, resident: 300 * 4096, threads: 4 }));
        assert_eq!(units.parse("77 (a) S 1"), None);
        assert_eq!(units.parse(""), None);
        let own = Units::of_system().usage(std::process::id()).unwrap();
        assert!(own.resident > 0 && own.threads > 0);
    }
}
