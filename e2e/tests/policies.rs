//! A policy decides once it passes its own tests, and is enforced once every data plane says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::Review;
use aios_crds::{Conditions, PolicySet, PolicySetStatus, WritingPipeline};
use aios_e2e::eventually;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{cut_off, rejoin};
use aios_policy::{CompiledPolicy, Document, Inputs, PolicyStack};
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

/// Who is sampled is decided by the policy's name and the document alone.
fn sampler(percent: i32) -> PolicyStack {
    let rules = json!([{"name": "any", "action": "Warn", "length": {"maxWords": 1000}}]);
    let rules: Vec<_> = serde_json::from_value(rules).unwrap();
    let review = Review {
        sample_percent: Some(percent),
        ..Review::default()
    };
    let policy = CompiledPolicy::compile(POLICY, &rules, &review).unwrap();
    PolicyStack::new(vec![Arc::new(policy)])
}

fn is_sampled(sampler: &PolicyStack, document: &Document) -> bool {
    let inputs = Inputs {
        variables: &Value::Null,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    sampler.evaluate(document, &inputs).verdict.sampled
}

#[tokio::test]
async fn of_a_run_those_documents_wait_for_a_person_that_the_hash_of_their_text_samples() {
    const LETTERS: usize = 20;
    let scene = Scene::open("sample").await;
    let generation = change(&scene, json!({"review": {"samplePercent": 50}})).await;
    says(&scene, generation, "Enforced", "True").await;
    scene.upload(&records(LETTERS, |_| "savings")).await;
    scene.run("letters", pointers(LETTERS)).await;
    let items = scene.finished("letters").await;
    assert_eq!(items.refused, 0, "{items:?}");

    let sampler = sampler(50);
    let (mut waiting, mut published) = (0, 0);
    for listed in scene.documents(None).await.unwrap() {
        let view = scene.document(&listed.id).await.unwrap();
        let document = Document::new(view.parts).unwrap();
        let digest = Some(document.digest().to_string());
        assert_eq!(view.digest, digest);
        let sampled = is_sampled(&sampler, &document);
        assert_eq!(view.verdict.unwrap().sampled, sampled);
        let status = if sampled { "Review" } else { "Published" };
        assert_eq!(listed.status, status, "{}", listed.id);
        waiting += usize::from(sampled);
        published += usize::from(!sampled);
    }
    assert_eq!(waiting + published, LETTERS);
    // All alike is one run in half a million.
    assert!(waiting > 0 && published > 0, "{waiting} and {published}");
}

#[tokio::test]
async fn a_list_in_a_config_map_is_enforced_as_it_changes() {
    let scene = Scene::open("list").await;
    let list = async |words: &str| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"},
            "data": {"words.txt": words}});
        scene.namespace.apply(&map.to_string()).await.unwrap();
    };
    list("riches\n").await;
    let key = json!({"configMapKeyRef": {"name": "words", "key": "words.txt"}});
    let rule = json!({"name": "no-promises", "action": "Block", "terms": {"listRef": key}});
    let rules = with(&scene, rule).await;
    let generation = change(&scene, json!({"rules": rules})).await;
    says(&scene, generation, "Enforced", "True").await;
    let before = status(&scene).await.unwrap().digest;
    scene.upload(&records(1, |_| "wonders")).await;
    scene.run("before", pointers(1)).await;
    let items = scene.finished("before").await;
    assert_eq!((items.published, items.refused), (1, 0), "{items:?}");

    list("riches\nwonders\n").await;
    eventually("the longer list has a digest", DEADLINE, async || {
        let digest = status(&scene).await?.digest;
        Ok((digest != before).then_some(()))
    })
    .await
    .unwrap();
    says(&scene, generation, "Enforced", "True").await;
    scene.run("after", pointers(1)).await;
    let items = scene.finished("after").await;
    assert_eq!((items.published, items.refused), (0, 1), "{items:?}");
}

#[tokio::test]
async fn rules_on_calls_keep_an_address_from_the_model_and_a_word_of_its_from_the_document() {
    let scene = Scene::open("calls").await;
    let mail = json!({"name": "no-mail", "action": "Redact", "calls": ["Prompt"],
        "pii": {"detect": ["Email"]}});
    let word = json!({"name": "no-wonders", "action": "Block", "calls": ["Answer"],
        "terms": {"list": ["wonders"]}});
    let mut rules = with(&scene, mail).await;
    rules.as_array_mut().unwrap().push(word);
    let generation = change(&scene, json!({"rules": rules})).await;
    says(&scene, generation, "Enforced", "True").await;

    let topics = ["refunds by bob@mail.example", "savings"];
    scene.upload(&records(2, |id| topics[id - 1])).await;
    scene
        .model_answers(&json!([{"match": "savings", "answer": "Welcome, and expect wonders."}]))
        .await;
    scene.run("letters", pointers(2)).await;
    let items = scene.finished("letters").await;
    assert_eq!((items.published, items.refused), (2, 0), "{items:?}");

    let asked = scene.model_asked().await.unwrap();
    let asked: Vec<_> = asked.iter().map(Value::to_string).collect();
    assert!(asked.iter().all(|body| !body.contains("bob@")), "{asked:?}");
    let redacted = asked.iter().filter(|body| body.contains("[removed]"));
    assert_eq!(redacted.count(), 1, "{asked:?}");
    let mut safe = 0;
    for listed in scene.documents(None).await.unwrap() {
        let view = scene.document(&listed.id).await.unwrap();
        let text = serde_json::to_string(&view.parts).unwrap();
        assert!(
            !text.contains("wonders") && !text.contains("bob@"),
            "{text}"
        );
        let slots = view.more["slots"].to_string();
        assert_eq!(
            slots.contains("CallBlocked"),
            text.contains("We are glad to have you"),
            "{slots}"
        );
        safe += usize::from(slots.contains("CallBlocked"));
    }
    assert_eq!(safe, 1);
}
