//! Anthropic's and OpenAI's newer faces of the egress, before models of both dialects.

use aios_inference_sidecar::sse::Splitter;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{
        Answer, End, Fake, completion, error, json_answer, role, stop, stream, token, until,
        usage_chunk,
    },
    world::{World, header, joined, model, nowhere, with},
};

/// An egress before a model of the OpenAI dialect that answers so.
async fn world(answer: Answer) -> (Fake, World) {
    let fake = Fake::start(vec![answer]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    (fake, world)
}

fn anthropic(name: &str, address: &str) -> Value {
    with(model(name, address), "upstream.dialect", json!("Anthropic"))
}

async fn post(world: &World, path: &str, body: &Value) -> reqwest::Response {
    world
        .http
        .post(format!("{}/v1/{path}", world.base))
        .header("aios-pipeline", "p")
        .body(body.to_string())
        .send()
        .await
        .unwrap()
}

fn messages(extra: Value) -> Value {
    let mut body = json!({"model": "auto", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Write a line."}]});
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

fn asks_response(extra: Value) -> Value {
    let mut body = json!({"model": "auto", "input": "Write a line."});
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// Names and data of events; the data of each repeats its name.
fn events(stream: &str) -> Vec<Value> {
    let events = Splitter::default().push(stream.as_bytes()).unwrap();
    events
        .into_iter()
        .map(|event| {
            let data: Value = serde_json::from_str(event.data.as_deref().unwrap()).unwrap();
            assert_eq!(data["type"].as_str(), event.name.as_deref());
            data
        })
        .collect()
}

#[tokio::test]
async fn messages_are_answered_by_a_model_of_the_openai_dialect() {
    let (fake, world) = world(completion("Dear Zoë", Some((100, 60)))).await;
    let asked = messages(json!({"system": [{"type": "text", "text": "Be brief.",
        "cache_control": {"type": "ephemeral"}}]}));
    let response = post(&world, "messages", &asked).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "aios-dropped"), "cache_control");
    assert_eq!(header(&response, "aios-cost"), "0.000051 USD");
    let message: Value = response.json().await.unwrap();
    assert_eq!(message["type"], "message");
    assert_eq!(
        message["content"],
        json!([{"type": "text", "text": "Dear Zoë"}])
    );
    assert_eq!(message["stop_reason"], "end_turn");
    assert_eq!(message["usage"]["output_tokens"], 60);
    assert_eq!(
        fake.body(0),
        json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Write a line."}]})
    );
}

#[tokio::test]
async fn a_stream_of_messages_is_made_of_chunks() {
    let (fake, world) = world(stream(&["Dear ", "Zoë"])).await;
    let response = post(&world, "messages", &messages(json!({"stream": true}))).await;
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let events = events(&response.text().await.unwrap());
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(
        joined(&events, "content_block_delta", "/delta/text"),
        "Dear Zoë"
    );
    assert_eq!(events[5]["usage"]["output_tokens"], 3);
    assert_eq!(
        fake.body(0)["stream_options"],
        json!({"include_usage": true})
    );
    assert!(world.metric(&["token_usage_sum", "\"output\"", "\"exact\"", " 3"]));
}

#[tokio::test]
async fn messages_reach_a_model_of_the_same_dialect_byte_for_byte() {
    let answer = json!({"id": "msg_1", "type": "message", "model": "claude",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 100, "output_tokens": 60}});
    let fake = Fake::start(vec![json_answer(200, &answer)]).await;
    let world = World::start(vec![anthropic("m", &fake.address)], json!([{"model": "m"}])).await;
    let body = r#"{ "model":"auto", "max_tokens":9, "thinking": {"type": "adaptive"}, "messages":[{"role":"user","content":"x"}] }"#;
    let request = world
        .http
        .post(format!("{}/v1/messages", world.base))
        .header("aios-pipeline", "p")
        .header("anthropic-beta", "some-feature");
    let response = request.body(body).send().await.unwrap();
    assert_eq!(header(&response, "aios-cost"), "0.000051 USD");
    assert!(response.headers().get("aios-dropped").is_none());
    assert_eq!(response.json::<Value>().await.unwrap(), answer);
    let seen = fake.seen(0);
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!(seen.body, body.replace("auto", "m"));
    assert_eq!(seen.headers["anthropic-beta"], "some-feature");
}

#[tokio::test]
async fn a_request_that_one_model_cannot_be_asked_goes_to_one_that_can() {
    let answer = json!({"id": "msg_1", "type": "message", "model": "claude", "content": [],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}});
    let claude = Fake::start(vec![json_answer(200, &answer)]).await;
    let other = Fake::start(vec![completion("x", None)]).await;
    let models = vec![
        model("other", &other.address),
        anthropic("claude", &claude.address),
    ];
    let routes = json!([{"model": "other"}, {"model": "claude"}]);
    let world = World::start(models, routes).await;
    let tool = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let response = post(&world, "messages", &messages(tool.clone())).await;
    assert_eq!(header(&response, "aios-model"), "claude");
    assert_eq!((other.calls(), claude.calls()), (0, 1));

    let (fake, alone) = self::world(completion("x", None)).await;
    let response = post(&alone, "messages", &messages(tool)).await;
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, "x-should-retry"), "false");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["error"]["param"], "tools[0].type");
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_each_dialect_and_never_repeats_text() {
    for end in [End::Cut, End::Close] {
        let broken = Answer::Stream(vec![role(), token("Hel")], end);
        let (fake, world) = world(broken).await;
        let response = post(&world, "messages", &messages(json!({"stream": true}))).await;
        let told = events(&response.text().await.unwrap());
        assert_eq!(joined(&told, "content_block_delta", "/delta/text"), "Hel");
        let last = told.last().unwrap();
        assert_eq!(last["type"], "error");
        assert_eq!(last["error"]["code"], "stream_cut");

        let asked = asks_response(json!({"stream": true}));
        let response = post(&world, "responses", &asked).await;
        let told = events(&response.text().await.unwrap());
        assert_eq!(joined(&told, "response.output_text.delta", "/delta"), "Hel");
        let last = told.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["status"], "failed");
        assert_eq!(last["response"]["error"]["code"], "stream_cut");
        assert_eq!(fake.calls(), 2);
    }
}

