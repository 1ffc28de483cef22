//! What the operator tells the gateway, as flags or environment.

use std::path::PathBuf;

use clap::Args;

use crate::fault::KillPoint;

/// `pipeline serve`: the gateway of one namespace.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Namespace that this gateway serves.
    #[arg(long, env = "AIOS_NAMESPACE")]
    pub namespace: String,
    /// Folder of the store, on a volume of its own.
    #[arg(long, env = "AIOS_DATA_DIR", default_value = "/var/lib/aios")]
    pub data_dir: PathBuf,
    /// File with the URI of a PostgreSQL that keeps the store instead, for several gateways.
    #[arg(long, env = "AIOS_POSTGRES_URI_FILE")]
    pub postgres_uri_file: Option<PathBuf>,
    /// 32 bytes that wrap every key of the tenant.
    #[arg(long, env = "AIOS_TENANT_KEK_FILE")]
    pub kek_file: PathBuf,
    /// 32-byte Ed25519 seed that signs the log.
    #[arg(long, env = "AIOS_TENANT_SIGNING_KEY_FILE")]
    pub signing_key_file: PathBuf,
    /// Control service of the operator.
    #[arg(long, env = "AIOS_OPERATOR_URI")]
    pub operator_uri: String,
    /// CA of every hop.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub ca_file: PathBuf,
    /// Projected token with audience `aios-control`.
    #[arg(long, env = "AIOS_CONTROL_TOKEN_FILE")]
    pub control_token_file: PathBuf,
    /// Certificate of this gateway.
    #[arg(long, env = "AIOS_TLS_CERT_FILE")]
    pub tls_cert_file: PathBuf,
    /// Its key.
    #[arg(long, env = "AIOS_TLS_KEY_FILE")]
    pub tls_key_file: PathBuf,
    /// Egress sidecar of this pod.
    #[arg(long, env = "AIOS_EGRESS_URI", default_value = "http://127.0.0.1:4000")]
    pub egress_uri: String,
    /// Where the intents API listens.
    #[arg(long, env = "AIOS_REST_ADDRESS", default_value = "0.0.0.0:8443")]
    pub rest_address: String,
    /// Where workers lease documents.
    #[arg(long, env = "AIOS_WORK_ADDRESS", default_value = "0.0.0.0:8444")]
    pub work_address: String,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin_address: String,
    /// Milliseconds for which requests are still answered after the shutdown began; then on, for at
    /// most 20 s, until none came for 2 s. Without any, the process leaves at once.
    #[arg(long, env = "AIOS_DRAIN_MS", default_value_t = 0)]
    pub drain_ms: u64,
    /// Fault injection for tests of recovery: dies here, once.
    #[arg(long, env = "AIOS_KILL_AT", value_enum)]
    pub kill_at: Option<KillPoint>,
}
