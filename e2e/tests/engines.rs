//! Engines that are not made for AIOS: model servers of KServe's (Open Inference Protocol V2, over REST and over gRPC)
//! and a BentoML service, all from Python's package index and in pods, write documents behind the ingress.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/scene.rs"]
mod scene;

use std::fs;

use aios_crds::ModelDeployment;
use aios_e2e::images::Image;
use aios_e2e::testing::{apply_yaml, install};
use aios_e2e::tools::lock;
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Context, ensure};
use engine::says;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt};
use scene::{DEADLINE, Scene};
use serde_json::json;

/// One writes the draft, the others give it its final wording, by what it is about.
const ROUTES: &str = "draft: {routes: [{model: kserve}]}
    final: {routes: [{model: kserve-grpc, when: 'labels.topic == \"travel\"'}, {model: bentoml}]}";
const LABELS: &str =
    "subjectVariable: customer.id\n    labels: [{name: topic, variable: customer.topic}]";
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
metadata: {name: kserve-grpc}
spec:
  selfHosted:
    engine:
      name: KServe
      image: aios/python-engines:dev
      args: [/srv/kserve_writer.py, --http_port=8080, --grpc_port=8081]
      kserve: {model: writer, grpcPort: 8081, settings: [max_tokens, temperature]}
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
    let _alone = without_kserve(&cluster).await;
    cluster.load(Image::PythonEngines).await.unwrap();
    let scene = Scene::with("engines", |manifests| {
        let routed = manifests.replace("draft:\n      routes: [{model: writer}]", ROUTES);
        assert_ne!(routed, manifests);
        let labelled = routed.replace("subjectVariable: customer.id", LABELS);
        assert_ne!(labelled, routed);
        labelled + MODELS
    })
    .await;
    for model in ["kserve", "kserve-grpc", "bentoml"] {
        ready(&scene, model).await;
    }

    let topics = ["saving for a first home", "travel"];
    scene.upload(&scene::records(2, |id| topics[id - 1])).await;
    scene.run("real", scene::pointers(2)).await;
    let items = scene.finished("real").await;
    assert_eq!((items.accepted, items.published), (2, 2), "{items:?}");
    let (mut by_bentoml, mut over_grpc) = (0, 0);
    for listed in scene.documents(None).await.unwrap() {
        let document = scene.document(&listed.id).await.unwrap();
        let document = serde_json::to_value(document).unwrap();
        assert_eq!(document["origin"], "Model", "{document:#}");
        let text = document.to_string();
        by_bentoml += usize::from(text.contains("says bentoml"));
        over_grpc += usize::from(text.contains("says kserve over gRPC"));
    }
    assert_eq!((by_bentoml, over_grpc), (1, 1));

    for model in ["kserve", "kserve-grpc", "bentoml"] {
        for number in [
            "aios_engine_requests_ended_total",
            "aios_engine_request_seconds_total",
        ] {
            says(&scene.namespace, model, number).await;
        }
    }
    says(&scene.namespace, "bentoml", "aios_engine_requests_running").await;
}

