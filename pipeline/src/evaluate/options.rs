//! What the operator tells an evaluation, as flags or environment, and the inputs that it mounts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aios_crds::rollout::EvaluationInput;
use aios_proto::evaluation;
use clap::Args;

use super::EvaluateError;

/// `pipeline evaluate`: one evaluation of one revision.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Name of the ModelDeployment.
    #[arg(long)]
    pub model: String,
    /// Ingresses of the revision on trial, as in `https://NAME-next.NAMESPACE.svc:8443`.
    #[arg(long)]
    pub candidate: String,
    /// Ingresses of the stable revision; without them it is not compared with.
    #[arg(long)]
    pub stable: Option<String>,
    /// Folder with a file for each input.
    #[arg(long)]
    pub inputs: PathBuf,
    /// Digest over the inputs as the operator read them.
    #[arg(long)]
    pub inputs_digest: String,
    /// Policies that judge, as a JSON list.
    #[arg(long)]
    pub policies: String,
    /// Milliseconds that one answer may take.
    #[arg(long, default_value_t = 60_000)]
    pub timeout_ms: u64,
    /// Where the report goes.
    #[arg(long, env = "AIOS_REPORT_FILE", default_value = "/dev/termination-log")]
    pub report_file: PathBuf,
    /// CA of the ingresses; without it only plaintext addresses can be asked.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// The tenant's client certificate.
    #[arg(long, env = "AIOS_CLIENT_CERT_FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "AIOS_CLIENT_KEY_FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
}

/// The inputs of a mounted ConfigMap. Names that begin with two dots are the kubelet's.
pub(super) fn inputs(
    folder: &Path,
    digest: &str,
) -> Result<BTreeMap<String, EvaluationInput>, EvaluateError> {
    let mut inputs = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(EvaluateError::Inputs)? {
        let entry = entry.map_err(EvaluateError::Inputs)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("..") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).map_err(EvaluateError::Inputs)?;
        let input = EvaluationInput::parse(&text)
            .map_err(|error| EvaluateError::Input(name.clone(), error))?;
        inputs.insert(name, input);
    }
    let found = evaluation::digest(inputs.iter().map(|(name, input)| (name.as_str(), input)))?;
    if found == digest {
        Ok(inputs)
    } else {
        Err(EvaluateError::Changed)
    }
}
