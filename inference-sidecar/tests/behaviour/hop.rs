//! What an egress has done is not done again behind it, and nobody but an egress is believed to be one.

use aios_inference_sidecar::trace::Collector;
use aios_proto::control::{ItemKind, Snapshot};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, Seen, completion, until},
    ingress::{Before, client},
    processes::{Hop, call, healthy, hop_with},
    world::{chat, item, pipeline, with},
};

/// A pipeline with a policy on its calls and a budget.
fn everything(model: Value) -> Snapshot {
    let rule = json!({"name": "no-word", "terms": {"list": ["word"]}, "action": "Block",
        "calls": ["Prompt", "Answer"]});
    let policy = json!({"name": "house", "scope": "Namespace", "rules": [rule], "review": {}});
    let policy = item(ItemKind::Policy, "house", &policy);
    let pin = json!({"scope": "Namespace", "name": "house", "digest": policy.digest});
    let mut pipeline = with(pipeline(json!([{"model": "m"}])), "policies", json!([pin]));
    pipeline["budget"] = json!({"amount": "1", "currency": "USD", "period": "Month"});
    let items = vec![
        policy,
        item(ItemKind::Pipeline, "p", &pipeline),
        item(ItemKind::Model, "m", &model),
    ];
    Snapshot { sequence: 3, items }
}

/// Samples of egress and ingress, without what describes them.
async fn samples(hop: &Hop) -> [String; 2] {
    let mut samples = [String::new(), String::new()];
    for (samples, admin) in samples.iter_mut().zip(hop.admin) {
        let metrics = reqwest::get(format!("http://{admin}/metrics")).await;
        let metrics = metrics.unwrap().text().await.unwrap();
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        *samples = lines.collect::<Vec<_>>().join("\n");
    }
    samples
}

#[tokio::test]
async fn over_both_hops_a_call_is_judged_paid_and_sent_once() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop_with(&fake, "acme", everything, Collector::default()).await;
    // The health checks were answered by the same fake.
    fake.say(completion("Hello.", Some((100, 60))));
    assert_eq!(call(&hop.base, json!({})).await.status(), 200);
    let all = (0..fake.calls()).map(|index| fake.seen(index));
    let is_ours = |seen: &Seen| seen.body.windows(6).any(|bytes| bytes == b"Write ");
    let sent: Vec<_> = all.filter(is_ours).collect();
    assert_eq!(sent.len(), 1);
    let [egress, ingress] = samples(&hop).await;
    let told = sent[0].headers.keys().map(http::HeaderName::as_str);
    let told: Vec<_> = told.filter(|name| name.starts_with("aios-")).collect();
    assert!(told.is_empty(), "{told:?}");
    for once in [
        "aios_sidecar_policy_texts_total{side=\"prompt\"",
        "aios_sidecar_policy_texts_total{side=\"answer\"",
        "gen_ai_client_operation_duration_seconds_count{",
    ] {
        let counted = egress.lines().find(|line| line.starts_with(once));
        assert!(counted.unwrap().ends_with(" 1"), "{counted:?}");
    }
    assert!(egress.contains("aios_sidecar_budget_spent_total{scope=\"pipeline\""));
    for never in [
        "gen_ai_client_",
        "aios_sidecar_budget_spent_total{",
        "aios_sidecar_cost_total{",
        "aios_sidecar_policy_texts_total{",
    ] {
        assert!(!ingress.contains(never), "{ingress}");
    }
    assert!(!egress.contains("gen_ai_server_request_duration_seconds_count{"));
}

#[tokio::test]
async fn what_an_egress_no_longer_waits_for_ends_at_the_model() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop_with(&fake, "acme", everything, Collector::default()).await;
    fake.say(Answer::Hang);
    let (before, base) = (fake.calls(), hop.base.clone());
    let waits = tokio::spawn(async move { call(&base, json!({})).await });
    let arrived = || (before..fake.calls()).any(|at| fake.seen(at).path.ends_with("completions"));
    until("the call", arrived).await;
    waits.abort();
    until("its end", || fake.cancelled() > 0).await;
}

/// What an egress tells of its calls, and what somebody might invent.
const CLAIMS: [(&str, &str); 6] = [
    ("aios-pipeline", "p"),
    ("aios-policy-judged", "house@3"),
    ("aios-policy-verdict", "pass"),
    ("aios-cost", "0 USD"),
    ("aios-namespace", "acme"),
    ("aios-hop", "egress"),
];

#[tokio::test]
async fn headers_make_nobody_an_egress() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let before = Before::start(&fake, ("digest", json!("sha256:aa"))).await;
    let body = chat(json!({"model": "m"})).to_string();
    let call = |http: reqwest::Client| {
        let call = http.post(before.url()).body(body.clone());
        CLAIMS
            .iter()
            .fold(call, |call, (name, value)| call.header(*name, *value))
            .send()
    };
    let stranger = call(client(&before.certificates, None)).await;
    assert!(stranger.is_err(), "{stranger:?}");
    let rival = call(client(&before.certificates, Some("rival"))).await;
    assert_eq!(rival.unwrap().status(), 403);
    assert_eq!(fake.calls(), 0);
    let own = call(client(&before.certificates, Some("acme"))).await;
    assert_eq!(own.unwrap().status(), 200);
    let seen = fake.seen(0);
    let passed_on = |(name, _): &(&str, &str)| seen.headers.contains_key(*name);
    assert!(!CLAIMS.iter().any(passed_on), "{:?}", seen.headers);
}
