//! Starting an engine: nothing of the parent goes along but three standard fds and its end of the channel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;

/// Where the engine finds its end of the channel.
pub const CHANNEL_FD: RawFd = 3;

/// A command that starts `program` with a cleared environment, `channel` as fd [`CHANNEL_FD`], /dev/null as
/// standard input, our standard output and error, and no other fd. Add the environment, then spawn it from
/// the thread whose end is to be the engine's end.
pub fn engine_command(program: &Path, channel: OwnedFd) -> io::Result<Command> {
    // The command's own fds must not be where the channel goes: as long as the parent has that number in
    // use, they get others.
    let placeholder = nix::fcntl::fcntl(&channel, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(CHANNEL_FD))?;
    // SAFETY: fcntl has just made it, for us alone.
    let placeholder = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(placeholder) };
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock taken.
    unsafe {
        command.pre_exec(move || {
            let _keep = &placeholder;
            hand_over(channel.as_raw_fd())
        });
    }
    Ok(command)
}

/// Runs in the child between fork and exec.
fn hand_over(channel: RawFd) -> io::Result<()> {
    let done = if channel == CHANNEL_FD {
        // SAFETY: an fd flag of a number.
        unsafe { libc::fcntl(CHANNEL_FD, libc::F_SETFD, 0) }
    } else {
        // SAFETY: whatever the child has at this number is the placeholder, or something of the parent's that
        // is not used any more in this process.
        unsafe { libc::dup2(channel, CHANNEL_FD) }
    };
    Errno::result(done)?;
    // SAFETY: marks fds, closes none yet: what `Command` still needs is closed by exec.
    let marked = unsafe {
        libc::close_range(
            CHANNEL_FD.unsigned_abs() + 1,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC.cast_signed(),
        )
    };
    Errno::result(marked)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::IntoRawFd;

    use super::*;

    /// Starts a shell as an engine; gives back what it wrote to the channel.
    fn run(script: &str) -> String {
        let (mut ours, theirs) = io::pipe().unwrap();
        // Something that must not be inherited.
        let stray = nix::fcntl::open("/dev/null", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
        let stray = stray.unwrap().into_raw_fd();
        let mut command = engine_command(Path::new("/bin/sh"), theirs.into()).unwrap();
        let mut child = command.args(["-c", script]).spawn().unwrap();
        drop(command);
        let mut read = String::new();
        ours.read_to_string(&mut read).unwrap();
        assert!(child.wait().unwrap().success());
        // SAFETY: opened above, and nobody else has it.
        drop(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(stray) });
        read
    }

    #[test]
    fn an_engine_inherits_its_channel_and_nothing_else() {
        let open = run(
            "exec >&3; f=0; while [ $f -lt 64 ]; do [ -e /proc/$$/fd/$f ] && echo $f; f=$((f+1)); done; true",
        );
        assert_eq!(open, "0\n1\n2\n3\n");
    }

    #[test]
    fn an_engine_has_an_empty_environment() {
        assert!(std::env::var_os("PATH").is_some());
        assert_eq!(run("echo \"$HOME$CARGO_MANIFEST_DIR\" >&3"), "\n");
    }
}
