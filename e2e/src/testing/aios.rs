//! AIOS itself, as Helm installs it for everybody.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use sha2::{Digest, Sha256};

use super::{Cluster, apply_yaml};
use crate::files;
use crate::images::{self, Image, TAG};
use crate::tools::lock;

/// Namespace of the operator.
pub const SYSTEM: &str = "aios-system";
const CHARTS: [&str; 2] = ["aios-crds", "aios"];
const DEADLINE: &str = "--timeout=3m";
/// Annotation of the operator's pod: which charts and image it was made of.
const FINGERPRINT: &str = "aios.dev/installed-as";

/// Installs or upgrades AIOS from its charts. Of processes that ask at once,
/// one does it; whoever finds these charts and this operator already installed
/// changes nothing.
///
/// # Errors
/// What Helm says.
pub async fn install(cluster: &Cluster) -> Result<()> {
    let dir = &cluster.options().dir;
    let _one_at_a_time = lock(&dir.lock().with_extension("install.lock")).await?;
    let charts = files::repository().join("charts");
    let fingerprint = fingerprint(cluster, &charts)?;
    if is_installed(cluster, &fingerprint).await? {
        return Ok(());
    }
    apply_yaml(&cluster.client(), None, &system_namespace()).await?;
    mend(cluster).await?;
    for chart in CHARTS {
        let path = charts.join(chart);
        let mut arguments = vec![
            "upgrade",
            "--install",
            "--wait",
            DEADLINE,
            "-n",
            SYSTEM,
            chart,
        ];
        arguments.push(
            path.to_str()
                .context("the path of the charts is not UTF-8")?,
        );
        let tag = format!("images.tag={TAG}");
        let pod = format!("operator.podAnnotations.aios\\.dev/installed-as={fingerprint}");
        let values = values();
        if chart == "aios" {
            let values = values.to_str().context("the path is not UTF-8")?;
            arguments.extend(["--values", values, "--set", &tag, "--set-string", &pod]);
        }
        cluster
            .helm(&arguments)
            .await
            .with_context(|| format!("chart {chart} cannot be installed"))?;
    }
    Ok(())
}

/// What the platform of the suites offers.
fn values() -> PathBuf {
    files::repository().join("e2e/values.yaml")
}

fn system_namespace() -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata:
  name: {SYSTEM}
  labels: {{pod-security.kubernetes.io/enforce: restricted}}"
    )
}

/// An operation that was interrupted bars every later one.
async fn mend(cluster: &Cluster) -> Result<()> {
    for chart in CHARTS {
        match status(cluster, chart).await.as_deref() {
            Some("pending-install" | "uninstalling") => {
                cluster
                    .helm(&["uninstall", "--wait", DEADLINE, "-n", SYSTEM, chart])
                    .await?;
            }
            Some("pending-upgrade" | "pending-rollback") => {
                cluster
                    .helm(&["rollback", "--wait", DEADLINE, "-n", SYSTEM, chart])
                    .await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn is_installed(cluster: &Cluster, fingerprint: &str) -> Result<bool> {
    let deployments = Api::<Deployment>::namespaced(cluster.client(), SYSTEM);
    let Some(operator) = deployments.get_opt("aios-operator").await? else {
        return Ok(false);
    };
    let (spec, now) = (
        operator.spec.unwrap_or_default(),
        operator.status.unwrap_or_default(),
    );
    let annotations = spec
        .template
        .metadata
        .unwrap_or_default()
        .annotations
        .unwrap_or_default();
    let is_settled =
        now.observed_generation == operator.metadata.generation && now.ready_replicas >= Some(1);
    if !is_settled || annotations.get(FINGERPRINT).map(String::as_str) != Some(fingerprint) {
        return Ok(false);
    }
    for chart in CHARTS {
        if status(cluster, chart).await.as_deref() != Some("deployed") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As Helm words it; none if there is no such release.
async fn status(cluster: &Cluster, release: &str) -> Option<String> {
    let said = cluster
        .helm(&["status", "-n", SYSTEM, release, "-o", "json"])
        .await
        .ok()?;
    let said: serde_json::Value = serde_json::from_str(&said).ok()?;
    Some(said.pointer("/info/status")?.as_str()?.to_owned())
}

/// Of the charts' files and the operator's image, where the harness loaded it:
/// its tag stays the same when its content changes.
fn fingerprint(cluster: &Cluster, charts: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for chart in CHARTS {
        add(&mut hash, &charts.join(chart))?;
    }
    add(&mut hash, &values())?;
    let options = cluster.options();
    let image = images::loaded_digest(options.provider, &options.dir, Image::Operator)?;
    hash.update(image.unwrap_or_default());
    let mut hex = hex::encode(hash.finalize());
    hex.truncate(16);
    // Helm takes a value of digits alone for a number unless it begins like a word.
    Ok(format!("v{hex}"))
}

fn add(hash: &mut Sha256, path: &Path) -> Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| add(hash, entry));
    }
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(fs::read(path)?);
    Ok(())
}
