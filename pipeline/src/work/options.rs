//! What the operator tells a worker, as flags or environment.

use std::path::PathBuf;

use clap::Args;

use crate::fault::KillPoint;

/// `pipeline work`: writes the items of one run.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Uid of the WritingRun.
    #[arg(long, env = "AIOS_RUN_UID")]
    pub run_uid: String,
    /// Name of this worker; the pod's.
    #[arg(long, env = "AIOS_POD_NAME")]
    pub worker: String,
    /// Work port of the namespace's gateway.
    #[arg(long, env = "AIOS_GATEWAY_URI")]
    pub gateway_uri: String,
    /// Control service of the operator.
    #[arg(long, env = "AIOS_OPERATOR_URI")]
    pub operator_uri: String,
    /// CA of every hop.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub ca_file: PathBuf,
    /// The namespace's client certificate.
    #[arg(long, env = "AIOS_CLIENT_CERT_FILE")]
    pub client_cert_file: PathBuf,
    /// Its key.
    #[arg(long, env = "AIOS_CLIENT_KEY_FILE")]
    pub client_key_file: PathBuf,
    /// Projected token with audience `aios-control`.
    #[arg(long, env = "AIOS_CONTROL_TOKEN_FILE")]
    pub control_token_file: PathBuf,
    /// Egress sidecar of this pod.
    #[arg(long, env = "AIOS_EGRESS_URI", default_value = "http://127.0.0.1:4000")]
    pub egress_uri: String,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin_address: String,
    /// Fault injection for tests of recovery: dies here, once.
    #[arg(long, env = "AIOS_KILL_AT", value_enum)]
    pub kill_at: Option<KillPoint>,
    /// Folder for the marker of fault injection.
    #[arg(long, env = "AIOS_DATA_DIR", default_value = "/tmp")]
    pub data_dir: PathBuf,
}
