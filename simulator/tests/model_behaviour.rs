//! Script, faults, pace and the log of calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant};

use aios_simulator::Served;
use aios_simulator::model::{Settings, router};
use common::{client, get, model, post, until};
use futures::StreamExt;
use reqwest::Response;
use serde_json::{Value, json};

async fn ask(served: &Served, text: &str) -> Response {
    ask_with(served, text, false).await
}

async fn ask_with(served: &Served, text: &str, stream: bool) -> Response {
    let messages = json!([{"role": "user", "content": text}]);
    let body = json!({"model": "any", "messages": messages, "stream": stream});
    post(served, "/v1/chat/completions", &body).await
}

async fn text(served: &Served, prompt: &str) -> String {
    let body: Value = ask(served, prompt).await.json().await.unwrap();
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn set(served: &Served, what: &str, rules: Value) {
    assert_eq!(
        post(served, &format!("/simulator/{what}"), &rules)
            .await
            .status(),
        204
    );
}

#[tokio::test]
async fn the_first_matching_script_rule_answers() {
    let served = model(Settings::default()).await;
    set(
        &served,
        "script",
        json!([
            {"match": "Acme", "model": "other", "answer": "never"},
            {"regex": "customer [0-9]+", "in": "lastUser", "answer": "Try Acme Bank instead."},
            {"match": "customer", "answer": "second"},
        ]),
    )
    .await;
    assert_eq!(
        text(&served, "for customer 17, not Acme").await,
        "Try Acme Bank instead."
    );
    assert_eq!(text(&served, "for a customer").await, "second");
    assert_ne!(text(&served, "for nobody").await, "second");
    let calls = get(&served, "/simulator/calls").await;
    assert_eq!(calls["calls"][0]["rule"], 1);
    assert_eq!(
        get(&served, "/simulator/script").await[2]["match"],
        "customer"
    );
}

#[tokio::test]
async fn script_and_faults_are_read_from_files_and_refused_with_the_rules_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("script.json");
    std::fs::write(&path, r#"[{"match": "x", "answer": "from the file"}]"#).unwrap();
    let served = model(Settings {
        script: Some(path.clone()),
        ..Settings::default()
    })
    .await;
    assert_eq!(text(&served, "x").await, "from the file");

    std::fs::write(
        &path,
        r#"[{"match": "x", "answer": "y"}, {"regex": "(", "answer": "y"}]"#,
    )
    .unwrap();
    let error = router(Settings {
        script: Some(path),
        ..Settings::default()
    })
    .unwrap_err();
    assert!(error.to_string().starts_with("rule 1 "), "{error}");

    let bad = post(&served, "/simulator/script", &json!([{"answer": "y"}])).await;
    assert_eq!(bad.status(), 400);
    assert!(bad.text().await.unwrap().contains("`match` or `regex`"));
    let bad = json!([{"every": 0, "fault": {"kind": "ServerError"}}]);
    assert_eq!(post(&served, "/simulator/faults", &bad).await.status(), 400);
    assert_eq!(text(&served, "x").await, "from the file");
}

#[tokio::test]
async fn faults_happen_on_every_nth_matching_call_and_run_out() {
    let served = model(Settings::default()).await;
    let fault = json!({"kind": "RateLimit", "retryAfterSeconds": 7});
    set(
        &served,
        "faults",
        json!([
            {"match": "often", "every": 2, "times": 2, "fault": fault},
            {"match": "broken", "fault": {"kind": "ServerError"}},
            {"match": "busy", "fault": {"kind": "Overloaded"}},
        ]),
    )
    .await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(ask(&served, "often").await.status().as_u16());
    }
    assert_eq!(seen, [200, 429, 200, 429, 200, 200]);
    assert_eq!(ask(&served, "broken").await.status(), 500);
    assert_eq!(ask(&served, "busy").await.status(), 503);
    set(&served, "faults", json!([{"fault": fault}])).await;
    let limited = ask(&served, "x").await;
    assert_eq!(limited.headers()["retry-after"], "7");
    let counts = &get(&served, "/simulator/calls").await["counts"];
    assert_eq!(
        (&counts["failed"], &counts["completed"]),
        (&json!(5), &json!(4))
    );
}

