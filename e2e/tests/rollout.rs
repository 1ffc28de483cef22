//! A new revision of a model earns its traffic: step by step, back at the first answer that got worse,
//! and gone at once when its change is taken back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/scene.rs"]
mod scene;

use std::collections::BTreeSet;

use aios_crds::{ModelDeployment, ModelDeploymentStatus, rollout::RolloutStatus};
use aios_e2e::testing::install;
use aios_e2e::{Cluster, eventually};
use anyhow::{Context, Result, ensure};
use asking::Asking;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use scene::{DEADLINE, Scene, records};
use serde_json::json;

const FIRST: &str = "These are the first words.";
const SECOND: &str = "These are the second words.";
const PROMISE: &str = "Your success is guaranteed.";

/// A labelled stand-in as engine of a model that says one sentence, and what judges it.
const HOUSE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: inputs}
data:
  refund-de: Write one sentence of a refund.
  welcome: '{"prompt": "Write a welcome to {name}.", "maxTokens": 40, "variables": {"name": "Ada"}}'
---
apiVersion: aios.dev/v1alpha1
kind: PolicySet
metadata: {name: promises}
spec: {rules: [{name: no-promise, terms: {list: [guaranteed]}, action: Block}]}
---
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: house}
spec:
  selfHosted:
    engine:
      name: Custom
      image: aios/simulator:dev
      args: [model-simulator, "--listen=127.0.0.1:8000", "--say=These are the first words."]
      resources: {cpu: 10m, memory: 64Mi}
      custom: {port: 8000, model: house}
    rollout:
      steps: [50, 100]
      stepFor: STEP_FOR
      evaluation: {configMapRef: {name: inputs}, policyRefs: [{name: promises}], minScorePercent: 100}
"#;

async fn stage(prefix: &str, step_for: &str) -> Scene {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let house = HOUSE.replace("STEP_FOR", step_for);
    let scene = Scene::with(prefix, |quickstart| {
        let route = "routes: [{model: house}]";
        let routed = quickstart.replace("routes: [{model: writer}]", route);
        assert_ne!(routed, quickstart);
        format!("{routed}\n---{house}")
    })
    .await;
    scene
        .upload(&records(1, |_| "saving for a first home"))
        .await;
    let stable = settled(&scene).await.stable;
    assert!(!stable.is_empty());
    scene
}

async fn status(scene: &Scene) -> Result<ModelDeploymentStatus> {
    let models = scene.namespace.api::<ModelDeployment>();
    let model = models.get("house").await?;
    let status = model.status.unwrap_or_default();
    ensure!(
        Some(status.observed_generation) == model.metadata.generation,
        "not seen yet"
    );
    Ok(status)
}

async fn rollout(scene: &Scene) -> Result<RolloutStatus> {
    let found = status(scene).await?.rollout;
    found.map(|rollout| *rollout).context("no rollout yet")
}

/// Waits until the revision that the spec makes takes all calls.
async fn settled(scene: &Scene) -> RolloutStatus {
    eventually("the rollout is settled", DEADLINE, async || {
        let status = status(scene).await?;
        let is_true = |kind: &str| {
            let mut conditions = status.conditions.iter();
            conditions.any(|one| one.type_ == kind && one.status == "True")
        };
        ensure!(is_true("Ready") && is_true("RolloutHealthy"), "{status:?}");
        let rollout = status.rollout.context("no rollout yet")?;
        ensure!(rollout.candidate.is_none(), "{rollout:?}");
        Ok(Some(*rollout))
    })
    .await
    .unwrap()
}

