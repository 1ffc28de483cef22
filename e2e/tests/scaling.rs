//! A real model that sleeps and wakes: scaled by the operator, and by somebody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

use aios_crds::{
    Conditions, ModelDeployment, ModelDeploymentStatus, WritingPipeline, WritingRun,
    model_deployment::ScalingReason,
};
use aios_e2e::testing::real_model::{DIGEST, WEIGHTS, model, written_by};
use aios_e2e::testing::{install, metrics_server};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use scene::{DEADLINE, GATEWAY_POD, PIPELINE, Scene};
use serde_json::json;
use tokio::task::JoinSet;

/// A real model that scales so.
fn scaled(scaling: &str) -> String {
    let limits = "  limits:";
    model("smollm", DIGEST, 0).replace(limits, &format!("  scaling: {scaling}\n{limits}"))
}

async fn status(namespace: &TestNamespace) -> Result<ModelDeploymentStatus> {
    status_of(namespace, "smollm").await
}

async fn status_of(namespace: &TestNamespace, model: &str) -> Result<ModelDeploymentStatus> {
    let model = namespace.api::<ModelDeployment>().get(model).await?;
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

/// A stand-in as engine of a model that begins asleep.
const HOUSE: &str = "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: house}
spec:
  replicas: 0
  selfHosted:
    engine:
      name: Custom
      image: aios/simulator:dev
      args: [model-simulator, --listen=127.0.0.1:8000, --say=Welcome to your first home.]
      resources: {cpu: 10m, memory: 64Mi}
      custom: {port: 8000, model: house}
  scaling: {max: 1, holdFor: 4m}
  resilience: {timeout: 3m, firstTokenTimeout: 2m}
";

/// The quickstart with a sleeping model as its writer.
async fn asleep(prefix: &str) -> Scene {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let scene = Scene::with(prefix, |manifests| {
        let routed = manifests.replace("routes: [{model: writer}]", "routes: [{model: house}]");
        assert_ne!(routed, manifests);
        format!("{routed}\n---{HOUSE}")
    })
    .await;
    let status = status_of(&scene.namespace, "house").await.unwrap();
    assert_eq!(status.desired_replicas, Some(0), "{status:?}");
    scene
}

/// Waits until the model was woken, and says why.
async fn woken(namespace: &TestNamespace) -> ScalingReason {
    eventually("the model was woken", DEADLINE, async || {
        let status = status_of(namespace, "house").await?;
        let event = status.scaling_history.last().context("it sleeps")?;
        ensure!((event.from, event.to) == (0, 1), "{event:?}");
        Ok(Some(event.reason))
    })
    .await
    .unwrap()
}

const CALLS: usize = 1000;
/// Calls over one connection: fewer than a server takes at once.
const STREAMS: usize = 125;
/// Most that one sidecar holds for a model.
const BOUND: u64 = 32 << 20;

#[tokio::test]
async fn a_thousand_calls_of_a_sleeping_model_are_held_within_bounds_and_all_answered() {
    let scene = asleep("thousand").await;
    let namespace = &scene.namespace;
    // All come before the first is answered.
    scene.bar_pods().await;
    let admin = namespace.forward_pod(GATEWAY_POD, 9091).await.unwrap();
    let gauge = async |name: &str| -> Result<u64> {
        let url = format!("http://{}/metrics", admin.address());
        let text = reqwest::get(url).await?.text().await?;
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.with_context(|| format!("none of {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    let egress = namespace
        .cluster()
        .forward_loopback(namespace.name(), GATEWAY_POD, 4000)
        .await
        .unwrap();
    let url = format!("http://{}/v1/chat/completions", egress.address());
    let body =
        json!({"model": "auto", "messages": [{"role": "user", "content": "Write a welcome."}]});
    let mut calls = JoinSet::new();
    for _ in 0..CALLS / STREAMS {
        let http = reqwest::Client::builder().http2_prior_knowledge();
        let http = http.build().unwrap();
        for _ in 0..STREAMS {
            let call = http.post(&url).header("aios-pipeline", PIPELINE);
            let call = call.json(&body).send();
            calls.spawn(async {
                let answer = call.await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            });
        }
    }
    eventually("all are held", DEADLINE, async || {
        if let Some(early) = calls.try_join_next() {
            panic!("a call was not held: {early:?}");
        }
        let held = gauge("aios_sidecar_held_calls{").await?;
        ensure!(held == CALLS as u64, "{held}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let bytes = gauge("aios_sidecar_held_bytes{").await.unwrap();
    assert!((1..=BOUND).contains(&bytes), "{bytes} bytes");

    scene.admit_pods().await;
    while let Some(answer) = calls.join_next().await {
        let (status, text) = answer.unwrap();
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(woken(namespace).await, ScalingReason::CallsHeld);
    for name in ["aios_sidecar_held_calls{", "aios_sidecar_held_bytes{"] {
        assert_eq!(gauge(name).await.unwrap(), 0, "{name}");
    }
    let gateway = namespace.api::<Pod>().get(GATEWAY_POD).await.unwrap();
    let sidecars = gateway.status.unwrap().init_container_statuses.unwrap();
    let restarts: Vec<_> = sidecars.iter().map(|one| one.restart_count).collect();
    assert_eq!(restarts, [0], "its memory is limited, and was enough");
}

#[tokio::test]
async fn a_run_with_a_deadline_wakes_its_model_before_the_first_call() {
    let scene = asleep("ahead").await;
    scene
        .upload(&scene::records(2, |_| "saving for a first home"))
        .await;
    // Nobody is there to call.
    scene.bar_pods().await;
    let deadline = Timestamp::now() + Duration::from_mins(10);
    let run: WritingRun = serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun", "metadata": {"name": "due"},
        "spec": {"pipelineRef": {"name": PIPELINE}, "input": scene::pointers(2),
            "deadline": deadline.to_string()},
    }))
    .unwrap();
    let runs = scene.namespace.api::<WritingRun>();
    runs.create(&PostParams::default(), &run).await.unwrap();
    assert_eq!(woken(&scene.namespace).await, ScalingReason::RunAhead);

    scene.admit_pods().await;
    let items = scene.finished("due").await;
    assert_eq!((items.accepted, items.drafted), (2, 2), "{items:?}");
    let documents = scene.documents(None).await.unwrap();
    let document = scene.document(&documents[0].id).await.unwrap();
    let document = serde_json::to_value(document).unwrap();
    assert_eq!(document["origin"], "Model", "{document:#}");
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
