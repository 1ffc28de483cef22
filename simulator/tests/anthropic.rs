//! The Anthropic wire as clients see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use aios_simulator::Served;
use aios_simulator::model::Settings;
use common::{client, model};
use reqwest::Response;
use serde_json::{Value, json};

fn request() -> Value {
    json!({
        "model": "any", "max_tokens": 100, "system": "Write warmly.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Invite Zoë."}]}],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut request = request();
    request[field] = value;
    request
}

async fn send(served: &Served, body: &Value) -> Response {
    let request = client()
        .post(format!("{}/v1/messages", served.url()))
        .json(body);
    let request = request
        .header("x-api-key", "secret")
        .header("anthropic-version", "2023-06-01");
    request.send().await.unwrap()
}

#[tokio::test]
async fn message_has_the_published_shape() {
    let served = model(Settings::default()).await;
    let body: Value = send(&served, &request()).await.json().await.unwrap();
    assert_eq!(
        (&body["type"], &body["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(body["content"][0]["type"], "text");
    assert_eq!(body["stop_reason"], "end_turn");
    assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let cut: Value = send(&served, &with("max_tokens", json!(2)))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(cut["stop_reason"], "max_tokens");
    assert_eq!(cut["usage"]["output_tokens"], 2);
    let stopped = with("stop_sequences", json!([","]));
    let stopped: Value = send(&served, &stopped).await.json().await.unwrap();
    assert_eq!(
        (&stopped["stop_reason"], &stopped["stop_sequence"]),
        (&json!("stop_sequence"), &json!(","))
    );
}

#[tokio::test]
async fn stream_sends_the_events_in_their_order() {
    let served = model(Settings::default()).await;
    let whole: Value = send(&served, &request()).await.json().await.unwrap();
    let text = send(&served, &with("stream", json!(true)))
        .await
        .text()
        .await
        .unwrap();
    let events: Vec<(String, Value)> = text
        .split("\n\n")
        .filter(|frame| !frame.is_empty())
        .map(|frame| {
            let (event, data) = frame.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (event.strip_prefix("event: ").unwrap().to_owned(), data)
        })
        .collect();
    let mut names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(events.iter().all(|(name, data)| data["type"] == **name));
    let joined: String = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str())
        .collect();
    assert_eq!(joined, whole["content"][0]["text"]);
    let (_, delta) = &events[events.len() - 2];
    assert_eq!(
        delta["usage"]["output_tokens"],
        whole["usage"]["output_tokens"]
    );
    assert_eq!(delta["delta"]["stop_reason"], "end_turn");
}

#[tokio::test]
async fn broken_requests_get_the_providers_error_shape() {
    let served = model(Settings::default()).await;
    let mut without_limit = request();
    without_limit.as_object_mut().unwrap().remove("max_tokens");
    let assistant = json!([{"role": "assistant", "content": "x"}]);
    let cases = [
        (json!({"max_tokens": 1}), "model"),
        (without_limit, "max_tokens: Field required"),
        (with("messages", json!([])), "messages"),
        (with("messages", assistant), "first message"),
        (
            with("messages", json!([{"role": "system", "content": "x"}])),
            "messages.0.role",
        ),
        (with("temperature", json!(1.5)), "temperature"),
    ];
    for (body, expected) in cases {
        let response = send(&served, &body).await;
        assert_eq!(response.status(), 400, "{body}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(
            (&error["type"], &error["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error"))
        );
        assert!(
            error["error"]["message"]
                .as_str()
                .unwrap()
                .contains(expected),
            "{error}"
        );
    }
}

#[tokio::test]
async fn key_and_version_are_required() {
    let served = model(Settings {
        api_key: Some("secret".into()),
        ..Settings::default()
    })
    .await;
    let url = format!("{}/v1/messages", served.url());
    let bare = client().post(&url).json(&request());
    let refused = bare.try_clone().unwrap().send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["type"], "authentication_error");
    let no_version = bare.header("x-api-key", "secret").send().await.unwrap();
    assert_eq!(no_version.status(), 400);
    assert!(
        no_version
            .text()
            .await
            .unwrap()
            .contains("anthropic-version")
    );
    assert_eq!(send(&served, &request()).await.status(), 200);
}

#[tokio::test]
async fn a_tool_is_called_until_its_result_comes() {
    let served = model(Settings::default()).await;
    let schema = json!({"type": "object", "properties": {"city": {"enum": ["Bonn"]}}});
    let mut body = with(
        "tools",
        json!([{"name": "weather", "input_schema": schema}]),
    );
    let answer: Value = send(&served, &body).await.json().await.unwrap();
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][0]["name"], "weather");
    assert_eq!(answer["content"][0]["input"], json!({"city": "Bonn"}));
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": answer["content"]}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": answer["content"][0]["id"], "content": "21"}]}));
    let answer: Value = send(&served, &body).await.json().await.unwrap();
    assert_eq!(answer["stop_reason"], "end_turn");
}
