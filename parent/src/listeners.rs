//! The listeners that control serves: gRPC over a Unix socket and over TCP, metrics. Opened by the parent
//! with the privileges that it starts with, handed to every control engine.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use ipc::config::{ListenerKind, Tls};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, chown};

use crate::config::{GrpcTcp, GrpcUds, OWNER_AND_GROUP, Telemetry, TlsFiles};

/// A listener with what control is told of it.
#[derive(Debug)]
pub(crate) struct ControlListener {
    pub(crate) kind: ListenerKind,
    /// For messages.
    pub(crate) address: String,
    /// The listener, and the files that the kind names.
    pub(crate) fds: Vec<OwnedFd>,
}

/// All of them. The socket file goes with this.
#[derive(Debug)]
pub(crate) struct ControlListeners {
    pub(crate) all: Vec<ControlListener>,
    _file: Option<SocketFile>,
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenerError {
    /// A living daemon has the socket.
    #[error("{} is in use by another daemon; stop it first, or set another grpc_uds path", .0.display())]
    Live(PathBuf),
    /// Something that is no socket is in the way.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The group of the socket does not exist.
    #[error("grpc_uds: no group {0:?} on this system")]
    NoGroup(String),
    /// Anything about a path.
    #[error("{what} {}: {error}", .path.display())]
    Path { what: &'static str, path: PathBuf, error: io::Error },
    /// A TCP address can't be bound.
    #[error("cannot listen on {address} for {what}: {error}")]
    Tcp { what: &'static str, address: SocketAddr, error: io::Error },
}

impl ControlListeners {
    /// Opens what `telemetry` asks for. The default socket is for the members of `service_group`, if there is one.
    ///
    /// # Errors
    /// Where one can't be opened.
    pub(crate) fn open(
        telemetry: &Telemetry,
        service_group: Option<Gid>,
    ) -> Result<ControlListeners, ListenerError> {
        let mut all = Vec::new();
        // TCP first: a second daemon fails there before it looks at the socket file.
        if let Some(tcp) = &telemetry.grpc_tcp {
            all.push(grpc_tcp(tcp)?);
        }
        if let Some(address) = telemetry.prometheus_addr {
            let fds = vec![bind_tcp("metrics", address)?];
            all.push(ControlListener { kind: ListenerKind::Metrics, address: address.to_string(), fds });
        }
        let mut file = None;
        if let Some(uds) = &telemetry.grpc_uds {
            let (listener, bound) = grpc_uds(uds, service_group)?;
            all.push(listener);
            file = Some(bound);
        }
        Ok(ControlListeners { all, _file: file })
    }
}

fn grpc_tcp(tcp: &GrpcTcp) -> Result<ControlListener, ListenerError> {
    let mut fds = vec![bind_tcp("gRPC", tcp.address)?];
    fds.extend(token(tcp.token_file.as_deref())?);
    if !tcp.address.ip().to_canonical().is_loopback() {
        // What that means is said by a warning of the configuration.
        tracing::warn!(address = %tcp.address, "gRPC TCP listener bound to a non-loopback address");
    }
    let token = tcp.token_file.is_some();
    let tls = match &tcp.tls {
        None => None,
        Some(TlsFiles { cert, key, client_ca }) => {
            fds.push(open("certificate", cert)?);
            fds.push(open("key", key)?);
            fds.extend(client_ca.as_deref().map(|ca| open("client CA", ca)).transpose()?);
            Some(Tls { client_ca: client_ca.is_some() })
        }
    };
    let kind = ListenerKind::GrpcTcp { access: tcp.access, token, tls };
    Ok(ControlListener { kind, address: tcp.address.to_string(), fds })
}

fn bind_tcp(what: &'static str, address: SocketAddr) -> Result<OwnedFd, ListenerError> {
    let bound = TcpListener::bind(address).and_then(|l| l.set_nonblocking(true).map(|()| l));
    bound.map(OwnedFd::from).map_err(|error| ListenerError::Tcp { what, address, error })
}

fn token(path: Option<&Path>) -> Result<Option<OwnedFd>, ListenerError> {
    path.map(|path| open("token file", path)).transpose()
}

/// A file for control to read.
fn open(what: &'static str, path: &Path) -> Result<OwnedFd, ListenerError> {
    File::open(path).map(OwnedFd::from).map_err(at(what, path))
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ListenerError {
    move |error| ListenerError::Path { what, path: path.to_owned(), error }
}

fn grpc_uds(
    uds: &GrpcUds,
    service_group: Option<Gid>,
) -> Result<(ControlListener, SocketFile), ListenerError> {
    let group = uds.group.as_deref().map(find_group).transpose()?;
    let (group, mode) = match service_group.filter(|_| uds.for_service_group) {
        Some(service_group) => (Some(service_group), OWNER_AND_GROUP),
        None => (group, uds.mode),
    };
    let (listener, file) = bind_unix(&uds.path)?;
    if group.is_some() {
        chown(&uds.path, None, group).map_err(io::Error::from).map_err(at("group of", &uds.path))?;
    }
    fs::set_permissions(&uds.path, Permissions::from_mode(mode)).map_err(at("mode of", &uds.path))?;
    let mut fds = vec![OwnedFd::from(listener)];
    fds.extend(token(uds.token_file.as_deref())?);
    let (access, token, allow) = (uds.access, uds.token_file.is_some(), uds.allow.clone());
    let kind = ListenerKind::GrpcUnix { access, token, allow };
    Ok((ControlListener { kind, address: uds.path.display().to_string(), fds }, file))
}

fn find_group(name: &str) -> Result<Gid, ListenerError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(ListenerError::NoGroup(name.to_owned())),
    }
}

/// A socket file that is ours; removed when this is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the gRPC socket");
        }
    }
}

/// Listens at `path`, for its owner only. Replaces a stale socket, never a live one.
fn bind_unix(path: &Path) -> Result<(UnixListener, SocketFile), ListenerError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = File::open(folder).map_err(at("folder", folder))?;
    // Two daemons that start at once look and bind one after the other.
    let _lock = Flock::lock(folder, FlockArg::LockExclusive)
        .map_err(|(_, e)| at("lock the folder of", path)(e.into()))?;
    clear_the_way(path)?;
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(at("listen on", path))?;
    listener.set_nonblocking(true).map_err(at("listen on", path))?;
    Ok((listener, SocketFile(path.to_owned())))
}

fn clear_the_way(path: &Path) -> Result<(), ListenerError> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(at("socket", path)(e)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenerError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(at("remove the stale socket", path))
        }
        // Whatever else is wrong with it, nobody has said that it is dead.
        _ => Err(ListenerError::Live(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grpc.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());

        let (listener, file) = bind_unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind_unix(&path), Err(ListenerError::Live(_))));
        let client = UnixStream::connect(&path);
        assert!(client.is_ok() && listener.accept().is_ok(), "the first one is not disturbed");

        drop(file);
        assert!(!path.exists(), "the socket file goes with the daemon");
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grpc.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind_unix(&path), Err(ListenerError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
