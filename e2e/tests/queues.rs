//! Runs in a queue. Kueue itself is not here: its kind is a stand-in (support/workloads.yaml), and the
//! tests do what Kueue's documentation says it does: they make the Workload of a suspended Job, write
//! its published conditions, and start the Job.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

use aios_e2e::testing::apply_yaml;
use aios_e2e::{Cluster, eventually};
use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use scene::{DEADLINE, Scene, pointers, records};
use serde_json::{Value, json};

const DEFINITION: &str = include_str!("support/workloads.yaml");
const NAME: &str = "workloads.kueue.x-k8s.io";

#[tokio::test]
async fn a_queued_run_says_why_it_waits_and_starts_when_kueue_lets_it() {
    let scene = Scene::with("queued", in_queue).await;
    let cluster = scene.namespace.cluster();
    remove_kueue(cluster).await;
    scene.upload(&records(3, |_| "saving")).await;
    scene.run("batch", pointers(3)).await;

    let missing = ("False", "KueueMissing");
    admitted(&scene, "batch", missing, "install it").await;
    let job = job(&scene, "batch").await;
    assert_eq!(job.labels()["kueue.x-k8s.io/queue-name"], "team-a");
    assert_eq!(job.spec.as_ref().unwrap().suspend, Some(true));
    assert!(scene.workers("batch").await.unwrap().is_empty());

    apply_yaml(&cluster.client(), None, DEFINITION)
        .await
        .unwrap();
    let workload = workload(&scene, &job).await;
    let full = "insufficient unused quota for cpu, 1 more needed";
    workload
        .says("QuotaReserved", "False", "Pending", full)
        .await;
    admitted(&scene, "batch", ("Unknown", "Queued"), full).await;
    let ready = scene.condition("batch", "Ready").await.unwrap().unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "Queued")
    );
    let gone = "LocalQueue team-a doesn't exist";
    workload
        .says("QuotaReserved", "False", "Inadmissible", gone)
        .await;
    admitted(&scene, "batch", ("False", "Inadmissible"), gone).await;

    start(&scene, "batch").await;
    let items = scene.finished("batch").await;
    assert_eq!((items.accepted, items.published), (3, 3));
    admitted(&scene, "batch", ("True", "Completed"), "no worker").await;
    remove_kueue(cluster).await;
}

#[tokio::test]
async fn a_queued_run_that_is_suspended_leaves_its_queue_and_joins_it_again() {
    let scene = Scene::with("requeued", in_queue).await;
    scene.upload(&records(8, |_| "saving")).await;
    scene.slow_model(Duration::from_secs(2)).await;
    scene.run("slow", pointers(8)).await;
    let first = job(&scene, "slow").await;
    start(&scene, "slow").await;
    eventually("a first document is drafted", DEADLINE, async || {
        Ok((scene.model_calls("completed").await? > 0).then_some(()))
    })
    .await
    .unwrap();

    scene.suspend("slow", true).await;
    let jobs = scene.namespace.api::<Job>();
    eventually("the Job has left the queue", DEADLINE, async || {
        Ok(jobs.get_opt("slow").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    scene.no_workers("slow").await;
    scene.heal_model().await;
    let ready = scene.condition("slow", "Ready").await.unwrap().unwrap();
    assert_eq!(ready.reason, "Suspended", "{ready:?}");

    scene.suspend("slow", false).await;
    let second = job(&scene, "slow").await;
    assert_ne!(second.uid(), first.uid());
    assert_eq!(second.spec.as_ref().unwrap().suspend, Some(true));
    start(&scene, "slow").await;
    let items = scene.finished("slow").await;
    assert_eq!((items.accepted, items.published), (8, 8));
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (8, 8));
}

/// The quickstart's pipeline, one document at a time, in a queue.
fn in_queue(manifests: &str) -> String {
    let changed = manifests.replace(
        "  models:\n    draft:",
        "  execution: {concurrency: 1, queueName: team-a}\n  models:\n    draft:",
    );
    assert_ne!(changed, manifests);
    changed
}

async fn job(scene: &Scene, run: &str) -> Job {
    let jobs = scene.namespace.api::<Job>();
    eventually("the run has a Job", DEADLINE, async || {
        Ok(jobs.get_opt(run).await?)
    })
    .await
    .unwrap()
}

/// As Kueue starts a Job that it admitted: with the node labels of the flavor it chose.
async fn start(scene: &Scene, run: &str) {
    let flavor = json!({"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}});
    let patch = Patch::Merge(json!({"spec": {"suspend": false, "template": flavor}}));
    let manager = PatchParams {
        field_manager: Some("kueue".into()),
        ..PatchParams::default()
    };
    let jobs = scene.namespace.api::<Job>();
    jobs.patch(run, &manager, &patch).await.unwrap();
}

/// Waits until `Admitted` of a run is so, in these words.
async fn admitted(scene: &Scene, run: &str, (status, reason): (&str, &str), words: &str) {
    let what = format!("Admitted of {run} is {status}/{reason}: {words}");
    eventually(&what, DEADLINE, async || {
        let now = scene.condition(run, "Admitted").await?;
        let now = now.context("there is no such condition")?;
        ensure!(
            (now.status.as_str(), now.reason.as_str()) == (status, reason),
            "{now:?}"
        );
        ensure!(now.message.contains(words), "{now:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Other suites of this cluster know nothing of Kueue.
async fn remove_kueue(cluster: &Cluster) {
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client());
    let _ = definitions.delete(NAME, &DeleteParams::default()).await;
    eventually("Kueue is not installed", DEADLINE, async || {
        Ok(definitions.get_opt(NAME).await?.is_none().then_some(()))
    })
    .await
    .unwrap();
}

struct Workload {
    api: Api<DynamicObject>,
    name: String,
}

/// The Workload that Kueue makes of a Job.
async fn workload(scene: &Scene, job: &Job) -> Workload {
    let resource = ApiResource {
        group: "kueue.x-k8s.io".into(),
        version: "v1beta2".into(),
        api_version: "kueue.x-k8s.io/v1beta2".into(),
        kind: "Workload".into(),
        plural: "workloads".into(),
    };
    let name = format!("job-{}", job.name_any());
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload",
        "metadata": {
            "name": name, "labels": {"kueue.x-k8s.io/job-uid": job.uid().unwrap()},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "controller": true,
                "name": job.name_any(), "uid": job.uid().unwrap()}],
        },
        "spec": {"active": true, "queueName": "team-a"},
    }))
    .unwrap();
    let (client, namespace) = (scene.namespace.client(), scene.namespace.name());
    let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource);
    // A definition is served a moment after it was made.
    eventually("there is a Workload", DEADLINE, async || {
        Ok(Some(api.create(&PostParams::default(), &object).await?))
    })
    .await
    .unwrap();
    Workload { api, name }
}

impl Workload {
    async fn says(&self, kind: &str, status: &str, reason: &str, message: &str) {
        let condition: Value = json!({"type": kind, "status": status, "reason": reason,
            "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
        let params = PatchParams::default();
        self.api
            .patch_status(&self.name, &params, &patch)
            .await
            .unwrap();
    }
}
