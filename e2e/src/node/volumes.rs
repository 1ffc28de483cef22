//! Volumes: a folder of this machine for each claim of the default class, as a
//! `local` volume. Not `hostPath`, which ignores `fsGroup`, so that pods under
//! Pod Security `restricted` could not write.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::files::ClusterDir;
use crate::testing::client_of;

pub const CLASS: &str = "local";
pub const PROVISIONER: &str = "aios.dev/local";
/// Set by the scheduler once it has chosen the node for the claim's first pod.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
/// Annotation of nodes that KWOK plays.
const PLAYED: &str = "kwok.x-k8s.io/node";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const RETRY: Duration = Duration::from_millis(500);

/// Makes volumes for claims, and removes those released; never ends by itself.
pub async fn provide(dir: &ClusterDir) -> Result<()> {
    let client = loop {
        match client_of(&dir.kubeconfig()).await {
            Ok(client) if client.apiserver_version().await.is_ok() => break client,
            _ => tokio::time::sleep(RETRY).await,
        }
    };
    tokio::try_join!(claims(dir, &client), releases(dir, &client))?;
    Ok(())
}

async fn claims(dir: &ClusterDir, client: &Client) -> Result<()> {
    let stream = watcher(
        Api::<PersistentVolumeClaim>::all(client.clone()),
        watcher::Config::default(),
    );
    let mut stream = stream.default_backoff().applied_objects().boxed();
    loop {
        match stream.try_next().await {
            Ok(Some(claim)) if is_waiting(&claim) => report(provision(dir, client, &claim).await),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => report(Err(error.into())),
        }
    }
}

async fn releases(dir: &ClusterDir, client: &Client) -> Result<()> {
    let stream = watcher(
        Api::<PersistentVolume>::all(client.clone()),
        watcher::Config::default(),
    );
    let mut stream = stream.default_backoff().applied_objects().boxed();
    loop {
        match stream.try_next().await {
            Ok(Some(volume)) if is_released(&volume) => {
                report(remove(dir, client, &volume.name_any()).await);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => report(Err(error.into())),
        }
    }
}

fn report(outcome: Result<()>) {
    if let Err(error) = outcome {
        println!("volumes: {error:#}");
    }
}

fn is_waiting(claim: &PersistentVolumeClaim) -> bool {
    let spec = claim.spec.as_ref();
    spec.and_then(|spec| spec.storage_class_name.as_deref()) == Some(CLASS)
        && spec.and_then(|spec| spec.volume_name.as_ref()).is_none()
        && claim.annotations().contains_key(SELECTED_NODE)
        && claim.metadata.deletion_timestamp.is_none()
}

fn is_released(volume: &PersistentVolume) -> bool {
    volume.annotations().get(PROVISIONED_BY).map(String::as_str) == Some(PROVISIONER)
        && volume.metadata.deletion_timestamp.is_none()
        && volume
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            == Some("Released")
        && volume
            .spec
            .as_ref()
            .and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref())
            == Some("Delete")
}

async fn provision(dir: &ClusterDir, client: &Client, claim: &PersistentVolumeClaim) -> Result<()> {
    let name = format!(
        "pvc-{}",
        claim.uid().context("a claim from the server has a uid")?
    );
    let path = dir.volumes().join(&name);
    fs::create_dir_all(&path)?;
    let chosen = claim.annotations().get(SELECTED_NODE);
    let chosen = chosen.context("a claim that waits has a node")?;
    let node = Api::<Node>::all(client.clone()).get(chosen).await?;
    let volume = volume_for(claim, &name, &path, place(&node))?;
    match Api::<PersistentVolume>::all(client.clone())
        .create(&PostParams::default(), &volume)
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        outcome => outcome
            .map(|_| ())
            .with_context(|| format!("cannot make volume {name}")),
    }
}

/// Where a volume can be mounted: on the node that was chosen. Nodes that KWOK plays mount nothing;
/// their volumes are bound to a zone, as a cloud's are.
fn place(node: &Node) -> (&'static str, String) {
    let label = |key: &str| node.labels().get(key).cloned();
    match label(ZONE).filter(|_| node.annotations().contains_key(PLAYED)) {
        Some(zone) => (ZONE, zone),
        None => (HOSTNAME, label(HOSTNAME).unwrap_or_else(|| node.name_any())),
    }
}

/// The volume bound to one claim. Pure.
fn volume_for(
    claim: &PersistentVolumeClaim,
    name: &str,
    path: &std::path::Path,
    (key, value): (&str, String),
) -> Result<PersistentVolume> {
    let spec = claim.spec.clone().unwrap_or_default();
    let requests: BTreeMap<_, _> = spec
        .resources
        .and_then(|resources| resources.requests)
        .unwrap_or_default();
    let volume = json!({
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": requests.get("storage")},
            "accessModes": spec.access_modes,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
            "volumeMode": spec.volume_mode,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(),
                "name": claim.name_any(),
                "uid": claim.uid(),
            },
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": key, "operator": "In", "values": [value]},
            ]}]}},
        },
    });
    Ok(serde_json::from_value(volume)?)
}

async fn remove(dir: &ClusterDir, client: &Client, name: &str) -> Result<()> {
    let path: PathBuf = dir.volumes().join(name);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    match Api::<PersistentVolume>::all(client.clone())
        .delete(name, &DeleteParams::default())
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome
            .map(|_| ())
            .with_context(|| format!("cannot remove volume {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NODE;

    fn claim(extra: &serde_json::Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {"name": "data", "namespace": "ns", "uid": "u1", "annotations": {SELECTED_NODE: NODE}},
            "spec": {
                "storageClassName": CLASS,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "3Gi"}},
            },
        });
        claim["spec"]
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        serde_json::from_value(claim).unwrap()
    }

    #[test]
    fn only_a_claim_with_a_node_and_no_volume_waits() {
        assert!(is_waiting(&claim(&json!({}))));
        assert!(!is_waiting(&claim(&json!({"volumeName": "v"}))));
        assert!(!is_waiting(&claim(&json!({"storageClassName": "other"}))));
        let mut unscheduled = claim(&json!({}));
        unscheduled.metadata.annotations = None;
        assert!(!is_waiting(&unscheduled));
    }

    #[test]
    fn a_volume_is_bound_to_its_claim_and_node_with_the_size_asked_for() {
        let volume = volume_for(
            &claim(&json!({})),
            "pvc-u1",
            std::path::Path::new("/v/pvc-u1"),
            (HOSTNAME, NODE.into()),
        )
        .unwrap();
        let spec = serde_json::to_value(volume.spec).unwrap();
        assert_eq!(spec["capacity"]["storage"], "3Gi");
        assert_eq!(spec["claimRef"]["uid"], "u1");
        assert_eq!(spec["local"]["path"], "/v/pvc-u1");
        assert_eq!(
            spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
                [0],
            NODE
        );
    }

    #[test]
    fn a_volume_stays_on_its_node_and_where_none_is_mounted_in_its_zone() {
        let mut node: Node = serde_json::from_value(json!({"metadata": {"name": "n",
            "labels": {HOSTNAME: "h", ZONE: "z"}}}))
        .unwrap();
        assert_eq!(place(&node), (HOSTNAME, "h".into()));
        node.metadata.annotations = Some([(PLAYED.into(), "fake".into())].into());
        assert_eq!(place(&node), (ZONE, "z".into()));
    }
}
