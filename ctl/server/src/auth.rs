//! What a client of a listener may do: bearer tokens, read-only listeners.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use ipc::config::Access;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::Layer;

/// The longest token that is read from a file, in octets.
const MAX_TOKEN: u64 = 64 * 1024;

/// Reads a bearer token from its file.
///
/// # Errors
/// Where it can't be read, is empty or absurdly long.
pub(crate) fn read_token(fd: OwnedFd) -> io::Result<Token> {
    let mut file = File::from(fd);
    file.rewind()?;
    let mut octets = Vec::new();
    file.take(MAX_TOKEN + 1).read_to_end(&mut octets)?;
    let token = octets.trim_ascii();
    if token.is_empty() || octets.len() as u64 > MAX_TOKEN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the token file is empty or too long"));
    }
    Ok(Token(token.into()))
}

/// A bearer token. Never shown.
#[derive(Clone)]
pub(crate) struct Token(Arc<[u8]>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(<set>)")
    }
}

impl Token {
    /// Whether it is `other`, in a time that doesn't tell where they differ.
    fn is(&self, other: &[u8]) -> bool {
        self.0.len() == other.len() && self.0.iter().zip(other).fold(0, |d, (a, b)| d | (a ^ b)) == 0
    }
}

/// Guards the services of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// What its clients may do.
    pub(crate) access: Access,
    /// What they must show.
    pub(crate) token: Option<Token>,
}

impl Gate {
    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Status> {
        if let Some(token) = &self.token {
            let shown = headers.get("authorization").and_then(|v| bearer(v.as_bytes()));
            match shown {
                None => {
                    return Err(Status::unauthenticated(
                        "a bearer token is required: send it as metadata `authorization: Bearer TOKEN`",
                    ));
                }
                Some(shown) if !token.is(shown) => {
                    return Err(Status::unauthenticated("the bearer token is wrong"));
                }
                Some(_) => {}
            }
        }
        if self.access == Access::ReadOnly && !only_reads(path) {
            let method = path.rsplit('/').next().unwrap_or_default();
            return Err(Status::permission_denied(format!(
                "{method} changes something, and this listener is read-only"
            )));
        }
        Ok(())
    }
}

/// The token of an `authorization` header (RFC 6750 §2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// Whether the RPC of this path changes nothing. The API's names tell; what isn't known to read is taken
/// to change something.
fn only_reads(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    ["Get", "List", "Explain", "Watch"].iter().any(|prefix| method.starts_with(prefix))
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// Services behind a [`Gate`].
#[derive(Debug, Clone)]
pub(crate) struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.gate.check(request.uri().path(), request.headers()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_scheme_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bear"), None);
    }

    #[test]
    fn every_method_of_the_api_is_known_to_read_or_not() {
        let proto = include_str!("../../../proto/grpc/rustbgpd.proto");
        let changing = [
            "Set",
            "Add",
            "Delete",
            "Enable",
            "Disable",
            "Drain",
            "SoftReset",
            "Clear",
            "Inject",
            "Shutdown",
            "Trigger",
            "Apply",
            "Confirm",
            "Rollback",
            // They read what a client sends, and files that it names.
            "Check",
            "Diff",
        ];
        let methods: Vec<&str> =
            proto.lines().filter_map(|l| l.trim().strip_prefix("rpc ")?.split('(').next()).collect();
        assert_eq!(methods.len(), 63);
        for method in methods {
            let path = format!("/rustbgpd.v1.Service/{method}");
            assert_ne!(only_reads(&path), changing.iter().any(|c| method.starts_with(c)), "{method}");
        }
    }
}
