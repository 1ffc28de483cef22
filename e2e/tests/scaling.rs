//! A real model that sleeps and wakes: scaled by the operator, and by somebody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::{
    Conditions, ModelDeployment, ModelDeploymentStatus, WritingPipeline,
    model_deployment::ScalingReason,
};
use aios_e2e::testing::real_model::{DIGEST, WEIGHTS, model, written_by};
use aios_e2e::testing::{install, metrics_server};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use scene::{DEADLINE, PIPELINE, Scene};

/// A real model that scales so.
fn scaled(scaling: &str) -> String {
    let limits = "  limits:";
    model("smollm", DIGEST, 0).replace(limits, &format!("  scaling: {scaling}\n{limits}"))
}

async fn status(namespace: &TestNamespace) -> anyhow::Result<ModelDeploymentStatus> {
    let model = namespace.api::<ModelDeployment>().get("smollm").await?;
    Ok(model.status.unwrap_or_default())
}

/// Waits until the model is Ready with so many groups, and so many pods of engines are there.
async fn settled(namespace: &TestNamespace, groups: usize) -> ModelDeploymentStatus {
    let engines =
        ListParams::default().labels("aios.dev/model=smollm,app.kubernetes.io/component=engine");
    let pods = namespace.api::<Pod>();
    eventually(&format!("{groups} groups"), DEADLINE, async || {
        let status = status(namespace).await?;
        let there = pods.list(&engines).await?.items.len();
        let ready = usize::try_from(status.ready_replicas)?;
        ensure!(
            there == groups && ready == groups,
            "{there} pods, {status:?}"
        );
        Ok(is(&status.conditions, "Ready", "True").then_some(status))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_model_that_nobody_calls_sleeps_and_a_run_wakes_it() {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let scaling = "{max: 1, downDelay: 20s, window: 5s, holdFor: 4m}";
    let warm = warm(r#"{"name": "leap-day", "cron": "0 0 29 2 *", "for": "1m"}"#);
    let model = scaled(scaling).replace("warm: {standby: 0}", &format!("warm: {warm}"));
    let scene = Scene::with("scaling", |manifests| {
        written_by(manifests, "smollm", &model)
    })
    .await;
    let namespace = &scene.namespace;
    let asleep = settled(namespace, 0).await;
    assert_eq!(asleep.desired_replicas, Some(0));
    assert!(is(&asleep.conditions, "ShardsReady", "True"), "{asleep:?}");
    assert_eq!(asleep.scaling_history[0].reason, ScalingReason::Idle);
    let pipelines = namespace.api::<WritingPipeline>();
    let pipeline = pipelines.get(PIPELINE).await.unwrap().status.unwrap();
    assert!(is(&pipeline.conditions, "Ready", "True"), "{pipeline:?}");

    scene
        .upload(&scene::records(3, |_| "saving for a first home"))
        .await;
    scene.run("wake", scene::pointers(3)).await;
    let items = scene.finished("wake").await;
    assert_eq!((items.accepted, items.drafted), (3, 3), "{items:?}");
    let mut written = 0;
    for listed in scene.documents(None).await.unwrap() {
        let document = scene.document(&listed.id).await.unwrap();
        let document = serde_json::to_value(document).unwrap();
        written += usize::from(document["slots"].to_string().contains("smollm"));
    }
    assert!(written > 0, "the model that was woken wrote none of three");

    let again = settled(namespace, 0).await;
    let told: Vec<_> = again
        .scaling_history
        .iter()
        .map(|event| (event.reason, event.from, event.to))
        .collect();
    let slept = (ScalingReason::Idle, 1, 0);
    let woken = (ScalingReason::CallsHeld, 0, 1);
    assert_eq!(told, [slept, woken, slept], "{again:?}");
    let [start, _first] = again.cold_starts.as_slice() else {
        panic!("{again:?}");
    };
    assert!(start.engine.is_some(), "{start:?}");
    assert_eq!(start.weights, None, "the weights were on their volume");
    keeps_its_schedule(namespace).await;
}

/// A schedule that is on wakes the model without a call; when it is over the model sleeps again.
async fn keeps_its_schedule(namespace: &TestNamespace) {
    for (schedule, groups, reason) in [
        (
            r#"{"name": "now", "cron": "* * * * *", "for": "10m"}"#,
            1,
            ScalingReason::Schedule,
        ),
        (
            r#"{"name": "now", "cron": "0 0 29 2 *", "for": "1m"}"#,
            0,
            ScalingReason::Idle,
        ),
    ] {
        let warm = warm(schedule);
        let patch = format!(r#"{{"spec": {{"selfHosted": {{"warm": {warm}}}}}}}"#);
        namespace
            .kubectl(&["patch", "mdep/smollm", "--type=merge", "-p", &patch])
            .await
            .unwrap();
        let status = settled(namespace, groups).await;
        assert_eq!(status.scaling_history[0].reason, reason, "{status:?}");
    }
}

/// JSON, which is YAML, too.
fn warm(schedule: &str) -> String {
    format!(r#"{{"standby": 0, "schedules": [{schedule}]}}"#)
}

#[tokio::test]
async fn a_model_that_others_scale_is_left_to_them() {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    let namespace = TestNamespace::new(&cluster, "external").await.unwrap();
    let manifests = format!("{WEIGHTS}---{}", scaled("{mode: External}"));
    namespace.apply(&manifests).await.unwrap();
    settled(&namespace, 1).await;
    for groups in [0, 1] {
        let replicas = format!("--replicas={groups}");
        namespace
            .kubectl(&["scale", "modeldeployment/smollm", &replicas])
            .await
            .unwrap();
        let status = settled(&namespace, groups).await;
        assert_eq!(status.desired_replicas, None);
        assert!(status.scaling_history.is_empty(), "{status:?}");
        let models = namespace.api::<ModelDeployment>();
        let spec = models.get("smollm").await.unwrap().spec;
        assert_eq!(usize::try_from(spec.replicas).unwrap(), groups);
    }
}

/// Autoscales by memory, of which an engine needs more than 30 MiB beside its weights, which are mapped
/// files, and never 8 GiB.
fn autoscaler(memory: &str) -> String {
    format!(
        "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: smollm}}
spec:
  scaleTargetRef: {{apiVersion: aios.dev/v1alpha1, kind: ModelDeployment, name: smollm}}
  minReplicas: 1
  maxReplicas: 2
  metrics:
  - {{type: Resource, resource: {{name: memory, target: {{type: AverageValue, averageValue: {memory}}}}}}}
  behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}
"
    )
}

#[tokio::test]
async fn a_horizontal_pod_autoscaler_scales_a_model_by_what_its_pods_use() {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    metrics_server::run(&cluster).await.unwrap();
    let namespace = TestNamespace::new(&cluster, "hpa").await.unwrap();
    let manifests = format!("{WEIGHTS}---{}", scaled("{mode: External}"));
    namespace.apply(&manifests).await.unwrap();
    settled(&namespace, 1).await;
    for (memory, groups) in [("30Mi", 2), ("8Gi", 1)] {
        namespace.apply(&autoscaler(memory)).await.unwrap();
        let status = settled(&namespace, groups).await;
        assert!(status.scaling_history.is_empty(), "{status:?}");
    }
}

fn is(conditions: &Conditions, kind: &str, status: &str) -> bool {
    conditions
        .iter()
        .any(|one| one.type_ == kind && one.status == status)
}
