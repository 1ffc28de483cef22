//! The worker as a process: files, addresses, the control stream, the end.

use std::{io, sync::Arc};

use aios_proto::control::{Report, Role};
use aios_runtime::{
    admin::{self, Admin, Health},
    channel::ChannelError,
    control::{self, AttachConfig, Enforce},
    serve,
    tls::{ClientTls, TlsError},
};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    bootstrap,
    leases::GatewayClient,
    options::Options,
    worker::{Worker, WorkerError},
};
use crate::{
    calls,
    draft::{Egress, EgressError},
    enforced::Enforced,
    fault::Faults,
};

/// Why the process cannot run, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Runs one worker until its run is drained or it is shut down.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), ProcessError> {
    let health = Health::default();
    // The admin port outlives the drain, so that probes do not fail a worker that is ending well.
    let ended = CancellationToken::new();
    let listener = TcpListener::bind(&options.admin_address)
        .await
        .map_err(|error| ProcessError::Listen(options.admin_address.clone(), error))?;
    let admin = Admin {
        health: health.clone(),
        registry: Arc::new(Registry::default()),
    };
    tokio::spawn(serve::serve(
        listener,
        admin::router(admin),
        None,
        ended.clone(),
    ));

    let enforced = Arc::new(Enforced::default());
    start_from_file(&options, &enforced);
    tokio::spawn(attach(&options, enforced.clone(), shutdown.clone())?);
    let mut changes = enforced.changes();
    while enforced.load().sequence == 0 {
        tokio::select! {
            () = shutdown.cancelled() => return Err(WorkerError::ShutDown.into()),
            _ = changes.changed() => {}
        }
    }
    health.set_ready(true, "");

    let gateway = GatewayClient::new(
        &options.gateway_uri,
        client_tls(&options)?,
        &options.run_uid,
        &options.pod_name,
    )?;
    let egress = Egress::new(&options.egress_uri)?;
    let faults = Faults::new(options.kill_at, &options.fault_dir);
    let drained = CancellationToken::new();
    let calls = calls::run(egress.clone(), gateway.clone(), drained.clone());
    let calls = tokio::spawn(calls);
    let worker = Worker::new(gateway, egress, enforced, faults, shutdown);
    tracing::info!(run = options.run, "working");
    let result = worker.run().await;
    drained.cancel();
    // The last records; without them auditors see calls that no batch records.
    let _ = calls.await;
    ended.cancel();
    result?;
    tracing::info!(run = options.run, "the run is drained");
    Ok(())
}

fn start_from_file(options: &Options, enforced: &Enforced) {
    let Some(path) = &options.config_file else {
        return;
    };
    match bootstrap::read(path) {
        Ok(Some(snapshot)) => {
            enforced.enforce(snapshot);
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "the mounted snapshot"),
    }
}

fn attach(
    options: &Options,
    enforced: Arc<Enforced>,
    shutdown: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, ProcessError> {
    let tls = options
        .ca_file
        .as_deref()
        .map(|ca| ClientTls::new(Some(ca), None))
        .transpose()?;
    let config = AttachConfig {
        operator_uri: options.operator_uri.clone(),
        tls,
        token_file: options.control_token_file.clone(),
        certificates: options.client_cert_file.iter().cloned().collect(),
        role: Role::Worker,
        model: String::new(),
    };
    Ok(async move {
        // Workers report nothing: the gateway counts.
        let (_reports, reports) = watch::channel(Report::default());
        if let Err(error) = control::attach(config, enforced, reports, shutdown).await {
            tracing::error!(%error, "no control stream");
        }
    })
}

fn client_tls(options: &Options) -> Result<Option<ClientTls>, TlsError> {
    let identity = options
        .client_cert_file
        .as_deref()
        .zip(options.client_key_file.as_deref());
    options
        .ca_file
        .as_deref()
        .map(|ca| ClientTls::new(Some(ca), identity))
        .transpose()
}
