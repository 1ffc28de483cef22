//! Starting and stopping, the same for all three.

use std::net::SocketAddr;
use std::path::PathBuf;

use aios_runtime::tls::ServerTls;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderValue;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::SimulatorError;

const LABEL: &str = "aios-simulator";

/// Where to listen. Port 0 takes a free one.
#[derive(Clone, Debug, clap::Args)]
pub struct Listen {
    /// Address and port to listen on
    #[arg(
        long,
        env = "SIMULATOR_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,
    /// Certificate chain in PEM form; serves HTTPS
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key in PEM form
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl Listen {
    /// A free port of the loopback interface, without TLS.
    pub fn loopback() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls_cert: None,
            tls_key: None,
        }
    }
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    pub addr: SocketAddr,
    https: bool,
    task: JoinHandle<std::io::Result<()>>,
    stop: DropGuard,
}

impl Served {
    /// For example `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// Lets open requests end, then returns.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }

    /// Returns when the server ended by `shutdown`.
    pub async fn ended(self) {
        let _ = self.task.await;
    }
}

/// Binds, labels every response, and serves until `shutdown` or the handle is dropped.
pub async fn start(
    app: Router,
    listen: &Listen,
    shutdown: &CancellationToken,
) -> Result<Served, SimulatorError> {
    let tls = match (&listen.tls_cert, &listen.tls_key) {
        (Some(cert), Some(key)) => Some(ServerTls::new(cert, key, None)?),
        _ => None,
    };
    let listener =
        TcpListener::bind(listen.listen)
            .await
            .map_err(|error| SimulatorError::Listen {
                addr: listen.listen,
                error,
            })?;
    let addr = listener
        .local_addr()
        .map_err(|error| SimulatorError::Listen {
            addr: listen.listen,
            error,
        })?;
    let token = shutdown.child_token();
    let https = tls.is_some();
    let app = app.layer(middleware::from_fn(label));
    let task = tokio::spawn(aios_runtime::serve::serve(
        listener,
        app,
        tls,
        token.clone(),
    ));
    Ok(Served {
        addr,
        https,
        task,
        stop: token.drop_guard(),
    })
}

async fn label(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(LABEL, HeaderValue::from_static("true"));
    response
}
