//! Runs that nobody starts but the clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use aios_crds::trigger::TriggerStatus;
use aios_crds::{WritingPipeline, WritingRun};
use aios_e2e::eventually;
use aios_e2e::testing::aios::SYSTEM;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use scene::{DEADLINE, PIPELINE, Scene, leader, pointers};
use serde_json::{Value, json};

const CUSTOMERS: &str = include_str!("../../examples/quickstart/customers.ndjson");
const MORNINGS: &str = include_str!("../../examples/quickstart/mornings.yaml");
/// Of a trigger that is due every minute, on two cores that others use, too.
const MINUTES: Duration = Duration::from_mins(6);

#[tokio::test]
async fn a_trigger_a_minute_makes_runs_and_a_suspended_one_makes_none() {
    let scene = Scene::open("triggers").await;
    scene.upload(CUSTOMERS).await;
    let mut mornings = example();
    mornings["cron"]["schedule"] = json!("* * * * *");
    mornings["cron"]["keepRuns"] = json!(1);
    let mut others = mornings.clone();
    others["name"] = json!("others");
    others["cron"]["run"]["input"] = pointers(1);
    set(&scene, &[&mornings, &others]).await.unwrap();

    let first = another_run(&scene, &BTreeSet::new()).await;
    let run = scene
        .namespace
        .api::<WritingRun>()
        .get(&first)
        .await
        .unwrap();
    assert!(run.spec.deadline.is_some());
    let items = scene.finished(&first).await;
    assert_eq!((items.accepted, items.published), (3, 3));
    let second = another_run(&scene, &BTreeSet::from([first.clone()])).await;
    scene.finished(&second).await;
    eventually("the first run is cleared away", MINUTES, async || {
        Ok((!runs(&scene, "mornings").await?.contains(&first)).then_some(()))
    })
    .await
    .unwrap();
    let received = scene.received().await;
    assert!(
        received.documents >= 6 && received.duplicates == 0,
        "{received:?}"
    );

    mornings["suspend"] = json!(true);
    set(&scene, &[&mornings, &others]).await.unwrap();
    let held = told(&scene, "mornings", |told| told.since.is_none()).await;
    let last = held.last_start.unwrap().0;
    // The other one is the clock.
    let later = last + Duration::from_mins(2);
    let passed = |told: &TriggerStatus| told.last_start.as_ref().is_some_and(|at| at.0 >= later);
    told(&scene, "others", passed).await;
    let held = told(&scene, "mornings", |_| true).await;
    assert_eq!((held.last_start.unwrap().0, held.next_start), (last, None));
}

#[tokio::test]
async fn a_missed_start_is_made_up_for_once_however_often_the_operator_is_replaced() {
    let scene = Scene::open("missed").await;
    scene.upload(CUSTOMERS).await;
    let due = Timestamp::now() - Duration::from_mins(10);
    let mut mornings = example();
    mornings["cron"]["schedule"] = json!(due.strftime("%M %H * * *").to_string());
    mornings["cron"]["timeZone"] = json!("UTC");
    set(&scene, &[&mornings]).await.unwrap();
    let new = told(&scene, "mornings", |told| told.since.is_some()).await;
    assert_eq!(
        (new.last_start, new.last_run),
        (None, None),
        "it was no trigger then"
    );

    // As if it had been one for half an hour, of which an operator has told nothing.
    let untold = json!({"name": "mornings", "schedule": new.schedule,
        "since": (Timestamp::now() - Duration::from_mins(30)).to_string()});
    let made = format!("{PIPELINE}-mornings-{}", due.strftime("%Y%m%d%H%M"));
    for _ in 0..2 {
        let pipelines = scene.namespace.api::<WritingPipeline>();
        let patch = Patch::Merge(json!({"status": {"triggers": [untold]}}));
        let params = PatchParams::default();
        pipelines
            .patch_status(PIPELINE, &params, &patch)
            .await
            .unwrap();
        replace_operator(&scene).await;
        let told = told(&scene, "mornings", |told| told.last_run.is_some()).await;
        assert_eq!(told.last_run.as_ref(), Some(&made));
        assert_eq!(
            runs(&scene, "mornings").await.unwrap(),
            BTreeSet::from([made.clone()])
        );
    }
    scene.finished(&made).await;
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (3, 3));
}