#[tokio::test]
async fn an_error_of_the_model_in_the_middle_is_told_in_each_dialect() {
    let busy = "data: {\"error\":{\"message\":\"lost\",\"code\":\"x\"}}\n\n".to_owned();
    let (_, world) = world(Answer::Stream(vec![token("A"), busy], End::Close)).await;
    let response = post(&world, "messages", &messages(json!({"stream": true}))).await;
    let told = events(&response.text().await.unwrap());
    assert_eq!(told.last().unwrap()["error"]["code"], "upstream_failed");
    let asked = asks_response(json!({"stream": true}));
    let response = post(&world, "responses", &asked).await;
    let told = events(&response.text().await.unwrap());
    assert_eq!(told.last().unwrap()["type"], "response.failed");
}

#[tokio::test]
async fn a_chunk_that_cannot_be_told_ends_the_stream() {
    let gibberish = "data: gibberish\n\n".to_owned();
    let (_, world) = world(Answer::Stream(vec![token("A"), gibberish], End::Hang)).await;
    let response = post(&world, "messages", &messages(json!({"stream": true}))).await;
    let told = events(&response.text().await.unwrap());
    assert_eq!(told.last().unwrap()["error"]["code"], "upstream_malformed");
}

#[tokio::test]
async fn responses_are_made_of_chat_completions() {
    let (fake, world) = world(completion("Dear Zoë", Some((100, 60)))).await;
    let asked = asks_response(json!({"instructions": "Be brief.", "max_output_tokens": 7,
        "reasoning": {"summary": "auto"}}));
    let response = post(&world, "responses", &asked).await;
    assert_eq!(header(&response, "aios-dropped"), "reasoning.summary");
    let response: Value = response.json().await.unwrap();
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"][0]["text"], "Dear Zoë");
    assert_eq!(response["usage"]["total_tokens"], 160);
    assert_eq!(
        fake.body(0),
        json!({"model": "m", "max_tokens": 7, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Write a line."}]})
    );
}

#[tokio::test]
async fn a_stream_of_a_response_is_made_of_chunks() {
    let (_, world) = world(stream(&["Dear ", "Zoë"])).await;
    let asked = asks_response(json!({"stream": true}));
    let response = post(&world, "responses", &asked).await;
    let told = events(&response.text().await.unwrap());
    assert_eq!(told.first().unwrap()["type"], "response.created");
    assert_eq!(
        joined(&told, "response.output_text.delta", "/delta"),
        "Dear Zoë"
    );
    let last = told.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(
        last["response"]["output"][0]["content"][0]["text"],
        "Dear Zoë"
    );
    assert_eq!(last["response"]["usage"]["output_tokens"], 3);
    let numbers = told
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap());
    assert!(numbers.eq(0..told.len() as u64));
}

#[tokio::test]
async fn what_needs_a_memory_is_refused_before_any_model_is_asked() {
    let (fake, world) = world(completion("x", None)).await;
    for field in ["previous_response_id", "conversation"] {
        let response = post(&world, "responses", &asks_response(json!({field: "x"}))).await;
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["param"], field);
    }
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn refusals_are_in_the_callers_dialect_and_say_whether_to_come_again() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let response = post(&world, "messages", &messages(json!({}))).await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-should-retry"), "false");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["type"], "overloaded_error");
    assert_eq!(body["error"]["code"], "routes_exhausted");
    assert_eq!(body["error"]["attempts"][0]["outcome"], "unreachable");

    let (_, world) = self::world(error(400, "invalid_value")).await;
    let response = post(&world, "messages", &messages(json!({"top_p": 7}))).await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["error"]["code"], "invalid_value");
    let response = post(&world, "responses", &asks_response(json!({}))).await;
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_value");
}

