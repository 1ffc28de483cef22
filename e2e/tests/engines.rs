//! Engines that are not made for AIOS: a model server of KServe's (Open Inference Protocol V2) and a BentoML
//! service, both from Python's package index and in pods, write documents behind the ingress.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::ModelDeployment;
use aios_e2e::images::Image;
use aios_e2e::{Cluster, eventually};
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use scene::{DEADLINE, Scene};

/// One writes the draft, the other gives it its final wording.
const ROUTES: &str = "draft: {routes: [{model: kserve}]}\n    final: {routes: [{model: bentoml}]}";
const MODELS: &str = "
---
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: kserve}
spec:
  selfHosted:
    engine:
      name: KServe
      image: aios/python-engines:dev
      args: [/srv/kserve_writer.py, --http_port=8080, --enable_grpc=false]
      kserve: {model: writer}
      resources: {cpu: 50m, memory: 1Gi}
  pricing: {inputPerMillion: '1', outputPerMillion: '2', currency: EUR}
---
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: bentoml}
spec:
  selfHosted:
    engine:
      name: BentoML
      image: aios/python-engines:dev
      args: [-m, bentoml, serve, 'bentoml_writer:Writer', --working-dir, /srv]
      bentoml: {model: writer, output: text, settings: [max_tokens]}
      resources: {cpu: 50m, memory: 1Gi}
";

#[tokio::test]
async fn servers_of_kserve_and_bentoml_write_documents_behind_the_ingress() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.load(Image::PythonEngines).await.unwrap();
    let scene = Scene::with("engines", |manifests| {
        let routed = manifests.replace("draft:\n      routes: [{model: writer}]", ROUTES);
        assert_ne!(routed, manifests);
        routed + MODELS
    })
    .await;
    for model in ["kserve", "bentoml"] {
        ready(&scene, model).await;
    }

    scene
        .upload(&scene::records(2, |_| "saving for a first home"))
        .await;
    scene.run("real", scene::pointers(2)).await;
    let items = scene.finished("real").await;
    assert_eq!((items.accepted, items.published), (2, 2), "{items:?}");
    for listed in scene.documents(None).await.unwrap() {
        let document = scene.document(&listed.id).await.unwrap();
        let document = serde_json::to_value(document).unwrap();
        assert_eq!(document["origin"], "Model", "{document:#}");
        let text = document.to_string();
        assert!(text.contains("says bentoml"), "{document:#}");
    }

    metric(&scene, "kserve", "aios_engine_requests_ended_total").await;
    metric(&scene, "kserve", "aios_engine_request_seconds_total").await;
    metric(&scene, "bentoml", "aios_engine_requests_ended_total").await;
    metric(&scene, "bentoml", "aios_engine_request_seconds_total").await;
    metric(&scene, "bentoml", "aios_engine_requests_running").await;
}

async fn ready(scene: &Scene, model: &str) {
    let models = scene.namespace.api::<ModelDeployment>();
    eventually(&format!("{model} is Ready"), DEADLINE, async || {
        let status = models.get(model).await?.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        ensure!(ready.is_some_and(|one| one.status == "True"), "{ready:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Waits until the ingress before an engine says a number of what the engine says of itself, which is above
/// 0 but for gauges.
async fn metric(scene: &Scene, model: &str, name: &str) {
    let selector = format!("aios.dev/model={model},app.kubernetes.io/component=engine");
    let which = ListParams::default().labels(&selector);
    let pods = scene.namespace.api::<Pod>().list(&which).await.unwrap();
    let pod = pods.items.first().expect("a pod of the model").name_any();
    let forward = scene.namespace.forward_pod(&pod, 9090).await.unwrap();
    let url = format!("http://{}/metrics", forward.address());
    eventually(&format!("{model} says {name}"), DEADLINE, async || {
        let text = reqwest::get(&url).await?.text().await?;
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.with_context(|| format!("none of {name} in\n{text}"))?;
        let value: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        ensure!(value > 0.0 || !name.ends_with("_total"), "{line}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}