async fn ready(scene: &Scene, model: &str) {
    let models = scene.namespace.api::<ModelDeployment>();
    eventually(&format!("{model} is Ready"), DEADLINE, async || {
        let status = models.get(model).await?.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        ensure!(
            ready.as_ref().is_some_and(|one| one.status == "True"),
            "{ready:?}"
        );
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// The kind alone: nobody runs what is asked for in it, and the test writes what KServe would say.
const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: inferenceservices.serving.kserve.io}
spec:
  group: serving.kserve.io
  names: {kind: InferenceService, plural: inferenceservices, singular: inferenceservice}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
const RUN_BY_KSERVE: &str = "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: house}
spec:
  selfHosted:
    engine: {name: KServe, image: registry.example.com/server, kserve: {model: house, port: 8085}}
";

#[tokio::test]
async fn where_kserve_is_installed_it_is_given_the_pod_and_its_words_are_mirrored() {
    let cluster = Cluster::shared().await.unwrap();
    let _alone = without_kserve(&cluster).await;
    install(&cluster).await.unwrap();
    apply_yaml(&cluster.client(), None, DEFINITION)
        .await
        .unwrap();
    let namespace = TestNamespace::new(&cluster, "kserve").await.unwrap();
    let kind = ApiResource {
        group: "serving.kserve.io".into(),
        version: "v1beta1".into(),
        api_version: "serving.kserve.io/v1beta1".into(),
        kind: "InferenceService".into(),
        plural: "inferenceservices".into(),
    };
    let services: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), namespace.name(), &kind);
    eventually("the kind is served", DEADLINE, async || {
        services.list(&ListParams::default()).await?;
        Ok(Some(()))
    })
    .await
    .unwrap();

    namespace.apply(RUN_BY_KSERVE).await.unwrap();
    let asked = eventually("KServe is asked to run it", DEADLINE, async || {
        Ok(services.get_opt("house-engine").await?)
    })
    .await
    .unwrap();
    assert_eq!(asked.owner_references()[0].name, "house");
    assert_eq!(asked.labels()["app.kubernetes.io/component"], "engine");
    let predictor = &asked.data["spec"]["predictor"];
    assert_eq!(predictor["maxReplicas"], 1, "{predictor:#}");
    assert_eq!(predictor["initContainers"][0]["name"], "ingress");
    assert_eq!(predictor["containers"][0]["name"], "kserve-container");
    assert_eq!(
        predictor["containers"][0]["ports"][0]["containerPort"],
        8085
    );

    let words = "no node has a GPU";
    say(&services, "False", words).await;
    let waits = shards(&namespace, "Unknown", words).await;
    assert!(waits.contains("PredictorNotReady"), "{waits}");
    say(&services, "True", "").await;
    shards(&namespace, "True", "house-engine").await;
    let models = namespace.api::<ModelDeployment>();
    let status = models.get("house").await.unwrap().status.unwrap();
    assert_eq!(status.inference_service.as_deref(), Some("house-engine"));

    let custom =
        "name: Custom, image: registry.example.com/server, custom: {model: house, port: 8085}";
    let other = RUN_BY_KSERVE.replace(
        "name: KServe, image: registry.example.com/server, kserve: {model: house, port: 8085}",
        custom,
    );
    namespace.apply(&other).await.unwrap();
    eventually("KServe no longer runs it", DEADLINE, async || {
        let left = services.get_opt("house-engine").await?;
        Ok(left.is_none().then_some(()))
    })
    .await
    .unwrap();
    namespace.delete().await.unwrap();
    remove_kserve(&cluster).await;
}

/// What KServe would say of its `InferenceService`.
async fn say(services: &Api<DynamicObject>, ready: &str, message: &str) {
    let found = services.get("house-engine").await.unwrap();
    let status = json!({"status": {"observedGeneration": found.metadata.generation, "conditions": [
        {"type": "Ready", "status": ready, "reason": "PredictorNotReady", "message": message}]}});
    services
        .patch_status(
            "house-engine",
            &PatchParams::default(),
            &Patch::Merge(&status),
        )
        .await
        .unwrap();
}

/// Waits until `ShardsReady` has a status and says something.
async fn shards(namespace: &TestNamespace, wanted: &str, says: &str) -> String {
    let models = namespace.api::<ModelDeployment>();
    eventually(&format!("ShardsReady is {wanted}"), DEADLINE, async || {
        let status = models.get("house").await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        let found = conditions.find(|one| one.type_ == "ShardsReady");
        let found = found.context("no ShardsReady")?;
        ensure!(
            found.status == wanted && found.message.contains(says),
            "{found:?}"
        );
        Ok(Some(found.message))
    })
    .await
    .unwrap()
}

/// A cluster has KServe or not: tests that mind wait for each other.
async fn without_kserve(cluster: &Cluster) -> fs::File {
    let path = cluster.options().dir.lock().with_extension("kserve.lock");
    let alone = lock(&path).await.unwrap();
    remove_kserve(cluster).await;
    alone
}

async fn remove_kserve(cluster: &Cluster) {
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client());
    let name = "inferenceservices.serving.kserve.io";
    eventually("KServe's kind is gone", DEADLINE, async || {
        let left = definitions.get_opt(name).await?;
        if left.is_some() {
            definitions.delete(name, &DeleteParams::default()).await?;
        }
        Ok(left.is_none().then_some(()))
    })
    .await
    .unwrap();
}
