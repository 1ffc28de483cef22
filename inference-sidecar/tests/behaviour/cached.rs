//! Answers that are used again, and calls that share one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use aios_proto::control::{Item, ItemKind, Snapshot};
use aios_simulator::{
    Listen, Served,
    model::{Settings, router},
    start,
};
use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{
        Answer, DONE, End, Fake, completion, error, role, stop, stream, token, until, usage_chunk,
    },
    world::{World, chat, header, item, model, nowhere, pipeline, serve},
};

/// An egress with pipelines that keep answers so.
async fn keeping(models: &[Value], pipelines: &[&str], cache: &Value) -> World {
    let world = World::unconfigured().await;
    put(&world, 1, models, pipelines, cache, &json!([]));
    world
}

fn put(
    world: &World,
    sequence: u64,
    models: &[Value],
    pipelines: &[&str],
    cache: &Value,
    policies: &Value,
) {
    let routes: Vec<_> = models
        .iter()
        .map(|model| json!({"model": model["name"]}))
        .collect();
    let mut items: Vec<_> = models
        .iter()
        .map(|model| item(ItemKind::Model, model["name"].as_str().unwrap(), model))
        .collect();
    items.push(house());
    for name in pipelines {
        let mut body = pipeline(json!(routes));
        body["name"] = json!(name);
        body["models"]["draft"]["cache"] = cache.clone();
        body["policies"] = policies.clone();
        items.push(item(ItemKind::Pipeline, name, &body));
    }
    let acks = world.live.apply(&Snapshot { sequence, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
}

/// A policy that pipelines may pin.
fn house() -> Item {
    let rule = json!({"name": "no-word", "terms": {"list": ["word"]}, "action": "Review"});
    let body = json!({"name": "house", "scope": "Namespace", "rules": [rule], "review": {}});
    item(ItemKind::Policy, "house", &body)
}

fn deterministic() -> Value {
    json!({"ttl": "1h"})
}

fn all() -> Value {
    json!({"ttl": "1h", "calls": "All"})
}

fn cold() -> Value {
    chat(json!({"temperature": 0}))
}

fn cold_stream() -> Value {
    chat(json!({"temperature": 0, "stream": true}))
}

async fn asked(world: &World, body: &Value) -> (String, reqwest::Response) {
    let response = world.call(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    (header(&response, "aios-cache").to_owned(), response)
}

/// A model whose answers come when the test says so, piece by piece.
pub struct Slow {
    pub address: String,
    state: Arc<Desk>,
}

struct Desk {
    calls: AtomicUsize,
    gone: AtomicUsize,
    /// Pieces that may be sent.
    pieces: Vec<String>,
    release: watch::Sender<usize>,
    event_stream: bool,
}

struct Gone(Arc<Desk>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, SeqCst);
    }
}

impl Slow {
    pub async fn start(event_stream: bool, pieces: Vec<String>) -> Self {
        let state = Arc::new(Desk {
            calls: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
            pieces,
            release: watch::Sender::new(0),
            event_stream,
        });
        let app = Router::new().route("/v1/chat/completions", post(dictate));
        let address = serve(app.with_state(state.clone())).await;
        Self { address, state }
    }

    pub fn release(&self, pieces: usize) {
        self.state.release.send_replace(pieces);
    }

    fn calls(&self) -> usize {
        self.state.calls.load(SeqCst)
    }
}

async fn dictate(State(desk): State<Arc<Desk>>) -> Response {
    desk.calls.fetch_add(1, SeqCst);
    let gone = Gone(desk.clone());
    let mut released = desk.release.subscribe();
    let (send, pieces) = mpsc::unbounded_channel();
    let to_send = desk.pieces.clone();
    let sending = tokio::spawn(async move {
        for (index, piece) in to_send.into_iter().enumerate() {
            if released.wait_for(|count| *count > index).await.is_err() {
                return;
            }
            let _ = send.send(Ok::<_, std::io::Error>(Bytes::from(piece)));
        }
    });
    let kind = if desk.event_stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let body = UnboundedReceiverStream::new(pieces).map(move |piece| {
        let _held = (&gone, &sending);
        piece
    });
    Response::builder()
        .header("content-type", kind)
        .body(Body::from_stream(body))
        .unwrap()
}

#[tokio::test]
async fn an_equal_call_is_answered_from_memory_and_costs_nothing() {
    let fake = Fake::start(vec![completion("Hello.", Some((100, 60)))]).await;
    let world = keeping(&[model("m", &fake.address)], &["p"], &deterministic()).await;
    let (first, response) = asked(&world, &cold()).await;
    assert_eq!(
        (first.as_str(), header(&response, "aios-cost")),
        ("miss", "0.000051 USD")
    );
    let body = response.bytes().await.unwrap();
    let (second, response) = asked(&world, &cold()).await;
    for (name, value) in [
        ("aios-model", "m"),
        ("aios-model-digest", "sha256:aa"),
        ("aios-route", "0"),
        ("aios-attempts", "0"),
        ("aios-usage", "exact"),
        ("aios-input-tokens", "0"),
        ("aios-output-tokens", "0"),
        ("aios-cost", "0 USD"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    assert_eq!(
        (second.as_str(), response.bytes().await.unwrap()),
        ("hit", body)
    );
    assert_eq!(fake.calls(), 1);
    assert!(world.metric(&["aios_sidecar_cache_lookups_total", "result=\"hit\"", " 1"]));
    assert!(world.metric(&["aios_sidecar_cache_lookups_total", "result=\"miss\"", " 1"]));
    assert!(
        world.metric(&["aios_sidecar_cost_total", "\"exact\"} 51"]),
        "paid once"
    );
    until("bytes", || !world.metric(&["aios_sidecar_cache_bytes 0"])).await;
}

#[tokio::test]
async fn a_stream_is_replayed_byte_for_byte_and_the_usage_chunk_only_to_who_asks() {
    let fake = Fake::start(vec![stream(&["Hel", "lo"])]).await;
    let world = keeping(&[model("m", &fake.address)], &["p"], &deterministic()).await;
    let expected = [role(), token("Hel"), token("lo"), stop(), DONE.to_owned()].concat();
    for result in ["miss", "hit"] {
        let (from, response) = asked(&world, &cold_stream()).await;
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        assert_eq!(
            (from.as_str(), response.text().await.unwrap().as_str()),
            (result, expected.as_str())
        );
    }
    // As the egress writes it for callers who do not ask: the same question, told in another way.
    let usage = json!({"temperature": 0, "stream": true, "max_tokens": 64,
        "stream_options": {"include_usage": true}});
    let body = serde_json::to_string(&chat(usage)).unwrap();
    let call = || {
        world
            .http
            .post(format!("{}/v1/chat/completions", world.base))
            .header("aios-pipeline", "p")
    };
    for _ in 0..2 {
        let response = call().body(body.clone()).send().await.unwrap();
        assert!(response.text().await.unwrap().contains(&usage_chunk(9, 3)));
    }
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn callers_of_each_dialect_are_told_the_same_answer_again() {
    let fake = Fake::start(vec![completion("Dear Zoë", Some((100, 60)))]).await;
    let world = keeping(&[model("m", &fake.address)], &["p"], &all()).await;
    let post = |path: &'static str, body: Value| {
        let request = world
            .http
            .post(format!("{}/v1/{path}", world.base))
            .header("aios-pipeline", "p");
        async move { request.body(body.to_string()).send().await.unwrap() }
    };
    let message =
        json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    for result in ["miss", "hit"] {
        let response = post("messages", message.clone()).await;
        assert_eq!(header(&response, "aios-cache"), result);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["content"][0]["text"], "Dear Zoë");
        assert_eq!(body["usage"]["output_tokens"], 60);
    }
    let asks = json!({"model": "auto", "input": "x"});
    for result in ["miss", "hit"] {
        let response = post("responses", asks.clone()).await;
        assert_eq!(header(&response, "aios-cache"), result);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["output"][0]["content"][0]["text"], "Dear Zoë");
    }
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn no_pipeline_is_given_anothers_answer_nor_one_from_before_its_policies_changed() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let models = [model("m", &fake.address)];
    let world = keeping(&models, &["p", "q"], &all()).await;
    let of = |pipeline: &'static str| {
        let request = world
            .http
            .post(format!("{}/v1/chat/completions", world.base));
        let request = request
            .header("aios-pipeline", pipeline)
            .body(cold().to_string());
        async move { header(&request.send().await.unwrap(), "aios-cache").to_owned() }
    };
    assert_eq!(of("p").await, "miss");
    assert_eq!(of("q").await, "miss");
    assert_eq!(
        (of("p").await.as_str(), of("q").await.as_str()),
        ("hit", "hit")
    );
    assert_eq!(fake.calls(), 2);
    let pin = json!([{"scope": "Namespace", "name": "house", "digest": house().digest}]);
    put(&world, 2, &models, &["p", "q"], &all(), &pin);
    assert_eq!(of("p").await, "miss");
    put(&world, 3, &models, &["p", "q"], &Value::Null, &pin);
    assert_eq!(of("p").await, "", "it was turned off");
    assert_eq!(fake.calls(), 4);
}

