//! The OpenAI wire as clients see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use aios_simulator::model::Settings;
use common::{client, get, model, post};
use reqwest::Response;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn request() -> Value {
    json!({"model": "any", "messages": [
        {"role": "system", "content": "Write warmly."},
        {"role": "user", "content": "Invite Zoë to the webinar."},
    ]})
}

fn with(field: &str, value: Value) -> Value {
    let mut request = request();
    request[field] = value;
    request
}

/// The data of each event; `[DONE]` as a string.
async fn events(response: Response) -> Vec<Value> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let data = text.split("\n\n").filter(|frame| !frame.is_empty());
    data.map(|frame| {
        let data = frame.strip_prefix("data: ").unwrap();
        serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.into()))
    })
    .collect()
}

#[tokio::test]
async fn completion_has_the_published_shape_and_the_label() {
    let served = model(Settings::default()).await;
    let response = post(&served, CHAT, &request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["aios-simulator"], "true");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["finish_reason"], "stop");
    assert!(choice["message"]["content"].as_str().unwrap().len() > 20);
    let usage = &body["usage"];
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn stream_carries_the_same_text_and_usage_only_when_asked() {
    let served = model(Settings::default()).await;
    let whole: Value = post(&served, CHAT, &request()).await.json().await.unwrap();

    let events_without = events(post(&served, CHAT, &with("stream", json!(true))).await).await;
    assert_eq!(events_without.last().unwrap(), "[DONE]");
    assert!(
        events_without
            .iter()
            .all(|event| event.get("usage").is_none())
    );
    let text: String = events_without
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);

    let mut asked = with("stream", json!(true));
    asked["stream_options"] = json!({"include_usage": true});
    let events = events(post(&served, CHAT, &asked).await).await;
    let usage = &events[events.len() - 2];
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"], whole["usage"]);
    assert_eq!(
        events[events.len() - 3]["choices"][0]["finish_reason"],
        "stop"
    );
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[0]["usage"], Value::Null);
}

