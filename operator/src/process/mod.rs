//! The process: health first, then the election, then everything that only the leader does.

mod lead;
mod rotation;
mod serving;

use std::{io, sync::Arc};

use aios_runtime::admin::{self, Admin, Health};
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    client::connect,
    error::Error,
    leader::{self, Election, PACE},
    metrics::Metrics,
    pool::GpuClasses,
    settings::Settings,
};

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: std::net::SocketAddr,
        error: io::Error,
    },
    #[error("cannot reach the Kubernetes API: {0}")]
    Kube(#[from] kube::Error),
    #[error("no configuration for the Kubernetes API: {0}")]
    Config(#[from] kube::config::InferConfigError),
    #[error("the lease was lost, or could not be confirmed in time")]
    Deposed,
    #[error(transparent)]
    Operator(#[from] Error),
    #[error("serving certificate: {0}")]
    Certificate(#[from] crate::ca::CaError),
    #[error("serving certificate in {path}: {error}")]
    CertificateFile {
        path: std::path::PathBuf,
        error: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] aios_runtime::tls::TlsError),
    #[error(transparent)]
    GpuClasses(#[from] crate::pool::ClassError),
    #[error("the namespace selector: {0}")]
    Selector(#[from] crate::share::SelectorError),
    #[error("{0} ended")]
    Ended(&'static str),
}

/// Runs until shutdown, or until the lease is lost.
///
/// # Errors
/// When a port, the API server or the lease cannot be had, or the lease is lost.
pub async fn run(settings: Settings) -> Result<(), ProcessError> {
    let gpu_classes = GpuClasses::load(settings.gpu_classes_file.as_deref())?;
    let shutdown = aios_runtime::shutdown();
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let health = Health::default();
    let admin = Admin {
        health: health.clone(),
        registry: Arc::new(registry),
    };
    let listener = listen(settings.admin_address).await?;
    let serving =
        aios_runtime::serve::serve(listener, admin::router(admin), None, shutdown.clone());
    let serving = tokio::spawn(serving);

    let client = connect().await?;
    // A mark of a former life of this pod would draw data planes to an operator that waits.
    leader::unmark(&client, &settings).await?;
    let lease_client = connect().await?;
    let identity = settings.identity();
    let mut election = Election::join(lease_client, &settings.namespace, &identity, PACE);
    health.set_ready(true, "");
    tracing::info!(identity, "standing by");

    let result = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        won = election.won() => if won {
            let platform = (&settings, gpu_classes);
            reign(&client, platform, metrics, &health, &mut election, &shutdown).await
        } else {
            Err(ProcessError::Ended("the election"))
        },
    };
    // The reign's tasks ended: a successor may start at once.
    if let Err(error) = leader::unmark(&client, &settings).await {
        tracing::warn!(%error, "the leader's mark stays");
    }
    election.leave().await;
    shutdown.cancel();
    let _ = serving.await;
    result
}

async fn reign(
    client: &Client,
    (settings, gpu_classes): (&Settings, GpuClasses),
    metrics: Metrics,
    health: &Health,
    election: &mut Election,
    shutdown: &CancellationToken,
) -> Result<(), ProcessError> {
    tracing::info!("leading");
    metrics.lead(true);
    // Nothing that a leader does has another client than this.
    let client = leader::fenced(client, election.tenure());
    let ended = tokio::select! {
        () = election.lost() => Err(ProcessError::Deposed),
        ended = lead::lead(&client, (settings, gpu_classes), metrics.clone(), health, shutdown) => ended,
    };
    metrics.lead(false);
    ended
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, ProcessError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ProcessError::Listen { address, error })
}
