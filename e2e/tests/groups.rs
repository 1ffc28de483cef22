//! Groups of engine pods: a warm standby takes a lost group's place, a new revision replaces the old
//! one, shards live and die together.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/scene.rs"]
mod scene;

use std::collections::BTreeSet;

use aios_crds::{ModelDeployment, ModelDeploymentStatus};
use aios_e2e::testing::real_model::{DIGEST, model, written_by};
use aios_e2e::testing::{cut_off, install, is_ready};
use aios_e2e::{Cluster, eventually};
use anyhow::{Result, ensure};
use asking::Asking;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use scene::{DEADLINE, Scene, records};
use serde_json::json;

const MODEL: &str = "smollm";
const GATEWAY: &str = "aios-gateway-0";

async fn stage(prefix: &str, manifest: String) -> Scene {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let scene = Scene::with(prefix, |quickstart| {
        written_by(quickstart, MODEL, &manifest)
    })
    .await;
    scene
        .upload(&records(1, |_| "saving for a first home"))
        .await;
    scene
}

/// Pods of the model by their part: `engine`, `standby` or `shard`.
async fn pods(scene: &Scene, component: &str) -> Result<Vec<Pod>> {
    let selector = format!("aios.dev/model={MODEL},app.kubernetes.io/component={component}");
    let pods = scene.namespace.api::<Pod>();
    let found = pods.list(&ListParams::default().labels(&selector)).await?;
    let is_alive = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    Ok(found.items.into_iter().filter(is_alive).collect())
}

async fn names(scene: &Scene, component: &str) -> Result<BTreeSet<String>> {
    let pods = pods(scene, component).await?;
    Ok(pods.iter().map(ResourceExt::name_any).collect())
}

/// Waits until the model says that it is as its spec wants it.
async fn ready(scene: &Scene) -> ModelDeploymentStatus {
    let models = scene.namespace.api::<ModelDeployment>();
    eventually("the model is Ready", DEADLINE, async || {
        let found = models.get(MODEL).await?;
        let generation = found.metadata.generation;
        let status = found.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        ensure!(
            ready
                .as_ref()
                .is_some_and(|one| one.status == "True" && one.observed_generation == generation),
            "{ready:?}"
        );
        Ok(Some(status))
    })
    .await
    .unwrap()
}

/// Two more texts come, and every one so far was written by asking a model that answered.
async fn was_always_answered(asking: Asking) {
    asking.more(2).await;
    for slots in asking.all() {
        assert!(!slots.contains("RoutesExhausted"), "{slots}");
    }
}

/// A model whose group is a leader and a shard.
fn sharded() -> String {
    model(MODEL, DIGEST, 0).replace("warm:", "shards: {pipeline: 2}\n    warm:")
}

/// The pods of the only group, whatever its parts.
async fn group(scene: &Scene) -> Result<Vec<Pod>> {
    Ok([pods(scene, "engine").await?, pods(scene, "shard").await?].concat())
}

fn uids(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(ResourceExt::uid).collect()
}

#[tokio::test]
async fn a_warm_standby_takes_a_lost_groups_place_and_no_call_fails() {
    let scene = stage("standby", model(MODEL, DIGEST, 1)).await;
    ready(&scene).await;
    let (active, standby) = (
        names(&scene, "engine").await.unwrap(),
        names(&scene, "standby").await.unwrap(),
    );
    assert_eq!((active.len(), standby.len()), (1, 1));
    let asking = Asking::start(&scene).await;
    let lost = active.first().unwrap();
    scene.namespace.kill_pod(lost).await.unwrap();
    eventually("the standby takes traffic", DEADLINE, async || {
        Ok((names(&scene, "engine").await? == standby).then_some(()))
    })
    .await
    .unwrap();
    was_always_answered(asking).await;
    let status = ready(&scene).await;
    assert_eq!((status.ready_replicas, status.standby_ready), (1, 1));
    assert_eq!(names(&scene, "standby").await.unwrap(), active);
}

/// As when its node is lost: nobody says that it is gone, and the control plane has not noticed yet.
#[tokio::test]
async fn a_group_that_falls_silent_is_answered_for_by_its_standby_and_no_call_fails() {
    let scene = stage("silent", model(MODEL, DIGEST, 1)).await;
    ready(&scene).await;
    let active = names(&scene, "engine").await.unwrap();
    let asking = Asking::start(&scene).await;
    asking.more(1).await;
    let gateway = scene.namespace.api::<Pod>().get(GATEWAY).await.unwrap();
    let egress = gateway.status.unwrap().pod_ip.unwrap();
    let at = (active.first().unwrap().as_str(), "ingress");
    let (cluster, namespace) = (scene.namespace.cluster(), scene.namespace.name());
    cut_off(cluster, namespace, at, &egress).await.unwrap();
    was_always_answered(asking).await;
    assert_eq!(names(&scene, "engine").await.unwrap(), active);
}

