//! With which rights the daemon runs: as root it finds the service account for the engines and gives up all
//! capabilities but those that the parent uses; as an ordinary user it says what that leaves out.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Group, Uid, User, chown};

use crate::config::Global;

/// Account of the engines where the configuration names none.
const DEFAULT_USER: &str = "_rustbgpd";
/// User and group where the default account does not exist: `nobody`, `nogroup`.
const NOBODY: u32 = 65534;

/// What the parent goes on using as root. TCP-MD5, GTSM and handing over sockets need none.
const KEPT: [Capability; 6] = [
    // Listeners on port 179.
    Capability::CAP_NET_BIND_SERVICE,
    // A restarted engine becomes the service account ...
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    // ... in an empty root directory ...
    Capability::CAP_SYS_CHROOT,
    // ... with an empty bounding set ...
    Capability::CAP_SETPCAP,
    // ... and is killed if need be.
    Capability::CAP_KILL,
];

/// How engines are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They drop to an account of their own.
    Root {
        /// Its id.
        uid: Uid,
        /// Its group.
        gid: Gid,
        /// An empty directory.
        chroot: PathBuf,
    },
    /// They stay who we are.
    User,
}

impl Mode {
    /// The group of the service account, for files that its members may use; `None` where there is none of its own.
    pub(crate) fn service_group(&self) -> Option<Gid> {
        match self {
            Mode::Root { gid, .. } if gid.as_raw() != NOBODY => Some(*gid),
            Mode::Root { .. } | Mode::User => None,
        }
    }
}

/// Why the daemon must not start like this.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    /// The configuration names an account that does not exist.
    #[error("[global] {kind} {name:?} does not exist on this system")]
    NoAccount { kind: &'static str, name: String },
    /// The configuration names the superuser.
    #[error("[global] {kind} {name:?} has id 0: the engines must not run as root")]
    Superuser { kind: &'static str, name: String },
    /// Looking it up failed.
    #[error("looking up {name:?}: {error}")]
    Lookup { name: String, error: Errno },
    /// A directory can't be used.
    #[error("{}: {error}", .path.display())]
    Path { path: PathBuf, error: io::Error },
    /// The directory that is to be the engines' root has something in it.
    #[error("{} is not empty: it is the root directory of the engines", .0.display())]
    NotEmpty(PathBuf),
    /// A system call about capabilities failed.
    #[error("capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// Another one failed.
    #[error("{0}")]
    Os(#[from] Errno),
}

/// Finds out how to start the engines, and makes the directories that are needed for it.
///
/// # Errors
/// Where an account or a directory is missing.
pub(crate) fn prepare(global: &Global) -> Result<Mode, PrivilegeError> {
    let state = &global.runtime_state_dir;
    let has = caps::read(None, CapSet::Effective)?;
    if !KEPT.iter().all(|c| has.contains(c)) {
        // Only a socket may need it, and then says so itself.
        if let Err(error) = make_directory(state, 0o750) {
            tracing::warn!(%error, "no runtime_state_dir");
        }
        return Ok(Mode::User);
    }
    let (uid, gid) = account(global.user.as_deref(), global.group.as_deref())?;
    if make_directory(state, 0o750)? {
        chown(state, None, Some(gid))?;
    }
    let chroot = state.join("empty");
    make_directory(&chroot, 0o555)?;
    check_empty(&chroot)?;
    Ok(Mode::Root { uid, gid, chroot })
}

/// Gives up what the parent does not need any more; says what is off where there was nothing to give up.
///
/// # Errors
/// Where the system refuses.
pub(crate) fn drop_rest(mode: &Mode) -> Result<(), PrivilegeError> {
    match mode {
        Mode::Root { .. } => keep_only(&KEPT.into_iter().collect())?,
        Mode::User => {
            let bind = CapsHashSet::from([Capability::CAP_NET_BIND_SERVICE]);
            let has = caps::read(None, CapSet::Permitted)?;
            set_all_but_bounding(&has.intersection(&bind).copied().collect())?;
            tracing::warn!(
                "not started with root's capabilities: the engines keep this user's id, groups and root \
                 directory; they still have no capability, no_new_privs, filters of system calls, Landlock where \
                 the kernel has it, and end with the parent"
            );
        }
    }
    Ok(())
}

/// As many fds as the system lets us have: a session is one, and it is given from process to process.
pub(crate) fn raise_fd_limit() -> Result<(), PrivilegeError> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

fn keep_only(kept: &CapsHashSet) -> Result<(), PrivilegeError> {
    // While SETPCAP is effective.
    for capability in caps::read(None, CapSet::Bounding)?.difference(kept) {
        caps::drop(None, CapSet::Bounding, *capability)?;
    }
    set_all_but_bounding(kept)
}

fn set_all_but_bounding(kept: &CapsHashSet) -> Result<(), PrivilegeError> {
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Permitted, kept)?;
    caps::clear(None, CapSet::Inheritable)?;
    Ok(())
}

fn account(user: Option<&str>, group: Option<&str>) -> Result<(Uid, Gid), PrivilegeError> {
    let found = find_user(user.unwrap_or(DEFAULT_USER))?;
    let (name, uid, own_group) = match (found, user) {
        (Some(found), _) => (found.name, found.uid, found.gid),
        (None, Some(name)) => {
            return Err(PrivilegeError::NoAccount { kind: "user", name: name.to_owned() });
        }
        (None, None) => {
            tracing::warn!(
                user = DEFAULT_USER,
                uid = NOBODY,
                "the service account does not exist: the engines run as nobody"
            );
            ("nobody".to_owned(), Uid::from_raw(NOBODY), Gid::from_raw(NOBODY))
        }
    };
    let (group_name, gid) = match group {
        None => (name.clone(), own_group),
        Some(name) => match find_group(name)? {
            Some(found) => (found.name, found.gid),
            None => return Err(PrivilegeError::NoAccount { kind: "group", name: name.to_owned() }),
        },
    };
    if uid.is_root() {
        return Err(PrivilegeError::Superuser { kind: "user", name });
    }
    if gid.as_raw() == 0 {
        return Err(PrivilegeError::Superuser { kind: "group", name: group_name });
    }
    Ok((uid, gid))
}

fn find_user(name: &str) -> Result<Option<User>, PrivilegeError> {
    User::from_name(name).map_err(|error| PrivilegeError::Lookup { name: name.to_owned(), error })
}

fn find_group(name: &str) -> Result<Option<Group>, PrivilegeError> {
    Group::from_name(name).map_err(|error| PrivilegeError::Lookup { name: name.to_owned(), error })
}

/// Makes `path` if its parent exists; says whether it did.
fn make_directory(path: &Path, mode: u32) -> Result<bool, PrivilegeError> {
    let at = |error| PrivilegeError::Path { path: path.to_owned(), error };
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            // The umask may have taken some of it away.
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at)?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(at(e)),
    }
}

/// Nothing in it, and nobody but root can change that.
fn check_empty(path: &Path) -> Result<(), PrivilegeError> {
    let at = |error| PrivilegeError::Path { path: path.to_owned(), error };
    let found = fs::symlink_metadata(path).map_err(at)?;
    if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        let error = io::Error::other("must be a directory of root's that nobody else can write to");
        return Err(at(error));
    }
    match fs::read_dir(path).map_err(at)?.next() {
        None => Ok(()),
        Some(_) => Err(PrivilegeError::NotEmpty(path.to_owned())),
    }
}
