//! An engine gives one token before its pod is ready.

use std::time::Duration;

use aios_inference_sidecar::{
    client::Client, config::Live, ingress::FirstToken, metrics::Metrics, snapshot::Scope,
};
use aios_proto::control::{ItemKind, Report, Snapshot};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    fake::{Fake, completion, error},
    world::{init, item, model, with},
};

/// Before a server at an address, and what is told of it.
fn before(fake: &Fake, base: &str) -> (FirstToken, watch::Receiver<Report>) {
    init();
    let metrics = std::sync::Arc::new(Metrics::new(&mut Registry::default()));
    let scope = Scope::Ingress {
        model: "m".into(),
        engine: None,
    };
    let live = Live::new(scope, None, metrics);
    let body = with(
        model("m", &fake.address),
        "upstream.baseUrl",
        json!(format!("{base}/v1")),
    );
    let items = vec![item(ItemKind::Model, "m", &body)];
    live.apply(&Snapshot { sequence: 1, items });
    let (reports, told) = watch::channel(Report::default());
    let first = FirstToken {
        live,
        model: "m".into(),
        client: Client::new(None, Duration::from_secs(2)).unwrap(),
        bed: None,
        reports,
        is_given: false,
    };
    (first, told)
}

#[tokio::test]
async fn an_engine_is_ready_once_it_gave_a_token_and_is_asked_no_more() {
    let script = vec![error(503, "loading_model"), completion("Hi", Some((1, 1)))];
    let fake = Fake::start(script).await;
    let (mut first, told) = before(&fake, &fake.address);
    let why = first.why_not().await.unwrap();
    assert!(why.contains("503"), "{why}");
    assert_eq!(told.borrow().start, None);
    assert_eq!(first.why_not().await, None);
    assert!(told.borrow().start.is_some());
    assert_eq!(first.why_not().await, None);
    assert_eq!(fake.calls(), 2);
    let asked = fake.body(1);
    assert_eq!(
        (&asked["model"], &asked["max_tokens"]),
        (&json!("up"), &json!(1))
    );
}

#[tokio::test]
async fn an_engine_that_takes_no_such_call_is_ready_without_a_measure() {
    let fake = Fake::start(vec![error(404, "not_found")]).await;
    let (mut first, told) = before(&fake, &fake.address);
    assert_eq!(first.why_not().await, None);
    assert_eq!(told.borrow().start, None);
}

#[tokio::test]
async fn a_provider_is_not_asked_for_a_token_that_costs() {
    let fake = Fake::start(vec![completion("Hi", None)]).await;
    let (mut first, _told) = before(&fake, "http://models.example.com");
    assert_eq!(first.why_not().await, None);
    assert_eq!(fake.calls(), 0);
}