/// Another revision, which says something else.
async fn say(scene: &Scene, words: &str) {
    let args = json!([
        "model-simulator",
        "--listen=127.0.0.1:8000",
        format!("--say={words}")
    ]);
    let change = json!({"spec": {"selfHosted": {"engine": {"args": args}}}});
    let models = scene.namespace.api::<ModelDeployment>();
    models
        .patch("house", &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
}

async fn pods(scene: &Scene, component: &str) -> Result<BTreeSet<String>> {
    let selector = format!("aios.dev/model=house,app.kubernetes.io/component={component}");
    let pods = scene.namespace.api::<Pod>();
    let found = pods.list(&ListParams::default().labels(&selector)).await?;
    let is_alive = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
    Ok(found
        .items
        .iter()
        .filter(is_alive)
        .map(ResourceExt::name_any)
        .collect())
}

/// Nothing of a revision on trial is left.
async fn no_trial(scene: &Scene) {
    let services = scene.namespace.api::<Service>();
    eventually("the trial has gone", DEADLINE, async || {
        let left = pods(scene, "candidate").await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(services
            .get_opt("house-next")
            .await?
            .is_none()
            .then_some(()))
    })
    .await
    .unwrap();
}

/// Every text so far was written by the model.
fn all(asking: &Asking) -> Vec<String> {
    let asked = asking.all();
    for text in &asked {
        assert!(text.contains("house"), "not answered: {text}");
    }
    asked
}

fn count(texts: &[String], words: &str) -> usize {
    texts.iter().filter(|text| text.contains(words)).count()
}

#[tokio::test]
async fn a_good_revision_goes_through_all_steps_and_no_call_fails() {
    let scene = stage("rollout", "15s").await;
    let old = rollout(&scene).await.unwrap().stable;
    let asking = Asking::start(&scene).await;
    asking.more(3).await;
    say(&scene, SECOND).await;
    eventually("half of the calls move", DEADLINE, async || {
        let rollout = rollout(&scene).await?;
        ensure!(rollout.percent == 50, "{rollout:?}");
        assert_eq!((rollout.score, rollout.baseline), (Some(100), Some(100)));
        Ok(Some(()))
    })
    .await
    .unwrap();
    eventually("both revisions write", DEADLINE, async || {
        let all = all(&asking);
        ensure!(count(&all, SECOND) > 0, "only the old one");
        let latest = all.len().saturating_sub(8);
        Ok((count(&all[latest..], FIRST) > 0).then_some(()))
    })
    .await
    .unwrap();
    eventually("all calls move", DEADLINE, async || {
        let rollout = rollout(&scene).await?;
        Ok((rollout.percent == 100 || rollout.stable != old).then_some(()))
    })
    .await
    .unwrap();
    let now = settled(&scene).await.stable;
    assert_ne!(now, old);
    no_trial(&scene).await;
    assert_eq!(pods(&scene, "engine").await.unwrap().len(), 1);
    eventually("the new revision alone writes", DEADLINE, async || {
        let last = asking.more(4).await;
        Ok((count(&last, SECOND) == last.len()).then_some(()))
    })
    .await
    .unwrap();
    all(&asking);
}

#[tokio::test]
async fn a_worse_revision_never_takes_a_call_and_the_input_that_fell_is_named() {
    let scene = stage("worse", "5s").await;
    let old = rollout(&scene).await.unwrap().stable;
    let asking = Asking::start(&scene).await;
    say(&scene, PROMISE).await;
    let said = eventually("the worse revision is refused", DEADLINE, async || {
        let status = status(&scene).await?;
        let mut conditions = status.conditions.iter();
        let found = conditions.find(|one| one.type_ == "RolloutHealthy");
        let found = found.context("no condition")?;
        ensure!(found.reason == "EvaluationFell", "{found:?}");
        Ok(Some(found))
    })
    .await
    .unwrap();
    let named =
        format!("input refund-de: passed at revision {old}, blocked by rule no-promise at ");
    assert!(
        said.status == "False" && said.message.contains(&named),
        "{said:?}"
    );
    no_trial(&scene).await;
    let state = rollout(&scene).await.unwrap();
    assert_eq!((state.stable.as_str(), state.percent), (old.as_str(), 0));
    assert_eq!((state.score, state.baseline), (Some(0), Some(100)));
    asking.more(2).await;
    let all = all(&asking);
    assert_eq!(count(&all, FIRST), all.len(), "only the old revision wrote");
    // What is good takes over from there, and what was good before needs no trial.
    say(&scene, FIRST).await;
    assert_eq!(settled(&scene).await.stable, old);
}

#[tokio::test]
async fn a_change_that_is_taken_back_in_the_middle_leaves_everything_as_it_was() {
    let scene = stage("revert", "1h").await;
    let old = rollout(&scene).await.unwrap().stable;
    let engines = pods(&scene, "engine").await.unwrap();
    let asking = Asking::start(&scene).await;
    say(&scene, SECOND).await;
    eventually("half of the calls move", DEADLINE, async || {
        let rollout = rollout(&scene).await?;
        ensure!(rollout.percent == 50, "{rollout:?}");
        Ok((count(&all(&asking), SECOND) > 0).then_some(()))
    })
    .await
    .unwrap();
    let on_trial = pods(&scene, "candidate").await.unwrap();
    say(&scene, FIRST).await;
    assert_eq!(settled(&scene).await.stable, old);
    no_trial(&scene).await;
    assert_eq!(on_trial.len(), 1);
    assert_eq!(pods(&scene, "engine").await.unwrap(), engines, "untouched");
    let last = asking.more(4).await;
    let whole = last.get(1..).unwrap();
    assert_eq!(count(whole, FIRST), whole.len(), "{last:?}");
    all(&asking);
}