#[tokio::test]
async fn answers_depend_on_seed_and_prompt_alone() {
    let text = async |seed, request: Value| {
        let served = model(Settings {
            seed,
            ..Settings::default()
        })
        .await;
        let body: Value = post(&served, CHAT, &request).await.json().await.unwrap();
        body["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(text(1, request()).await, text(1, request()).await);
    let mut others = Vec::new();
    for seed in 2..8 {
        others.push(text(seed, request()).await);
    }
    others.sort();
    others.dedup();
    assert!(others.len() > 1);
}

#[tokio::test]
async fn max_tokens_and_stop_end_an_answer() {
    let served = model(Settings::default()).await;
    let short: Value = post(&served, CHAT, &with("max_tokens", json!(3)))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(short["choices"][0]["finish_reason"], "length");
    assert_eq!(short["usage"]["completion_tokens"], 3);
    let stopped: Value = post(&served, CHAT, &with("stop", json!(",")))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert!(
        !stopped["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains(',')
    );
}

#[tokio::test]
async fn a_schema_is_answered_with_json_of_that_schema() {
    let served = model(Settings::default()).await;
    let schema = json!({"type": "object", "properties": {
        "opening": {"type": "string", "maxLength": 60}, "closing": {"type": "string"},
    }});
    let format = json!({"type": "json_schema", "json_schema": {"name": "slots", "schema": schema}});
    let body: Value = post(&served, CHAT, &with("response_format", format))
        .await
        .json()
        .await
        .unwrap();
    let slots: Value =
        serde_json::from_str(body["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(slots["opening"].as_str().unwrap().len() <= 60);
    assert!(slots["closing"].is_string());
}

#[tokio::test]
async fn broken_requests_get_the_providers_error_shape() {
    let served = model(Settings {
        models: vec!["any".into()],
        context_tokens: 100,
        ..Settings::default()
    })
    .await;
    let mut no_model = request();
    no_model.as_object_mut().unwrap().remove("model");
    let cases = [
        (no_model, 400, "model"),
        (json!({"model": "any"}), 400, "messages"),
        (with("messages", json!([])), 400, "messages"),
        (
            with("messages", json!([{"role": "owner", "content": "x"}])),
            400,
            "messages[0].role",
        ),
        (
            with("messages", json!([{"role": "user"}])),
            400,
            "messages[0].content",
        ),
        (
            with("stream_options", json!({"include_usage": true})),
            400,
            "stream_options",
        ),
        (with("max_tokens", json!(0)), 400, "max_tokens"),
        (with("temperature", json!(3)), 400, "temperature"),
        (
            with("response_format", json!({"type": "yaml"})),
            400,
            "response_format.type",
        ),
        (with("n", json!(2)), 400, "n"),
        (with("max_tokens", json!(1_000)), 400, "messages"),
    ];
    for (body, status, param) in cases {
        let response = post(&served, CHAT, &body).await;
        assert_eq!(response.status(), status, "{body}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["type"], "invalid_request_error", "{body}");
        assert_eq!(error["error"]["param"], param, "{body}");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    let unknown = post(&served, CHAT, &with("model", json!("other"))).await;
    assert_eq!(unknown.status(), 404);
    let unknown: Value = unknown.json().await.unwrap();
    assert_eq!(unknown["error"]["code"], "model_not_found");
    let garbage = client()
        .post(format!("{}{CHAT}", served.url()))
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(garbage.status(), 400);
    let counts = &get(&served, "/simulator/calls").await["counts"];
    assert_eq!(
        (&counts["received"], &counts["rejected"]),
        (&json!(13), &json!(13))
    );
}

#[tokio::test]
async fn without_the_key_everything_but_health_is_refused() {
    let served = model(Settings {
        api_key: Some("secret".into()),
        ..Settings::default()
    })
    .await;
    let url = |path: &str| format!("{}{path}", served.url());
    let refused = post(&served, CHAT, &request()).await;
    assert_eq!(refused.status(), 401);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_api_key");
    assert_eq!(
        client()
            .get(url("/v1/models"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(
        client().get(url("/health")).send().await.unwrap().status(),
        200
    );
    let sent = client()
        .post(url(CHAT))
        .bearer_auth("secret")
        .json(&request());
    assert_eq!(sent.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn models_lists_what_is_offered() {
    let served = model(Settings {
        models: vec!["a".into(), "b".into()],
        ..Settings::default()
    })
    .await;
    let list = get(&served, "/v1/models").await;
    assert_eq!(list["object"], "list");
    assert_eq!(
        (&list["data"][0]["id"], &list["data"][1]["id"]),
        (&json!("a"), &json!("b"))
    );
}

#[tokio::test]
async fn embeddings_are_unit_vectors_and_near_for_shared_words() {
    let served = model(Settings {
        dimensions: 64,
        ..Settings::default()
    })
    .await;
    let input = json!([
        "deposit protection notice",
        "notice of deposit protection",
        "garden party"
    ]);
    let body = json!({"model": "any", "input": input});
    let body: Value = post(&served, "/v1/embeddings", &body)
        .await
        .json()
        .await
        .unwrap();
    let vector = |index: usize| -> Vec<f64> {
        let list = body["data"][index]["embedding"].as_array().unwrap();
        list.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let dot =
        |a: usize, b: usize| -> f64 { vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum() };
    assert_eq!(vector(0).len(), 64);
    assert!((dot(0, 0) - 1.0).abs() < 1e-3);
    assert!(dot(0, 1) > 0.5 && dot(0, 1) > dot(0, 2));
    assert!(body["usage"]["total_tokens"].as_u64().unwrap() > 0);

    let encoded =
        json!({"model": "any", "input": "x", "encoding_format": "base64", "dimensions": 2});
    let encoded: Value = post(&served, "/v1/embeddings", &encoded)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(encoded["data"][0]["embedding"].as_str().unwrap().len(), 12);
    let empty = post(
        &served,
        "/v1/embeddings",
        &json!({"model": "any", "input": []}),
    )
    .await;
    assert_eq!(empty.status(), 400);
}

#[tokio::test]
async fn moderations_judge_by_script_and_find_everything_else_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.json");
    let rules = json!([
        {"match": "hit", "answer": "{\"violence\": 0.97, \"no-category\": 1}"},
        {"match": "hello", "answer": "no scores"},
    ]);
    std::fs::write(&script, rules.to_string()).unwrap();
    let served = model(Settings {
        script: Some(script),
        ..Settings::default()
    })
    .await;
    let ask = async |input: Value| {
        post(
            &served,
            "/v1/moderations",
            &json!({"model": "judge", "input": input}),
        )
        .await
    };
    let body: Value = ask(json!(["I hit you", "hello"]))
        .await
        .json()
        .await
        .unwrap();
    let [hit, hello] = body["results"].as_array().unwrap().as_slice() else {
        panic!("{body}")
    };
    assert_eq!(
        (&hit["flagged"], &hello["flagged"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(hit["category_scores"]["violence"], 0.97);
    assert_eq!(hit["categories"]["violence"], true);
    assert_eq!(hello["category_scores"].as_object().unwrap().len(), 13);
    assert!(hit["category_scores"].get("no-category").is_none());
    let parts = json!([{"type": "text", "text": "I hit"}, {"type": "text", "text": "you"}]);
    let parts: Value = ask(parts).await.json().await.unwrap();
    assert_eq!(parts["results"].as_array().unwrap().len(), 1);
    let picture = json!([{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]);
    for wrong in [json!([]), picture, json!(7), Value::Null] {
        assert_eq!(ask(wrong).await.status(), 400);
    }
}

#[tokio::test]
async fn a_tool_is_called_until_its_result_comes() {
    let served = model(Settings::default()).await;
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters":
        {"type": "object", "properties": {"city": {"enum": ["Bonn"]}}}}});
    let mut body = request();
    body["tools"] = json!([tool]);
    let answer: Value = post(&served, CHAT, &body).await.json().await.unwrap();
    let choice = &answer["choices"][0];
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(function["name"], "weather");
    assert_eq!(function["arguments"], r#"{"city":"Bonn"}"#);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": "x", "content": "21"}));
    let answer: Value = post(&served, CHAT, &body).await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}
