//! What holds of any answer under policy: a word that is taken out is nowhere, however it is cut, and what is told
//! can be read.

use std::sync::Arc;

use aios_crds::policy_set::CallSide;
use aios_inference_sidecar::{
    dialect::openai::Operation, metrics::Metrics, shield::Shield, snapshot::Guard, sse::Event,
};
use aios_policy::{CompiledPolicy, PolicyStack};
use http::HeaderMap;
use prometheus_client::registry::Registry;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::{
    properties::{data, json_like},
    shield::WORD,
};

/// Takes the word out of answers.
fn shield() -> Shield {
    let rules = json!([{"name": "no-rival", "pattern": {"regex": WORD}, "action": "Redact",
        "calls": ["Answer"]}]);
    let rules: Vec<_> = serde_json::from_value(rules).unwrap();
    let policy = CompiledPolicy::for_calls("house", &rules, CallSide::Answer).unwrap();
    let guard = Guard {
        prompt: None,
        answer: policy.map(|policy| PolicyStack::new(vec![Arc::new(policy)])),
        digest: "sha256:aa".to_owned(),
    };
    let metrics = Metrics::new(&mut Registry::default());
    Shield::new(Arc::new(guard), Arc::new(metrics))
}

/// What is told of the events, up to where they cannot be judged.
fn told(operation: Operation, events: &[String]) -> Vec<Value> {
    let shielded = shield().stream(operation, &mut HeaderMap::new());
    let mut shielded = shielded.unwrap();
    let mut told = Vec::new();
    for event in events {
        match shielded.push(Event::of_data(event)) {
            Ok(events) => told.extend(events),
            Err(_) => return read(&told),
        }
    }
    told.extend(shielded.finish().unwrap_or_default());
    read(&told)
}

fn read(told: &[Event]) -> Vec<Value> {
    let raw: Vec<u8> = told.iter().flat_map(|event| event.raw.to_vec()).collect();
    let read = data(&raw);
    let said = told.iter().filter(|event| event.data.is_some());
    assert_eq!(read.len(), said.count(), "each can be read");
    read
}

/// What a choice says in a field, over all events.
fn said(told: &[Value], field: &str) -> String {
    let choices = told.iter().filter_map(|event| event["choices"].as_array());
    let said = choices.flatten().map(|choice| &choice["delta"][field]);
    said.filter_map(Value::as_str).collect()
}

/// Pieces of texts in which the word is whole, cut and doubled more often than chance has it.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            WORD, "A", "Ac", "cme", "me", " ", "AcAcmeme", "\u{308}"
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z \u{8fd1}]{0,6}",
    ]
}

proptest! {
    #[test]
    fn a_word_is_taken_out_of_a_stream_however_it_is_cut(
        pieces in vec((piece(), any::<bool>()), 0..16),
    ) {
        let fields = ["content", "reasoning_content"];
        let chunk = |delta: Value, reason: Value| {
            json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
                .to_string()
        };
        let mut events: Vec<_> = pieces
            .iter()
            .map(|(piece, thinks)| chunk(json!({fields[usize::from(*thinks)]: piece}), Value::Null))
            .collect();
        events.push(chunk(json!({}), json!("stop")));
        let told = told(Operation::Chat, &events);
        for field in fields {
            let said = said(&told, field);
            prop_assert!(!said.contains(WORD), "{said}");
        }
    }

    #[test]
    fn a_stream_of_one_text_says_what_the_whole_text_would(pieces in vec(piece(), 0..16)) {
        let chunk = |delta: Value, reason: Value| {
            json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
                .to_string()
        };
        let content = |text: &str| chunk(json!({"content": text}), Value::Null);
        let end = || chunk(json!({}), json!("stop"));
        let mut cut: Vec<_> = pieces.iter().map(|piece| content(piece)).collect();
        cut.push(end());
        let whole = [content(&pieces.concat()), end()];
        let [cut, whole] =
            [&cut[..], &whole[..]].map(|events| said(&told(Operation::Chat, events), "content"));
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn no_event_makes_the_reader_of_texts_panic(
        deltas in vec(json_like(), 1..6),
        index in 0..3u64,
    ) {
        let events: Vec<_> = deltas
            .iter()
            .map(|delta| {
                let choice = json!({"index": index, "delta": delta, "finish_reason": null});
                json!({"type": "content_block_delta", "choices": [choice], "delta": delta}).to_string()
            })
            .collect();
        for operation in [Operation::Chat, Operation::Messages] {
            told(operation, &events);
        }
    }

    #[test]
    fn a_whole_answer_under_policy_is_still_one(body in json_like()) {
        let answer = json!({"choices": [{"index": 0, "message": {"content": WORD, "more": body}}],
            "content": body, "data": body, "results": body});
        let bytes = answer.to_string();
        let operations = [
            Operation::Chat,
            Operation::Messages,
            Operation::Embeddings,
            Operation::Moderations,
        ];
        for operation in operations {
            let told = shield().answer(operation, bytes.clone().into());
            let told: Value = serde_json::from_slice(&told.unwrap()).unwrap();
            prop_assert!(!told["choices"].to_string().contains(WORD), "{}", told);
        }
    }
}
