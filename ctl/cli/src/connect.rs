//! The connection to the daemon.

use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::args::Args;
use crate::error::{self, CliError};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is accepted, in octets.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// A connection that shows the token, if there is one.
pub(crate) type Connection = InterceptedService<Channel, Token>;

/// Adds the bearer token to each request.
#[derive(Debug, Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Connects.
///
/// # Errors
/// Wrong addresses, unreadable token files, daemons that cannot be reached.
pub(crate) async fn connect(args: &Args) -> Result<Connection, CliError> {
    let token = Token(args.token_file.as_deref().map(read_token).transpose()?);
    let address = args.addr.as_str();
    let channel =
        if let Some(path) = address.strip_prefix("unix://").or_else(|| address.strip_prefix("unix:")) {
            unix(path.to_owned()).await
        } else if address.starts_with("http://") {
            endpoint(address)?.connect().await
        } else if address.starts_with("https://") {
            let tls = tls(args)?;
            match endpoint(address)?.tls_config(tls) {
                Ok(endpoint) => endpoint.connect().await,
                Err(error) => Err(error),
            }
        } else {
            let why = "it must be unix:///path, http://host:port or https://host:port";
            return Err(CliError::Usage(format!("--addr {address:?}: {why}")));
        };
    let channel = channel.map_err(|e| error::connect(address, &e))?;
    Ok(InterceptedService::new(channel, token))
}

fn endpoint(address: &str) -> Result<Endpoint, CliError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|e| CliError::Usage(format!("{address:?} is not an address: {e}")))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT))
}

/// Whom to trust, and what to show.
fn tls(args: &Args) -> Result<ClientTlsConfig, CliError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| CliError::File { path: path.to_owned(), error });
    let Some(ca) = &args.tls_ca else {
        let why =
            "https:// needs to know who signed the daemon's certificate: --tls-ca FILE, or RUSTBGPD_TLS_CA";
        return Err(CliError::Usage(why.to_owned()));
    };
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    match (&args.tls_cert, &args.tls_key) {
        (None, None) => Ok(config),
        (Some(cert), Some(key)) => Ok(config.identity(Identity::from_pem(read(cert)?, read(key)?))),
        _ => Err(CliError::Usage("--tls-cert and --tls-key belong together".to_owned())),
    }
}

async fn unix(path: String) -> Result<Channel, tonic::transport::Error> {
    // The URI is not used to connect, but becomes the request's authority.
    Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await
}

fn read_token(path: &Path) -> Result<MetadataValue<Ascii>, CliError> {
    let file = |error| CliError::File { path: path.to_owned(), error };
    let text = std::fs::read_to_string(path).map_err(file)?;
    match text.trim() {
        "" => Err(CliError::Failed(format!("{}: the token file is empty", path.display()))),
        token => format!("Bearer {token}").parse().map_err(|_| {
            CliError::Failed(format!("{}: the token has characters that cannot be sent", path.display()))
        }),
    }
}
