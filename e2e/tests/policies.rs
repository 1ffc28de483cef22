//! A policy decides once it passes its own tests, and is enforced once every data plane says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::{Conditions, PolicySet, PolicySetStatus, WritingPipeline};
use aios_e2e::eventually;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{cut_off, rejoin};
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use scene::{DEADLINE, DOUBTFUL, PIPELINE, Scene, pointers, records};
use serde_json::{Value, json};

const POLICY: &str = "house-rules";
const GATEWAY: (&str, &str) = ("aios-gateway-0", "gateway");

/// Changes the policy, and gives its generation.
async fn change(scene: &Scene, spec: Value) -> Option<i64> {
    let policies = scene.namespace.api::<PolicySet>();
    let patch = Patch::Merge(json!({"spec": spec}));
    let params = PatchParams::default();
    let changed = policies.patch(POLICY, &params, &patch).await.unwrap();
    changed.metadata.generation
}

async fn status(scene: &Scene) -> Result<PolicySetStatus> {
    let found = scene.namespace.api::<PolicySet>().get(POLICY).await?;
    Ok(found.status.unwrap_or_default())
}

/// Waits for a condition of that generation.
async fn says(scene: &Scene, generation: Option<i64>, kind: &str, wanted: &str) -> Condition {
    let what = format!("{kind} is {wanted}");
    let said = eventually(&what, DEADLINE, async || {
        let status = status(scene).await?;
        let found = condition(&status.conditions, kind);
        ensure!(found.is_some(), "{status:?}");
        Ok(found.filter(|one| one.observed_generation == generation && one.status == wanted))
    });
    said.await.unwrap()
}

fn condition(conditions: &Conditions, kind: &str) -> Option<Condition> {
    conditions.iter().find(|one| one.type_ == kind)
}

/// The quickstart's rules, and one more that blocks a word.
async fn with_rule(scene: &Scene, name: &str, word: &str) -> Value {
    let more = json!({"name": name, "action": "Block", "terms": {"list": [word]}});
    with(scene, more).await
}

/// The quickstart's rules, and one more.
async fn with(scene: &Scene, more: Value) -> Value {
    let policies = scene.namespace.api::<PolicySet>();
    let rules = policies.get(POLICY).await.unwrap().spec.rules;
    let mut rules = serde_json::to_value(rules).unwrap();
    rules.as_array_mut().unwrap().push(more);
    rules
}

#[tokio::test]
async fn a_change_that_fails_its_own_tests_leaves_the_old_policy_in_force() {
    let scene = Scene::open("own-tests").await;
    let before = status(&scene).await.unwrap().digest;
    // It would block every letter, which its test does not expect.
    let rules = with_rule(&scene, "no-letters", "Dear").await;
    let test = |action: &str, rules: Value| {
        let text = "Dear Ms Example, thank you. Written with AI assistance.";
        json!([{"name": "letters-pass", "text": text, "expect": {"action": action, "rules": rules}}])
    };
    let failing = json!({"rules": rules, "tests": test("Pass", json!([]))});
    let generation = change(&scene, failing).await;
    let said = says(&scene, generation, "TestsPassed", "False").await;
    assert_eq!(said.reason, "LastKnownGood");
    assert!(
        said.message.contains("letters-pass") && said.message.contains("rule no-letters fired"),
        "{}",
        said.message
    );
    let found = status(&scene).await.unwrap();
    assert_eq!(found.digest, before);
    let of = |kind: &str| condition(&found.conditions, kind).map(|one| one.status);
    assert_eq!(of("Compiled").as_deref(), Some("True"));
    assert_eq!(of("Enforced").as_deref(), Some("True"));
    assert_eq!(of("Stalled").as_deref(), Some("True"));

    // The rules of before still decide: what they leave to a person is not blocked.
    scene.upload(&records(1, |_| DOUBTFUL)).await;
    scene.run("doubtful", pointers(1)).await;
    assert_eq!(scene.finished("doubtful").await.waiting, 1);

    // The same rules with a test that means them are enforced.
    let generation = change(
        &scene,
        json!({"tests": test("Block", json!(["no-letters"]))}),
    )
    .await;
    says(&scene, generation, "TestsPassed", "True").await;
    says(&scene, generation, "Enforced", "True").await;
    let found = status(&scene).await.unwrap();
    assert_ne!(found.digest, before);
    assert!(
        condition(&found.conditions, "Stalled").is_none(),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_data_plane_that_is_partitioned_away_is_named_and_the_policy_is_not_enforced() {
    let scene = Scene::open("partition").await;
    let (cluster, namespace) = (scene.namespace.cluster(), scene.namespace.name());
    let services = Api::<Service>::namespaced(scene.namespace.client(), SYSTEM);
    let operator = services.get("aios-operator").await.unwrap();
    let address = operator.spec.unwrap().cluster_ip.unwrap();
    cut_off(cluster, namespace, GATEWAY, &address)
        .await
        .unwrap();

    let rules = with_rule(&scene, "no-wonders", "wonders").await;
    let generation = change(&scene, json!({"rules": rules})).await;
    let said = says(&scene, generation, "Enforced", "Unknown").await;
    assert_eq!(said.reason, "AwaitingDataPlane");
    assert!(said.message.contains(GATEWAY.0), "{}", said.message);
    let pipelines = scene.namespace.api::<WritingPipeline>();
    eventually("the pipeline says which pod, too", DEADLINE, async || {
        let status = pipelines.get(PIPELINE).await?.status.unwrap_or_default();
        let found = condition(&status.conditions, "PoliciesEnforced");
        let is_named = |one: &Condition| one.status != "True" && one.message.contains(GATEWAY.0);
        Ok(found.filter(is_named).map(drop))
    })
    .await
    .unwrap();

    rejoin(cluster, namespace, GATEWAY).await.unwrap();
    says(&scene, generation, "Enforced", "True").await;
    let found = status(&scene).await.unwrap();
    assert_eq!(found.enforced_by.as_deref(), Some("1/1"));
    assert!(found.engine.unwrap().starts_with("engine."));
}

#[tokio::test]
async fn a_letter_with_another_customers_address_waits_for_a_person_and_the_status_counts_it() {
    let scene = Scene::open("leak").await;
    let rule = json!({"name": "no-others", "action": "Review",
        "leak": {"variables": ["customer.email"]}});
    let rules = with(&scene, rule).await;
    let generation = change(&scene, json!({"rules": rules})).await;
    says(&scene, generation, "Enforced", "True").await;

    let customer = |id: u64, name: &str, topic: &str| {
        let email = format!("{}@mail.example", name.to_lowercase());
        json!({"id": id, "name": name, "topic": topic, "email": email}).to_string()
    };
    let customers = [customer(1, "Ann", "refunds"), customer(2, "Bob", "savings")];
    scene.upload(&customers.join("\n")).await;
    let answer = "Welcome, and do write to BOB@mail.example.";
    scene
        .model_answers(&json!([{"match": "refunds", "answer": answer}]))
        .await;
    scene.run("letters", pointers(2)).await;
    let items = scene.finished("letters").await;
    assert_eq!((items.waiting, items.published), (1, 1));

    let told = eventually("the status counts both", DEADLINE, async || {
        let status = status(&scene).await?;
        ensure!(status.texts == 2, "{status:?}");
        Ok(Some(status.fired))
    });
    let fired: Vec<_> = told
        .await
        .unwrap()
        .into_iter()
        .map(|rule| (rule.name, rule.fired, rule.failed))
        .collect();
    assert_eq!(fired, [("no-others".to_owned(), 1, 0)]);
}