#[tokio::test]
async fn calls_that_may_differ_and_calls_by_name_always_ask_the_model() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let world = keeping(&[model("m", &fake.address)], &["p"], &deterministic()).await;
    for _ in 0..2 {
        assert_eq!(asked(&world, &chat(json!({}))).await.0, "");
        let named = chat(json!({"model": "m", "temperature": 0}));
        let request = world
            .http
            .post(format!("{}/v1/chat/completions", world.base));
        let response = request.body(named.to_string()).send().await.unwrap();
        assert_eq!(header(&response, "aios-cache"), "");
    }
    assert_eq!(fake.calls(), 4);
    assert!(!world.metrics().contains("cache_lookups_total{"));
}

#[tokio::test]
async fn failures_broken_streams_and_answers_of_other_weights_are_not_kept() {
    let other = Answer::Plain(
        200,
        vec![("aios-model-digest", "sha256:old".into())],
        match completion("Old.", Some((1, 1))) {
            Answer::Plain(_, _, body) => body,
            _ => unreachable!(),
        },
    );
    let cut = Answer::Stream(vec![role(), token("Hel")], End::Cut);
    let said = Answer::Stream(
        vec![
            token("A"),
            "data: {\"error\":{\"message\":\"lost\",\"code\":\"x\"}}\n\n".into(),
        ],
        End::Close,
    );
    for (answer, body) in [
        (error(500, ""), cold()),
        (other, cold()),
        (cut, cold_stream()),
        (said, cold_stream()),
    ] {
        let fake = Fake::start(vec![answer]).await;
        let world = keeping(&[model("m", &fake.address)], &["p"], &deterministic()).await;
        for calls in 1..=2 {
            let response = world.call(&body).send().await.unwrap();
            assert_ne!(header(&response, "aios-cache"), "hit");
            let _ = response.text().await;
            assert_eq!(fake.calls(), calls);
        }
    }
}

