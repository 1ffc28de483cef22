//! Models that refuse what others of their dialect take, before servers as strict as their providers': with their words.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    strict::{Strict, Strictness, asked},
    world::{chat, header},
};

fn of_anthropic(message: &str) -> Value {
    json!({"type": "error", "request_id": "req_1",
        "error": {"type": "invalid_request_error", "message": message}})
}

/// Claude from 4.7 on.
fn newer_claude(body: &Value) -> Option<Value> {
    let settings = ["temperature", "top_p", "top_k"];
    if let Some(name) = settings.iter().find(|name| !body[**name].is_null()) {
        let message = format!("`{name}` is deprecated for this model.");
        return Some(of_anthropic(&message));
    }
    if body["thinking"]["type"] == "enabled" {
        return Some(of_anthropic(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior.",
        ));
    }
    let last = body["messages"].as_array()?.last()?;
    if last["role"] == "assistant" {
        return Some(of_anthropic(
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ));
    }
    None
}

/// Claude from 4.1 to 4.5.
fn older_claude(body: &Value) -> Option<Value> {
    if body["thinking"]["type"] == "adaptive" {
        return Some(of_anthropic(
            "adaptive thinking is not supported on this model",
        ));
    }
    if !body["output_config"]["effort"].is_null() {
        return Some(of_anthropic(
            "This model does not support the effort parameter.",
        ));
    }
    if body["temperature"].is_null() || body["top_p"].is_null() {
        return None;
    }
    Some(of_anthropic(
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
    ))
}

/// OpenAI's models that reason.
fn reasoning_gpt(body: &Value) -> Option<Value> {
    if body["temperature"].is_null() {
        return None;
    }
    Some(
        json!({"error": {"type": "invalid_request_error", "param": "temperature",
        "code": "unsupported_value", "message": "Unsupported value: 'temperature' does not support \
            0.4 with this model. Only the default (1) value is supported."}}),
    )
}

/// Servers that know each field of a message.
fn without_thoughts(body: &Value) -> Option<Value> {
    let messages = body["messages"].as_array()?;
    let index = messages
        .iter()
        .position(|message| !message["reasoning_content"].is_null())?;
    Some(json!({"error": {"type": "invalid_request_error", "message":
        format!("'messages.{index}': property 'reasoning_content' is unsupported")}}))
}

fn question(face: &str, extra: Value) -> Value {
    let mut body = chat(extra);
    if face == "messages" {
        body["max_tokens"] = json!(9);
    }
    body
}

#[rstest]
#[case::chat("chat/completions", "Anthropic", newer_claude,
    json!({"temperature": 0.4, "top_p": 0.9}), "temperature, top_p", json!([null, null]))]
#[case::messages("messages", "Anthropic", newer_claude,
    json!({"temperature": 0.4, "top_k": 5}), "temperature, top_k", json!([null, null]))]
#[case::one_sampler("chat/completions", "Anthropic", older_claude,
    json!({"temperature": 0.4, "top_p": 0.9}), "top_p", json!([0.4, null]))]
#[case::reasoning("chat/completions", "OpenAI", reasoning_gpt,
    json!({"temperature": 0.4, "top_p": 0.9}), "temperature", json!([null, 0.9]))]
#[tokio::test]
async fn settings_that_a_model_refuses_are_left_out_by_name_and_learnt(
    #[case] face: &str,
    #[case] dialect: &str,
    #[case] refuses: Strictness,
    #[case] settings: Value,
    #[case] dropped: &str,
    #[case] left: Value,
) {
    let (strict, world) = Strict::world(dialect, refuses).await;
    let body = question(face, settings);
    let first = asked(&world, face, &body).await;
    assert_eq!(first.status(), 200, "{}", first.text().await.unwrap());
    assert_eq!(header(&first, "aios-dropped"), dropped);
    assert_eq!(header(&first, "aios-attempts"), "1");
    let learning = strict.calls();
    assert!(learning > 1);

    let second = asked(&world, face, &body).await;
    assert_eq!(header(&second, "aios-dropped"), dropped);
    assert_eq!(strict.calls(), learning + 1, "it was asked in vain again");
    let last = strict.last();
    assert_eq!(json!([last["temperature"], last["top_p"]]), left);
}

