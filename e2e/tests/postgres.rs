//! Gateways that share a PostgreSQL: what one does, two do together, also while they come and go.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/scene.rs"]
mod scene;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aios_e2e::images::Image;
use aios_e2e::{Cluster, eventually};
use desk::{Desk, token};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::ListParams;
use scene::{DEADLINE, DOUBTFUL, PIPELINE, Scene, pointers, records};
use serde_json::json;
use tokio::task::JoinHandle;

const POSTGRES: &str = include_str!("support/postgres.yaml");
const GATEWAY: &str = "aios-gateway";
const ITEMS: usize = 8;
const RUN: &str = "batch";

#[tokio::test]
async fn a_run_is_drafted_reviewed_and_published_once_by_two_gateways() {
    let scene = open("two-gateways").await;
    assert!(of::<StatefulSet>(&scene).await.is_none());
    assert!(of::<PodDisruptionBudget>(&scene).await.is_some());
    let claims = scene.namespace.api::<PersistentVolumeClaim>();
    assert!(
        claims
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );

    scene.upload(&records(ITEMS, topics)).await;
    scene.run(RUN, pointers(ITEMS)).await;
    let waiting = scene.documents_in("Review", 1).await.remove(0);
    let digest = scene.document(&waiting.id).await.unwrap().digest.unwrap();
    let reviewer = scene.gateway("reviewer").await;
    reviewer
        .approve(PIPELINE, &waiting.id, &digest)
        .await
        .unwrap();
    let again = reviewer.approve(PIPELINE, &waiting.id, &digest).await;
    assert_eq!(again.unwrap_err().status(), Some(409));
    scene.published_once(ITEMS).await;
}

#[tokio::test]
async fn a_rolling_restart_fails_no_request() {
    let scene = open("rolling").await;
    scene.upload(&records(ITEMS, |_| "saving")).await;
    let before = gateways(&scene).await;
    let kept = Asking::start(&scene, true).await;
    let fresh = Asking::start(&scene, false).await;
    scene.run(RUN, pointers(ITEMS)).await;
    let deployment = format!("deployment/{GATEWAY}");
    scene
        .namespace
        .kubectl(&["rollout", "restart", &deployment])
        .await
        .unwrap();
    scene
        .namespace
        .kubectl(&["rollout", "status", &deployment, "--timeout=3m"])
        .await
        .unwrap();
    eventually("the old gateways have gone", DEADLINE, async || {
        Ok(before.is_disjoint(&gateways(&scene).await).then_some(()))
    })
    .await
    .unwrap();
    kept.was_always_answered().await;
    fresh.was_always_answered().await;
    scene.finished(RUN).await;
    // Both clients asked for the same one document, too.
    scene.published_once(ITEMS + 1).await;
}

#[tokio::test]
async fn a_gateway_that_dies_under_way_leaves_its_documents_to_the_other() {
    let scene = open("one-dies").await;
    scene.upload(&records(ITEMS, |_| "saving")).await;
    scene.slow_model(Duration::from_secs(1)).await;
    scene.run(RUN, pointers(ITEMS)).await;
    scene.published_at_least(1).await;
    let lost = gateways(&scene).await.pop_first().unwrap();
    scene.namespace.kill_pod(&lost).await.unwrap();
    scene.heal_model().await;
    scene.finished(RUN).await;
    scene.published_once(ITEMS).await;
    two_serve(&scene).await;
}

#[tokio::test]
async fn a_tenant_stays_with_the_store_that_holds_its_documents() {
    let scene = Scene::open("stays").await;
    let uri = "--from-literal=uri=postgresql://aios@postgres/postgres";
    let secret = ["create", "secret", "generic", "aios-postgres", uri];
    scene.namespace.kubectl(&secret).await.unwrap();
    conflict(&scene, "data-aios-gateway-0").await;
    assert!(of::<Deployment>(&scene).await.is_none());
    scene
        .documents(None)
        .await
        .expect("the gateway still serves");
    let secret = ["delete", "secret", "aios-postgres"];
    scene.namespace.kubectl(&secret).await.unwrap();
    eventually("the pipeline serves again", DEADLINE, async || {
        Ok((serving(&scene).await?.0 == "True").then_some(()))
    })
    .await
    .unwrap();
}

