//! Serves clients on the listeners that the parent hands over.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ipc::config::{Access, ListenerKind, Tls};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::app::App;
use crate::auth::{self, Gate};
use crate::connection::{Acceptor, Allowed};
use crate::{metrics, services};

/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 128;
/// How often a silent client is asked whether it is still there, ...
const KEEPALIVE: Duration = Duration::from_secs(60);
/// ... and how long it has to answer.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);
/// The longest header of a request, in octets.
const MAX_HEADER: u32 = 16 * 1024;
/// How long a client may take for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest certificate or key file, in octets.
const MAX_PEM: u64 = 1024 * 1024;
/// How long a client may take to send the header of an HTTP request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Becomes true when the process ends.
pub(crate) type Ending = watch::Receiver<bool>;

/// Serves one listener until the end.
///
/// # Errors
/// Where the fds are not what the message says.
pub(crate) async fn serve(
    app: Arc<App>,
    kind: ListenerKind,
    fds: Vec<OwnedFd>,
    ending: Ending,
) -> io::Result<()> {
    let mut fds = fds.into_iter();
    let listener = fds.next().ok_or_else(|| io::Error::other("a listener without an fd"))?;
    match kind {
        ListenerKind::GrpcUnix { access, token, allow } => {
            let gate = gate(access, fds.by_ref().take(usize::from(token)).next())?;
            let listener = std::os::unix::net::UnixListener::from(listener);
            listener.set_nonblocking(true)?;
            let accept = Acceptor::Unix(UnixListener::from_std(listener)?, Allowed::new(allow));
            serve_grpc(app, gate, None, accept, ending).await
        }
        ListenerKind::GrpcTcp { access, token, tls } => {
            let gate = gate(access, fds.by_ref().take(usize::from(token)).next())?;
            let tls = tls.map(|tls| tls_config(tls, fds)).transpose()?;
            serve_grpc(app, gate, tls, tcp(listener)?, ending).await
        }
        ListenerKind::Metrics => serve_metrics(app, tcp(listener)?, ending).await,
    }
}

fn gate(access: Access, token: Option<OwnedFd>) -> io::Result<Gate> {
    Ok(Gate { access, token: token.map(auth::read_token).transpose()? })
}

/// What a listener shows of itself and wants to see of its clients, of files in PEM.
fn tls_config(tls: Tls, mut files: impl Iterator<Item = OwnedFd>) -> io::Result<ServerTlsConfig> {
    let mut file = || {
        let fd = files.next().ok_or_else(|| io::Error::other("a file of TLS is missing"))?;
        auth::read_file(fd, MAX_PEM)
    };
    let config =
        ServerTlsConfig::new().identity(Identity::from_pem(file()?, file()?)).timeout(HANDSHAKE_TIMEOUT);
    Ok(if tls.client_ca { config.client_ca_root(Certificate::from_pem(file()?)) } else { config })
}

fn tcp(fd: OwnedFd) -> io::Result<Acceptor> {
    let listener = std::net::TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(Acceptor::Tcp(TcpListener::from_std(listener)?))
}

async fn end(mut ending: Ending) {
    // An error means that whoever would tell is gone, which is an end as well.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn serve_grpc(
    app: Arc<App>,
    gate: Gate,
    tls: Option<ServerTlsConfig>,
    acceptor: Acceptor,
    ending: Ending,
) -> io::Result<()> {
    let services = services::all(app).map_err(io::Error::other)?;
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(io::Error::other)?;
    }
    server
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .http2_max_header_list_size(MAX_HEADER)
        .layer(gate)
        .add_routes(services)
        .serve_with_incoming_shutdown(acceptor.into_stream(), end(ending))
        .await
        .map_err(io::Error::other)
}

async fn serve_metrics(app: Arc<App>, acceptor: Acceptor, ending: Ending) -> io::Result<()> {
    use hyper::server::conn::http1;
    use hyper_util::rt::{TokioIo, TokioTimer};
    let mut connections = std::pin::pin!(acceptor.into_stream());
    let mut end = std::pin::pin!(end(ending));
    loop {
        let connection = tokio::select! {
            connection = futures_util::StreamExt::next(&mut connections) => connection,
            () = &mut end => return Ok(()),
        };
        let Some(Ok(connection)) = connection else { return Ok(()) };
        let app = Arc::clone(&app);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&app), request));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(connection), service);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "metrics connection ended");
            }
        });
    }
}

async fn answer(
    app: Arc<App>,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<String>, hyper::http::Error> {
    use hyper::{Method, StatusCode, header};
    let (status, kind, body) = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned())
    } else if request.uri().path() == "/metrics" {
        (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics::render(&app).await)
    } else {
        (StatusCode::NOT_FOUND, "text/plain", "the metrics are at /metrics\n".to_owned())
    };
    hyper::Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(body)
}
