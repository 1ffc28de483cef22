//! The two listeners of a role, and an end that does not keep others waiting.

use std::{net::SocketAddr, time::Duration};

use aios_runtime::{
    admin::{self, Admin},
    serve::serve,
    tls::ServerTls,
};
use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where and how a role serves.
pub struct Process {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub admin: Admin,
    pub tls: Option<ServerTls>,
    /// How long calls under way may take after the shutdown began.
    pub drain: Duration,
}

impl Process {
    /// Serves both listeners until shutdown.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub async fn serve(self, app: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
        let face = bind(self.listen).await.context("--listen")?;
        let admin = bind(self.admin_listen).await.context("--admin")?;
        let admin = serve(admin, admin::router(self.admin), None, shutdown.clone());
        let face = serve(face, app, self.tls, shutdown.clone());
        let both = async { tokio::try_join!(face, admin).map(|_| ()) };
        let drained = async {
            shutdown.cancelled().await;
            tokio::time::sleep(self.drain).await;
        };
        tokio::select! {
            ended = both => ended.context("a listener failed"),
            // The process ends with calls under way: their callers see a closed connection.
            () = drained => Ok(()),
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}