#[tokio::test]
async fn a_cut_breaks_the_connection_after_so_many_tokens() {
    let served = model(Settings::default()).await;
    set(
        &served,
        "faults",
        json!([{"fault": {"kind": "Cut", "afterTokens": 2}}]),
    )
    .await;
    let mut stream = ask_with(&served, "x", true).await.bytes_stream();
    let mut read = String::new();
    let broken = loop {
        match stream.next().await {
            Some(Ok(bytes)) => read.push_str(std::str::from_utf8(&bytes).unwrap()),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(broken && !read.contains("[DONE]"));
    let half = ask(&served, "x").await;
    assert_eq!(half.status(), 200);
    assert!(half.text().await.is_err());
    let log = until(&served, "/simulator/calls", |log| {
        log["counts"]["active"] == 0
    })
    .await;
    assert_eq!(log["counts"]["failed"], 2);
    assert_eq!(log["calls"][0]["sentTokens"], 2);
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_call_is_logged_as_cancelled() {
    let served = model(Settings::default()).await;
    set(
        &served,
        "faults",
        json!([
            {"match": "halfway", "fault": {"kind": "Stall", "afterTokens": 3}},
            {"match": "silent", "fault": {"kind": "Stall", "afterTokens": 0}},
        ]),
    )
    .await;
    let mut stream = ask_with(&served, "halfway", true).await.bytes_stream();
    let mut deltas = 0;
    while deltas < 4 {
        let bytes = stream.next().await.unwrap().unwrap();
        deltas += std::str::from_utf8(&bytes)
            .unwrap()
            .matches("\"delta\"")
            .count();
    }
    drop(stream);
    for stream in [true, false] {
        let url = format!("{}/v1/chat/completions", served.url());
        let messages = json!([{"role": "user", "content": "silent"}]);
        let body = json!({"model": "any", "messages": messages, "stream": stream});
        let request = client()
            .post(url)
            .json(&body)
            .timeout(Duration::from_millis(100));
        assert!(request.send().await.unwrap_err().is_timeout());
    }
    let log = until(&served, "/simulator/calls", |log| {
        log["counts"]["cancelled"] == 3
    })
    .await;
    assert_eq!(
        (&log["counts"]["active"], &log["counts"]["received"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(
        (&log["calls"][0]["status"], &log["calls"][0]["sentTokens"]),
        (&json!("Cancelled"), &json!(3))
    );
    assert_eq!(log["calls"][0]["fault"], "Stall");
}

#[tokio::test]
async fn a_client_that_leaves_while_tokens_are_paced_is_logged_as_cancelled() {
    let served = model(Settings {
        first_token_ms: 60_000,
        ..Settings::default()
    })
    .await;
    let stream = ask_with(&served, "x", true).await;
    assert_eq!(
        get(&served, "/simulator/calls").await["counts"]["active"],
        1
    );
    drop(stream);
    until(&served, "/simulator/calls", |log| {
        log["counts"]["cancelled"] == 1
    })
    .await;
}

#[tokio::test]
async fn pace_delays_the_first_and_the_following_tokens() {
    let settings = Settings {
        first_token_ms: 80,
        token_ms: 10,
        ..Settings::default()
    };
    let served = model(settings).await;
    set(
        &served,
        "script",
        json!([{"match": "x", "answer": "a b c d e"}]),
    )
    .await;
    let began = Instant::now();
    assert_eq!(text(&served, "x").await, "a b c d e");
    assert!(
        began.elapsed() >= Duration::from_millis(120),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_log_counts_without_limit_keeps_the_last_and_can_be_reset() {
    let served = model(Settings {
        keep_calls: 2,
        ..Settings::default()
    })
    .await;
    for prompt in ["one", "two", "three"] {
        text(&served, prompt).await;
    }
    let log = get(&served, "/simulator/calls").await;
    assert_eq!(
        (&log["counts"]["received"], &log["counts"]["completed"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(log["calls"].as_array().unwrap().len(), 2);
    assert_eq!(log["calls"][1]["id"], 3);
    assert_eq!(log["calls"][1]["body"]["messages"][0]["content"], "three");
    let last = get(&served, "/simulator/calls?last=1").await;
    assert_eq!(last["calls"].as_array().unwrap().len(), 1);

    let url = format!("{}/simulator/calls", served.url());
    assert_eq!(client().delete(url).send().await.unwrap().status(), 204);
    let log = get(&served, "/simulator/calls").await;
    assert_eq!(
        (&log["counts"]["received"], &log["calls"]),
        (&json!(0), &json!([]))
    );
}
