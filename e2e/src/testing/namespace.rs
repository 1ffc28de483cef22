//! A namespace for one test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use serde_json::json;

use super::commands::tools_first;
use super::{Cluster, apply_yaml, eventually};

/// Set to keep the namespaces, and clusters of one test, to look at them.
pub(super) const KEEP: &str = "AIOS_KEEP_NAMESPACES";
const DEADLINE: Duration = Duration::from_mins(1);

/// A fresh namespace under Pod Security `restricted`. It is deleted with this
/// value; after a panic its pods and events are printed first.
pub struct TestNamespace {
    cluster: Cluster,
    name: String,
    is_deleted: bool,
}

impl TestNamespace {
    /// The name begins with `prefix`, and is like no other.
    pub async fn new(cluster: &Cluster, prefix: &str) -> Result<Self> {
        Self::with_labels(cluster, prefix, &[]).await
    }

    /// The same, with labels for what selects namespaces.
    pub async fn with_labels(
        cluster: &Cluster,
        prefix: &str,
        labels: &[(&str, &str)],
    ) -> Result<Self> {
        let name = unique(prefix)?;
        let mut namespace = json!({"metadata": {"name": name, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest",
            "aios.dev/test": "true",
        }}});
        if let Some(all) = namespace
            .pointer_mut("/metadata/labels")
            .and_then(serde_json::Value::as_object_mut)
        {
            all.extend(
                labels
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), json!(value))),
            );
        }
        let namespace: Namespace = serde_json::from_value(namespace)?;
        Api::all(cluster.client())
            .create(&PostParams::default(), &namespace)
            .await
            .context("cannot make a namespace")?;
        let made = Self {
            cluster: cluster.clone(),
            name,
            is_deleted: false,
        };
        made.await_account().await?;
        Ok(made)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// The namespace's objects of one kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.name)
    }

    /// Applies manifests into it: see [`apply_yaml`].
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>> {
        apply_yaml(&self.client(), Some(&self.name), yaml).await
    }

    /// Runs `kubectl -n NAMESPACE`.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster
            .kubectl(&[&["-n", &self.name], arguments].concat())
            .await
    }

    /// Deletes it and waits until it has gone.
    pub async fn delete(mut self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.client());
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await?;
        self.is_deleted = true;
        eventually("the namespace has gone", DEADLINE, async || {
            Ok(namespaces
                .get_opt(&self.name)
                .await?
                .is_none()
                .then_some(()))
        })
        .await
    }

    /// Pods are refused before it exists.
    async fn await_account(&self) -> Result<()> {
        let accounts = self.api::<ServiceAccount>();
        eventually("the default ServiceAccount exists", DEADLINE, async || {
            Ok(accounts.get_opt("default").await?)
        })
        .await
        .map(|_| ())
    }
}

impl Drop for TestNamespace {
    /// Best effort, and without the runtime, which may be the one that panics.
    fn drop(&mut self) {
        if self.is_deleted {
            return;
        }
        let kubectl = |arguments: &[&str]| {
            let mut command = std::process::Command::new("kubectl");
            command
                .env("KUBECONFIG", self.cluster.kubeconfig())
                .env("PATH", tools_first());
            command.args(["-n", &self.name]).args(arguments).output()
        };
        if std::thread::panicking() {
            eprintln!("--- namespace {}", self.name);
            let questions: [&[&str]; 2] = [
                &["get", "pods,aios", "-o", "wide", "--ignore-not-found"],
                &["get", "events", "--sort-by=.lastTimestamp"],
            ];
            for answer in questions
                .iter()
                .filter_map(|question| kubectl(question).ok())
            {
                eprintln!("{}", String::from_utf8_lossy(&answer.stdout));
            }
        }
        if std::env::var_os(KEEP).is_none() {
            let _ = kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
        }
    }
}

/// Unlike any name of this process, of another, or of an earlier run.
fn unique(prefix: &str) -> Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() % 0xff_ffff_ffff;
    Ok(format!("{prefix}-{now:x}-{}-{count}", std::process::id()))
}
