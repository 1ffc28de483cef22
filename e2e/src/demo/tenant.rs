//! The campaign's namespace: made afresh, filled, and started.

use std::time::Duration;

use aios_crds::{WritingPipeline, WritingRun};
use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams};
use kubectl_aios::client::{Auth, Gateway};
use serde_json::json;

use super::campaign::Campaign;
use super::settings::Settings;
use crate::progress::step;
use crate::testing::aios::SYSTEM;
use crate::{Cluster, eventually};

/// Weights are fetched and loaded before a pipeline is ready.
const READY: Duration = Duration::from_mins(10);
const GONE: Duration = Duration::from_mins(3);

/// The gateway as each of the people asks it.
pub struct People {
    pub author: Gateway,
    /// Approves and rejects.
    pub reviewer: Gateway,
    /// Edits, and so cannot approve what it edited.
    pub editor: Gateway,
    pub auditor: Gateway,
}

/// ServiceAccounts by name, with the chart's role of each.
const ROLES: [(&str, &str); 4] = [
    ("author", "aios-author"),
    ("reviewer", "aios-reviewer"),
    ("editor", "aios-reviewer"),
    ("auditor", "aios-auditor"),
];

impl People {
    pub async fn connect(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let connect = async |name: &str| {
            Gateway::connect(
                cluster.client(),
                namespace,
                Auth::ServiceAccount(name.to_owned()),
            )
            .await
        };
        Ok(Self {
            author: connect("author").await?,
            reviewer: connect("reviewer").await?,
            editor: connect("editor").await?,
            auditor: connect("auditor").await?,
        })
    }
}

/// Applies everything but the run, and waits until the pipeline is ready.
///
/// `final_url` is where pods find the final model's endpoint.
pub async fn prepare(
    cluster: &Cluster,
    campaign: &Campaign,
    settings: &Settings,
    final_url: Option<&str>,
) -> Result<()> {
    let namespace = settings.namespace.as_str();
    if !settings.keep {
        step(
            "remove what an earlier demo left",
            remove(cluster, namespace),
        )
        .await?;
    }
    let apply = async |manifest: &str| {
        cluster
            .kubectl_stdin(&["-n", namespace, "apply", "-f", "-"], manifest)
            .await
            .map(|_| ())
    };
    let all = async {
        apply(&namespace_manifest(namespace).to_string()).await?;
        for (name, role) in ROLES {
            apply(&account_manifest(name, role).to_string()).await?;
        }
        for manifest in &campaign.manifests {
            apply(manifest).await?;
        }
        let (Some(chosen), Some(url)) = (&settings.final_model, final_url) else {
            return Ok(());
        };
        let (manifest, patch) = campaign
            .final_model
            .as_ref()
            .context("the example has no variant with a final step: unset AIOS_FINAL_BASE_URL")?;
        apply(&secret_manifest(&chosen.api_key).to_string()).await?;
        apply(&final_manifest(manifest, url, &chosen.model)).await?;
        let target = [
            "-n",
            namespace,
            "patch",
            "writingpipeline",
            &campaign.pipeline,
        ];
        let how = ["--type", "merge", "--patch-file", "/dev/stdin"];
        cluster
            .kubectl_stdin(&[&target[..], &how].concat(), patch)
            .await
            .map(|_| ())
    };
    step("apply the campaign", all).await?;
    let pipelines = Api::<WritingPipeline>::namespaced(cluster.client(), namespace);
    let ready = eventually("the pipeline is ready", READY, async || {
        let pipeline = pipelines.get(&campaign.pipeline).await?;
        let conditions = pipeline
            .status
            .map(|status| status.conditions)
            .unwrap_or_default();
        match conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")
        {
            Some(ready) if ready.status == "True" => Ok(Some(())),
            Some(ready) => bail!("{}: {}", ready.reason, ready.message),
            None => Ok(None),
        }
    });
    step("wait for model, policy and gateway", ready).await
}

/// Uploads the records and starts the run, as the author.
pub async fn start(
    cluster: &Cluster,
    campaign: &Campaign,
    people: &People,
    settings: &Settings,
) -> Result<()> {
    let namespace = settings.namespace.as_str();
    let runs = Api::<WritingRun>::namespaced(cluster.client(), namespace);
    if settings.keep && runs.get_opt(&campaign.run_name).await?.is_some() {
        return Ok(());
    }
    let records = campaign.records.clone();
    let upload = async {
        // The gateway may be ready a moment before its token checks are.
        eventually(
            "the gateway takes the records",
            Duration::from_mins(1),
            async || {
                let put = people.author.put_context(
                    &campaign.pipeline,
                    &campaign.context,
                    records.clone(),
                );
                Ok(Some(put.await?))
            },
        )
        .await
    };
    let uploaded = step("upload the records", upload).await?;
    let count = campaign.customers.len();
    if usize::try_from(uploaded.records).ok() != Some(count) {
        bail!("{} records were taken of {count}", uploaded.records);
    }
    let author = format!("system:serviceaccount:{namespace}:author");
    let mut run: serde_json::Value = serde_saphyr::from_str(&campaign.run).context("run.yaml")?;
    run["spec"]["author"] = json!(author);
    let as_author = format!("--as={author}");
    let create = ["-n", namespace, &as_author, "create", "-f", "-"];
    cluster
        .kubectl_stdin(&create, &run.to_string())
        .await
        .context("cannot start the run")?;
    Ok(())
}

/// The witness of the old log goes too: the next log begins anew, under another key.
async fn remove(cluster: &Cluster, namespace: &str) -> Result<()> {
    let namespaces = Api::<Namespace>::all(cluster.client());
    if namespaces.get_opt(namespace).await?.is_some() {
        namespaces
            .delete(namespace, &DeleteParams::default())
            .await?;
        eventually("the namespace has gone", GONE, async || {
            Ok(namespaces.get_opt(namespace).await?.is_none().then_some(()))
        })
        .await?;
    }
    let witnesses = Api::<ConfigMap>::namespaced(cluster.client(), SYSTEM);
    let witness = format!("aios-witness-{namespace}");
    match witnesses.delete(&witness, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
}

fn namespace_manifest(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }}})
}

fn account_manifest(name: &str, role: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        },
    ]})
}

fn secret_manifest(key: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "final-key"},
        "stringData": {"key": key}})
}

/// The example's manifest with address and model in their places.
fn final_manifest(manifest: &str, base_url: &str, model: &str) -> String {
    manifest
        .replace("model: AIOS_FINAL_MODEL", &format!("model: {model}"))
        .replace(
            "baseURL: AIOS_FINAL_BASE_URL",
            &format!("baseURL: {base_url}"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::repository;

    #[test]
    fn the_final_model_takes_the_places_in_capitals() {
        let path = repository().join("examples/campaign/final/final.yaml");
        let manifest = std::fs::read_to_string(path).unwrap();
        let filled = final_manifest(&manifest, "http://host:1/v1", "m");
        assert!(
            filled.contains("    model: m\n    baseURL: http://host:1/v1\n"),
            "{filled}"
        );
    }
}
