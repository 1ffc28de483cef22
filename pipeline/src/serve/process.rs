//! The gateway's process: opens the store, attaches, serves, ends gracefully.

use std::{path::Path, sync::Arc, time::Duration};

use aios_audit::LogKey;
use aios_proto::control::{Report, Role, Snapshot};
use aios_runtime::{
    admin::{self, Admin, Health},
    control::{AttachConfig, Enforce, Operator, attach},
    serve::serve,
    tls::{ClientTls, ServerTls},
};
use prometheus_client::registry::Registry;
use prost::Message;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    auth::KubeAuthorizer,
    drain::{Drain, Patience},
    gateway::{Gateway, GatewayParts},
    options::Options,
    reports, router, runner, runs, witness, work_service,
};
use crate::{
    calls,
    draft::Egress,
    enforced::Enforced,
    fault::Faults,
    publish::{Connector, KubeSecrets},
    store::{Place, Store, StoreConfig, StoreError},
};

/// Changes announce themselves; this is for what nobody thought of.
const RESYNC: Duration = Duration::from_mins(10);
const RETRY: Duration = Duration::from_secs(5);

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot read {0}: {1}")]
    Read(std::path::PathBuf, std::io::Error),
    #[error("{0} must hold exactly 32 bytes")]
    Key(std::path::PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tls(#[from] aios_runtime::tls::TlsError),
    #[error(transparent)]
    Channel(#[from] aios_runtime::channel::ChannelError),
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
    #[error("egress: {0}")]
    Egress(#[from] crate::draft::EgressError),
    #[error("audit: {0}")]
    Audit(#[from] aios_audit::AuditError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
}

/// Runs until shutdown.
///
/// # Errors
/// When something it needs from the start is missing.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), ServeError> {
    let client_tls = ClientTls::new(Some(&options.ca_file), None)?;
    let attach_config = AttachConfig {
        operator_uri: options.operator_uri.clone(),
        tls: Some(client_tls),
        token_file: Some(options.control_token_file.clone()),
        certificates: vec![options.tls_cert_file.clone()],
        role: Role::Gateway,
        model: String::new(),
    };
    let operator = Operator::new(&attach_config)?;
    let gateway = open(&options, operator.clone()).await?;
    let health = Health::default();
    let mut registry = Registry::default();
    gateway.metrics().register(&mut registry);
    let admin = Admin {
        health: health.clone(),
        registry: Arc::new(registry),
    };
    let tls = |client_ca| ServerTls::new(&options.tls_cert_file, &options.tls_key_file, client_ca);
    let work = tonic::service::Routes::new(work_service(gateway.clone())).prepare();

    // Requests are answered for a while after the shutdown began.
    let drain = Drain::new(shutdown.clone());
    let closing = CancellationToken::new();
    let mut tasks = JoinSet::new();
    // The last good configuration serves while the operator is away.
    if let Some(bytes) = gateway.store.snapshot().await?
        && let Ok(snapshot) = Snapshot::decode(bytes.as_slice())
    {
        gateway.enforced.enforce(snapshot);
        health.set_ready(true, "");
    }
    let admin_listener = listen(&options.admin_address).await?;
    let rest_listener = listen(&options.rest_address).await?;
    let work_listener = listen(&options.work_address).await?;
    tasks.spawn(serve(
        admin_listener,
        admin::router(admin),
        None,
        closing.clone(),
    ));
    tasks.spawn(serve(
        rest_listener,
        drain.announced(router(gateway.clone())),
        Some(tls(None)?),
        closing.clone(),
    ));
    let work_tls = tls(Some(options.ca_file.as_path()))?;
    tasks.spawn(serve(
        work_listener,
        work.into_axum_router(),
        Some(work_tls),
        closing.clone(),
    ));

    let (report_sender, report_receiver) = watch::channel(Report::default());
    let enforce: Arc<dyn Enforce> = gateway.enforced.clone();
    let attached = attach(attach_config, enforce, report_receiver, shutdown.clone());
    let mut loops = JoinSet::new();
    loops.spawn(async move {
        if let Err(error) = attached.await {
            tracing::error!(%error, "cannot attach");
        }
    });
    loops.spawn(runner::run(gateway.clone(), shutdown.clone()));
    let egress = gateway.egress.clone();
    loops.spawn(calls::run(egress, gateway.clone(), closing.clone()));
    loops.spawn(reports::run(
        gateway.clone(),
        report_sender,
        shutdown.clone(),
    ));
    loops.spawn(witness::run(gateway.clone(), operator, shutdown.clone()));
    loops.spawn(follow(gateway.clone(), health.clone(), shutdown.clone()));
    shutdown.cancelled().await;
    health.set_ready(false, "shutting down");
    let least = Duration::from_millis(options.drain_ms);
    drain.emptied(Patience::of(least)).await;
    closing.cancel();
    while tasks.join_next().await.is_some() {}
    while loops.join_next().await.is_some() {}
    Ok(())
}

async fn open(options: &Options, operator: Operator) -> Result<Gateway, ServeError> {
    let origin = format!("aios.dev/{}/log", options.namespace);
    let log_key = LogKey::new(&origin, &key(&options.signing_key_file)?)?;
    let config = StoreConfig {
        place: place(options)?,
        tenant: options.namespace.clone(),
        kek: key(&options.kek_file)?,
        log_key,
    };
    tracing::info!(place = ?config.place, origin, "opening the store");
    // While a predecessor still holds a folder this fails, and the kubelet starts the process again.
    let store = Store::open(config).await?;
    let faults = Faults::new(options.kill_at, &options.data_dir);
    let client = kube::Client::try_default().await?;
    let secrets = Arc::new(KubeSecrets::new(client.clone(), &options.namespace));
    let ca = std::fs::read(&options.ca_file)
        .map_err(|error| ServeError::Read(options.ca_file.clone(), error))?;
    Ok(Gateway::new(GatewayParts {
        namespace: options.namespace.clone(),
        store,
        enforced: Arc::new(Enforced::default()),
        egress: Egress::new(&options.egress_uri)?,
        connector: Connector::new(secrets, Some(&ca), faults.clone())?,
        authorizer: Arc::new(KubeAuthorizer::new(operator, client, &options.namespace)),
        faults,
    }))
}

fn place(options: &Options) -> Result<Place, ServeError> {
    let Some(file) = &options.postgres_uri_file else {
        return Ok(Place::Folder(options.data_dir.join("store")));
    };
    let uri =
        std::fs::read_to_string(file).map_err(|error| ServeError::Read(file.clone(), error))?;
    Ok(Place::Postgres(Box::new(uri.parse()?)))
}

/// Keeps what came into force, accepts runs, and turns ready with the first snapshot.
async fn follow(gateway: Gateway, health: Health, shutdown: CancellationToken) {
    let mut configured = gateway.enforced.changes();
    let mut changes = gateway.store.changes();
    let mut kept = 0;
    loop {
        let sequence = *configured.borrow_and_update();
        if sequence > 0 && sequence != kept {
            let bytes = gateway.enforced.snapshot().encode_to_vec();
            match gateway.store.put_snapshot(sequence, bytes).await {
                Ok(_) => kept = sequence,
                Err(error) => tracing::error!(%error, "cannot keep the snapshot"),
            }
            if !shutdown.is_cancelled() {
                health.set_ready(true, "");
            }
        }
        changes.mark_unchanged();
        // Other gateways must know which configuration a run was accepted under.
        let again = if sequence == kept {
            match runs::reconcile(&gateway).await {
                Ok(due) => due.unwrap_or(RESYNC).min(RESYNC),
                Err(error) => {
                    tracing::error!(%error, "runs");
                    RETRY
                }
            }
        } else {
            RETRY
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = configured.changed() => {}
            () = pending_runs(&gateway, &mut changes) => {}
            () = tokio::time::sleep(again) => {}
        }
    }
}

/// Resolves on the next change of the store while a run waits to be accepted, as for its upload.
async fn pending_runs(gateway: &Gateway, changes: &mut watch::Receiver<u64>) {
    let config = gateway.enforced.load();
    for uid in config.runs.keys() {
        let accepted = match gateway.store.run(uid).await {
            Ok(row) => row.is_some_and(|row| row.accepted),
            Err(_) => true,
        };
        if !accepted {
            let _ = changes.changed().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            return;
        }
    }
    std::future::pending::<()>().await;
}

async fn listen(address: &str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Listen(address.to_owned(), error))
}

fn key(path: &Path) -> Result<[u8; 32], ServeError> {
    let bytes = std::fs::read(path).map_err(|error| ServeError::Read(path.to_owned(), error))?;
    bytes
        .try_into()
        .map_err(|_| ServeError::Key(path.to_owned()))
}
