//! What models say on each channel, whole and in pieces, for the tests of policy on it.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, DONE, End, json_answer},
    shield::{SAID, WORD},
};

/// Pieces of a text, of three letters at most.
pub fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(3)
        .map(|piece| piece.iter().collect())
        .collect()
}

pub fn chunk(index: u64, delta: Value, reason: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": delta, "finish_reason": reason,
        "logprobs": {"content": [{"token": WORD, "logprob": -0.1, "bytes": null, "top_logprobs": []}]}});
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [choice]});
    format!("data: {chunk}\n\n")
}

/// A chat completion whose choice says this, whole and as a stream.
fn completed(index: u64, message: Value, deltas: Vec<Value>) -> (Answer, Answer) {
    let plain = json!({"index": 0, "message": {"role": "assistant", "content": "Fine."},
        "finish_reason": "stop"});
    let mut said = plain.clone();
    said["index"] = json!(index);
    said["message"] = message;
    said["message"]["role"] = json!("assistant");
    said["logprobs"] = json!({"content": [{"token": WORD}]});
    let choices = if index == 0 {
        vec![said]
    } else {
        vec![plain, said]
    };
    let whole = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 3}});
    let mut events = Vec::new();
    for other in 0..index {
        events.push(chunk(
            other,
            json!({"role": "assistant", "content": "Fine."}),
            None,
        ));
    }
    events.push(chunk(
        index,
        json!({"role": "assistant", "content": ""}),
        None,
    ));
    events.extend(deltas.into_iter().map(|delta| chunk(index, delta, None)));
    events.extend((0..=index).map(|index| chunk(index, json!({}), Some("stop"))));
    events.push(DONE.to_owned());
    (json_answer(200, &whole), Answer::Stream(events, End::Close))
}

pub fn in_field(index: u64, field: &str) -> (Answer, Answer) {
    let deltas = pieces(SAID)
        .into_iter()
        .map(|piece| json!({ field: piece }));
    completed(index, json!({ field: SAID }), deltas.collect())
}

/// The word with an escape of JSON's in it, as an argument of a tool.
pub fn in_arguments() -> (Answer, Answer) {
    let arguments = json!({"to": 7, "say": SAID})
        .to_string()
        .replace("Acme", "A\\u0063me");
    let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "t1", "type": "function",
        "function": {"name": "send", "arguments": ""}}]});
    let mut whole = first.clone();
    whole["tool_calls"][0]["function"]["arguments"] = json!(arguments);
    let mut deltas = vec![first];
    deltas.extend(pieces(&arguments).iter().map(|piece| call(piece)));
    completed(0, whole, deltas)
}

/// The one call of functions before there were tools.
pub fn in_old_arguments() -> (Answer, Answer) {
    let arguments = json!({"say": SAID}).to_string();
    let call = |arguments: &str| json!({"function_call": {"arguments": arguments}});
    let mut whole = json!({"function_call": {"name": "send", "arguments": ""}});
    let mut deltas = vec![whole.clone()];
    whole["function_call"]["arguments"] = json!(arguments);
    deltas.extend(pieces(&arguments).iter().map(|piece| call(piece)));
    completed(0, whole, deltas)
}

/// What an answer quotes, which comes whole in streams, too.
pub fn in_annotations() -> (Answer, Answer) {
    let quoted = json!([{"type": "url_citation", "url_citation": {"url": "https://bank.example/",
        "title": SAID, "start_index": 0, "end_index": 5}}]);
    let deltas = vec![
        json!({"content": "Fine."}),
        json!({"annotations": quoted.clone()}),
    ];
    completed(
        0,
        json!({"content": "Fine.", "annotations": quoted}),
        deltas,
    )
}

/// A message of Anthropic's, whole and as a stream.
fn in_block(block: Value, kind: &str, field: &str, text: &str) -> (Answer, Answer) {
    let whole = json!({"id": "m1", "type": "message", "role": "assistant", "model": "up",
        "content": [block], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 4}});
    let event = |data: Value| {
        let name = data["type"].as_str().unwrap();
        format!("event: {name}\ndata: {data}\n\n")
    };
    let mut empty = block.clone();
    for name in ["text", "thinking"] {
        if empty.get(name).is_some() {
            empty[name] = json!("");
        }
    }
    if empty.get("citations").is_some() {
        empty["citations"] = json!([]);
    }
    if empty.get("input").is_some() {
        empty["input"] = json!({});
    }
    let mut message = whole.clone();
    message["content"] = json!([]);
    let mut events = vec![
        event(json!({"type": "message_start", "message": message})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": empty})),
        event(json!({"type": "ping"})),
    ];
    events.extend(pieces(text).into_iter().map(|piece| {
        let delta = json!({"type": kind, field: piece});
        event(json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    events.extend([
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 4}})),
        event(json!({"type": "message_stop"})),
    ]);
    (json_answer(200, &whole), Answer::Stream(events, End::Close))
}

pub fn block_of_text() -> (Answer, Answer) {
    in_block(
        json!({"type": "text", "text": SAID}),
        "text_delta",
        "text",
        SAID,
    )
}

pub fn block_of_thoughts() -> (Answer, Answer) {
    let block = json!({"type": "thinking", "thinking": SAID, "signature": "c2ln"});
    in_block(block, "thinking_delta", "thinking", SAID)
}

pub fn block_of_a_tool() -> (Answer, Answer) {
    let input = json!({"say": SAID, "to": 7});
    let block = json!({"type": "tool_use", "id": "t1", "name": "send", "input": input});
    let pieces = input.to_string().replace("Acme", "A\\u0063me");
    in_block(block, "input_json_delta", "partial_json", &pieces)
}

pub fn block_of_citations() -> (Answer, Answer) {
    let quoted = json!({"type": "char_location", "cited_text": SAID, "document_index": 0,
        "document_title": "Letters", "start_char_index": 0, "end_char_index": 5});
    let block = json!({"type": "text", "text": "Fine.", "citations": [quoted.clone()]});
    let (whole, stream) = in_block(block, "text_delta", "text", "Fine.");
    let Answer::Stream(mut events, end) = stream else {
        panic!("no stream")
    };
    let delta = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "citations_delta", "citation": quoted}});
    let at = events
        .iter()
        .position(|event| event.contains("content_block_stop"));
    events.insert(
        at.unwrap(),
        format!("event: content_block_delta\ndata: {delta}\n\n"),
    );
    (whole, Answer::Stream(events, end))
}

/// Text that a caller reads, in order: what stands under names that carry words.
pub fn words(heard: &str) -> String {
    fn leaves(value: &Value, named: bool, out: &mut String) {
        match value {
            Value::String(text) if named => out.push_str(text),
            Value::Array(items) => items.iter().for_each(|item| leaves(item, named, out)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let carries = [
                        "content",
                        "refusal",
                        "reasoning_content",
                        "reasoning",
                        "arguments",
                        "text",
                        "thinking",
                        "partial_json",
                        "delta",
                        "say",
                        "token",
                        "more",
                        "title",
                        "cited_text",
                    ];
                    leaves(value, carries.contains(&name.as_str()), out);
                }
            }
            _ => {}
        }
    }
    let mut out = String::new();
    if let Ok(body) = serde_json::from_str::<Value>(heard) {
        leaves(&body, false, &mut out);
        return out;
    }
    for data in heard.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if let Ok(event) = serde_json::from_str::<Value>(data) {
            leaves(&event, false, &mut out);
        }
    }
    out
}