#[tokio::test]
async fn whoever_changes_a_trigger_is_the_author_of_its_runs() {
    let scene = Scene::open("trigger-author").await;
    scene.upload(CUSTOMERS).await;
    let reviews: Api<SelfSubjectReview> = Api::all(scene.namespace.client());
    let (params, asked) = (PostParams::default(), SelfSubjectReview::default());
    let review = reviews.create(&params, &asked).await.unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    let me = user.username.unwrap();

    let mut trigger = example();
    trigger["cron"]["schedule"] = json!("* * * * *");
    trigger["cron"]["run"]["author"] = json!("somebody");
    let refused = set(&scene, &[&trigger]).await.unwrap_err().to_string();
    assert!(
        refused.contains("must be your own user name") && refused.contains(&me),
        "{refused}"
    );
    trigger["cron"]["run"]["author"] = json!(me);
    set(&scene, &[&trigger]).await.unwrap();
    let run = another_run(&scene, &BTreeSet::new()).await;
    let run = scene.namespace.api::<WritingRun>().get(&run).await.unwrap();
    assert_eq!(
        run.spec.author,
        Some(me),
        "the operator writes down whom the trigger names"
    );
}

/// The example's trigger.
fn example() -> Value {
    let patch: Value = serde_saphyr::from_str(MORNINGS).unwrap();
    patch["spec"]["triggers"][0].clone()
}

async fn set(scene: &Scene, triggers: &[&Value]) -> Result<WritingPipeline, kube::Error> {
    let patch = Patch::Merge(json!({"spec": {"triggers": triggers}}));
    let pipelines = scene.namespace.api::<WritingPipeline>();
    pipelines
        .patch(PIPELINE, &PatchParams::default(), &patch)
        .await
}

/// What is told of a trigger once that is so.
async fn told(scene: &Scene, name: &str, is_so: impl Fn(&TriggerStatus) -> bool) -> TriggerStatus {
    let pipelines = scene.namespace.api::<WritingPipeline>();
    let found = eventually("the trigger's status", MINUTES, async || {
        let pipeline = pipelines.get(PIPELINE).await?;
        let generation = pipeline.metadata.generation;
        let status = pipeline.status.context("no status")?;
        ensure!(
            Some(status.observed_generation) == generation,
            "it is not seen yet"
        );
        let mut triggers = status.triggers.into_iter();
        let told = triggers
            .find(|told| told.name == name)
            .context("not told of")?;
        let seen = format!("{told:?}");
        Ok(Some(is_so(&told).then_some(told).context(seen)?))
    });
    found.await.unwrap()
}

/// Names of a trigger's runs.
async fn runs(scene: &Scene, trigger: &str) -> Result<BTreeSet<String>> {
    let named = ListParams::default().labels(&format!("aios.dev/trigger={trigger}"));
    let found = scene.namespace.api::<WritingRun>().list(&named).await?;
    Ok(found.items.iter().map(ResourceExt::name_any).collect())
}

/// A run of trigger `mornings` besides these.
async fn another_run(scene: &Scene, besides: &BTreeSet<String>) -> String {
    let found = eventually("the trigger makes a run", MINUTES, async || {
        let runs = runs(scene, "mornings").await?;
        Ok(runs.difference(besides).last().cloned())
    });
    found.await.unwrap()
}

async fn replace_operator(scene: &Scene) {
    let old = leader(&scene.namespace).await;
    let pods = Api::<Pod>::namespaced(scene.namespace.client(), SYSTEM);
    pods.delete(&old, &DeleteParams::default()).await.unwrap();
    eventually("another operator leads", DEADLINE, async || {
        let now = leader(&scene.namespace).await;
        Ok((now != old && !now.is_empty()).then_some(()))
    })
    .await
    .unwrap();
}
