//! A real model in pods: SmolLM2 on llama.cpp, its weights fetched and proven.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/real_model.rs"]
mod real_model;
#[path = "support/scene.rs"]
mod scene;

use aios_crds::ModelDeployment;
use aios_e2e::testing::install;
use aios_e2e::{Cluster, eventually};
use anyhow::ensure;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use real_model::{DIGEST, model, written_by};
use scene::{DEADLINE, Scene};

#[tokio::test]
async fn a_real_model_is_ready_with_a_warm_standby_and_writes_documents() {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let scene = Scene::with("smollm", |manifests| {
        written_by(manifests, "smollm", &model("smollm", DIGEST, 1))
    })
    .await;
    let namespace = &scene.namespace;
    let wrong = DIGEST.replace('b', "c");
    namespace.apply(&model("forged", &wrong, 0)).await.unwrap();

    let models = namespace.api::<ModelDeployment>();
    let status = eventually(
        "the model is ready and its standby warm",
        DEADLINE,
        async || {
            let status = models.get("smollm").await?.status.unwrap_or_default();
            let is_true = |kind| is(&status.conditions, kind, "True");
            ensure!(is_true("Ready") && is_true("StandbyWarm"), "{status:?}");
            Ok(Some(status))
        },
    )
    .await
    .unwrap();
    assert!(is(&status.conditions, "WeightsReady", "True"), "{status:?}");
    assert_eq!((status.ready_replicas, status.standby_ready), (1, 1));

    scene
        .upload(&scene::records(3, |_| "saving for a first home"))
        .await;
    scene.run("real", scene::pointers(3)).await;
    let items = scene.finished("real").await;
    assert_eq!(items.accepted, 3);
    let mut written = Vec::new();
    for listed in scene.documents(None).await.unwrap() {
        let document = scene.document(&listed.id).await.unwrap();
        let document = serde_json::to_value(document).unwrap();
        if document["origin"] == "Model" {
            assert!(
                document["slots"].to_string().contains("smollm"),
                "{document:#}"
            );
            written.push(listed.id);
        }
    }
    assert!(
        !written.is_empty(),
        "the model wrote none of three: {items:?}"
    );

    let said = eventually("the forged weights are refused", DEADLINE, async || {
        let status = models.get("forged").await?.status.unwrap_or_default();
        ensure!(
            is(&status.conditions, "WeightsReady", "False"),
            "{status:?}"
        );
        let found = status
            .conditions
            .into_iter()
            .find(|one| one.type_ == "WeightsReady");
        Ok(found.filter(|one| one.reason == "WeightsInvalid"))
    })
    .await
    .unwrap();
    assert!(
        said.message.contains(DIGEST) || said.message.contains("digest"),
        "{}",
        said.message
    );
    let status = models.get("forged").await.unwrap().status.unwrap();
    assert!(is(&status.conditions, "Ready", "False"), "{status:?}");
    assert_eq!(status.ready_replicas, 0);
}

fn is(conditions: &[Condition], kind: &str, status: &str) -> bool {
    conditions
        .iter()
        .any(|one| one.type_ == kind && one.status == status)
}
