//! Stands beside writers: picks the model, keeps at it, falls back, and says what it cost.

mod asked;
mod attempt;
mod cache;
mod call;
mod count;
mod demand;
mod exchange;
mod experiment;
mod face;
mod failure;
mod hedge;
mod hold;
mod hundred;
mod payer;
mod records;
mod reply;
mod retries;
mod route;
mod traces;
mod unanswered;
mod weights;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use aios_proto::control::Report;
use aios_runtime::{
    admin::{Admin, Health},
    control::{AttachConfig, Operator},
    tls::ClientTls,
};
use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use cache::Origin;
pub use face::{Egress, router};

use crate::{
    client::Client,
    config::{self, Live},
    metrics::Metrics,
    money::{self, Lessor},
    process,
    snapshot::Scope,
    trace::Collector,
};

/// How long the operator may take to take back what is left of budgets, at the end.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Flags of `inference-sidecar egress`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the pod's own processes call: loopback, because this hop is plaintext.
    #[arg(long, env = "AIOS_EGRESS_ADDRESS", default_value = "127.0.0.1:4000")]
    pub listen: SocketAddr,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9091")]
    pub admin: SocketAddr,
    /// Certificate that ingresses demand.
    #[arg(long, env = "AIOS_CLIENT_CERT_FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "AIOS_CLIENT_KEY_FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
    /// Milliseconds to connect to an ingress.
    #[arg(long, default_value_t = 2000)]
    pub connect_timeout_ms: u64,
    /// Milliseconds that calls under way may take after the shutdown began.
    #[arg(long, default_value_t = 2000)]
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
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::new(&mut registry));
    let live = Live::new(
        Scope::Egress,
        args.source.cache_file.clone(),
        metrics.clone(),
    );
    let client = Client::new(tls(&args)?, Duration::from_millis(args.connect_timeout_ms))
        .context("the HTTP client cannot be made")?;
    let admin = Admin {
        health: Health::default(),
        registry: Arc::new(registry),
    };
    let health = admin.health.clone();
    let certificates = args.client_cert_file.into_iter().collect();
    let attachment = args.source.attachment(live.scope(), certificates)?;
    let (tracer, exporter) = args.collector.start("aios-egress", &metrics)?.unzip();
    let lessor = lessor(attachment.as_ref())?;
    let egress = Egress::new(live.clone(), client, metrics, lessor).traced(tracer);
    let money = egress.money.clone();
    let tending = money::tend(money.clone(), shutdown.clone());
    let (reports, reading) = watch::channel(Report::default());
    let tell = demand::tell(
        (egress.demand.clone(), egress.metrics.clone()),
        reports,
        shutdown.clone(),
    );
    let app = router(Arc::new(egress));
    let process = process::Process {
        listen: args.listen,
        admin_listen: args.admin,
        admin,
        tls: None,
        drain: Duration::from_millis(args.drain_ms),
    };
    let ready = readiness(live.clone(), health, shutdown.clone());
    let follow = config::follow(live, (args.source, attachment), reading, shutdown.clone());
    let tell = async {
        tokio::join!(tell, tending);
        Ok(())
    };
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(shutdown.clone())));
    tokio::try_join!(process.serve(app, shutdown), follow, ready, tell)?;
    money::close(&money, GIVING_BACK).await;
    if let Some(exporting) = exporting {
        exporting.await.context("spans")?;
    }
    Ok(())
}

/// Without an operator, nobody else spends of the budgets.
fn lessor(attachment: Option<&AttachConfig>) -> anyhow::Result<Lessor> {
    let Some(attachment) = attachment else {
        return Ok(Lessor::own());
    };
    let operator = Operator::new(attachment).context("--operator-uri")?;
    Ok(Lessor::Operator(Box::new(operator)))
}

/// Ready once a snapshot is in force.
async fn readiness(live: Live, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut swaps = live.changes();
    health.set_ready(false, "no configuration yet");
    tokio::select! {
        () = shutdown.cancelled() => {}
        changed = swaps.wait_for(|count| *count > 0) => {
            if changed.is_ok() {
                health.set_ready(true, "");
            }
        }
    }
    Ok(())
}

fn tls(args: &Args) -> anyhow::Result<Option<ClientTls>> {
    let identity = args
        .client_cert_file
        .as_deref()
        .zip(args.client_key_file.as_deref());
    let ca = args.source.ca_file.as_deref();
    if ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    ClientTls::new(ca, identity)
        .map(Some)
        .context("--ca-file, --client-cert-file")
}