#[tokio::test]
async fn an_answer_is_kept_no_longer_than_the_step_says() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let world = keeping(&[model("m", &fake.address)], &["p"], &json!({"ttl": "1s"})).await;
    assert_eq!(asked(&world, &cold()).await.0, "miss");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(2);
    while asked(&world, &cold()).await.0 != "miss" {
        assert!(tokio::time::Instant::now() < deadline, "never forgotten");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Nobody calls any more, and still it leaves memory.
    until("forgetting", || {
        world.metric(&["aios_sidecar_cache_bytes 0"])
    })
    .await;
}

#[tokio::test]
async fn equal_calls_at_once_are_one_call_that_is_paid_once() {
    let Answer::Plain(_, _, body) = completion("Hello.", Some((100, 60))) else {
        unreachable!()
    };
    let slow = Slow::start(false, vec![body.clone()]).await;
    let world = keeping(&[model("m", &slow.address)], &["p"], &deterministic()).await;
    let calls = (0..20).map(|_| world.call(&cold()).send());
    let calls = tokio::spawn(futures::future::join_all(calls));
    until("all wait", || {
        world.metric(&["cache_lookups_total", "result=\"shared\"", " 19"])
    })
    .await;
    slow.release(1);
    let mut costs = Vec::new();
    for response in calls.await.unwrap() {
        let response = response.unwrap();
        costs.push((
            header(&response, "aios-cache").to_owned(),
            header(&response, "aios-cost").to_owned(),
            header(&response, "aios-attempts").to_owned(),
        ));
        assert_eq!(response.text().await.unwrap(), body);
    }
    costs.sort();
    let owned = |texts: [&str; 3]| {
        (
            texts[0].to_owned(),
            texts[1].to_owned(),
            texts[2].to_owned(),
        )
    };
    assert_eq!(costs[0], owned(["miss", "0.000051 USD", "1"]));
    assert!(
        costs[1..]
            .iter()
            .all(|cost| *cost == owned(["shared", "0 USD", "0"])),
        "{costs:?}"
    );
    assert_eq!(slow.calls(), 1);
    assert!(world.metric(&["aios_sidecar_cost_total", "\"exact\"} 51"]));
}

