//! Calls that are sent a second time.

use serde_json::{Value, json};

use crate::{
    budget::{keeper, of},
    cached::Slow,
    fake::{Answer, DONE, End, Fake, completion, error, role, stop, stream, token, until},
    world::{World, chat, header, model, snapshot, with},
};

/// As many calls as it takes until late ones are told from others.
pub const ENOUGH: usize = 20;

/// A model that answered often enough and then does so; late calls are sent twice.
async fn world(usual: Answer, then: Vec<Answer>) -> (Fake, World) {
    let mut script = vec![usual.clone(); ENOUGH];
    script.extend(then);
    let fake = Fake::start(script).await;
    let world = World::start(vec![hedged(&fake)], json!([{"model": "m"}])).await;
    (fake, world)
}

/// Model `m` there, whose late calls are sent twice.
pub fn hedged(fake: &Fake) -> Value {
    hedged_at(&fake.address)
}

fn hedged_at(address: &str) -> Value {
    // Nothing here waits for a timeout: on a slow machine the usual calls must not meet one.
    let mut hedged = with(model("m", address), "resilience.timeout", json!("10m"));
    hedged["resilience"]["firstTokenTimeout"] = json!("10m");
    hedged["resilience"]["hedge"] = json!({"afterPercentile": 95, "maxPercent": 5});
    hedged
}

async fn answered(world: &World, body: &Value) -> (String, String) {
    let response = world.call(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let attempts = header(&response, "aios-attempts").to_owned();
    (attempts, response.text().await.unwrap())
}

/// The usual calls. One that was late by chance may have been sent twice when the share allowed it.
async fn usual(world: &World, body: &Value) {
    for _ in 0..ENOUGH {
        answered(world, body).await;
    }
}

pub fn hedges(world: &World, end: &str) -> bool {
    world.metric(&["aios_sidecar_hedges_total", &format!("end=\"{end}\""), " 1"])
}

#[tokio::test]
async fn a_late_call_is_sent_twice_and_the_slow_one_is_cancelled_and_counted() {
    let quick = completion("Hello.", Some((100, 60)));
    let (fake, world) = world(quick.clone(), vec![Answer::Hang, quick]).await;
    usual(&world, &chat(json!({}))).await;
    let (attempts, body) = answered(&world, &chat(json!({}))).await;
    assert_eq!(attempts, "2");
    assert!(body.contains("Hello."), "{body}");
    until("cancellation", || fake.cancelled() == 1).await;
    assert_eq!(fake.calls(), ENOUGH + 2);
    assert!(hedges(&world, "won"));
    let cancelled = [
        "operation_duration_seconds_count",
        "error_type=\"cancelled\"",
        " 1",
    ];
    assert!(world.metric(&cancelled), "{}", world.metrics());
    assert!(world.metric(&["token_usage_count", "\"input\"", "\"estimated\"", " 1"]));
}

#[tokio::test]
async fn a_stream_is_sent_twice_before_its_first_token_and_never_after() {
    let quick = stream(&["Hel", "lo"]);
    let silent = Answer::Stream(vec![role()], End::Hang);
    let (fake, world) = world(quick.clone(), vec![silent, quick]).await;
    let body = chat(json!({"stream": true}));
    usual(&world, &body).await;
    let (attempts, text) = answered(&world, &body).await;
    let whole = [role(), token("Hel"), token("lo"), stop(), DONE.to_owned()].concat();
    assert_eq!((attempts.as_str(), text), ("2", whole));
    until("cancellation", || fake.cancelled() == 1).await;
    // It spoke, and then fell silent: the caller hears it, whatever comes.
    fake.say(Answer::Stream(vec![token("A")], End::Hang));
    let mut response = world.call(&body).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), token("A"));
    assert_eq!(fake.calls(), ENOUGH + 3);
}

#[tokio::test]
async fn when_no_share_is_left_a_late_call_is_waited_for() {
    let quick = completion("Hello.", Some((1, 1)));
    let (fake, world) = world(quick.clone(), vec![Answer::Hang, quick, Answer::Hang]).await;
    usual(&world, &chat(json!({}))).await;
    assert_eq!(answered(&world, &chat(json!({}))).await.0, "2");
    let waits = tokio::spawn(world.call(&chat(json!({}))).send());
    until("the refusal", || hedges(&world, "denied")).await;
    assert_eq!(fake.calls(), ENOUGH + 3);
    waits.abort();
    until("both are gone", || fake.cancelled() == 2).await;
}

#[tokio::test]
async fn a_second_request_that_fails_changes_nothing() {
    let quick = stream(&["A"]);
    let late = Answer::Stream(vec![role()], End::Hang);
    let (fake, world) = world(quick, vec![late, error(429, "")]).await;
    let body = chat(json!({"stream": true}));
    usual(&world, &body).await;
    let waits = tokio::spawn(world.call(&body).send());
    until("the second request", || fake.calls() == ENOUGH + 2).await;
    assert_eq!(fake.cancelled(), 0);
    assert!(!waits.is_finished());
    waits.abort();
    until("cancellation", || fake.cancelled() == 1).await;
}

#[tokio::test]
async fn a_second_request_that_no_budget_pays_for_is_none() {
    let Answer::Plain(_, _, body) = completion("Hello.", Some((1, 1))) else {
        panic!("no body")
    };
    let slow = Slow::start(false, vec![body]).await;
    slow.release(1);
    let pricing = json!({"inputPerMillion": "0", "outputPerMillion": "1000", "currency": "EUR"});
    let priced = with(hedged_at(&slow.address), "pricing", pricing);
    // Room for one answer of 64 tokens.
    let (keeper, _) = keeper(100_000).await;
    let world = World::leased(of(&keeper)).await;
    let routes = json!([{"model": "m"}]);
    world.live.apply(&snapshot(1, vec![priced], routes));
    usual(&world, &chat(json!({}))).await;
    slow.release(0);
    let late = world.call(&chat(json!({})));
    let late = late
        .header("aios-run", "r")
        .header("aios-run-budget", "EUR");
    let late = tokio::spawn(late.send());
    until("the refusal", || {
        world.metric(&["aios_sidecar_budget_refused_total", "\"exhausted\"} 1"])
    })
    .await;
    slow.release(1);
    let answer = late.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "aios-attempts"), "1");
    assert!(hedges(&world, "denied"), "{}", world.metrics());
}

#[tokio::test]
async fn without_leave_no_call_is_sent_twice() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let plain = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    usual(&plain, &chat(json!({}))).await;
    fake.say(Answer::Hang);
    let waits = tokio::spawn(plain.call(&chat(json!({}))).send());
    until("the call", || fake.calls() == ENOUGH + 1).await;
    assert!(!plain.metrics().contains("aios_sidecar_hedges_total{"));
    waits.abort();
}
