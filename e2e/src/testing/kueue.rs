//! The real Kueue, which its own chart installs into the cluster. A cluster has one: tests that want
//! it wait for each other.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use super::apply::apply;
use super::{Cluster, TestNamespace, apply_yaml, eventually};
use crate::images::Image;
use crate::tools::{Tool, lock};

/// Two cores carry several suites at once.
const DEADLINE: Duration = Duration::from_mins(4);
const NAMESPACE: &str = "kueue-system";
const GROUP: &str = "kueue.x-k8s.io";
const DEFINITION: &str = "CustomResourceDefinition";
/// Of namespaces whose Jobs it sees: other suites have nothing to do with it.
const LABEL: &str = "aios.dev/kueue=true";
/// Without its view of what waits: while that does not answer, no namespace of the cluster ends.
const VALUES: &str = "
controllerManager:
  featureGates: [{name: VisibilityOnDemand, enabled: false}]
  manager:
    image: {repository: IMAGE, tag: TAG, pullPolicy: IfNotPresent}
    resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 512Mi}}
  readinessProbe: {initialDelaySeconds: 2}
managerConfig:
  controllerManagerConfigYaml: |
    apiVersion: config.kueue.x-k8s.io/v1beta2
    kind: Configuration
    health: {healthProbeBindAddress: ':8081'}
    metrics: {bindAddress: ':8443'}
    webhook: {port: 9443}
    managedJobsNamespaceSelector: {matchLabels: {aios.dev/kueue: 'true'}}
    integrations: {frameworks: [batch/job]}
";

/// Leave to install Kueue and to remove it. It stays with the cluster.
pub struct Kueue {
    cluster: Cluster,
    _alone: File,
}

impl Kueue {
    /// # Errors
    /// If the cluster is not local.
    pub async fn alone(cluster: &Cluster) -> Result<Self> {
        cluster.require_local("Kueue")?;
        let alone = lock(&cluster.options().dir.lock().with_extension("kueue.lock")).await?;
        Ok(Self {
            cluster: cluster.clone(),
            _alone: alone,
        })
    }

    /// Installs it, unless it runs; it sees the Jobs of this namespace.
    pub async fn install(&self, namespace: &TestNamespace) -> Result<()> {
        let label = ["label", "namespace", namespace.name(), LABEL];
        self.cluster.kubectl(&label).await?;
        if self.is_ready().await? {
            return Ok(());
        }
        self.cluster.load(Image::Kueue).await?;
        let client = self.cluster.client();
        let system =
            format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
        // One that is about to go takes nothing.
        eventually("Kueue's objects are there", DEADLINE, async || {
            apply_yaml(&client, None, &system).await?;
            for object in self.objects().await? {
                apply(&client, None, object).await?;
            }
            Ok(Some(()))
        })
        .await?;
        self.show_certificate().await?;
        eventually("Kueue is ready", DEADLINE, async || {
            Ok(self.is_ready().await?.then_some(()))
        })
        .await
    }

    async fn is_ready(&self) -> Result<bool> {
        let deployments: Api<Deployment> = Api::namespaced(self.cluster.client(), NAMESPACE);
        let found = deployments.get_opt("kueue-controller-manager").await?;
        let status = found.and_then(|found| found.status);
        Ok(status.and_then(|status| status.ready_replicas) == Some(1))
    }

    /// It makes its webhooks' certificate itself, and waits until the kubelet has brought it: up to a
    /// minute and a half later, unless something of the pod changes.
    async fn show_certificate(&self) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), NAMESPACE);
        eventually("Kueue has a certificate", DEADLINE, async || {
            let secret = secrets.get("kueue-webhook-server-cert").await?;
            let has_it = secret.data.is_some_and(|data| data.contains_key("tls.crt"));
            Ok(has_it.then_some(()))
        })
        .await?;
        let touch = ["annotate", "pods", "--all", "-n", NAMESPACE, "--overwrite"];
        let touched = [&touch[..], &["aios.dev/test=certificate"]].concat();
        self.cluster.kubectl(&touched).await?;
        Ok(())
    }

    /// What the chart makes, in the order in which it can be applied.
    async fn objects(&self) -> Result<Vec<Value>> {
        let chart = Tool::Kueue.ensure().await?.join("chart");
        let chart = chart
            .to_str()
            .context("the path of the chart is not UTF-8")?;
        let reference = Image::Kueue.reference();
        let (name, tag) = reference.rsplit_once(':').context("an image has a tag")?;
        let values = VALUES.replace("IMAGE", name).replace("TAG", tag);
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), values)?;
        let values = file.path().to_str().context("the path is not UTF-8")?;
        let template = ["template", "kueue", chart, "-n", NAMESPACE, "-f", values];
        let rendered = self.cluster.helm(&template).await?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).context("not YAML")?;
        let (first, then): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .filter(|one| !one.is_null() && kind(one) != "APIService")
            .partition(|one| kind(one) == DEFINITION);
        Ok([first, then].concat())
    }

    /// Removes it with its kinds and their objects.
    pub async fn remove(&self) -> Result<()> {
        let definitions = Api::<CustomResourceDefinition>::all(self.cluster.client());
        let kinds = definitions.list(&ListParams::default()).await?.items;
        let kinds: Vec<_> = kinds
            .into_iter()
            .filter(|one| one.spec.group == GROUP)
            .filter_map(|one| one.metadata.name)
            .collect();
        if kinds.is_empty() {
            return Ok(());
        }
        let objects = self.objects().await?;
        let others = objects.into_iter().filter(|one| kind(one) != DEFINITION);
        // The webhooks first: without the program behind them they would refuse everything.
        let (hooks, rest): (Vec<_>, Vec<_>) =
            others.partition(|one| kind(one).ends_with("WebhookConfiguration"));
        for group in [hooks, rest] {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": group});
            let delete = ["delete", "--ignore-not-found", "--wait=false", "-f", "-"];
            let list = list.to_string();
            self.cluster.kubectl_stdin(&delete, &list).await?;
        }
        for kind in &kinds {
            self.release(kind).await?;
            let _ = definitions.delete(kind, &DeleteParams::default()).await;
        }
        eventually("Kueue has gone", DEADLINE, async || {
            for kind in &kinds {
                if definitions.get_opt(kind).await?.is_some() {
                    self.release(kind).await?;
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        let delete = ["delete", "namespace", NAMESPACE, "--ignore-not-found"];
        self.cluster.kubectl(&delete).await?;
        Ok(())
    }

    /// Takes the finalizers off the objects of a kind, which nobody else will.
    async fn release(&self, kind: &str) -> Result<()> {
        let line = "{range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}";
        let path = format!("jsonpath={line}");
        // A kind that goes has no objects any more.
        let Ok(found) = self
            .cluster
            .kubectl(&["get", kind, "-A", "-o", &path])
            .await
        else {
            return Ok(());
        };
        for object in found.lines() {
            let (namespace, name) = object.split_once(' ').context("a name is missing")?;
            let none = "{\"metadata\":{\"finalizers\":null}}";
            let patch = ["patch", kind, name, "--type=merge", "-p", none];
            let of = ["-n", namespace];
            let of = if namespace.is_empty() {
                &[][..]
            } else {
                &of[..]
            };
            let _ = self.cluster.kubectl(&[&patch[..], of].concat()).await;
        }
        Ok(())
    }
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}