#[tokio::test]
async fn a_stream_under_way_is_heard_from_its_beginning_by_who_joins() {
    let pieces = vec![
        role(),
        token("Hel"),
        token("lo"),
        stop(),
        usage_chunk(9, 3),
        DONE.to_owned(),
    ];
    let slow = Slow::start(true, pieces).await;
    let world = keeping(&[model("m", &slow.address)], &["p"], &deterministic()).await;
    slow.release(2);
    let (from, first) = asked(&world, &cold_stream()).await;
    assert_eq!(from, "miss");
    let (from, second) = asked(&world, &cold_stream()).await;
    assert_eq!(from, "shared");
    slow.release(6);
    let expected = [role(), token("Hel"), token("lo"), stop(), DONE.to_owned()].concat();
    assert_eq!(second.text().await.unwrap(), expected);
    assert_eq!(first.text().await.unwrap(), expected);
    assert_eq!(asked(&world, &cold_stream()).await.0, "hit");
    assert_eq!(slow.calls(), 1);
    assert!(
        world.metric(&["token_usage_sum", "\"output\"", "\"exact\"", " 3"]),
        "counted once"
    );
}

#[tokio::test]
async fn a_shared_call_outlives_who_began_it_and_is_cancelled_with_the_last() {
    let Answer::Plain(_, _, body) = completion("Hello.", Some((1, 1))) else {
        unreachable!()
    };
    let slow = Slow::start(false, vec![body]).await;
    let world = keeping(&[model("m", &slow.address)], &["p"], &deterministic()).await;
    let began = tokio::spawn(world.call(&cold()).send());
    until("the call", || slow.calls() == 1).await;
    let joined = tokio::spawn(world.call(&cold()).send());
    until("the second", || {
        world.metric(&["cache_lookups_total", "result=\"shared\"", " 1"])
    })
    .await;
    began.abort();
    assert!(began.await.is_err());
    // The egress notices that the first is gone, and a third finds the call still under way.
    let third = tokio::spawn(world.call(&cold()).send());
    until("the third", || {
        world.metric(&["cache_lookups_total", "result=\"shared\"", " 2"])
    })
    .await;
    assert_eq!(slow.state.gone.load(SeqCst), 0);
    joined.abort();
    third.abort();
    until("cancellation", || slow.state.gone.load(SeqCst) == 1).await;
    until("its account", || {
        world.metric(&["duration_seconds_count", "error_type=\"cancelled\"", " 1"])
    })
    .await;
    assert_eq!(slow.calls(), 1);
    slow.release(1);
    assert_eq!(
        asked(&world, &cold()).await.0,
        "miss",
        "nothing was left behind"
    );
}

#[tokio::test]
async fn a_shared_stream_is_cancelled_when_its_last_listener_leaves() {
    let slow = Slow::start(true, vec![role(), token("12345678"), token("never")]).await;
    let world = keeping(&[model("m", &slow.address)], &["p"], &deterministic()).await;
    slow.release(2);
    let (_, mut first) = asked(&world, &cold_stream()).await;
    let (_, mut second) = asked(&world, &cold_stream()).await;
    while !first
        .chunk()
        .await
        .unwrap()
        .unwrap()
        .ends_with(token("12345678").as_bytes())
    {}
    drop(first);
    assert!(second.chunk().await.unwrap().is_some());
    assert_eq!(slow.state.gone.load(SeqCst), 0);
    drop(second);
    until("cancellation", || slow.state.gone.load(SeqCst) == 1).await;
    until("its cost", || {
        world.metric(&["token_usage_sum", "\"output\"", "\"estimated\"", " 2"])
    })
    .await;
    assert!(world.metric(&["duration_seconds_count", "error_type=\"cancelled\"", " 1"]));
}

#[tokio::test]
async fn all_who_share_a_call_go_on_to_the_next_route_when_it_fails() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let models = [model("dead", &nowhere().await), model("m", &fake.address)];
    let world = keeping(&models, &["p"], &deterministic()).await;
    let calls = (0..5).map(|_| world.call(&cold()).send());
    for response in futures::future::join_all(calls).await {
        let response = response.unwrap();
        assert_eq!(
            (response.status().as_u16(), header(&response, "aios-model")),
            (200, "m")
        );
    }
    assert_eq!(fake.calls(), 1);
}

async fn simulator() -> Served {
    let app = router(Settings::default());
    start(app.unwrap(), &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_the_simulator_writes_is_replayed_whole_and_streamed() {
    let simulator = simulator().await;
    let address = simulator.url();
    let world = keeping(&[model("m", &address)], &["p"], &deterministic()).await;
    for body in [cold(), cold_stream()] {
        let (from, response) = asked(&world, &body).await;
        assert_eq!(from, "miss");
        let first = response.bytes().await.unwrap();
        let (from, response) = asked(&world, &body).await;
        assert_eq!(
            (from.as_str(), response.bytes().await.unwrap()),
            ("hit", first)
        );
    }
}
