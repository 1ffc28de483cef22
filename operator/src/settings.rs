//! What the platform sets: flags of the process, each also an environment variable.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use aios_crds::Duration;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    names::OPERATOR,
    share::{Arrived, Choice, NamespaceSelector, SelectorError, Share},
    triggers::Scope,
};

/// Reads AIOS kinds, writes Kubernetes objects, serves configuration and writes status.
#[derive(Clone, Debug, clap::Parser)]
#[command(version)]
pub struct Settings {
    /// Namespace of the operator itself: its CA, Lease and witnessed heads.
    #[arg(long, env = "AIOS_OPERATOR_NAMESPACE", default_value = "aios-system")]
    pub namespace: String,
    /// Name of this pod: the identity in the Lease, and what the leader labels.
    #[arg(long, env = "AIOS_POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespaces to serve; all when left out.
    #[arg(long, env = "AIOS_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Labels of the namespaces to serve, as JSON of a LabelSelector; all when left out.
    #[arg(
        long,
        env = "AIOS_NAMESPACE_SELECTOR",
        conflicts_with = "watch_namespaces"
    )]
    pub namespace_selector: Option<NamespaceSelector>,
    /// Image with `pipeline`: gateways and workers.
    #[arg(long, env = "AIOS_IMAGE_PIPELINE")]
    pub image_pipeline: String,
    /// Image with `inference-sidecar`: egress, ingress and prefetch.
    #[arg(long, env = "AIOS_IMAGE_SIDECAR")]
    pub image_sidecar: String,
    /// Image with llama.cpp's `llama-server`, where a ModelDeployment names none.
    #[arg(long, env = "AIOS_IMAGE_LLAMA_CPP")]
    pub image_llama_cpp: String,
    /// Image with vLLM, where a ModelDeployment names none. Others make it, and no test here runs it.
    #[arg(
        long,
        env = "AIOS_IMAGE_VLLM",
        default_value = "docker.io/vllm/vllm-openai:v0.12.0"
    )]
    pub image_vllm: String,
    /// Pull policy of every image.
    #[arg(long, env = "AIOS_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub image_pull_policy: String,
    /// Where `hf://` weights are fetched: Hugging Face, or a mirror with its paths.
    #[arg(long, env = "AIOS_HUB_URI", default_value = "https://huggingface.co")]
    pub hub_uri: String,
    /// OpenTelemetry collector that sidecars send spans of model calls to, over OTLP/HTTP; none when left out.
    #[arg(long, env = "AIOS_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Storage class of gateways' volumes; the cluster's default when left out.
    #[arg(long, env = "AIOS_GATEWAY_STORAGE_CLASS")]
    pub gateway_storage_class: Option<String>,
    /// Size of gateways' volumes.
    #[arg(long, env = "AIOS_GATEWAY_STORAGE_SIZE", default_value = "1Gi")]
    pub gateway_storage_size: String,
    /// Name of the Secret that gives a namespace's gateway a PostgreSQL, with its URI as key `uri`;
    /// gateways have volumes when left out.
    #[arg(long, env = "AIOS_GATEWAY_POSTGRES_SECRET")]
    pub gateway_postgres_secret: Option<String>,
    /// Pods of a gateway with PostgreSQL.
    #[arg(long, env = "AIOS_GATEWAY_REPLICAS", default_value_t = 2)]
    pub gateway_replicas: i32,
    /// Gateways that restart at once when an upgrade brings other images.
    #[arg(long, env = "AIOS_GATEWAY_RESTARTS_AT_ONCE", default_value_t = 5)]
    pub gateway_restarts_at_once: u16,
    /// JSON list of the GPU classes that models may name; none when left out.
    #[arg(long, env = "AIOS_GPU_CLASSES_FILE")]
    pub gpu_classes_file: Option<PathBuf>,
    /// Where data planes attach.
    #[arg(long, env = "AIOS_CONTROL_ADDRESS", default_value = "0.0.0.0:8443")]
    pub control_address: SocketAddr,
    /// Health and metrics.
    #[arg(long, env = "AIOS_ADMIN_ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin_address: SocketAddr,
    /// Writable folder for the serving certificate.
    #[arg(long, env = "AIOS_TLS_DIR", default_value = "/tmp")]
    pub tls_dir: PathBuf,
    /// While the CA is rotated: how long at least another one is trusted before it signs, and the old
    /// one after.
    #[arg(long, env = "AIOS_CA_OVERLAP", default_value = "1h")]
    pub ca_overlap: Duration,
    /// Objects of one kind that are reconciled at once.
    #[arg(long, env = "AIOS_CONCURRENCY", default_value_t = 16)]
    pub concurrency: u16,
}