#[tokio::test]
async fn tokens_are_counted_by_estimate_where_nobody_knows_better_and_models_listed_in_both_shapes()
{
    let (fake, world) = world(completion("x", None)).await;
    let response = post(&world, "messages/count_tokens", &messages(json!({}))).await;
    assert_eq!(header(&response, "aios-usage"), "estimated");
    let counted: Value = response.json().await.unwrap();
    assert_eq!(counted, json!({"input_tokens": 8}));
    let list = world
        .http
        .get(format!("{}/v1/models", world.base))
        .header("anthropic-version", "2023-06-01");
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["first_id"], "m");
    assert_eq!(fake.calls(), 1);
}

#[rstest]
#[case::cut_off("length", 200)]
#[case::whole("tool_calls", 502)]
#[tokio::test]
async fn arguments_that_the_cap_cut_off_do_not_lose_the_message(
    #[case] reason: &str,
    #[case] status: u16,
) {
    let call = json!({"id": "t", "type": "function",
        "function": {"name": "f", "arguments": "{\"to\": \"An"}});
    let said = json!({"role": "assistant", "content": "Dear", "tool_calls": [call]});
    let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": said, "finish_reason": reason}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3}});
    let (_, world) = world(json_answer(200, &body)).await;
    let response = post(&world, "messages", &messages(json!({}))).await;
    assert_eq!(response.status(), status);
    if status == 200 {
        let message: Value = response.json().await.unwrap();
        assert_eq!(message["stop_reason"], "max_tokens");
        let content = json!([{"type": "text", "text": "Dear"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}]);
        assert_eq!(message["content"], content);
    }
}

#[tokio::test]
async fn a_response_that_does_not_end_is_given_up_before_it_fills_the_pod() {
    let endless = Answer::Stream(vec![token(&"x".repeat(1 << 19))], End::Never);
    let (fake, world) = world(endless).await;
    let asked = asks_response(json!({"stream": true}));
    let told = post(&world, "responses", &asked)
        .await
        .text()
        .await
        .unwrap();
    let (_, last) = told.rsplit_once("event: response.failed\ndata: ").unwrap();
    let last: Value = serde_json::from_str(last.trim_end()).unwrap();
    assert_eq!(last["response"]["error"]["code"], "upstream_malformed");
    let message = last["response"]["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("it is longer than 8192 KiB"), "{message}");
    until("the model's end", || fake.cancelled() == 1).await;
}

#[tokio::test]
async fn usage_that_comes_without_text_is_told_all_the_same() {
    let pieces = vec![
        role(),
        stop(),
        usage_chunk(9, 0),
        crate::fake::DONE.to_owned(),
    ];
    let (_, world) = world(Answer::Stream(pieces, End::Close)).await;
    let response = post(&world, "messages", &messages(json!({"stream": true}))).await;
    let told = events(&response.text().await.unwrap());
    let delta = told.iter().find(|event| event["type"] == "message_delta");
    assert_eq!(delta.unwrap()["usage"]["input_tokens"], 9);
    assert_eq!(delta.unwrap()["delta"]["stop_reason"], "end_turn");
}
