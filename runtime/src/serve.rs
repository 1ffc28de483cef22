//! One way to serve HTTP/1.1, HTTP/2 and gRPC, with or without TLS, that ends gracefully.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use crate::tls::ServerTls;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long open requests may take after the shutdown began.
const DRAIN: Duration = Duration::from_secs(8);

/// Calls that one connection of HTTP/2 may have at once. A caller with more connections has as many more: a low
/// number only makes calls wait for each other.
const STREAMS: u32 = 4096;

/// Who is at the other end; an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the connection.
    pub addr: SocketAddr,
    /// URI subject alternative names of the verified client certificate; empty without one.
    pub uris: Vec<String>,
}

/// Serves until the token is cancelled, then lets open requests end.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<ServerTls>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "listening");
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, addr) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors: accepting again at once would spin.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let watcher = graceful.watcher();
        let (app, tls) = (app.clone(), tls.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, addr, app, tls, watcher).await {
                tracing::debug!(%addr, %error, "connection ended");
            }
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::info!("open requests were cut at the end of the grace period");
    }
    Ok(())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    stream: TcpStream,
    addr: SocketAddr,
    app: Router,
    tls: Option<ServerTls>,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return exchange(
            stream,
            Peer {
                addr,
                uris: Vec::new(),
            },
            app,
            watcher,
        )
        .await;
    };
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let uris = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| uris(certificate))
        .unwrap_or_default();
    exchange(stream, Peer { addr, uris }, app, watcher).await
}

async fn exchange<S>(
    stream: S,
    peer: Peer,
    app: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        app.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    watcher.watch(connection.into_owned()).await
}

/// URI subject alternative names of a certificate in DER form.
fn uris(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = x509_parser::certificate::X509Certificate::from_der(der) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .collect()
}
