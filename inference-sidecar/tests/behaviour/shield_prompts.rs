//! Policy on what models are asked: on every channel of every face.

use aios_proto::control::{ItemKind, Snapshot};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{Fake, completion, json_answer},
    shield::{SAID, WORD, of_texts, post, world},
    world::{World, chat, header, ingress, item, model, with},
};

#[rstest]
#[case::chat("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": SAID}]}))]
#[case::parts("chat/completions", json!({"model": "auto", "messages": [{"role": "user",
    "content": [{"type": "text", "text": SAID}]}]}))]
#[case::tools("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": "a"}],
    "tools": [{"type": "function", "function": {"name": "f", "description": SAID, "parameters": {}}}]}))]
#[case::arguments("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": "a"},
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": "{\"say\":\"the A\\u0063me Bank is near\"}"}}]}]}))]
#[case::system("messages", json!({"model": "auto", "max_tokens": 9, "system": SAID,
    "messages": [{"role": "user", "content": "a"}]}))]
#[case::given_to_a_tool("messages", json!({"model": "auto", "max_tokens": 9, "messages": [
    {"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "1",
        "name": "f", "input": {"the Acme Bank is near": 7}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "b"}]}]}))]
#[case::told_by_a_tool("messages", json!({"model": "auto", "max_tokens": 9, "messages": [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": SAID}]}]}))]
#[case::name_in_a_schema("chat/completions", json!({"model": "auto",
    "messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {"the Acme Bank is near": {"type": "string"}}}}}]}))]
#[case::input("responses", json!({"model": "auto", "input": SAID}))]
#[case::item_of_input("responses", json!({"model": "auto", "input": [
    {"role": "user", "content": [{"type": "input_text", "text": SAID}]}]}))]
#[case::instructions("responses", json!({"model": "auto", "instructions": SAID, "input": "a"}))]
#[tokio::test]
async fn every_channel_of_a_prompt_is_judged(#[case] path: &str, #[case] body: Value) {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rule = |action: &str| json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Prompt"]}]);
    let blocking = world(model("m", &fake.address), rule("Block")).await;
    let response = post(&blocking, path, &body).await;
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, "x-should-retry"), "false");
    assert!(response.text().await.unwrap().contains("prompt_blocked"));
    assert_eq!(fake.calls(), 0);
    let redacting = world(model("m", &fake.address), rule("Redact")).await;
    let response = post(&redacting, path, &body).await;
    let verdict = header(&response, "aios-policy-verdict").to_owned();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert!(verdict.starts_with("Redact"));
    let asked = fake.body(0).to_string();
    assert!(asked.contains("the [removed] Bank is near"), "{asked}");
    assert!(!asked.contains(WORD) && !asked.contains("u0063"), "{asked}");
}

/// A message whose content is these parts.
fn of_parts(parts: Value) -> Value {
    json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": parts}]})
}

#[rstest]
#[case::a_document("messages", of_parts(json!([{"type": "document", "source": {"type": "text",
    "media_type": "text/plain", "data": format!("{}Acme", "近".repeat(90))}}])))]
#[case::a_file("chat/completions", of_parts(json!([{"type": "file", "file": {
    "file_data": "data:text/plain;base64,dGhlIEFjbWUgQmFuaw=="}}])))]
#[case::an_address("chat/completions", of_parts(json!([{"type": "image_url", "image_url": {
    "url": format!("data:text/plain,Acme.{}", "x".repeat(300))}}])))]
#[case::letters_of_base64_in_an_address("chat/completions", of_parts(json!([{"type": "image_url",
    "image_url": {"url": format!("the/Acme/Bank/{}", "x".repeat(300))}}])))]
#[case::parts("chat/completions", of_parts(json!([{"type": "text", "text": "the Ac"},
    {"type": "text", "text": "me Bank"}])))]
#[case::a_name_in_a_field_of_a_server("chat/completions",
    chat(json!({"guided_json": {"properties": {"the Acme Bank": {}}}})))]
