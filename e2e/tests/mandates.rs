//! What the platform says of a namespace holds whatever the namespace says itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::{ClusterPolicySet, ModelDeployment, WritingPipeline};
use aios_e2e::eventually;
use anyhow::ensure;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use scene::{DEADLINE, PIPELINE, Scene, pointers, records};
use serde_json::{Value, json};

/// A policy of the platform for a scene's namespace alone, named after it.
struct Mandate {
    policies: Api<ClusterPolicySet>,
    name: String,
}

impl Mandate {
    async fn new(scene: &Scene, mut spec: Value) -> Self {
        let name = scene.namespace.name().to_owned();
        let label = json!({"kubernetes.io/metadata.name": name});
        spec["namespaceSelector"] = json!({"matchLabels": label});
        let object = json!({"apiVersion": "aios.dev/v1alpha1", "kind": "ClusterPolicySet",
            "metadata": {"name": name}, "spec": spec});
        let policies = Api::all(scene.namespace.client());
        let object = serde_json::from_value(object).unwrap();
        let made = policies.create(&PostParams::default(), &object).await;
        made.unwrap();
        let mandate = Self { policies, name };
        mandate.enforced().await;
        mandate
    }

    async fn change(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let params = PatchParams::default();
        let changed = self.policies.patch(&self.name, &params, &patch).await;
        changed.unwrap();
        self.enforced().await;
    }

    async fn enforced(&self) {
        eventually("the platform's policy is enforced", DEADLINE, async || {
            let policy = self.policies.get(&self.name).await?;
            let status = policy.status.unwrap_or_default();
            let is_true = status.conditions.iter().any(|one| {
                one.type_ == "Enforced"
                    && one.status == "True"
                    && one.observed_generation == policy.metadata.generation
            });
            ensure!(is_true, "{status:?}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    async fn delete(self) {
        let params = DeleteParams::default();
        self.policies.delete(&self.name, &params).await.unwrap();
    }
}

/// Waits until a condition of the pipeline says so, or says it no more.
async fn pipeline_says(scene: &Scene, text: &str, wanted: bool) {
    let pipelines = scene.namespace.api::<WritingPipeline>();
    eventually(text, DEADLINE, async || {
        let status = pipelines.get(PIPELINE).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        let said = conditions.any(|one| one.message.contains(text));
        ensure!(said == wanted, "{:?}", status.conditions);
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_rule_of_the_platform_only_tells_in_dry_run_and_then_refuses_what_the_namespace_allows() {
    let scene = Scene::open("mandate").await;
    let rule = json!({"name": "no-wonders", "action": "Block", "terms": {"list": ["wonders"]}});
    let spec = json!({"dryRun": true, "rules": [rule.clone()]});
    let mandate = Mandate::new(&scene, spec).await;
    scene.upload(&records(1, |_| "wonders")).await;
    scene.run("told", pointers(1)).await;
    let items = scene.finished("told").await;
    assert_eq!((items.published, items.refused), (1, 0), "{items:?}");

    // What a rule would have made of what is past, before it is enforced.
    let policy =
        json!({"name": "house-rules", "scope": "Namespace", "rules": [rule], "review": {}});
    let gateway = scene.gateway("reviewer").await;
    let replayed = gateway.replay(PIPELINE, &policy, None).await.unwrap();
    assert_eq!((replayed.judged, replayed.changes.len()), (1, 1));
    assert_eq!(replayed.changes[0].after.as_str(), "Block");

    mandate.change(json!({"dryRun": false})).await;
    scene.run("held", pointers(1)).await;
    let items = scene.finished("held").await;
    assert_eq!((items.published, items.refused), (0, 1), "{items:?}");
    mandate.delete().await;
}

#[tokio::test]
async fn a_pipeline_whose_model_is_out_of_the_platforms_bounds_says_so_until_it_is_within() {
    let scene = Scene::open("bounds").await;
    let rules = json!([{"name": "short", "action": "Warn", "length": {"maxWords": 500}}]);
    let spec = json!({"rules": rules, "data": {"models": "PrivateOnly"}});
    let mandate = Mandate::new(&scene, spec).await;
    let refused = "ModelDeployment `writer` is out of bounds";
    pipeline_says(&scene, refused, true).await;
    // The last good configuration is in force, and its texts reach no model.
    let calls = scene.model_calls("received").await.unwrap();
    scene.upload(&records(1, |_| "saving")).await;
    scene.run("kept", pointers(1)).await;
    scene.finished("kept").await;
    assert_eq!(scene.model_calls("received").await.unwrap(), calls);

    mandate
        .change(json!({"data": {"models": null, "regions": ["eu"]}}))
        .await;
    pipeline_says(&scene, "names no hosted.region", true).await;
    let models = scene.namespace.api::<ModelDeployment>();
    let region = Patch::Merge(json!({"spec": {"hosted": {"region": "eu"}}}));
    let params = PatchParams::default();
    models.patch("writer", &params, &region).await.unwrap();
    pipeline_says(&scene, "out of bounds", false).await;
    mandate.delete().await;
}