/// The quickstart with a PostgreSQL, ready, with two gateways.
async fn open(prefix: &str) -> Scene {
    let cluster = Cluster::shared().await.unwrap();
    cluster.load(Image::Postgres).await.unwrap();
    let with_postgres = |manifests: &str| format!("{POSTGRES}\n---\n{manifests}");
    let scene = Scene::with(prefix, with_postgres).await;
    two_serve(&scene).await;
    scene
}

async fn two_serve(scene: &Scene) {
    eventually("two gateways are ready", DEADLINE, async || {
        let found = of::<Deployment>(scene).await;
        let status = found.and_then(|found| found.status).unwrap_or_default();
        Ok((status.ready_replicas == Some(2)).then_some(()))
    })
    .await
    .unwrap();
}

/// Names of the gateway's pods that run and are not being deleted.
async fn gateways(scene: &Scene) -> BTreeSet<String> {
    let named = ListParams::default().labels("app.kubernetes.io/component=gateway");
    let pods = scene.namespace.api::<Pod>().list(&named).await.unwrap();
    pods.iter().map(ResourceExt::name_any).collect()
}

/// The gateway's object of a kind.
async fn of<K>(scene: &Scene) -> Option<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    scene.namespace.api::<K>().get_opt(GATEWAY).await.unwrap()
}

async fn conflict(scene: &Scene, names: &str) {
    eventually("the conflict is told", DEADLINE, async || {
        let (status, reason, message) = serving(scene).await?;
        let told = status == "False" && reason == "StoreConflict" && message.contains(names);
        anyhow::ensure!(told, "{status} {reason} {message}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

async fn serving(scene: &Scene) -> anyhow::Result<(String, String, String)> {
    let pipelines = scene.namespace.api::<aios_crds::WritingPipeline>();
    let status = pipelines.get(PIPELINE).await?.status.unwrap_or_default();
    let mut conditions = status.conditions.into_iter();
    let serving = conditions
        .find(|one| one.type_ == "Serving")
        .ok_or_else(|| anyhow::anyhow!("no Serving yet"))?;
    Ok((serving.status, serving.reason, serving.message))
}

fn topics(customer: usize) -> &'static str {
    if customer == 1 { DOUBTFUL } else { "saving" }
}

/// A client that asks the Service without a pause, and accepts one document again and again.
struct Asking {
    answered: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Asking {
    /// With `kept` over connections that it keeps, else each time over another.
    async fn start(scene: &Scene, kept: bool) -> Self {
        let desk = if kept {
            Desk::of(&scene.namespace).await
        } else {
            Desk::unpooled(&scene.namespace).await
        };
        let token = token(&scene.namespace, "author").await;
        let (answered, ends) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, end) = (answered.clone(), ends.clone());
        let path = format!("/v1/pipelines/{PIPELINE}/documents");
        let namespace = scene.namespace.name().to_owned();
        let task = tokio::spawn(async move {
            let wish = json!({"pointer": {"customerId": 1}});
            while !end.load(Ordering::Relaxed) {
                let listed = desk.get(&path).token(&token).once().await;
                let listed = listed.unwrap_or_else(|error| panic!("{namespace}: {error:?}"));
                assert_eq!(listed.status, 200, "{}", listed.text);
                let wished = desk
                    .post(&path, &wish)
                    .key("again")
                    .token(&token)
                    .once()
                    .await;
                let wished = wished.unwrap_or_else(|error| panic!("{namespace}: {error:?}"));
                assert!(matches!(wished.status, 200 | 201), "{}", wished.text);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let asking = Self {
            answered,
            ends,
            task,
        };
        asking.two_more().await;
        asking
    }

    async fn was_always_answered(self) {
        self.two_more().await;
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.expect("every request was answered");
    }

    async fn two_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("two more answers", DEADLINE, async || {
            let failed = self.task.is_finished();
            let enough = self.answered.load(Ordering::Relaxed) >= before + 2;
            Ok((failed || enough).then_some(()))
        })
        .await
        .unwrap();
    }
}
