//! A model of the Anthropic dialect behind the OpenAI face.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, End, Fake, json_answer},
    ingress::Before,
    world::header,
};

async fn before(answer: Answer) -> (Fake, Before) {
    let fake = Fake::start(vec![answer]).await;
    let upstream = json!({"dialect": "Anthropic", "baseUrl": format!("{}/v1", fake.address)});
    let before = Before::start(&fake, ("upstream", upstream)).await;
    (fake, before)
}

fn event(data: Value) -> String {
    format!(
        "event: {}\ndata: {data}\n\n",
        data["type"].as_str().unwrap()
    )
}

fn start() -> String {
    event(
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude",
        "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
    )
}

fn text(text: &str) -> String {
    event(json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "text_delta", "text": text}}))
}

#[tokio::test]
async fn an_answer_is_translated_both_ways() {
    let message = json!({"id": "msg_1", "type": "message", "model": "claude",
        "content": [{"type": "text", "text": "Hello."}], "stop_reason": "max_tokens",
        "usage": {"input_tokens": 9, "output_tokens": 4}});
    let (fake, before) = before(json_answer(200, &message)).await;
    let response = before.call(json!({"seed": 3, "max_tokens": 7})).await;
    assert_eq!(header(&response, "aios-dropped"), "seed");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello.");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 4);
    let seen = fake.seen(0);
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!(seen.headers["x-api-key"], "sk-secret");
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
    assert!(seen.headers.get("authorization").is_none());
    assert_eq!(
        (&fake.body(0)["model"], &fake.body(0)["max_tokens"]),
        (&json!("up"), &json!(7))
    );
}

#[tokio::test]
async fn a_stream_is_translated() {
    let pieces = vec![
        start(),
        text("Hel"),
        text("lo"),
        event(
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 5}}),
        ),
        event(json!({"type": "message_stop"})),
    ];
    let (fake, before) = before(Answer::Stream(pieces, End::Close)).await;
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    let text = before.call(asked).await.text().await.unwrap();
    assert!(
        text.contains(r#""content":"Hel""#) && text.contains(r#""completion_tokens":5"#),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(fake.body(0)["stream"], json!(true));
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_an_error_after_what_came() {
    let error =
        event(json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}));
    for (pieces, end, code) in [
        (
            vec![start(), text("Hel") + &error],
            End::Close,
            "upstream_failed",
        ),
        (vec![start(), text("Hel")], End::Close, "stream_cut"),
        (vec![start(), text("Hel")], End::Cut, "stream_cut"),
    ] {
        let (_, before) = before(Answer::Stream(pieces, end)).await;
        let text = before
            .call(json!({"stream": true}))
            .await
            .text()
            .await
            .unwrap();
        assert!(text.contains("\"Hel\"") && text.contains(code), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_translated_never_reaches_the_provider() {
    let (fake, before) = before(json_answer(200, &json!({}))).await;
    let response = before.call(json!({"functions": [{"name": "x"}]})).await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "unsupported_by_model");
    assert_eq!(body["error"]["param"], "functions");
    let embeddings = json!({"model": "m", "input": "x"}).to_string();
    let url = format!("{}/v1/embeddings", before.base);
    let response = before.http.post(url).body(embeddings).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn an_overloaded_provider_is_worth_another_try() {
    let busy = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let (_, before) = before(json_answer(529, &busy)).await;
    let response = before.call(json!({})).await;
    assert_eq!(
        (
            response.status().as_u16(),
            header(&response, "x-should-retry")
        ),
        (502, "true")
    );
}

#[tokio::test]
async fn messages_pass_as_they_are_with_the_key_and_what_the_caller_asks_of_the_provider() {
    let message = json!({"id": "msg_1", "type": "message", "model": "claude",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Hello."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 4}});
    let (fake, before) = before(json_answer(200, &message)).await;
    let request = before
        .http
        .post(format!("{}/v1/messages", before.base))
        .header("anthropic-beta", "some-feature")
        .body(r#"{"model":"m", "max_tokens":9, "messages":[{"role":"user","content":"x"}], "thinking":{"type":"enabled"}}"#);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, message);
    let seen = fake.seen(0);
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!(
        seen.body,
        r#"{"model":"up", "max_tokens":9, "messages":[{"role":"user","content":"x"}], "thinking":{"type":"enabled"}}"#
    );
    assert_eq!(seen.headers["x-api-key"], "sk-secret");
    assert_eq!(seen.headers["anthropic-beta"], "some-feature");
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
}

#[tokio::test]
async fn a_stream_of_messages_passes_as_it_is_and_ends_with_an_error_when_it_breaks() {
    let pieces = vec![start(), text("Hel")];
    let (_, before) = before(Answer::Stream(pieces.clone(), End::Cut)).await;
    let request = before
        .http
        .post(format!("{}/v1/messages", before.base))
        .body(r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#);
    let streamed = request.send().await.unwrap().text().await.unwrap();
    let (sent, error) = streamed.split_once("event: error\n").unwrap();
    assert_eq!(sent, pieces.concat());
    let error: Value = serde_json::from_str(error.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["code"], "stream_cut");
}
