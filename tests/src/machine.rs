//! What a machine needs beyond a host: a control group, and a systemd that boots in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Error, Result, wait};

const BOOT: &str = include_str!("machine.sh");

/// The programs that a boot needs, and their Debian packages.
const NEEDED: [(&str, &str); 2] = [("/lib/systemd/systemd", "systemd"), ("/sbin/pivot_root", "util-linux")];

/// A control group of the unified hierarchy, wherever that is mounted. Controllers that another hierarchy has are not
/// enforced in it. Removed when dropped, with those below.
pub(crate) struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes one, and sweeps what tests left that were killed.
    pub(crate) fn new(name: &str) -> Result<ControlGroup> {
        if let Some((program, package)) = NEEDED.iter().find(|(program, _)| !Path::new(program).exists()) {
            return Error::fail(format!("{program} is missing (Debian package {package})"));
        }
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = mounts.filter_map(|m| (m.get(2) == Some(&"cgroup2")).then(|| PathBuf::from(m[1]))).next();
        let base = found.ok_or_else(|| Error::new("no cgroup2 is mounted: machines of the lab need one"))?;
        for entry in fs::read_dir(&base)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name
                .strip_prefix("rustbgpd-lab-")
                .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                remove(&entry.path());
            }
        }
        let path = base.join(format!("rustbgpd-lab-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(ControlGroup(path))
    }

    /// Starts the boot of a machine in this group. It dies with the thread that calls this.
    pub(crate) fn boot(&self, name: &str) -> Result<Child> {
        const ENTER: &str = "echo 0 > \"$1\"; shift; exec setpriv --pdeathsig KILL unshare \"$@\"";
        let procs = self.0.join("cgroup.procs");
        let mut boot = Command::new("sh");
        boot.args(["-ec", ENTER, "sh", &procs.to_string_lossy()])
            .args(["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child"])
            .args(["--propagation", "private", "sh", "-c", BOOT, "sh", name])
            .stdin(Stdio::null());
        Ok(boot.spawn()?)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Its processes may still be going.
        let path = &self.0;
        let _ = wait("the end of a control group", 5, || {
            remove(path);
            Ok(!path.exists())
        });
    }
}

fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
        remove(&entry.path());
    }
    let _ = fs::remove_dir(group);
}
