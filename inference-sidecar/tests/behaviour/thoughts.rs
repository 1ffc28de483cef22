//! Models that think aloud, such as `DeepSeek`'s: they refuse a turn whose thoughts do not come back with its calls of
//! tools, so nothing on the way may lose them.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, DONE, End, Fake, json_answer, stop},
    world::{World, chat, ingress, model, with},
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
