//! Stands before a model: checks the caller, admits, holds the provider's key, speaks its dialect.

mod admission;
mod count;
mod face;
mod first_token;
mod gauges;
mod infer;
mod key;
mod learnt;
mod readiness;
mod refusal;
mod sleep;
mod text;
mod ticks;
mod upstream;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_proto::{config::Upstream, control::Report};
use aios_runtime::{
    admin::{Admin, Health},
    tls::{ClientTls, ServerTls},
};
use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use admission::Admission;
pub use face::{Ingress, router};
pub use first_token::FirstToken;
pub use gauges::{Gauges, Measures};
pub use infer::Infer;
pub use key::KeyFile;
pub use learnt::Learnt;
pub use sleep::Bed;

use crate::{
    client::Client,
    config::{self, Live},
    metrics::Metrics,
    process::Process,
    snapshot::{Engine, Scope},
    trace::Collector,
};

const CONNECT: Duration = Duration::from_secs(5);

/// Flags of `inference-sidecar ingress`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where egresses call.
    #[arg(long, env = "AIOS_INGRESS_ADDRESS", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin: SocketAddr,
    /// Namespace of the callers that are let in.
    #[arg(long, env = "AIOS_NAMESPACE")]
    pub namespace: String,
    /// Name of the ModelDeployment.
    #[arg(long, env = "AIOS_MODEL")]
    pub model: String,
    /// Serving certificate.
    #[arg(long, env = "AIOS_TLS_CERT_FILE")]
    pub tls_cert_file: PathBuf,
    /// Its key.
    #[arg(long, env = "AIOS_TLS_KEY_FILE")]
    pub tls_key_file: PathBuf,
    /// The provider's key; none for servers without authentication.
    #[arg(long, env = "AIOS_PROVIDER_KEY_FILE")]
    pub provider_key_file: Option<PathBuf>,
    /// CA of the upstream, where the system does not trust it.
    #[arg(long, env = "AIOS_UPSTREAM_CA_FILE")]
    pub upstream_ca_file: Option<PathBuf>,
    /// Address that answers 200 while the pod's engine is loaded. Without it, an upstream on loopback
    /// is asked at `/health`.
    #[arg(long, env = "AIOS_ENGINE_HEALTH")]
    pub engine_health: Option<String>,
    /// Model name in requests to the pod's engine. It and the two below are of the revision that the pod
    /// runs: another may already be configured.
    #[arg(long, env = "AIOS_ENGINE_MODEL", requires = "engine_upstream")]
    pub engine_model: Option<String>,
    /// Dialect and address of the pod's engine, as a model's configuration has them: a JSON object.
    #[arg(
        long,
        env = "AIOS_ENGINE_UPSTREAM",
        requires = "engine_model",
        value_parser = upstream
    )]
    pub engine_upstream: Option<Upstream>,
    /// Digest of the weights that the pod's engine loads.
    #[arg(long, env = "AIOS_ENGINE_DIGEST", requires = "engine_model")]
    pub engine_digest: Option<String>,
    /// File with the pod's role: while it holds `standby`, the engine sleeps as vLLM can. Without it, it
    /// never does.
    #[arg(long, env = "AIOS_ROLE_FILE")]
    pub role_file: Option<PathBuf>,
    /// Milliseconds without a call after which the engine of a pod that stands by sleeps again.
    #[arg(long, default_value_t = 60_000)]
    pub sleep_after_ms: u64,
    /// Milliseconds that a call over limits.maxInFlight waits for room before it is refused.
    #[arg(long, default_value_t = 10_000)]
    pub admission_wait_ms: u64,
    /// Milliseconds that calls under way may take after the shutdown began.
    #[arg(long, default_value_t = 8000)]
    pub drain_ms: u64,
    #[command(flatten)]
    pub source: config::Source,
    #[command(flatten)]
    pub collector: Collector,
}

