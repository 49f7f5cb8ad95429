//! Landlock (landlock(7)): what a process may do with files, the network and signals, whatever its user may. Best effort: what
//! the kernel does not know is left out, and said.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

/// The newest that this program knows.
const NEWEST: ABI = ABI::V6;

/// Which parts the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Enforced {
    pub(crate) files: bool,
    pub(crate) network: bool,
    pub(crate) signals: bool,
}

impl Enforced {
    /// By the version of the kernel's interface.
    fn by_version(version: i64) -> Enforced {
        Enforced { files: version >= 1, network: version >= 4, signals: version >= 6 }
    }
}

/// An engine: no file, no TCP connection or listener of its own making, no signal to others.
pub(crate) fn nothing() -> io::Result<Enforced> {
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|r| r.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|r| r.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.map_err(io::Error::other)?;
    Ok(Enforced::by_version(version()))
}

/// The parent: writes in these folders and to /dev/null only, and starts no programs but those in `programs`. The engines
/// inherit it.
pub(crate) fn parent(writes: &[PathBuf], programs: &Path) -> io::Result<Enforced> {
    // Of the loader of programs, which has its own right to be executed.
    const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    let handled = AccessFs::from_write(NEWEST) | AccessFs::Execute;
    let restrict = || -> Result<(), RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(handled)?
            .scope(Scope::Signal)?
            .create()?;
        let execute = BitFlags::from(AccessFs::Execute);
        let below = LIBRARIES.iter().map(Path::new).chain([programs]).map(|path| (path, execute));
        let writes = writes.iter().map(|path| (path.as_path(), AccessFs::from_write(NEWEST)));
        let null = (Path::new("/dev/null"), BitFlags::from(AccessFs::WriteFile));
        for (path, access) in below.chain(writes).chain([null]) {
            // What does not exist needs no rule.
            if let Ok(fd) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(fd, access))?;
            }
        }
        rules.restrict_self().map(drop)
    };
    restrict().map_err(io::Error::other)?;
    Ok(Enforced { network: false, ..Enforced::by_version(version()) })
}

/// The version of the kernel's interface; less than 1 where it has none.
#[expect(unsafe_code, reason = "no library tells it")]
fn version() -> i64 {
    const VERSION: libc::c_long = 1;
    // SAFETY: without a structure and with this flag the call does nothing but answer.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, VERSION) }
}
