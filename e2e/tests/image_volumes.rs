//! Weights in an image, on an API server with image volumes and on one without. No node: what mounts them is the
//! container runtime's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use aios_crds::ModelDeployment;
use aios_e2e::eventually;
use aios_e2e::testing::outside::{self, OPERATOR};
use aios_e2e::testing::{ControlPlane, Programs, Running, apply_yaml};
use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, Client};

const DEADLINE: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "writers";
const IMAGE: &str = "registry.example.com/models/small:1.0";

async fn apply(client: &Client, name: &str) {
    let model = format!(
        "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  selfHosted:
    engine: {{name: LlamaCpp, resources: {{cpu: 100m, memory: 1Gi}}}}
    model: {{uri: 'oci://{IMAGE}/model.gguf', digest: 'sha256:{}'}}
",
        "ab".repeat(32)
    );
    apply_yaml(client, Some(NAMESPACE), &model).await.unwrap();
}

/// What `WeightsReady` of a model says once it says why it is not.
async fn weights(client: &Client, name: &str, reason: &str) -> String {
    let models = Api::<ModelDeployment>::namespaced(client.clone(), NAMESPACE);
    eventually(
        &format!("WeightsReady of {name} is {reason}"),
        DEADLINE,
        async || {
            let status = models.get(name).await?.status.context("no status")?;
            let mut conditions = status.conditions.into_iter();
            let found = conditions.find(|one| one.type_ == "WeightsReady");
            let found = found.context("no WeightsReady")?;
            ensure!(found.reason == reason, "{found:?}");
            Ok(Some(found.message))
        },
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn weights_in_an_image_are_mounted_where_the_server_keeps_image_volumes_and_explained_elsewhere()
 {
    let programs = Programs::ensure().await.unwrap();
    let mut plane = ControlPlane::start(&programs, &[OPERATOR]).await.unwrap();
    let client = plane.client().await.unwrap();
    plane.account(NAMESPACE, "nobody").await.unwrap();
    let program = outside::built_operator().unwrap();
    let operator = Running::operator(&plane, &program, 4).await.unwrap();
    apply(&client, "without").await;
    let said = weights(&client, "without", "WeightsUnavailable").await;
    assert!(
        said.contains("switch on feature gate ImageVolume"),
        "{said}"
    );
    operator.stop().await.unwrap();

    plane.restart_with_gate("ImageVolume").await.unwrap();
    let _operator = Running::operator(&plane, &program, 4).await.unwrap();
    let client = plane.client().await.unwrap();
    apply(&client, "with").await;
    weights(&client, "with", "WeightsDownloading").await;
    let jobs = Api::<Job>::namespaced(client, NAMESPACE);
    let of_model = ListParams::default().labels("aios.dev/model=with");
    let job = jobs.list(&of_model).await.unwrap().items.pop().unwrap();
    let pod = serde_json::to_value(job.spec.unwrap().template.spec).unwrap();
    let volumes = pod["volumes"].as_array().unwrap();
    let image = volumes.iter().find(|volume| !volume["image"].is_null());
    assert_eq!(image.unwrap()["image"]["reference"], IMAGE);
}
