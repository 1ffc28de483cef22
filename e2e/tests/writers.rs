//! With SQLite a tenant's store has one writer, whatever happens to the pod and to its node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_e2e::testing::{freeze, freeze_kubelet, thaw_kubelet};
use aios_e2e::{Cluster, eventually};
use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, EvictParams};
use scene::{DEADLINE, PIPELINE, Scene, pointer, records};
use tokio::sync::Mutex;

const GATEWAY: &str = "aios-gateway-0";

/// The cluster has one node: tests that stop it wait for each other.
static NODE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_pod_that_is_evicted_and_deleted_while_its_node_hangs_has_no_second_beside_it() {
    let _alone = NODE.lock().await;
    let scene = begun("evicted").await;
    let pods = scene.namespace.api::<Pod>();
    let hanging = pods.get(GATEWAY).await.unwrap().uid().unwrap();
    let node = hang(&scene).await;
    pods.evict(GATEWAY, &EvictParams::default()).await.unwrap();
    pods.delete(GATEWAY, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the time to end is over", DEADLINE, async || {
        let there = pods.get(GATEWAY).await?;
        assert_eq!(there.uid().unwrap(), hanging, "nothing takes its place");
        let ends = there.metadata.deletion_timestamp.context("it is deleted")?;
        Ok((Timestamp::now() > ends.0).then_some(()))
    })
    .await
    .unwrap();
    drop(node);
    goes_on(&scene, &hanging).await;
}

#[tokio::test]
async fn a_second_pod_waits_until_the_process_of_a_forgotten_one_has_gone() {
    let _alone = NODE.lock().await;
    let scene = begun("forgotten").await;
    let pods = scene.namespace.api::<Pod>();
    let hanging = pods.get(GATEWAY).await.unwrap().uid().unwrap();
    let node = hang(&scene).await;
    // As people do when a node does not answer: the API forgets the pod, whose process lives on.
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(GATEWAY, &at_once).await.unwrap();
    let second = eventually("another pod is made", DEADLINE, async || {
        let pod = pods.get_opt(GATEWAY).await?;
        Ok(pod.filter(|pod| pod.uid().as_deref() != Some(hanging.as_str())))
    });
    second.await.unwrap();
    drop(node);
    // The frozen process takes no notice of being asked to end, and holds the store until it is killed.
    goes_on(&scene, &hanging).await;
}

/// A tenant with a published document.
async fn begun(prefix: &str) -> Scene {
    let scene = Scene::open(prefix).await;
    scene.upload(&records(2, |_| "saving")).await;
    let author = scene.gateway("author").await;
    author
        .create_document(PIPELINE, &pointer(1), "first")
        .await
        .unwrap();
    scene.documents_in("Published", 1).await;
    scene
}

/// A node that does nothing until this is dropped.
struct Hanging(Cluster);

impl Drop for Hanging {
    fn drop(&mut self) {
        thaw_kubelet(&self.0).unwrap();
    }
}

/// Neither the gateway nor the node does anything any more.
async fn hang(scene: &Scene) -> Hanging {
    let (cluster, namespace) = (scene.namespace.cluster(), scene.namespace.name());
    freeze(cluster, namespace, (GATEWAY, "gateway"))
        .await
        .unwrap();
    freeze_kubelet(cluster).unwrap();
    Hanging(cluster.clone())
}

/// Another pod serves, knows what the first one did, and the log is one.
async fn goes_on(scene: &Scene, before: &str) {
    let pods = scene.namespace.api::<Pod>();
    eventually("another gateway serves", DEADLINE, async || {
        let Some(pod) = pods.get_opt(GATEWAY).await? else {
            return Ok(None);
        };
        let statuses = pod
            .status
            .iter()
            .flat_map(|s| s.container_statuses.iter().flatten());
        let ready = statuses
            .filter(|one| one.name == "gateway")
            .any(|one| one.ready);
        Ok((ready && pod.uid().as_deref() != Some(before)).then_some(()))
    })
    .await
    .unwrap();
    let author = scene.gateway("author").await;
    author
        .create_document(PIPELINE, &pointer(1), "first")
        .await
        .unwrap();
    author
        .create_document(PIPELINE, &pointer(2), "second")
        .await
        .unwrap();
    scene.documents_in("Published", 2).await;
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (2, 2));
    assert_eq!(scene.audited().await.documents, 2);
}
