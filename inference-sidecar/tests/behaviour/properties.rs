//! What holds for any input of the converters: text survives, and nothing makes them panic.

use aios_inference_sidecar::{
    dialect::{
        anthropic::{self, Translator, inbound},
        openai::{Observer, Operation, Request, Tokens},
        responses,
    },
    sse::{Event, Splitter},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use crate::world::joined;

/// A stream of chunks that say the pieces, and its end.
fn chunks(pieces: &[String]) -> Vec<String> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "c", "model": "up",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        .to_string()
    };
    let mut chunks = vec![chunk(json!({"role": "assistant"}), Value::Null)];
    chunks.extend(
        pieces
            .iter()
            .map(|piece| chunk(json!({ "content": piece }), Value::Null)),
    );
    chunks.push(chunk(json!({}), json!("stop")));
    chunks
}

pub fn data(stream: &[u8]) -> Vec<Value> {
    let events = Splitter::default().push(stream).unwrap();
    events
        .iter()
        .filter_map(|event| serde_json::from_str(event.data.as_deref()?).ok())
        .collect()
}

/// Any JSON, with the names and words that converters look for more often than chance has them.
pub fn json_like() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "text",
        "user",
        "assistant",
        "system",
        "tool",
        "function",
        "tool_use",
        "tool_result",
        "image",
        "image_url",
        "message",
        "auto",
        "json_schema",
        "function_call",
        "refusal",
        "stop",
        "base64",
        "{}",
        "any",
        "custom",
    ]);
    let name = prop::sample::select(vec![
        "model",
        "messages",
        "role",
        "content",
        "type",
        "text",
        "tools",
        "name",
        "input",
        "id",
        "function",
        "arguments",
        "tool_calls",
        "choices",
        "delta",
        "message",
        "usage",
        "system",
        "finish_reason",
        "prompt_tokens",
        "max_tokens",
        "stream",
        "tool_choice",
        "image_url",
        "url",
        "source",
        "instructions",
        "call_id",
        "output",
        "format",
        "schema",
        "index",
        "refusal",
        "tool_call_id",
        "tool_use_id",
        "response_format",
        "reasoning",
        "metadata",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, move |inner| {
        let fields = vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            fields.prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn text_survives_the_way_to_every_dialect(pieces in vec(".{0,12}", 0..12)) {
        let whole = pieces.concat();
        let mut messages = inbound::Writer::new(1);
        let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).unwrap();
        let mut response = responses::Writer::new(envelope, 1, 0);
        let (mut as_message, mut as_response) = (Vec::new(), Vec::new());
        for chunk in chunks(&pieces) {
            as_message.extend_from_slice(&messages.push(&chunk).unwrap());
            as_response.extend_from_slice(&response.push(&chunk).unwrap());
        }
        as_message.extend_from_slice(&messages.end());
        as_response.extend_from_slice(&response.end());

        let told = data(&as_message);
        prop_assert_eq!(joined(&told, "content_block_delta", "/delta/text"), whole.clone());
        let told = data(&as_response);
        prop_assert_eq!(joined(&told, "response.output_text.delta", "/delta"), whole.clone());
        prop_assert_eq!(joined(&told, "response.output_text.done", "/text"), whole.clone());

        // And back again.
        let mut translator = Translator::new(0, false);
        let mut back = Vec::new();
        for event in Splitter::default().push(&as_message).unwrap() {
            back.extend_from_slice(&translator.push(&event).unwrap());
        }
        let said: String = data(&back)
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        prop_assert_eq!(said, whole);
    }

    #[test]
    fn a_conversation_survives_the_way_there_and_back(
        turns in vec((".{1,12}", ".{1,12}", "[a-z]{1,8}", "[a-zA-Z]{0,8}"), 0..5),
        last in ".{1,12}",
    ) {
        let mut messages = Vec::new();
        for (index, (asked, said, tool, argument)) in turns.iter().enumerate() {
            let id = format!("t{index}");
            messages.push(json!({"role": "user", "content": [{"type": "text", "text": asked}]}));
            messages.push(json!({"role": "assistant", "content": [
                {"type": "text", "text": said},
                {"type": "tool_use", "id": id, "name": tool, "input": {"of": argument}},
            ]}));
            messages.push(json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": id,
                    "content": [{"type": "text", "text": asked}]},
            ]}));
        }
        messages.push(json!({"role": "user", "content": [{"type": "text", "text": last}]}));
        let request = json!({"model": "m", "max_tokens": 9, "messages": messages});
        let chat = inbound::to_chat(request.to_string().as_bytes()).unwrap();
        prop_assert!(chat.dropped.is_empty());
        let back = anthropic::to_messages(chat.body.to_string().as_bytes(), "m", 9).unwrap();
        prop_assert_eq!(&back.body["messages"], &request["messages"]);
    }

    #[test]
    fn no_body_makes_a_converter_panic(body in json_like()) {
        let bytes = body.to_string();
        let bytes = bytes.as_bytes();
        let counted = Tokens::estimated(1, 1);
        let _ = inbound::to_chat(bytes).map(|chat| Request::of_chat(&chat));
        let _ = inbound::to_message(bytes, counted);
        let _ = anthropic::to_messages(bytes, "m", 9);
        let _ = anthropic::to_completion(bytes, 0);
        let _ = anthropic::read(bytes);
        if let Ok((chat, envelope)) = responses::to_chat(bytes) {
            let _ = Request::of_chat(&chat);
            let _ = envelope.to_response(bytes, counted);
        }
        for operation in [Operation::Chat, Operation::Embeddings, Operation::Messages] {
            let _ = Request::parse(operation, bytes.to_vec().into());
        }
    }

    #[test]
    fn no_event_makes_a_reader_panic(events in vec(json_like(), 1..6)) {
        let mut writer = inbound::Writer::new(1);
        let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).unwrap();
        let mut response = responses::Writer::new(envelope, 1, 0);
        let mut translator = Translator::new(0, true);
        let mut observers = [Operation::Chat, Operation::Messages].map(Observer::of);
        for event in &events {
            let event = event.to_string();
            let _ = writer.push(&event);
            let _ = response.push(&event);
            let _ = translator.push(&Event::of_data(&event));
            for observer in &mut observers {
                observer.see(&Event::of_data(&event));
            }
        }
        writer.end();
        response.end();
    }
}
