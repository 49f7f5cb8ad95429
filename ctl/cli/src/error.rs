//! What can go wrong, in words that say what to do next.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use tonic::{Code, Status};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line makes no sense; exit status 2.
    #[error("{0}\nFor more information, try '--help'.")]
    Usage(String),
    /// No connection to the daemon.
    #[error("cannot reach rustbgpd at {address}: {reason}\n{hint}")]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The daemon said no.
    #[error("{}", describe(.0))]
    Status(#[from] Status),
    /// Standard output.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A file.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// What went wrong, in a line and without advice, for who tries again anyway.
    pub(crate) fn brief(&self) -> String {
        match self {
            CliError::Connect { reason, .. } => reason.clone(),
            CliError::Status(status) if broken(status) => "the connection broke".to_owned(),
            other => other.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }
}

/// What to do about a connection that the other end closes.
const BROKE: &str = "The connection broke. Is rustbgpd still running (systemctl status rustbgpd)? Or does its gRPC socket not \
                     let in your user (allow_uids, allow_gids; the log says so), or its TLS not without a certificate \
                     (--tls-cert)?";

fn describe(status: &Status) -> String {
    let message = match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    };
    let hint = match status.code() {
        Code::Unauthenticated => {
            "\nGive the file that holds the token: --token-file FILE, or RUSTBGPD_TOKEN_FILE."
        }
        Code::Unknown | Code::Unavailable if broken(status) => return format!("{message}\n{BROKE}"),
        // Neither side cancels anything: so it is called here when a connection ends before a request is on its way.
        Code::Cancelled => return format!("{message}\n{BROKE}"),
        Code::Unimplemented if status.message().is_empty() => {
            "\nThe daemon does not know this request: is it of the same version as rustbgpctl?"
        }
        _ => "",
    };
    format!("{message}{hint}")
}

/// Whether the status comes from the transport, not from the daemon.
fn broken(status: &Status) -> bool {
    status.source().is_some()
}

/// What to do about a connection that was not made.
pub(crate) fn connect(address: &str, e: &tonic::transport::Error) -> CliError {
    let io = root_io(e);
    let hint = match io.map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => {
            "You may not use this socket: run as root (sudo), or as a user that [global.telemetry.grpc_uds] lets in (mode, group)."
        }
        Some(io::ErrorKind::NotFound) => {
            "There is no such socket. Is rustbgpd running (systemctl status rustbgpd)? If it listens elsewhere, use --addr or RUSTBGPD_ADDR."
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            "Nobody listens there. Is rustbgpd running (systemctl status rustbgpd)? If it listens elsewhere, use --addr or RUSTBGPD_ADDR."
        }
        // It may be closed before anything could be said, or a moment later: then this is the status of a request.
        Some(
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof,
        ) => BROKE,
        _ => "Check the address (--addr or RUSTBGPD_ADDR) and whether rustbgpd is running.",
    };
    let reason = io.map_or_else(|| deepest(e), ToString::to_string);
    CliError::Connect { address: address.to_owned(), reason, hint }
}

fn root_io(e: &tonic::transport::Error) -> Option<&io::Error> {
    let mut source = e.source();
    while let Some(e) = source {
        if let Some(io) = e.downcast_ref() {
            return Some(io);
        }
        source = e.source();
    }
    None
}

fn deepest(e: &dyn Error) -> String {
    e.source().map_or_else(|| e.to_string(), deepest)
}
