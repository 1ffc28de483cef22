//! gRPC channels over TLS whose files rotate.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::tls::ClientTls;

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("`{uri}` is no address for gRPC: {reason}")]
pub struct ChannelError {
    uri: String,
    reason: String,
}

/// Any byte stream of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A channel that connects on first use and again after every loss. `https` needs `tls`.
///
/// # Errors
/// When the address does not parse, or is `https` without TLS files.
pub fn connect(uri: &str, tls: Option<ClientTls>) -> Result<Channel, ChannelError> {
    let error = |reason: String| ChannelError {
        uri: uri.to_owned(),
        reason,
    };
    let parsed: Uri = uri
        .parse()
        .map_err(|e: http::uri::InvalidUri| error(e.to_string()))?;
    if parsed.scheme_str() == Some("https") && tls.is_none() {
        return Err(error("https needs a CA file".to_owned()));
    }
    let endpoint = Endpoint::from(parsed)
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_with_connector_lazy(Connector { tls }))
}

#[derive(Clone)]
struct Connector {
    tls: Option<ClientTls>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = std::io::Error;
    type Future =
        Pin<Box<dyn Future<Output = Result<TokioIo<Box<dyn Stream>>, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.tls.clone();
        Box::pin(async move { Ok(TokioIo::new(dial(&uri, tls).await?)) })
    }
}

async fn dial(uri: &Uri, tls: Option<ClientTls>) -> Result<Box<dyn Stream>, std::io::Error> {
    let invalid = |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, text);
    let host = uri
        .host()
        .ok_or_else(|| invalid("the address has no host"))?;
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let tls = tls.ok_or_else(|| invalid("https needs a CA file"))?;
    let mut config = (*tls.config()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid("no server name"))?;
    let stream = TlsConnector::from(std::sync::Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok(Box::new(stream))
}
