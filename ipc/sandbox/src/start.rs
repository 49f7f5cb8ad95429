//! How the parent starts an engine: a cleared environment with a few variables, and one fd.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid};

use crate::enter::SandboxError;
use crate::log::LogFormat;

/// The engine's end of the channel to the parent.
pub const PARENT_FD: RawFd = 3;

/// Environment variable: format and level of the log, as in `json:info`.
pub const ENV_LOG: &str = "RUSTBGPD_LOG";
/// Environment variable, root mode only: the user id to run as.
pub const ENV_UID: &str = "RUSTBGPD_UID";
/// Environment variable, root mode only: the group id to run as.
pub const ENV_GID: &str = "RUSTBGPD_GID";
/// Environment variable, root mode only: an existing empty directory to make the root.
pub const ENV_CHROOT: &str = "RUSTBGPD_CHROOT";

/// Environment variable: how much memory the engine may have, in octets.
pub const ENV_MEMORY: &str = "RUSTBGPD_MEMORY";

/// What the parent asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) format: LogFormat,
    pub(crate) level: String,
    /// Root mode.
    pub(crate) drop: Option<Drop>,
    /// Octets.
    pub(crate) memory: Option<u64>,
}

/// What to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drop {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) root: PathBuf,
}

impl Start {
    pub(crate) fn from_environment() -> Result<Start, SandboxError> {
        Start::parse(std::env::var_os::<&str>)
    }

    fn parse(get: impl Fn(&'static str) -> Option<OsString>) -> Result<Start, SandboxError> {
        let text = |name: &'static str| match get(name) {
            None => Ok(None),
            Some(v) => v.into_string().map(Some).map_err(|v| bad(name, &v)),
        };
        let id = |name: &'static str| match text(name)? {
            None => Ok(None),
            Some(v) => match v.parse::<u32>() {
                // Id 0 would keep what is to be dropped, and -1 means "leave as it is" to the kernel.
                Ok(n) if n != 0 && n != u32::MAX => Ok(Some(n)),
                _ => Err(bad(name, OsStr::new(&v))),
            },
        };
        let log = text(ENV_LOG)?.ok_or(SandboxError::NotByParent)?;
        let (format, level) = log.split_once(':').ok_or_else(|| bad(ENV_LOG, OsStr::new(&log)))?;
        let drop = match (id(ENV_UID)?, id(ENV_GID)?, get(ENV_CHROOT)) {
            (None, None, None) => None,
            (Some(uid), Some(gid), Some(root)) => {
                Some(Drop { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), root: root.into() })
            }
            _ => return Err(SandboxError::HalfRootMode),
        };
        let memory = text(ENV_MEMORY)?;
        let memory = memory.map(|v| v.parse().map_err(|_| bad(ENV_MEMORY, OsStr::new(&v)))).transpose()?;
        Ok(Start { format: format.parse()?, level: level.to_owned(), drop, memory })
    }
}

fn bad(name: &'static str, value: &OsStr) -> SandboxError {
    SandboxError::Environment { name, value: value.to_string_lossy().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&'static str, &str)]) -> Result<Start, SandboxError> {
        Start::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn an_ordinary_user_drops_nothing() {
        let start = parse(&[(ENV_LOG, "text:debug,tonic=warn")]).unwrap();
        assert_eq!(start.format, LogFormat::Text);
        assert_eq!(start.level, "debug,tonic=warn");
        assert_eq!(start.drop, None);
    }

    #[test]
    fn root_mode_names_who_to_become() {
        let vars = [(ENV_LOG, "json:info"), (ENV_UID, "994"), (ENV_GID, "993"), (ENV_CHROOT, "/run/empty")];
        let drop = parse(&vars).unwrap().drop.unwrap();
        assert_eq!((drop.uid.as_raw(), drop.gid.as_raw()), (994, 993));
        assert_eq!(drop.root, PathBuf::from("/run/empty"));
    }

    #[test]
    fn what_would_keep_privileges_is_refused() {
        let log = (ENV_LOG, "json:info");
        let root = (ENV_CHROOT, "/run/empty");
        for vars in [
            vec![log, (ENV_UID, "0"), (ENV_GID, "993"), root],
            vec![log, (ENV_UID, "994"), (ENV_GID, "0"), root],
            vec![log, (ENV_UID, "4294967295"), (ENV_GID, "993"), root],
            vec![log, (ENV_UID, "-1"), (ENV_GID, "993"), root],
            vec![log, (ENV_UID, ""), (ENV_GID, "993"), root],
            vec![log, (ENV_UID, "994"), root],
            vec![log, (ENV_UID, "994"), (ENV_GID, "993")],
            vec![log, root],
            vec![(ENV_LOG, "json")],
            vec![(ENV_LOG, "yaml:info")],
            vec![],
        ] {
            assert!(parse(&vars).is_err(), "{vars:?}");
        }
    }
}
