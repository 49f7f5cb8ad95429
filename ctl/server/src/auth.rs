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

use crate::connection::Admission;
use crate::methods;

/// The longest token that is read from a file, in octets.
const MAX_TOKEN: u64 = 64 * 1024;

/// Reads a file that the parent has handed over.
///
/// # Errors
/// Where it can't be read or is longer than `most`.
pub(crate) fn read_file(fd: OwnedFd, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::from(fd);
    // Another control engine may have read it before.
    file.rewind()?;
    let mut octets = Vec::new();
    file.take(most + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a file of a listener is too long"));
    }
    Ok(octets)
}

/// Reads a bearer token from its file.
///
/// # Errors
/// Where it can't be read, is empty or absurdly long.
pub(crate) fn read_token(fd: OwnedFd) -> io::Result<Token> {
    let octets = read_file(fd, MAX_TOKEN)?;
    let token = octets.trim_ascii();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the token file is empty"));
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
        if self.access == Access::ReadOnly && !methods::only_reads(path) {
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
            Ok(()) => {
                if let Some(admission) = request.extensions().get::<Admission>() {
                    admission.grant();
                }
                Either::Left(self.inner.call(request))
            }
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
}