#[case::a_name_of_a_setting("chat/completions", chat(json!({"chat_template_kwargs": {"Acme": 1}})))]
#[case::a_name_of_a_field("chat/completions", chat(json!({"the Acme Bank": true})))]
#[case::the_end("chat/completions", chat(json!({"stop": ["Acme"]})))]
#[case::metadata("chat/completions", chat(json!({"metadata": {"for": "Acme"}})))]
#[case::cut_arguments("chat/completions", json!({"model": "auto", "messages": [
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": "{\"say\":\"the A\\u0063me Bank"}}]}]}))]
#[case::to_be_moderated("moderations", json!({"model": "m", "input": [{"type": "text", "text": "Acme"}]}))]
#[tokio::test]
async fn no_place_in_a_prompt_hides_a_word(#[case] path: &str, #[case] body: Value) {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block", "calls": ["Prompt"]}]);
    let world = world(model("m", &fake.address), rules).await;
    let response = post(&world, path, &body).await;
    let told = response.text().await.unwrap();
    assert!(told.contains("prompt_blocked"), "{told}");
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn a_word_across_parts_or_in_base64_is_taken_out() {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Redact", "calls": ["Prompt"]}]);
    let world = world(model("m", &fake.address), rules).await;
    let body = of_parts(
        json!([{"type": "text", "text": "the Ac"}, {"type": "text", "text": "me Bank"},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,dGhlIEFjbWUgQmFuaw=="}},
        {"type": "text", "text": "is near."}]),
    );
    let response = post(&world, "chat/completions", &body).await;
    assert_eq!(response.status(), 200);
    let expected = json!([{"type": "text", "text": "the [removed] Bank"},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,dGhlIFtyZW1vdmVkXSBCYW5r"}},
        {"type": "text", "text": "is near."}]);
    assert_eq!(fake.body(0)["messages"][0]["content"], expected);
}

#[tokio::test]
async fn a_prompt_that_is_counted_is_judged() {
    let fake = Fake::start(vec![json_answer(200, &json!({"input_tokens": 17}))]).await;
    let model = model("m", &fake.address);
    let model = with(model, "upstream.dialect", json!("Anthropic"));
    let model = with(model.clone(), "endpoint", json!(ingress(&model).await));
    let rule = |action: &str| json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Prompt"]}]);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": SAID}]});
    let path = "messages/count_tokens";
    let blocking = world(model.clone(), rule("Block")).await;
    let response = post(&blocking, path, &body).await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("prompt_blocked"));
    assert_eq!(fake.calls(), 0);
    let redacting = world(model, rule("Redact")).await;
    let response = post(&redacting, path, &body).await;
    assert!(header(&response, "aios-policy-verdict").starts_with("Redact"));
    assert_eq!(response.json::<Value>().await.unwrap()["input_tokens"], 17);
    let asked = fake.body(0).to_string();
    assert!(
        asked.contains("[removed]") && !asked.contains(WORD),
        "{asked}"
    );
}

#[tokio::test]
async fn texts_to_embed_are_judged_and_token_ids_refused() {
    let fake = Fake::start(vec![]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block", "calls": ["Prompt"]}]);
    let policy = json!({"name": "all", "scope": "Cluster", "rules": rules, "review": {}});
    let world = World::unconfigured().await;
    let items = vec![
        item(ItemKind::Model, "m", &model("m", &fake.address)),
        item(ItemKind::ClusterPolicy, "all", &policy),
    ];
    world.live.apply(&Snapshot { sequence: 1, items });
    for (input, code) in [
        (json!(SAID), "prompt_blocked"),
        (json!(["Fine.", SAID]), "prompt_blocked"),
        (json!([15496, 995]), "invalid_field"),
        (json!([[15496], [995]]), "invalid_field"),
    ] {
        let url = format!("{}/v1/embeddings", world.base);
        let body = json!({"model": "m", "input": input}).to_string();
        let response = world.http.post(url).body(body).send().await.unwrap();
        assert_eq!(response.status(), 400, "{input}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{input}: {body}");
    }
    assert_eq!(fake.calls(), 0);
}

/// A server of texts is asked a text that is made of the messages: they are judged before.
#[rstest]
#[case::tensors(json!({"OpenInference": {"input": "input-0", "settings": []}}), "/v2",
    json!({"model_name": "up", "id": "1", "outputs": [
        {"name": "output-0", "shape": [1], "datatype": "BYTES", "data": ["Fine."]}]}))]
#[case::fields(json!({"BentoML": {"input": "prompt", "output": "text"}}), "/generate", json!({"text": "Fine."}))]
#[tokio::test]
async fn a_prompt_for_a_server_of_texts_is_judged(
    #[case] dialect: Value,
    #[case] path: &str,
    #[case] answer: Value,
) {
    let (fake, model) = of_texts(dialect, path, json_answer(200, &answer)).await;
    let rule = |action: &str| json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Prompt"]}]);
    let asked = chat(json!({"messages": [{"role": "user", "content": SAID}]}));
    let blocking = world(model.clone(), rule("Block")).await;
    let told = post(&blocking, "chat/completions", &asked).await;
    assert!(told.text().await.unwrap().contains("prompt_blocked"));
    assert_eq!(fake.calls(), 0);
    let redacting = world(model, rule("Redact")).await;
    let told = post(&redacting, "chat/completions", &asked).await;
    assert_eq!(told.status(), 200, "{}", told.text().await.unwrap());
    let heard = fake.body(0).to_string();
    assert!(
        heard.contains("the [removed] Bank is near") && !heard.contains(WORD),
        "{heard}"
    );
}
