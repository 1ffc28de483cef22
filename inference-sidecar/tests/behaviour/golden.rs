//! What each converter makes of committed examples: `NAME.in.*` gives `NAME.out.*` in a folder a converter.
//! With `UPDATE_GOLDEN=1` the latter are written anew, to be read before they are committed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aios_inference_sidecar::{
    dialect::{
        anthropic::{self, Translator, inbound},
        openai::Tokens,
        responses,
        text::{Protocol, Speech},
    },
    sse::Splitter,
};
use aios_proto::config::TextShape;
use rstest::rstest;
use serde_json::{Value, json};

const CREATED: u64 = 1_700_000_000;

fn estimated() -> Tokens {
    Tokens::estimated(11, 5)
}

fn messages_to_chat(body: &str) -> String {
    let chat = inbound::to_chat(body.as_bytes()).unwrap();
    shown(&json!({"body": chat.body, "cap": chat.cap, "dropped": chat.dropped}))
}

fn chat_to_message(body: &str) -> String {
    shown(&inbound::to_message(body.as_bytes(), estimated()).unwrap())
}

fn chunks_to_message(stream: &str) -> String {
    let mut writer = inbound::Writer::new(11);
    let mut out = pushed(stream, |data| writer.push(data).unwrap().to_vec());
    out.extend_from_slice(&writer.end());
    String::from_utf8(out).unwrap()
}

fn responses_to_chat(body: &str) -> String {
    let (chat, _) = responses::to_chat(body.as_bytes()).unwrap();
    shown(&json!({"body": chat.body, "cap": chat.cap, "dropped": chat.dropped}))
}

/// The input is the request and its answer.
fn chat_to_response(exchange: &str) -> String {
    let exchange: Value = serde_json::from_str(exchange).unwrap();
    let (_, envelope) = responses::to_chat(exchange["request"].to_string().as_bytes()).unwrap();
    let answer = exchange["answer"].to_string();
    let response = envelope.to_response(answer.as_bytes(), estimated());
    shown(&response.unwrap())
}

fn chunks_to_response(stream: &str) -> String {
    let request = br#"{"model":"m","input":"x"}"#;
    let (_, envelope) = responses::to_chat(request).unwrap();
    let mut writer = responses::Writer::new(envelope, 11, CREATED);
    let mut out = pushed(stream, |data| writer.push(data).unwrap().to_vec());
    out.extend_from_slice(&writer.end());
    String::from_utf8(out).unwrap()
}

fn chat_to_messages(body: &str) -> String {
    let translated = anthropic::to_messages(body.as_bytes(), "claude", 512).unwrap();
    shown(&json!({"body": translated.body, "dropped": translated.dropped}))
}

fn message_to_chat(body: &str) -> String {
    shown(&anthropic::to_completion(body.as_bytes(), CREATED).unwrap())
}

fn message_to_chunks(stream: &str) -> String {
    let mut translator = Translator::new(CREATED, true);
    let mut out = Vec::new();
    for event in Splitter::default().push(stream.as_bytes()).unwrap() {
        out.extend_from_slice(&translator.push(&event).unwrap());
    }
    String::from_utf8(out).unwrap()
}

fn pushed(stream: &str, mut push: impl FnMut(&str) -> Vec<u8>) -> Vec<u8> {
    let events = Splitter::default().push(stream.as_bytes()).unwrap();
    let data = events.iter().filter_map(|event| event.data.as_deref());
    data.filter(|data| *data != "[DONE]")
        .flat_map(&mut push)
        .collect()
}

fn shown(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// The input is the shape that a server takes, the protocol and the request.
fn chat_to_text(asked: &str) -> String {
    let asked: Value = serde_json::from_str(asked).unwrap();
    let shape = serde_json::from_value(asked["shape"].clone()).unwrap();
    let speech = speech(&asked, &shape);
    let read = speech.ask(asked["request"].to_string().as_bytes(), 512);
    let read = read.unwrap();
    shown(&json!({"path": speech.path("up"), "body": speech.body(&read), "dropped": read.dropped}))
}

/// The input is the shape that a server takes, the protocol and the server's answer.
fn text_to_chat(answered: &str) -> String {
    let answered: Value = serde_json::from_str(answered).unwrap();
    let shape = serde_json::from_value(answered["shape"].clone()).unwrap();
    let body = match &answered["answer"] {
        Value::String(text) if answered["contentType"] == "text/plain" => text.clone(),
        body => body.to_string(),
    };
    let kind = answered["contentType"].as_str().unwrap();
    let answer = speech(&answered, &shape).answer(kind, body.as_bytes());
    let answer = answer.unwrap();
    let whole = answer.to_completion("up", CREATED);
    let events = String::from_utf8(answer.to_events("up", CREATED).to_vec()).unwrap();
    shown(&json!({"completion": whole, "events": events.lines().collect::<Vec<_>>()}))
}

fn speech<'a>(of: &Value, shape: &'a TextShape) -> Speech<'a> {
    let protocol = match of["protocol"].as_str().unwrap() {
        "OpenInference" => Protocol::OpenInference,
        _ => Protocol::BentoML,
    };
    Speech {
        protocol,
        shape,
        id: "call-1",
    }
}

#[rstest]
#[case("messages-to-chat", messages_to_chat)]
#[case("chat-to-message", chat_to_message)]
#[case("chunks-to-message", chunks_to_message)]
#[case("responses-to-chat", responses_to_chat)]
#[case("chat-to-response", chat_to_response)]
#[case("chunks-to-response", chunks_to_response)]
#[case("chat-to-messages", chat_to_messages)]
#[case("message-to-chat", message_to_chat)]
#[case("message-to-chunks", message_to_chunks)]
#[case("chat-to-text", chat_to_text)]
#[case("text-to-chat", text_to_chat)]
fn a_converter_makes_of_examples_what_is_committed(
    #[case] folder: &str,
    #[case] convert: fn(&str) -> String,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder);
    let inputs: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains(".in."))
        .collect();
    assert!(!inputs.is_empty(), "{}", folder.display());
    for input in inputs {
        let output = PathBuf::from(input.to_str().unwrap().replace(".in.", ".out."));
        let made = convert(&fs::read_to_string(&input).unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&output, &made).unwrap();
        }
        let committed = fs::read_to_string(&output).unwrap_or_default();
        assert_eq!(made, committed, "{}", input.display());
    }
}
