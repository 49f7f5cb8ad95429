//! What a process says of itself: what it uses, and what keeps it from doing harm.

use serde::{Deserialize, Serialize};

use crate::figures::Usage;

/// What an engine tells the parent with each answer to its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// What the system says of it; `None` where it says nothing.
    pub usage: Option<Usage>,
    /// Which protections hold.
    pub sandbox: Sandbox,
}

/// Something that keeps a process from doing harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// It is not root.
    Account,
    /// No capability in any set, the bounding set included; of the parent, none but those that it uses.
    Capabilities,
    /// Its root directory is an empty one.
    EmptyRoot,
    /// Programs that it starts get no more rights than it has.
    NoNewPrivs,
    /// No core dump, and no `ptrace` by its own account.
    NotDumpable,
    /// System calls that it does not need are refused.
    Seccomp,
    /// Landlock: files; of the parent, those that it writes and executes.
    LandlockFiles,
    /// Landlock: no TCP connection of its own making, no TCP listener.
    LandlockNetwork,
    /// Landlock: no signal to a process outside.
    LandlockSignals,
    /// No core dump by the limit of its size, and limits of file descriptors.
    Limits,
    /// A limit of memory.
    MemoryLimit,
}

impl Protection {
    /// All of them.
    pub const ALL: [Protection; 11] = [
        Protection::Account,
        Protection::Capabilities,
        Protection::EmptyRoot,
        Protection::NoNewPrivs,
        Protection::NotDumpable,
        Protection::Seccomp,
        Protection::LandlockFiles,
        Protection::LandlockNetwork,
        Protection::LandlockSignals,
        Protection::Limits,
        Protection::MemoryLimit,
    ];

    /// As logs, the API and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Account => "account",
            Protection::Capabilities => "capabilities",
            Protection::EmptyRoot => "empty_root",
            Protection::NoNewPrivs => "no_new_privs",
            Protection::NotDumpable => "not_dumpable",
            Protection::Seccomp => "seccomp",
            Protection::LandlockFiles => "landlock_files",
            Protection::LandlockNetwork => "landlock_network",
            Protection::LandlockSignals => "landlock_signals",
            Protection::Limits => "limits",
            Protection::MemoryLimit => "memory_limit",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The protections that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sandbox(u16);

impl Sandbox {
    /// With this one as well, where `holds`.
    #[must_use]
    pub fn with(self, protection: Protection, holds: bool) -> Sandbox {
        if holds { Sandbox(self.0 | protection.bit()) } else { self }
    }

    /// Whether it holds.
    pub fn has(self, protection: Protection) -> bool {
        self.0 & protection.bit() != 0
    }

    /// The names of those that hold, or do not, joined by spaces.
    pub fn names(self, that_hold: bool) -> String {
        let chosen = Protection::ALL.into_iter().filter(|p| self.has(*p) == that_hold);
        chosen.map(Protection::name).collect::<Vec<_>>().join(" ")
    }
}

/// In what the system counts, in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    /// Of CPU time.
    pub ticks_per_second: u64,
    /// Octets of a page of memory.
    pub page: u64,
}

impl Units {
    /// Those of this system. Makes no system call.
    pub fn of_system() -> Units {
        use nix::unistd::{SysconfVar, sysconf};
        let value = |name| {
            let value = sysconf(name).ok().flatten();
            value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0)
        };
        Units {
            ticks_per_second: value(SysconfVar::CLK_TCK).unwrap_or(100),
            page: value(SysconfVar::PAGE_SIZE).unwrap_or(4096),
        }
    }

    /// Fields of proc_pid_stat(5). The name in brackets may have anything in it, brackets as well.
    pub fn parse(&self, stat: &str) -> Option<Usage> {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        // The first of them is the third of the file.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)?.saturating_add(field(15)?);
        Some(Usage {
            cpu_ms: ticks.saturating_mul(1000) / self.ticks_per_second.max(1),
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
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let own = Units::of_system().parse(&own).unwrap();
        assert!(own.resident > 0 && own.threads > 0);
    }

    #[test]
    fn each_protection_is_told_by_itself() {
        for protection in Protection::ALL {
            let sandbox = Sandbox::default().with(protection, true);
            let all = Protection::ALL.into_iter().filter(|p| sandbox.has(*p));
            assert_eq!(all.collect::<Vec<_>>(), [protection]);
            assert_eq!(sandbox.names(true), protection.name());
            assert_eq!(sandbox.names(false).split(' ').count(), Protection::ALL.len() - 1);
            assert_eq!(Sandbox::default().with(protection, false), Sandbox::default());
        }
    }
}