impl Settings {
    /// One scope for all namespaces, or one for each that is named.
    pub fn scopes(&self) -> Vec<Scope> {
        let named = self.named().into_iter().map(Scope::Namespace);
        let scopes: Vec<Scope> = named.collect();
        if scopes.is_empty() {
            vec![Scope::All]
        } else {
            scopes
        }
    }

    /// Which namespaces the operator serves.
    pub fn share(
        &self,
        refused: Gauge,
    ) -> Result<(Share, UnboundedReceiver<Arrived>), SelectorError> {
        let named = self.named();
        let by_name = NamespaceSelector::of_names(&named)?;
        let (choice, selector) = match &self.namespace_selector {
            Some(selector) => (Choice::Selected, selector.clone()),
            None if named.is_empty() => (Choice::All, by_name),
            None => (Choice::Named(named), by_name),
        };
        Ok(Share::new(&self.namespace, (choice, selector), refused))
    }

    fn named(&self) -> BTreeSet<String> {
        let named = self.watch_namespaces.iter().filter(|name| !name.is_empty());
        named.cloned().collect()
    }

    /// Where data planes find the control service.
    pub fn operator_uri(&self) -> String {
        format!("https://{OPERATOR}.{}.svc:8443", self.namespace)
    }

    /// Who stands for election: the pod, or a process outside of one, unlike any other.
    pub fn identity(&self) -> String {
        self.pod_name
            .clone()
            .unwrap_or_else(|| format!("{OPERATOR}-{:016x}", rand::random::<u64>()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Settings;
    use crate::{share::Choice, triggers::Scope};
    use clap::Parser;
    use prometheus_client::metrics::gauge::Gauge;

    fn settings(more: &[&str]) -> Result<Settings, clap::Error> {
        let images = [
            "operator",
            "--image-pipeline=p",
            "--image-sidecar=s",
            "--image-llama-cpp=l",
        ];
        Settings::try_parse_from([&images[..], more].concat())
    }

    #[test]
    fn an_operator_is_for_all_for_named_or_for_labelled_namespaces() {
        let share = |more: &[&str]| settings(more).unwrap().share(Gauge::default()).unwrap().0;
        let all = share(&[]);
        assert_eq!((all.choice(), all.selector().text()), (&Choice::All, "{}"));
        let named = share(&["--watch-namespaces=one,two"]);
        assert!(named.selects("two") && !named.selects("three"));
        let labelled = settings(&[r#"--namespace-selector={"matchLabels":{"team":"a"}}"#]).unwrap();
        assert_eq!(labelled.scopes(), [Scope::All]);
        assert_eq!(
            labelled.share(Gauge::default()).unwrap().0.choice(),
            &Choice::Selected
        );
    }

    #[test]
    fn names_and_labels_exclude_each_other() {
        let labels = r#"--namespace-selector={"matchLabels":{"team":"a"}}"#;
        let error = settings(&["--watch-namespaces=one", labels]).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
        let error = settings(&["--namespace-selector={\"matchLabel\":{}}"]).unwrap_err();
        assert!(error.to_string().contains("matchLabel"), "{error}");
    }
}
