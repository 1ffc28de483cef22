//! In which order a judged stream is told, on every face: thoughts, text, calls of tools, each whole.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, DONE, End, Fake},
    shield::{WORD, no_word, post, question, world},
    world::model,
};

/// What a face was told, in order: its kind, and its words.
type Told = Vec<(String, String)>;

/// The events of a golden input of the converters.
fn golden(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chunks-to-message");
    let stream = fs::read_to_string(folder.join(name)).unwrap();
    let events = stream.split_inclusive("\n\n").map(str::to_owned);
    events.collect()
}

fn chunk(delta: Value, reason: Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    format!(
        "data: {}\n\n",
        json!({"id": "c", "model": "up", "choices": [choice]})
    )
}

/// A stream of these deltas, which ends.
fn of(deltas: Vec<Value>) -> Vec<String> {
    let deltas = deltas.into_iter();
    let chunks = deltas.map(|delta| chunk(delta, Value::Null));
    let end = chunk(json!({}), json!("tool_calls"));
    chunks.chain([end, DONE.to_owned()]).collect()
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({"index": index, "id": id, "type": "function",
        "function": {"name": name, "arguments": arguments}})
}

fn more(index: u64, arguments: &str) -> Value {
    json!({"index": index, "function": {"arguments": arguments}})
}

fn calls(calls: Vec<Value>) -> Value {
    json!({ "tool_calls": calls })
}

fn data(heard: &str) -> Vec<Value> {
    let data = heard.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn add(told: &mut Told, kind: &str, text: &str) {
    match told.last_mut() {
        Some((last, said)) if last == kind => said.push_str(text),
        _ => told.push((kind.to_owned(), text.to_owned())),
    }
}

fn told_of_chat(heard: &str) -> Told {
    assert!(heard.ends_with(DONE), "{heard}");
    let mut told = Told::new();
    for chunk in data(heard) {
        let delta = &chunk["choices"][0]["delta"];
        for (field, kind) in [("reasoning_content", "thoughts"), ("content", "text")] {
            if let Some(text) = delta[field].as_str().filter(|text| !text.is_empty()) {
                add(&mut told, kind, text);
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            let kind = function["name"].as_str().expect("a call that is whole");
            add(&mut told, kind, function["arguments"].as_str().unwrap());
        }
    }
    told
}

fn told_of_message(heard: &str) -> Told {
    assert!(heard.contains("event: message_stop"), "{heard}");
    let mut told = Told::new();
    for event in data(heard) {
        if event["type"] == "content_block_start" {
            let block = &event["content_block"];
            let kind = match block["type"].as_str().unwrap() {
                "thinking" => "thoughts",
                "tool_use" => block["name"].as_str().unwrap(),
                kind => kind,
            };
            told.push((kind.to_owned(), String::new()));
        }
        for field in ["thinking", "text", "partial_json"] {
            if let Some(text) = event["delta"][field].as_str() {
                told.last_mut().unwrap().1.push_str(text);
            }
        }
    }
    told
}

fn told_of_response(heard: &str) -> Told {
    let events = data(heard);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed", "{heard}");
    let items = last["response"]["output"].as_array().unwrap().iter();
    let text = |text: &Value| text.as_str().unwrap().to_owned();
    let item = |item: &Value| match item["type"].as_str().unwrap() {
        "reasoning" => ("thoughts".to_owned(), text(&item["content"][0]["text"])),
        "message" => ("text".to_owned(), text(&item["content"][0]["text"])),
        _ => (text(&item["name"]), text(&item["arguments"])),
    };
    items.map(item).collect()
}

fn weather_and_clock() -> Vec<(&'static str, &'static str)> {
    vec![("weather", r#"{"city":"Köln"}"#), ("clock", "{}")]
}

#[rstest]
#[case::text_and_tools(golden("tools.in.sse"), vec![("text", "I look."),
    ("weather", r#"{"city":"Köln"}"#), ("clock", "{}")])]
#[case::thoughts_and_tools(golden("thoughts.in.sse"), vec![("thoughts", "I must look."), ("text", "I look."),
    ("weather", "{}")])]
#[case::parallel_tools(of(vec![
    calls(vec![call(0, "1", "weather", "{\"city\":"), call(1, "2", "clock", "")]),
    calls(vec![more(0, "\"Köln\"}"), more(1, "{}")])]), weather_and_clock())]
