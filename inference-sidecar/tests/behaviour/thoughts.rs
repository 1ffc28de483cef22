//! Models that think aloud, such as `DeepSeek`'s: they refuse a turn whose thoughts do not come back with its calls of
//! tools, so nothing on the way may lose them.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, DONE, End, Fake, json_answer, stop},
    strict::{Strict, asked, said},
    world::{World, chat, header, ingress, model, with},
};

/// Two hops before the fake.
async fn world(fake: &Fake) -> World {
    let body = model("m", &fake.address);
    let endpoint = ingress(&body).await;
    World::start(
        vec![with(body, "endpoint", json!(endpoint))],
        json!([{"model": "m"}]),
    )
    .await
}

fn thinking() -> Value {
    json!({"role": "assistant", "content": null, "reasoning_content": "She likes \u{1f600}.",
        "tool_calls": [{"id": "t", "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\":\"Bonn\"}"}}]})
}

#[tokio::test]
async fn thoughts_come_back_to_the_model_as_it_told_them() {
    let completion = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": thinking(), "finish_reason": "tool_calls"}]});
    let fake = Fake::start(vec![json_answer(200, &completion)]).await;
    let world = world(&fake).await;
    let answer = world.call(&chat(json!({}))).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let message = &answer["choices"][0]["message"];
    assert_eq!(*message, thinking());

    let turn = json!([{"role": "user", "content": "Invite her."}, message,
        {"role": "tool", "tool_call_id": "t", "content": "21"}]);
    // Ignored by such models, and theirs to ignore.
    let next = chat(json!({"messages": turn, "temperature": 0.7, "thinking": {"type": "enabled"}}));
    world.call(&next).send().await.unwrap();
    let came = fake.body(1);
    for field in ["messages", "temperature", "thinking"] {
        assert_eq!(came[field], next[field]);
    }
}

#[tokio::test]
async fn streamed_thoughts_pass_byte_for_byte() {
    let thought = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\
        \"delta\":{\"content\":null,\"reasoning_content\":\"She likes\"}}]}\n\n";
    let pieces = vec![thought.to_owned(), stop(), DONE.to_owned()];
    let fake = Fake::start(vec![Answer::Stream(pieces.clone(), End::Close)]).await;
    let world = world(&fake).await;
    let answer = world
        .call(&chat(json!({"stream": true})))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), pieces.concat());
}

/// Refuses turns with calls of tools whose thoughts do not come back.
fn deepseek(body: &Value) -> Option<Value> {
    let messages = body["messages"].as_array()?;
    let forgot = messages
        .iter()
        .any(|message| !message["tool_calls"].is_null() && message["reasoning_content"].is_null());
    forgot.then(|| {
        json!({"error": {"type": "invalid_request_error", "param": null, "code": "invalid_request_error",
            "message": "The reasoning_content in the thinking mode must be passed back to the API."}})
    })
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

#[tokio::test]
async fn thoughts_come_back_through_messages() {
    let (model, world) = Strict::saying(said(thinking()), "OpenAI", deepseek).await;
    let ask = async |turns: Value| {
        let body = json!({"model": "auto", "max_tokens": 9, "messages": turns});
        let answer = asked(&world, "messages", &body).await;
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let user = json!({"role": "user", "content": "Invite her."});
    let (_, answer) = ask(json!([user])).await;
    assert_eq!(answer["content"][0]["thinking"], "She likes \u{1f600}.");
    let result = json!({"role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t", "content": "21"}]});
    let turn = |content: &Value| json!([user, {"role": "assistant", "content": content}, result]);

    let (status, told) = ask(turn(&answer["content"])).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(model.last()["messages"][1], thinking());

    let forgotten = json!([answer["content"][1]]);
    let (status, told) = ask(turn(&forgotten)).await;
    assert_eq!(status, 400);
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("must be passed back"), "{told}");
}

#[tokio::test]
async fn thoughts_come_back_through_responses() {
    let (model, world) = Strict::saying(said(thinking()), "OpenAI", deepseek).await;
    let ask = async |input: Vec<Value>| {
        let body = json!({"model": "auto", "input": input});
        let answer = asked(&world, "responses", &body).await;
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let mut turns = vec![json!({"role": "user", "content": "Invite her."})];
    let (_, answer) = ask(turns.clone()).await;
    assert_eq!(answer["output"][0]["type"], "reasoning");
    turns.extend(list(&answer["output"]));
    turns.push(json!({"type": "function_call_output", "call_id": "t", "output": "21"}));

    let (status, told) = ask(turns).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(model.last()["messages"][1], thinking());
}

/// A document may go to another provider from one turn to the next.
#[tokio::test]
async fn unsigned_thoughts_never_reach_a_provider_that_signs_its_own() {
    let (claude, world) = Strict::world("Anthropic", |_| None).await;
    let text = json!({"type": "text", "text": "Dear"});
    let signed = json!({"type": "thinking", "thinking": "b", "signature": "c2ln"});
    let unsigned = json!({"type": "thinking", "thinking": "a", "signature": "aios:unsigned"});
    let turns = |content: Value| {
        json!({"model": "auto", "max_tokens": 9, "messages": [
            {"role": "user", "content": "Write."}, {"role": "assistant", "content": content},
            {"role": "user", "content": "On."}]})
    };
    let mixed = turns(json!([unsigned, signed, text]));
    let answer = asked(&world, "messages", &mixed).await;
    assert_eq!(header(&answer, "aios-dropped"), "thinking");
    assert_eq!(
        claude.last()["messages"][1]["content"],
        json!([signed, text])
    );

    let answer = asked(&world, "messages", &turns(json!([signed, text]))).await;
    assert_eq!(header(&answer, "aios-dropped"), "");
    assert_eq!(
        claude.last()["messages"][1]["content"],
        json!([signed, text])
    );

    let of_chat = chat(json!({"messages": [{"role": "user", "content": "Write."},
        {"role": "assistant", "content": "Dear", "reasoning_content": "a"},
        {"role": "user", "content": "On."}]}));
    let answer = asked(&world, "chat/completions", &of_chat).await;
    assert_eq!(
        header(&answer, "aios-dropped"),
        "messages.reasoning_content"
    );
    assert_eq!(claude.last()["messages"][1]["content"], json!([text]));
}