/// Serves until shutdown.
///
/// # Errors
/// When an address, a file or TLS cannot be used.
pub async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let ca = args.source.ca_file.as_deref();
    let ca =
        ca.context("--ca-file is needed: callers prove their namespace by its certificates")?;
    let tls = ServerTls::new(&args.tls_cert_file, &args.tls_key_file, Some(ca))
        .context("--tls-cert-file, --tls-key-file")?;
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::new(&mut registry));
    let live = Live::new(
        scope(&args),
        args.source.cache_file.clone(),
        metrics.clone(),
    );
    let admin = Admin {
        health: Health::default(),
        registry: Arc::new(registry),
    };
    let gauges = Gauges {
        live: live.clone(),
        model: args.model.clone(),
        client: client(args.upstream_ca_file.as_deref())?,
        metrics: metrics.clone(),
    };
    let bed = match args.role_file {
        Some(role_file) => Some(Arc::new(Bed {
            live: live.clone(),
            model: args.model.clone(),
            client: client(args.upstream_ca_file.as_deref())?,
            metrics: metrics.clone(),
            role_file,
            after: Duration::from_millis(args.sleep_after_ms),
            state: Arc::default(),
            last_call: Mutex::default(),
        })),
        None => None,
    };
    let (reports, reading) = watch::channel(Report::default());
    let readiness = readiness::Readiness {
        live: live.clone(),
        model: args.model.clone(),
        engine_health: args.engine_health,
        client: client(args.upstream_ca_file.as_deref())?,
        first_token: FirstToken {
            live: live.clone(),
            model: args.model.clone(),
            client: client(args.upstream_ca_file.as_deref())?,
            bed: bed.clone(),
            reports,
            is_given: false,
        },
        health: admin.health.clone(),
    };
    let (tracer, exporter) = args.collector.start("aios-ingress", &metrics)?.unzip();
    let app = router(Arc::new(Ingress {
        namespace: args.namespace,
        model: args.model,
        live: live.clone(),
        client: client(args.upstream_ca_file.as_deref())?,
        key: args.provider_key_file.map(KeyFile::new),
        bed: bed.clone(),
        admission: Admission::new(metrics.clone()),
        admission_wait: Duration::from_millis(args.admission_wait_ms),
        learnt: Learnt::default(),
        infer: Infer::new(upstream_tls(args.upstream_ca_file.as_deref())?),
        metrics,
        tracer,
    }));
    let process = Process {
        listen: args.listen,
        admin_listen: args.admin,
        admin,
        tls: Some(tls),
        drain: Duration::from_millis(args.drain_ms),
    };
    let watch = async {
        let rest = async {
            if let Some(bed) = bed {
                bed.watch(shutdown.clone()).await;
            }
        };
        tokio::join!(
            readiness.watch(shutdown.clone()),
            gauges.watch(shutdown.clone()),
            rest
        );
        anyhow::Ok(())
    };
    let certificates = vec![args.tls_cert_file];
    let attachment = args.source.attachment(live.scope(), certificates)?;
    let follow = config::follow(live, (args.source, attachment), reading, shutdown.clone());
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(shutdown.clone())));
    tokio::try_join!(process.serve(app, shutdown.clone()), follow, watch)?;
    if let Some(exporting) = exporting {
        exporting.await.context("spans")?;
    }
    Ok(())
}

/// Its one model, and which engine stands behind it.
fn scope(args: &Args) -> Scope {
    let engine = args.engine_model.clone().zip(args.engine_upstream.clone());
    Scope::Ingress {
        model: args.model.clone(),
        engine: engine.map(|(model, upstream)| Engine {
            model,
            upstream,
            digest: args.engine_digest.clone(),
        }),
    }
}

fn upstream(text: &str) -> serde_json::Result<Upstream> {
    serde_json::from_str(text)
}

fn client(ca: Option<&Path>) -> anyhow::Result<Client> {
    Ok(Client::new(upstream_tls(ca)?, CONNECT)?)
}

fn upstream_tls(ca: Option<&Path>) -> anyhow::Result<Option<ClientTls>> {
    let tls = ca.map(|ca| ClientTls::new(Some(ca), None)).transpose();
    tls.context("--upstream-ca-file")
}