#[rstest]
#[case::newer(newer_claude, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    "thinking.budget_tokens", json!([{"type": "adaptive", "display": "summarized"}, null]))]
#[case::older(older_claude,
    json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
    "thinking, output_config.effort", json!([null, null]))]
#[case::its_own_way(newer_claude,
    json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
    "", json!([{"type": "adaptive"}, {"effort": "low"}]))]
#[tokio::test]
async fn a_model_thinks_in_the_way_that_it_knows_whichever_it_is_asked_for(
    #[case] refuses: Strictness,
    #[case] thinking: Value,
    #[case] dropped: &str,
    #[case] told: Value,
) {
    let (strict, world) = Strict::world("Anthropic", refuses).await;
    let body = question("messages", thinking);
    let mut learnt = 0;
    for _ in 0..2 {
        let before = strict.calls();
        let answer = asked(&world, "messages", &body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let named = answer.headers().get("aios-dropped");
        assert_eq!(named.map_or("", |named| named.to_str().unwrap()), dropped);
        assert_eq!(header(&answer, "aios-attempts"), "1");
        let last = strict.last();
        assert_eq!(json!([last["thinking"], last["output_config"]]), told);
        learnt = strict.calls() - before;
    }
    assert_eq!(learnt, 1, "it was asked in vain again");
}

#[tokio::test]
async fn a_lone_sampler_goes_on_where_two_do_not() {
    let (strict, world) = Strict::world("Anthropic", older_claude).await;
    for settings in [
        json!({"temperature": 0.4, "top_p": 0.9}),
        json!({"top_p": 0.9}),
    ] {
        let body = question("chat/completions", settings);
        assert_eq!(asked(&world, "chat/completions", &body).await.status(), 200);
    }
    assert_eq!(strict.last()["top_p"], 0.9);
}

#[rstest]
#[case("chat/completions")]
#[case("messages")]
#[tokio::test]
async fn a_beginning_of_the_answer_is_refused_by_name_and_then_without_asking(#[case] face: &str) {
    let (strict, world) = Strict::world("Anthropic", newer_claude).await;
    let body = question(
        face,
        json!({"messages": [{"role": "user", "content": "Write."},
            {"role": "assistant", "content": "Dear"}]}),
    );
    for _ in 0..2 {
        let refused = asked(&world, face, &body).await;
        assert_eq!(refused.status(), 400);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(
            refused["error"]["code"], "unsupported_by_model",
            "{refused}"
        );
        assert_eq!(refused["error"]["param"], "messages[1].role");
        assert_eq!(strict.calls(), 1);
    }
}

#[tokio::test]
async fn thoughts_are_left_out_by_name_where_a_server_knows_none() {
    let (strict, world) = Strict::world("OpenAI", without_thoughts).await;
    let body = chat(json!({"messages": [{"role": "user", "content": "Write."},
        {"role": "assistant", "content": "Dear", "reasoning_content": "hm"},
        {"role": "user", "content": "On."}]}));
    for calls in [2, 3] {
        let answer = asked(&world, "chat/completions", &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            header(&answer, "aios-dropped"),
            "messages.reasoning_content"
        );
        assert_eq!(strict.calls(), calls);
    }
    assert_eq!(
        strict.last()["messages"][1],
        json!({"role": "assistant", "content": "Dear"})
    );
}

/// A refusal of something else is the caller's to read.
#[tokio::test]
async fn what_cannot_be_left_out_is_refused_once() {
    let refuses: Strictness = |_| Some(of_anthropic("`temperature` is deprecated for this model."));
    let (strict, world) = Strict::world("Anthropic", refuses).await;
    let refused = asked(
        &world,
        "chat/completions",
        &question("chat/completions", json!({})),
    )
    .await;
    assert_eq!(refused.status(), 400);
    assert_eq!(strict.calls(), 1);
}
