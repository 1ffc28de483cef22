//! What is in force, shared by all calls: swapped whole, read without a lock.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aios_proto::control::{self, ItemAck, Report, Role, Snapshot};
use aios_runtime::{
    control::{AttachConfig, Enforce, attach},
    tls::ClientTls,
};
use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    replicas::Replicas,
    snapshot::{self, Config, Scope, file},
};

/// Where configuration comes from; flags of both roles.
#[derive(Clone, Debug, clap::Args)]
pub struct Source {
    /// The operator's control address; without it the files below are all there is.
    #[arg(long, env = "AIOS_OPERATOR_URI")]
    pub operator_uri: Option<String>,
    /// CA of the operator and of internal hops.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Projected token for the operator.
    #[arg(long, env = "AIOS_CONTROL_TOKEN_FILE")]
    pub control_token_file: Option<PathBuf>,
    /// Mounted snapshot to start with while the operator is away.
    #[arg(long, env = "AIOS_CONFIG_FILE")]
    pub config_file: Option<PathBuf>,
    /// Where the last good snapshot is kept between restarts.
    #[arg(long, env = "AIOS_CACHE_FILE")]
    pub cache_file: Option<PathBuf>,
}

impl Source {
    /// How to attach to the operator; none without one. `certificates` are those that the process shows
    /// to others.
    ///
    /// # Errors
    /// When TLS files cannot be used.
    pub fn attachment(
        &self,
        scope: &Scope,
        certificates: Vec<PathBuf>,
    ) -> anyhow::Result<Option<AttachConfig>> {
        let Some(operator_uri) = self.operator_uri.clone() else {
            return Ok(None);
        };
        let ca = self.ca_file.as_deref();
        let tls = ca
            .map(|ca| ClientTls::new(Some(ca), None))
            .transpose()
            .context("--ca-file")?;
        let (role, model) = match scope {
            Scope::Egress => (Role::Egress, String::new()),
            Scope::Ingress { model, .. } => (Role::Ingress, model.clone()),
        };
        Ok(Some(AttachConfig {
            operator_uri,
            tls,
            token_file: self.control_token_file.clone(),
            certificates,
            role,
            model,
        }))
    }
}

/// The configuration in force.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    scope: Scope,
    current: ArcSwap<Config>,
    replicas: Replicas,
    changed: watch::Sender<u64>,
    cache_file: Option<PathBuf>,
    metrics: Arc<Metrics>,
}

// === impl Live ===

impl Live {
    /// Nothing in force yet.
    pub fn new(scope: Scope, cache_file: Option<PathBuf>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            scope,
            current: ArcSwap::from_pointee(Config::default()),
            replicas: Replicas::default(),
            changed: watch::Sender::new(0),
            cache_file,
            metrics,
        }))
    }

    /// What the process enforces.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// What is in force now. Hold it for one call: a swap does not disturb it.
    pub fn load(&self) -> Arc<Config> {
        self.0.current.load_full()
    }

    /// Where the groups of a model are reached one by one; none where its Service leads to them.
    pub fn groups_of(&self, model: &str) -> Option<Arc<[String]>> {
        self.0.replicas.of(model)
    }

    /// Wakes at each swap.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Puts a snapshot in force as far as its items are good.
    pub fn apply(&self, snapshot: &Snapshot) -> Vec<ItemAck> {
        let current = self.load();
        let applied = snapshot::apply(&current, snapshot, &self.0.scope);
        let refused = applied.acks.iter().filter(|ack| !ack.accepted).count();
        for ack in applied.acks.iter().filter(|ack| !ack.accepted) {
            tracing::warn!(name = ack.name, reason = ack.message, "item refused");
        }
        if let Some(config) = applied.config {
            self.0.metrics.config_in_force(config.sequence, refused);
            tracing::info!(
                sequence = config.sequence,
                models = config.models.len(),
                pipelines = config.pipelines.len(),
                refused,
                "configuration in force"
            );
            self.keep(&config);
            self.0.current.store(Arc::new(config));
            self.0.changed.send_modify(|count| *count += 1);
        }
        applied.acks
    }

    /// Starts from the newer of cache and mounted file. Neither is needed, nor must it be good.
    pub fn bootstrap(&self, files: [Option<&Path>; 2]) {
        let newest = files
            .into_iter()
            .flatten()
            .filter_map(|path| match file::read(path) {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "file is left aside");
                    None
                }
            })
            .max_by_key(|snapshot| snapshot.sequence);
        if let Some(mut snapshot) = newest {
            // One file serves every role of the namespace.
            snapshot.items.retain(|item| self.0.scope.concerns(item));
            self.apply(&snapshot);
        }
    }

    fn keep(&self, config: &Config) {
        let Some(path) = &self.0.cache_file else {
            return;
        };
        if let Err(error) = file::write(path, &config.to_snapshot()) {
            tracing::warn!(%error, path = %path.display(), "the last good snapshot is not kept");
        }
    }
}

impl Enforce for Live {
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck> {
        self.apply(&snapshot)
    }

    fn replicas(&self, replicas: control::Replicas) {
        self.0.replicas.put(replicas);
    }
}

/// Reads the files, then follows the operator until shutdown, and sends it the reports.
///
/// # Errors
/// When the operator's address cannot be used at all.
pub async fn follow(
    live: Live,
    (source, attachment): (Source, Option<AttachConfig>),
    reports: watch::Receiver<Report>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    live.bootstrap([source.cache_file.as_deref(), source.config_file.as_deref()]);
    let Some(attachment) = attachment else {
        tracing::info!("no operator: the files are all there is");
        shutdown.cancelled().await;
        return Ok(());
    };
    attach(attachment, Arc::new(live), reports, shutdown)
        .await
        .context("--operator-uri")
}
