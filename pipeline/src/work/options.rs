//! What the operator tells a worker, as flags or environment.

use std::path::PathBuf;

use clap::Args;

use crate::fault::KillPoint;

/// `pipeline work`: one worker of one run.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Name of the WritingRun, for logs.
    #[arg(long, env = "AIOS_RUN")]
    pub run: String,
    /// Its uid.
    #[arg(long, env = "AIOS_RUN_UID")]
    pub run_uid: String,
    /// Name of this pod: leases stand under it.
    #[arg(long, env = "AIOS_POD_NAME")]
    pub pod_name: String,
    /// Lease service of the gateway, as in `https://aios-gateway.NAMESPACE.svc:8444`.
    #[arg(long, env = "AIOS_GATEWAY_URI")]
    pub gateway_uri: String,
    /// Control service of the operator.
    #[arg(long, env = "AIOS_OPERATOR_URI")]
    pub operator_uri: String,
    /// CA of every hop; without it only plaintext addresses can be used.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Projected token with audience `aios-control`.
    #[arg(long, env = "AIOS_CONTROL_TOKEN_FILE")]
    pub control_token_file: Option<PathBuf>,
    /// The tenant's client certificate.
    #[arg(long, env = "AIOS_CLIENT_CERT_FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "AIOS_CLIENT_KEY_FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
    /// Egress sidecar of this pod.
    #[arg(long, env = "AIOS_EGRESS_URI", default_value = "http://127.0.0.1:4000")]
    pub egress_uri: String,
    /// Mounted snapshot to start with while the operator is away.
    #[arg(long, env = "AIOS_CONFIG_FILE")]
    pub config_file: Option<PathBuf>,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin_address: String,
    /// Folder of fault-injection markers.
    #[arg(long, env = "AIOS_FAULT_DIR", default_value = "/tmp")]
    pub fault_dir: PathBuf,
    /// Fault injection for tests of recovery: dies here, once.
    #[arg(long, env = "AIOS_KILL_AT", value_enum)]
    pub kill_at: Option<KillPoint>,
}