#[case::tools_in_turn(of(vec![
    calls(vec![call(1, "2", "clock", "{")]), calls(vec![call(0, "1", "weather", "{\"city\":")]),
    calls(vec![more(1, "}")]), calls(vec![more(0, "\"Köln\"}")])]), weather_and_clock())]
#[case::a_name_in_pieces(of(vec![calls(vec![call(0, "1", "wea", "")]),
    calls(vec![json!({"index": 0, "function": {"name": "ther", "arguments": "{}"}})])]),
    vec![("weather", "{}")])]
#[case::a_name_with_each_piece(of(vec![calls(vec![call(0, "1", "clock", "{")]),
    calls(vec![call(0, "1", "clock", "}")])]), vec![("clock", "{}")])]
#[case::text_behind_a_tool(of(vec![json!({"content": "I "}), calls(vec![call(0, "1", "clock", "{}")]),
    json!({"content": "look."})]), vec![("text", "I look."), ("clock", "{}")])]
#[case::both_at_once(of(vec![json!({"content": "I look.", "reasoning_content": "I must look."})]),
    vec![("thoughts", "I must look."), ("text", "I look.")])]
#[case::both_names_of_thoughts(of(vec![
    json!({"reasoning": "I must ", "reasoning_content": "I must "}),
    json!({"reasoning": "look.", "reasoning_content": "look."}), json!({"content": "I look."})]),
    vec![("thoughts", "I must look."), ("text", "I look.")])]
#[case::an_empty_reason(vec![chunk(json!({"content": "I "}), json!("")),
    chunk(json!({"content": "look."}), json!("")), chunk(json!({}), json!("stop")), DONE.to_owned()],
    vec![("text", "I look.")])]
#[tokio::test]
async fn a_judged_stream_is_told_in_order_on_every_face(
    #[case] events: Vec<String>,
    #[case] expected: Vec<(&str, &str)>,
) {
    for path in ["chat/completions", "messages", "responses"] {
        let fake = Fake::start(vec![Answer::Stream(events.clone(), End::Close)]).await;
        let world = world(model("m", &fake.address), no_word("Block")).await;
        let heard = post(&world, path, &question(path, true)).await;
        let heard = heard.text().await.unwrap();
        let told = match path {
            "messages" => told_of_message(&heard),
            "responses" => told_of_response(&heard),
            _ => told_of_chat(&heard),
        };
        let told: Vec<_> = told.iter().map(|(k, t)| (k.as_str(), t.as_str())).collect();
        assert_eq!(told, expected, "{path}: {heard}");
    }
}

#[rstest]
#[case::in_a_name(of(vec![calls(vec![call(0, "1", "Ac", "")]),
    calls(vec![json!({"index": 0, "function": {"name": "me", "arguments": "{}"}})])]))]
#[case::in_arguments_in_turn(of(vec![
    calls(vec![call(0, "1", "f", "{\"a\":\"Ac"), call(1, "2", "g", "{}")]), calls(vec![more(0, "me\"}")])]))]
#[case::around_thoughts(of(vec![json!({"content": "The Ac"}), json!({"reasoning_content": "Hm."}),
    json!({"content": "me"})]))]
#[case::behind_other_text(of(vec![json!({"reasoning_content": "Hm."}), json!({"content": "Well. "}),
    json!({"reasoning_content": " The Acme"})]))]
#[tokio::test]
async fn no_order_of_pieces_hides_a_word(#[case] events: Vec<String>) {
    for path in ["chat/completions", "messages", "responses"] {
        let fake = Fake::start(vec![Answer::Stream(events.clone(), End::Close)]).await;
        let world = world(model("m", &fake.address), no_word("Block")).await;
        let heard = post(&world, path, &question(path, true)).await;
        let heard = heard.text().await.unwrap();
        assert!(heard.contains("answer_blocked"), "{path}: {heard}");
        assert!(!heard.contains(WORD), "{path}: {heard}");
    }
}
