//! Calls of models that sleep or have their hands full.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{Answer, completion, until},
    world::{World, chat, header, model, nowhere, with},
};

/// A model that takes so many calls at once and refuses more, as an ingress does.
struct Engine {
    room: usize,
    under_way: AtomicUsize,
    refused: AtomicUsize,
    probes: AtomicUsize,
    /// Whose calls were taken, in order.
    order: Mutex<Vec<String>>,
    /// A permit lets one call end.
    ends: Semaphore,
}

impl Engine {
    fn new(room: usize, ends: usize) -> Arc<Self> {
        Arc::new(Self {
            room,
            under_way: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            order: Mutex::default(),
            ends: Semaphore::new(ends),
        })
    }

    async fn listen(self: &Arc<Self>, address: SocketAddr) {
        let app = Router::new()
            .route("/v1/chat/completions", post(call))
            .route("/v1/models", get(probe))
            .with_state(self.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        let never = CancellationToken::new();
        tokio::spawn(aios_runtime::serve::serve(listener, app, None, never));
    }
}

async fn probe(State(engine): State<Arc<Engine>>) -> &'static str {
    engine.probes.fetch_add(1, SeqCst);
    "{}"
}

async fn call(State(engine): State<Arc<Engine>>, body: Bytes) -> Response {
    let under_way = engine.under_way.fetch_add(1, SeqCst);
    if under_way >= engine.room {
        engine.under_way.fetch_sub(1, SeqCst);
        engine.refused.fetch_add(1, SeqCst);
        let error = json!({"error": {"message": "m", "type": "t", "code": "overloaded"}});
        return (http::StatusCode::TOO_MANY_REQUESTS, error.to_string()).into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let user = body["user"].as_str().unwrap_or_default().to_owned();
    engine.order.lock().unwrap().push(user);
    engine.ends.acquire().await.unwrap().forget();
    engine.under_way.fetch_sub(1, SeqCst);
    let Answer::Plain(_, _, text) = completion("Hello.", Some((1, 1))) else {
        unreachable!("a completion is a plain answer")
    };
    ([("content-type", "application/json")], text).into_response()
}

fn sleeping(endpoint: &str, hold_ms: u64) -> Value {
    let held = with(model("m", endpoint), "holdMs", json!(hold_ms));
    let held = with(held, "resilience.timeout", json!("120s"));
    with(held, "demand", json!(true))
}

fn address(endpoint: &str) -> SocketAddr {
    endpoint.trim_start_matches("http://").parse().unwrap()
}

fn gauge(world: &World, name: &str) -> usize {
    let text = world.metrics();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_default()
}

/// A call by name, of no pipeline.
fn named(world: &World, user: &str) -> reqwest::RequestBuilder {
    let body = chat(json!({"model": "m", "user": user}));
    world
        .http
        .post(format!("{}/v1/chat/completions", world.base))
        .body(body.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_of_a_sleeping_model_are_held_within_bounds_and_all_answered() {
    const CALLS: usize = 1000;
    let endpoint = nowhere().await;
    let world =
        Arc::new(World::start(vec![sleeping(&endpoint, 120_000)], json!([{"model": "m"}])).await);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let call = world.call(&chat(json!({})));
            tokio::spawn(async move { call.send().await.unwrap().status().as_u16() })
        })
        .collect();
    until("all are held", || {
        gauge(&world, "aios_sidecar_held_calls{") == CALLS
    })
    .await;
    let bytes = gauge(&world, "aios_sidecar_held_bytes{");
    let body = chat(json!({})).to_string().len();
    assert_eq!(bytes, CALLS * (body + (4 << 10)), "bodies are held once");

    let engine = Engine::new(8, usize::MAX >> 4);
    engine.listen(address(&endpoint)).await;
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(call.await.unwrap()).or_default() += 1;
    }
    assert_eq!(
        counts,
        BTreeMap::from([(200, CALLS)]),
        "refused {:?}",
        engine.refused
    );
    assert_eq!(engine.probes.load(SeqCst), 1, "one looks for all");
    until("none is held", || {
        gauge(&world, "aios_sidecar_held_calls{") == 0
    })
    .await;
    assert_eq!(gauge(&world, "aios_sidecar_held_bytes{"), 0);
}

#[tokio::test]
async fn callers_of_a_waking_model_take_turns() {
    let endpoint = nowhere().await;
    // One call at a time: then the order in which they go is the order in which they arrive.
    let one = with(sleeping(&endpoint, 60_000), "limits.maxInFlight", json!(1));
    let world = World::start(vec![one], json!([{"model": "m"}])).await;
    let mut calls = Vec::new();
    for (held, owner) in (1..).zip(["p", "p", "p", "p", "p", "p", "", ""]) {
        let call = match owner {
            "" => named(&world, "named"),
            owner => world.call(&chat(json!({"user": owner}))),
        };
        calls.push(tokio::spawn(
            async move { call.send().await.unwrap().status() },
        ));
        until("it is held", || {
            gauge(&world, "aios_sidecar_held_calls{") == held
        })
        .await;
    }
    let engine = Engine::new(1, 1000);
    engine.listen(address(&endpoint)).await;
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    let order = engine.order.lock().unwrap().clone();
    let last_named = order.iter().rposition(|user| user == "named").unwrap();
    assert!(last_named < 6, "six calls came before it: {order:?}");
}

#[tokio::test]
async fn calls_beyond_what_a_model_takes_wait_for_those_before_them() {
    let engine = Engine::new(2, 0);
    let endpoint = nowhere().await;
    engine.listen(address(&endpoint)).await;
    let world = World::start(vec![sleeping(&endpoint, 60_000)], json!([{"model": "m"}])).await;
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let call = world.call(&chat(json!({})));
            tokio::spawn(async move { call.send().await.unwrap().status() })
        })
        .collect();
    until("ten wait", || {
        gauge(&world, "aios_sidecar_held_calls{") == 10
    })
    .await;
    engine.ends.add_permits(12);
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_call_that_was_held_in_vain_says_so_and_may_be_repeated() {
    let held = sleeping(&nowhere().await, 50);
    let world = World::start(vec![held], json!([{"model": "m"}])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-should-retry"), "true");
    assert_eq!(header(&response, "retry-after"), "1");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "hold_expired");
    assert!(world.metric(&["aios_sidecar_hold_duration_seconds_count", "\"expired\"} 1"]));
}

#[tokio::test]
async fn after_the_hold_the_next_route_answers() {
    let engine = Engine::new(2, 10);
    let endpoint = nowhere().await;
    engine.listen(address(&endpoint)).await;
    let models = vec![sleeping(&nowhere().await, 50), model("other", &endpoint)];
    let world = World::start(models, json!([{"model": "m"}, {"model": "other"}])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "other");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_queue() {
    let held = sleeping(&nowhere().await, 60_000);
    let world = World::start(vec![held], json!([{"model": "m"}])).await;
    let call = world
        .call(&chat(json!({})))
        .timeout(Duration::from_millis(200));
    assert!(call.send().await.is_err());
    until("it left", || {
        world.metric(&[
            "aios_sidecar_hold_duration_seconds_count",
            "\"cancelled\"} 1",
        ])
    })
    .await;
    assert_eq!(gauge(&world, "aios_sidecar_held_calls{"), 0);
}
