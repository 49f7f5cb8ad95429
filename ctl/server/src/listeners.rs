//! Serves clients on the listeners that the parent hands over.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use ipc::config::{Access, ListenerKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::app::App;
use crate::auth::{self, Gate};
use crate::authority::Filter;
use crate::{metrics, services};

/// Connections at a time on one listener. More wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 128;
/// How often a silent client is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a client may take to send the header of an HTTP request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as when there are no fds left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
        ListenerKind::GrpcUnix { access, .. } => {
            let gate = gate(access, fds.next())?;
            let listener = std::os::unix::net::UnixListener::from(listener);
            listener.set_nonblocking(true)?;
            let accept = Acceptor::Unix(UnixListener::from_std(listener)?);
            serve_grpc(app, gate, accept, ending).await
        }
        ListenerKind::GrpcTcp { access, .. } => {
            let gate = gate(access, fds.next())?;
            serve_grpc(app, gate, tcp(listener)?, ending).await
        }
        ListenerKind::Metrics => serve_metrics(app, tcp(listener)?, ending).await,
    }
}

fn gate(access: Access, token: Option<OwnedFd>) -> io::Result<Gate> {
    Ok(Gate { access, token: token.map(auth::read_token).transpose()? })
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

async fn serve_grpc(app: Arc<App>, gate: Gate, acceptor: Acceptor, ending: Ending) -> io::Result<()> {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .layer(gate)
        .add_routes(services::all(app))
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

/// A listening socket.
#[derive(Debug)]
enum Acceptor {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Acceptor::Unix(l) => Ok(Socket::Unix(l.accept().await?.0, Box::new(Filter::new()))),
            Acceptor::Tcp(l) => {
                let stream = l.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// Connections as they come, never more than [`MAX_CONNECTIONS`] at a time.
    fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        futures_util::stream::unfold((self, room), |(acceptor, room)| async move {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            loop {
                match acceptor.accept().await {
                    Ok(socket) => {
                        let connection = Connection { socket, _permit: permit };
                        return Some((Ok(connection), (acceptor, room)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a client");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
    }
}

/// A client's connection.
#[derive(Debug)]
struct Connection {
    socket: Socket,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream, Box<Filter>),
    Tcp(TcpStream),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream, filter) => poll_read_filtered(Pin::new(stream), filter, cx, buf),
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

fn poll_read_filtered(
    mut stream: Pin<&mut UnixStream>,
    filter: &mut Filter,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    while !filter.is_ready() {
        let mut space = [0; 8192];
        let mut arrived = ReadBuf::new(&mut space);
        ready!(stream.as_mut().poll_read(cx, &mut arrived))?;
        if arrived.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        filter.push(arrived.filled());
    }
    filter.drain_into(buf);
    Poll::Ready(Ok(()))
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_write(cx, data),
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_write_vectored(cx, data),
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_flush(cx),
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
