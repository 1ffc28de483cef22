//! Tokens of a prompt, counted by the model's own server where it can.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, json_answer},
    world::{World, header, ingress, model, nowhere, with},
};

fn said(answers: &[Value]) -> Vec<Answer> {
    let answers = answers.iter().map(|answer| json_answer(200, answer));
    answers.collect()
}

/// Tokens, and where the number comes from.
async fn counted(world: &World) -> (u64, String) {
    let body = json!({"model": "m", "system": "Be kind.", "tools": [],
        "messages": [{"role": "user", "content": "Write a line."}]});
    let asked = world
        .http
        .post(format!("{}/v1/messages/count_tokens", world.base))
        .header("anthropic-version", "2023-06-01")
        .body(body.to_string());
    let response = asked.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let basis = header(&response, "aios-usage").to_owned();
    let body: Value = response.json().await.unwrap();
    (body["input_tokens"].as_u64().unwrap(), basis)
}

/// An egress, and an ingress before the fake.
async fn world(fake: &Fake, dialect: &str) -> World {
    let body = with(
        model("m", &fake.address),
        "upstream.dialect",
        json!(dialect),
    );
    let endpoint = ingress(&body).await;
    let body = with(body, "endpoint", json!(endpoint));
    World::start(vec![body], json!([{"model": "m"}])).await
}

#[rstest]
#[case::anthropic("Anthropic", &[json!({"input_tokens": 17})], &["/v1/messages/count_tokens"])]
#[case::vllm("OpenAI", &[json!({"count": 17, "max_model_len": 4096, "tokens": [1, 2]})], &["/tokenize"])]
#[case::llama_cpp(
    "OpenAI",
    &[json!({"tokens": []}), json!({"prompt": "<s>Be kind."}), json!({"tokens": vec![1; 17]})],
    &["/tokenize", "/apply-template", "/tokenize"]
)]
#[tokio::test]
async fn a_server_that_counts_is_asked(
    #[case] dialect: &str,
    #[case] answers: &[Value],
    #[case] paths: &[&str],
) {
    let fake = Fake::start(said(answers)).await;
    let world = world(&fake, dialect).await;
    assert_eq!(counted(&world).await, (17, "exact".to_owned()));
    let seen: Vec<_> = (0..fake.calls()).map(|call| fake.seen(call).path).collect();
    assert_eq!(seen, paths);
    let first = fake.body(0);
    assert_eq!(first["model"], "up");
    let messages = first["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["role"], "user");
    // A conversation's system message, or the field of Anthropic's API.
    assert!(first.to_string().contains("Be kind."), "{first}");
}

#[rstest]
#[case::without_a_tokenizer("OpenAI", json_answer(404, &json!({"error": "no such address"})))]
#[case::that_says_something_else("Anthropic", json_answer(200, &json!({"tokens": 3})))]
#[case::that_fails("Anthropic", json_answer(500, &json!({})))]
#[case::that_is_no_engine("OpenAI", Answer::Plain(200, Vec::new(), "<html>".into()))]
#[tokio::test]
async fn for_a_server_that_does_not_it_is_estimated(#[case] dialect: &str, #[case] answer: Answer) {
    let fake = Fake::start(vec![answer]).await;
    let world = world(&fake, dialect).await;
    let (tokens, basis) = counted(&world).await;
    assert!(tokens > 0);
    assert_eq!(basis, "estimated");
}

#[tokio::test]
async fn a_model_that_is_away_keeps_nobody_waiting() {
    let body = model("m", &nowhere().await);
    let world = World::start(vec![body], json!([{"model": "m"}])).await;
    assert_eq!(counted(&world).await.1, "estimated");
}
