//! Plain answers through the egress.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, completion, error, json_answer, until},
    world::{World, chat, header, model, nowhere, snapshot, with},
};

fn routes(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "model": name })).collect()
}

#[tokio::test]
async fn unknown_fields_pass_and_only_what_must_change_does() {
    let fake = Fake::start(vec![completion("Hello.", Some((7, 2)))]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let body =
        r#"{ "model":"auto", "x": {"y": 1.00},"messages":[{"role":"user","content":"hi"}] }"#;
    let request = world
        .call(&Value::Null)
        .body(body)
        .header("traceparent", "00-1-1-01");
    let response = request
        .header("authorization", "Bearer secret")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(text.contains(r#""system_fingerprint":"kept""#), "{text}");
    assert_eq!(
        fake.seen(0).body,
        r#"{ "model":"m", "x": {"y": 1.00},"messages":[{"role":"user","content":"hi"}],"max_tokens":64 }"#
    );
    assert_eq!(fake.seen(0).path, "/v1/chat/completions");
    assert_eq!(fake.seen(0).headers["traceparent"], "00-1-1-01");
    assert!(fake.seen(0).headers.get("authorization").is_none());
}

#[tokio::test]
async fn an_answer_says_who_gave_it_and_what_it_cost() {
    let fake = Fake::start(vec![completion("Hello.", Some((100, 60)))]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    for (name, value) in [
        ("aios-model", "m"),
        ("aios-model-digest", "sha256:aa"),
        ("aios-route", "0"),
        ("aios-attempts", "1"),
        ("aios-usage", "exact"),
        ("aios-input-tokens", "100"),
        ("aios-output-tokens", "60"),
        ("aios-cost", "0.000051 USD"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    assert!(world.metric(&[
        "aios_sidecar_cost_total{",
        "aios_model=\"m\"",
        "\"exact\"} 51"
    ]));
    assert!(world.metric(&["gen_ai_client_token_usage_sum", "\"output\"", " 60"]));
    assert!(world.metric(&["gen_ai_client_operation_duration_seconds_count", "\"chat\""]));
    assert!(world.metric(&["aios_sidecar_own_time_seconds_count", "egress", " 1"]));
}

#[tokio::test]
async fn without_usage_the_account_is_an_estimate() {
    let fake = Fake::start(vec![completion("12345678", None)]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-usage"), "estimated");
    assert_eq!(header(&response, "aios-output-tokens"), "2");
}

#[tokio::test]
async fn a_model_without_a_price_has_no_cost() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let free = with(model("m", &fake.address), "pricing", Value::Null);
    let world = World::start(vec![free], routes(&["m"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert!(response.headers().get("aios-cost").is_none());
}

#[tokio::test]
async fn a_route_that_cannot_be_reached_gives_way_to_the_next() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let models = vec![model("dead", &nowhere().await), model("m", &fake.address)];
    let world = World::start(models, routes(&["dead", "m"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "m");
    assert_eq!(header(&response, "aios-route"), "1");
    assert_eq!(header(&response, "aios-attempts"), "2");
}

#[tokio::test]
async fn routes_with_weights_share_the_documents_and_stand_in_for_each_other() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let shared = json!([{"model": "m", "weight": 1}, {"model": "other", "weight": 1}]);
    let answered = async |other: &str| {
        let models = vec![model("m", &fake.address), model("other", other)];
        let world = World::start(models, shared.clone()).await;
        let mut answered = Vec::new();
        for number in 0..16 {
            let post = world
                .http
                .post(format!("{}/v1/chat/completions", world.base));
            let post = post.header("aios-pipeline", "p");
            let post = post.header("aios-document", format!("d-{number}"));
            let response = post.body(chat(json!({})).to_string()).send().await.unwrap();
            answered.push(header(&response, "aios-route").to_owned());
        }
        answered
    };
    let both = answered(&fake.address).await;
    assert_eq!(both, answered(&fake.address).await, "in every pod the same");
    let gone = answered(&nowhere().await).await;
    assert!(gone.iter().all(|route| route == "0"), "{gone:?}");
    let to_other = both.iter().filter(|route| *route == "1").count();
    assert!((1..16).contains(&to_other), "{to_other}");
}

#[tokio::test]
async fn a_failure_is_tried_again_on_the_same_route() {
    let script = vec![
        error(500, ""),
        error(503, ""),
        completion("Hello.", Some((1, 1))),
    ];
    let fake = Fake::start(script).await;
    let patient = with(model("m", &fake.address), "resilience.retries", json!(2));
    let world = World::start(vec![patient], routes(&["m"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            header(&response, "aios-attempts")
        ),
        (200, "3")
    );
    assert!(world.metric(&[
        "operation_duration_seconds_count",
        "error_type=\"failed\"",
        " 2"
    ]));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let wait = vec![("retry-after-ms", "300".to_owned())];
    let script = vec![
        Answer::Plain(429, wait, "{}".into()),
        completion("Hello.", Some((1, 1))),
    ];
    let fake = Fake::start(script).await;
    let patient = with(model("m", &fake.address), "resilience.retries", json!(1));
    let world = World::start(vec![patient], routes(&["m"])).await;
    let started = Instant::now();
    assert_eq!(
        world.call(&chat(json!({}))).send().await.unwrap().status(),
        200
    );
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_wait_that_is_too_long_gives_way_to_the_next_route() {
    let wait = vec![("retry-after", "3600".to_owned())];
    let busy = Fake::start(vec![Answer::Plain(429, wait, "{}".into())]).await;
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let patient = with(model("busy", &busy.address), "resilience.retries", json!(5));
    let world = World::start(
        vec![patient, model("m", &fake.address)],
        routes(&["busy", "m"]),
    )
    .await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!((header(&response, "aios-model"), busy.calls()), ("m", 1));
}

#[tokio::test]
async fn a_slow_model_gives_way_and_its_call_is_cancelled() {
    let slow = Fake::start(vec![Answer::Hang]).await;
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let hasty = with(
        model("slow", &slow.address),
        "resilience.timeout",
        json!("200ms"),
    );
    let world = World::start(
        vec![hasty, model("m", &fake.address)],
        routes(&["slow", "m"]),
    )
    .await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "m");
    until("cancellation", || slow.cancelled() == 1).await;
    assert!(world.metric(&["duration_seconds_count", "error_type=\"timeout\""]));
}

#[tokio::test]
async fn when_every_route_failed_the_caller_is_told_not_to_retry() {
    let bad = Fake::start(vec![error(500, "")]).await;
    let garbled = Fake::start(vec![Answer::Plain(200, Vec::new(), "<html>".into())]).await;
    // At a provider: groups of this cluster are looked for again.
    let dead = with(
        model("dead", &nowhere().await),
        "hosted",
        json!({"region": "eu"}),
    );
    let models = vec![
        model("bad", &bad.address),
        model("garbled", &garbled.address),
        dead,
    ];
    let world = World::start(models, routes(&["bad", "garbled", "gone", "dead"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-should-retry"), "false");
    assert_eq!(header(&response, "aios-attempts"), "3");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "routes_exhausted");
    let attempts = body["error"]["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts
        .iter()
        .map(|note| note["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        ["model_unknown", "failed", "malformed", "unreachable"]
    );
}

#[tokio::test]
async fn no_route_applies_is_exhausted_too() {
    let world = World::start(
        vec![model("m", &nowhere().await)],
        json!([{"model": "m", "when": "language == 'de'"}]),
    )
    .await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "routes_exhausted");
    assert_eq!(body["error"]["attempts"][0]["outcome"], "not_applicable");
}

#[tokio::test]
async fn a_request_that_every_model_rejects_is_the_callers_mistake() {
    let fake = Fake::start(vec![error(400, "invalid_value")]).await;
    let models = vec![model("a", &fake.address), model("b", &fake.address)];
    let world = World::start(models, routes(&["a", "b"])).await;
    let response = world.call(&chat(json!({"top_p": 7}))).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, "x-should-retry"), "false");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_value");
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn a_prompt_goes_to_a_model_that_holds_it_or_is_refused_by_name() {
    let small = Fake::start(vec![completion("small", Some((1, 1)))]).await;
    let large = Fake::start(vec![completion("large", Some((1, 1)))]).await;
    let tight = with(
        model("small", &small.address),
        "limits.contextTokens",
        json!(128),
    );
    let world = World::start(
        vec![tight, model("large", &large.address)],
        routes(&["small", "large"]),
    )
    .await;
    let long = |bytes| chat(json!({"messages": [{"role": "user", "content": "x".repeat(bytes)}]}));
    let response = world.call(&long(2000)).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "large");
    let response = world.call(&long(100_000)).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    assert_eq!((small.calls(), large.calls()), (0, 1));
}

#[tokio::test]
async fn a_prompt_that_the_model_itself_finds_too_long_goes_on() {
    let small = Fake::start(vec![error(400, "context_length_exceeded")]).await;
    let large = Fake::start(vec![completion("large", Some((1, 1)))]).await;
    let models = vec![
        model("small", &small.address),
        model("large", &large.address),
    ];
    let world = World::start(models, routes(&["small", "large"])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "large");
}

#[tokio::test]
async fn the_upstream_is_cancelled_when_the_caller_goes() {
    let fake = Fake::start(vec![Answer::Hang]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let call = tokio::spawn(world.call(&chat(json!({}))).send());
    until("the call", || fake.under_way() == 1).await;
    call.abort();
    until("cancellation", || fake.cancelled() == 1).await;
    until("the account", || {
        world.metric(&["error_type=\"cancelled\"", "_count", " 1"])
    })
    .await;
    assert!(world.metric(&["aios_sidecar_cost_total", "\"estimated\""]));
}

#[tokio::test]
async fn a_model_is_called_by_name_without_a_pipeline() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let url = format!("{}/v1/chat/completions", world.base);
    let body = chat(json!({"model": "m"})).to_string();
    let response = world.http.post(url).body(body).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), header(&response, "aios-model")),
        (200, "m")
    );
    assert!(response.headers().get("aios-route").is_none());
}

#[tokio::test]
async fn embeddings_and_the_list_of_models_are_served() {
    let list =
        json!({"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 2}});
    let fake = Fake::start(vec![json_answer(200, &list)]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let url = |path: &str| format!("{}/v1/{path}", world.base);
    let body = json!({"model": "m", "input": ["a"], "dimensions": 1}).to_string();
    let response = world
        .http
        .post(url("embeddings"))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(header(&response, "aios-input-tokens"), "2");
    assert_eq!(
        fake.body(0),
        json!({"model": "m", "input": ["a"], "dimensions": 1})
    );
    let models: Value = world
        .http
        .get(url("models"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(models["data"][0]["id"], "m");
}

#[tokio::test]
async fn a_bad_snapshot_keeps_the_last_good_one_in_force() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let bad = with(model("m", &fake.address), "endpoint", json!("nonsense"));
    let acks = world.live.apply(&snapshot(
        2,
        vec![bad],
        json!([{"model": "m", "when": "((("}]),
    ));
    assert!(
        acks.iter()
            .all(|ack| !ack.accepted && !ack.message.is_empty()),
        "{acks:?}"
    );
    assert_eq!(
        world.call(&chat(json!({}))).send().await.unwrap().status(),
        200
    );
    assert!(world.metric(&["aios_sidecar_config_refused_items 2"]));
}

#[tokio::test]
async fn a_model_that_keeps_failing_and_stands_alone_is_tried_as_ever() {
    let fake = Fake::start(vec![error(500, "")]).await;
    let patient = with(model("m", &fake.address), "resilience.retries", json!(4));
    let world = World::start(vec![patient], routes(&["m"])).await;
    let attempts = || async {
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        header(&response, "aios-attempts").to_owned()
    };
    assert_eq!(attempts().await, "5", "the breaker opens");
    assert_eq!(attempts().await, "5", "nowhere else to go");
    fake.say(completion("Hello.", Some((1, 1))));
    assert_eq!(attempts().await, "1", "it is back");
}

#[tokio::test]
async fn a_thousand_swaps_of_the_configuration_fail_no_call() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let world = World::start(vec![model("m", &fake.address)], routes(&["m"])).await;
    let swaps = async {
        for sequence in 2..1002 {
            let tokens = 64 + sequence % 7;
            let changed = with(
                model("m", &fake.address),
                "limits.maxOutputTokens",
                json!(tokens),
            );
            let acks = world
                .live
                .apply(&snapshot(sequence, vec![changed], routes(&["m"])));
            assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
            tokio::task::yield_now().await;
        }
    };
    let calls = async {
        while world.live.load().sequence < 1001 {
            let response = world.call(&chat(json!({}))).send().await.unwrap();
            assert_eq!(response.status(), 200);
        }
    };
    tokio::join!(swaps, calls);
    assert!(fake.calls() > 1);
}
