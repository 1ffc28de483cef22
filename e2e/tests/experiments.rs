//! Variants that documents are divided among, from their drafts to what a shop says of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/scene.rs"]
mod scene;

use std::collections::BTreeMap;

use aios_audit::Kind;
use aios_e2e::eventually;
use anyhow::ensure;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use desk::{Answer, Desk, token};
use kubectl_aios::client::Variant;
use scene::{DEADLINE, PIPELINE, Scene, pointers, records};
use serde_json::json;

const DOCUMENTS: usize = 24;
const RUN: &str = "tones";
const BOLD: &str = "Dare to begin with us today.";

/// Half of the documents are for another model, and a shop reports what became of them.
fn divided(manifest: &str) -> String {
    let bold = "apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata:
  name: bold-writer
spec:
  hosted:
    provider: OpenAICompatible
    model: bold
    baseURL: http://model-simulator:8080/v1
---
apiVersion: aios.dev/v1alpha1
kind: PolicySet";
    let step = "      routes: [{model: writer}]
      experiment:
        name: tone
        variants: [{name: bold, model: bold-writer, percent: 50}]";
    let key = STANDARD.encode(shop().public_key());
    let reporters =
        format!("  reporters: [{{name: shop, publicKey: \"whpk_{key}\"}}]\n  policyRefs:");
    manifest
        .replacen("apiVersion: aios.dev/v1alpha1\nkind: PolicySet", bold, 1)
        .replace("      routes: [{model: writer}]", step)
        .replace("  policyRefs:", &reporters)
}

fn shop() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// Each customer has a topic of its own, so that a prompt tells its document.
fn topic(id: usize) -> &'static str {
    Box::leak(format!("saving for goal number {id}").into_boxed_str())
}

/// The models that were asked, by topic.
async fn asked(scene: &Scene) -> BTreeMap<String, Vec<String>> {
    let mut asked = BTreeMap::<String, Vec<String>>::new();
    for body in scene.model_asked().await.unwrap() {
        let prompt = body["messages"].to_string();
        let at = prompt.find("goal number ").expect("a topic");
        let number = prompt[at + 12..].chars().take_while(char::is_ascii_digit);
        let model = body["model"].as_str().unwrap().to_owned();
        asked.entry(number.collect()).or_default().push(model);
    }
    asked
}

async fn report(desk: &Desk, token: &str, document: &str, signed_by: &Ed25519KeyPair) -> Answer {
    let body = json!({"document": document, "name": "click", "value": 4}).to_string();
    let (id, now) = (format!("evt-{document}"), "1700000000");
    let signature = signed_by.sign(format!("{id}.{now}.{body}").as_bytes());
    let signature = format!("v1a,{}", STANDARD.encode(signature));
    let path = format!("/v1/pipelines/{PIPELINE}/documents/{document}/outcomes");
    desk.ask(reqwest::Method::POST, &path)
        .json(&body)
        .token(token)
        .header("webhook-id", &id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", &signature)
        .answer()
        .await
}

async fn variants(scene: &Scene) -> BTreeMap<String, Variant> {
    let author = scene.gateway("author").await;
    let told = author.experiments(PIPELINE).await.unwrap();
    assert!(told.iter().all(|one| one.experiment == "tone"), "{told:?}");
    told.into_iter()
        .map(|one| (one.variant.clone(), one))
        .collect()
}

#[tokio::test]
async fn a_document_stays_in_its_variant_counts_once_and_gets_what_a_shop_reports_of_it() {
    let scene = Scene::with("experiment", divided).await;
    let script = json!([{"match": "sentence", "model": "bold", "answer": BOLD}]);
    scene.model_answers(&script).await;
    scene.upload(&records(DOCUMENTS, topic)).await;
    // Drafts of the first worker are lost with it, and written again by another.
    scene
        .run_with_doomed_worker(RUN, pointers(DOCUMENTS), "drafted-unreported")
        .await;
    let items = scene.finished(RUN).await;
    let all = i64::try_from(DOCUMENTS).unwrap();
    assert_eq!((items.accepted, items.published), (all, all));

    let asked = asked(&scene).await;
    assert_eq!(asked.len(), DOCUMENTS);
    assert!(asked.values().any(|models| models.len() > 1), "{asked:?}");
    let stays = |models: &Vec<String>| models.iter().all(|model| *model == models[0]);
    assert!(asked.values().all(stays), "{asked:?}");
    let bold = asked.values().filter(|models| models[0] == "bold");
    let bold = bold.count() as u64;
    let control = DOCUMENTS as u64 - bold;
    assert!(bold > 0 && control > 0, "{asked:?}");
    let told = variants(&scene).await;
    for (variant, documents) in [("bold", bold), ("control", control)] {
        let of = &told[variant];
        assert_eq!((of.exposed, of.finished), (documents, documents), "{of:?}");
        assert_eq!(of.published.count, documents);
        assert!(of.outcomes.is_empty());
    }

    let reporter = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: mailer}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: mailer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: aios-reporter}
subjects: [{kind: ServiceAccount, name: mailer}]
";
    scene.namespace.apply(reporter).await.unwrap();
    let (desk, mailer) = (
        Desk::of(&scene.namespace).await,
        token(&scene.namespace, "mailer").await,
    );
    let mut clicked = None;
    for one in scene.documents(Some("Published")).await.unwrap() {
        let view = scene.document(&one.id).await.unwrap();
        if view.parts.iter().any(|part| part.text.contains(BOLD)) {
            clicked = Some(one.id);
        }
    }
    let clicked = clicked.expect("a document of the variant");
    // The gateway learns of the rights a moment later.
    eventually("the mailer may report", DEADLINE, async || {
        let answer = report(&desk, &mailer, &clicked, &shop()).await;
        ensure!(answer.status == 201, "{answer:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let forged = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let refused = report(&desk, &mailer, &clicked, &forged).await;
    assert_eq!(
        (refused.status, &refused.body["title"]),
        (403, &json!("not_signed"))
    );
    let again = report(&desk, &mailer, &clicked, &shop()).await;
    assert_eq!(again.status, 200, "{again:?}");
    let told = variants(&scene).await;
    let click = &told["bold"].outcomes["click"];
    assert_eq!((click.documents.count, click.documents.of), (1, bold));
    assert_eq!((click.events, click.value_sum), (1, 4));
    assert!(told["control"].outcomes.is_empty());
    let report = scene.audited().await;
    assert_eq!(report.documents, DOCUMENTS as u64);
    assert_eq!(report.kinds[&Kind::Outcome], 1);
}