#[tokio::test]
async fn a_new_revision_replaces_the_old_one_and_no_call_fails() {
    let scene = stage("revision", model(MODEL, DIGEST, 0)).await;
    ready(&scene).await;
    let old = names(&scene, "engine").await.unwrap();
    let asking = Asking::start(&scene).await;
    let change = json!({"spec": {"selfHosted": {"engine": {"args": ["--no-webui"]}}}});
    scene
        .namespace
        .api::<ModelDeployment>()
        .patch(MODEL, &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
    eventually("the new revision alone stands", DEADLINE, async || {
        let (active, waiting) = (
            names(&scene, "engine").await?,
            names(&scene, "standby").await?,
        );
        ensure!(
            waiting.is_empty() && active.len() == 1,
            "{active:?} {waiting:?}"
        );
        Ok(active.is_disjoint(&old).then_some(()))
    })
    .await
    .unwrap();
    was_always_answered(asking).await;
    let status = ready(&scene).await;
    assert_eq!((status.replicas, status.ready_replicas), (1, 1));
}

#[tokio::test]
async fn shards_restart_are_replaced_and_go_as_one_group() {
    let scene = stage("shards", sharded()).await;
    ready(&scene).await;
    let before = uids(&group(&scene).await.unwrap());
    assert_eq!(before.len(), 2, "one leader, one shard");
    let asking = Asking::start(&scene).await;
    asking.more(30).await;
    // A shard takes one connection at a time: that of its leader, who is busy.
    let busy = group(&scene).await.unwrap();
    assert!(busy.iter().all(is_ready), "a group under load is ready");
    was_always_answered(asking).await;

    let shard = names(&scene, "shard").await.unwrap();
    scene
        .namespace
        .kill_container(shard.first().unwrap(), "engine")
        .await
        .unwrap();
    eventually(
        "every pod of the group is another, and ready",
        DEADLINE,
        async || {
            let all = group(&scene).await?;
            ensure!(all.iter().all(is_ready), "not all are ready");
            let now = uids(&all);
            Ok((now.len() == 2 && now.is_disjoint(&before)).then_some(()))
        },
    )
    .await
    .unwrap();
    ready(&scene).await;
    let asking = Asking::start(&scene).await;
    was_always_answered(asking).await;
    are_replaced_together(&scene).await;
    go_with_their_model(&scene).await;
}

async fn are_replaced_together(scene: &Scene) {
    let old = uids(&group(scene).await.unwrap());
    let before = sets(scene).await.unwrap();
    // Of the leader, and of its shard.
    assert_eq!((old.len(), before.len()), (2, 2), "{before:?}");

    let asking = Asking::start(scene).await;
    let models = scene.namespace.api::<ModelDeployment>();
    let change = json!({"spec": {"selfHosted": {"engine": {"args": ["--no-webui"]}}}});
    models
        .patch(MODEL, &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
    eventually("another group alone stands", DEADLINE, async || {
        let (all, sets) = (group(scene).await?, sets(scene).await?);
        ensure!(all.iter().all(is_ready), "not all are ready");
        let now = uids(&all);
        ensure!(
            now.len() == 2 && sets.len() == 2,
            "{sets:?} with {} pods",
            now.len()
        );
        Ok((now.is_disjoint(&old) && sets.is_disjoint(&before)).then_some(()))
    })
    .await
    .unwrap();
    was_always_answered(asking).await;
}

async fn go_with_their_model(scene: &Scene) {
    let models = scene.namespace.api::<ModelDeployment>();
    models
        .delete(MODEL, &DeleteParams::default())
        .await
        .unwrap();
    eventually("no pod of the model is left", DEADLINE, async || {
        let pods = scene.namespace.api::<Pod>().list(&of_model()).await?.items;
        let left = (sets(scene).await?, pods.len());
        ensure!(left == (BTreeSet::new(), 0), "{left:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

fn of_model() -> ListParams {
    ListParams::default().labels(&format!("aios.dev/model={MODEL}"))
}

/// Names of the StatefulSets of the model.
async fn sets(scene: &Scene) -> Result<BTreeSet<String>> {
    let found = scene
        .namespace
        .api::<StatefulSet>()
        .list(&of_model())
        .await?;
    Ok(found.iter().map(ResourceExt::name_any).collect())
}
