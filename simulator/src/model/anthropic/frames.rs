use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::answer::Finish;
use crate::model::dialect::Meta;

pub fn whole(meta: &Meta, text: &str, finish: &Finish, tokens: u64) -> Value {
    let input = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
    let content = match tool(meta, &input) {
        Some(call) => json!([call]),
        None => json!([{"type": "text", "text": text}]),
    };
    message(meta, &content, Some(finish), tokens)
}

pub fn start(meta: &Meta) -> Bytes {
    let message = message(meta, &json!([]), None, 1);
    let block = tool(meta, &json!({}));
    let block = block.unwrap_or_else(|| json!({"type": "text", "text": ""}));
    let frames = [
        event("message_start", &json!({"message": message})),
        event(
            "content_block_start",
            &json!({"index": 0, "content_block": block}),
        ),
        event("ping", &json!({})),
    ];
    frames.concat().into()
}

pub fn token(meta: &Meta, piece: &str) -> Bytes {
    let delta = match meta.tool {
        None => json!({"type": "text_delta", "text": piece}),
        Some(_) => json!({"type": "input_json_delta", "partial_json": piece}),
    };
    event("content_block_delta", &json!({"index": 0, "delta": delta})).into()
}

pub fn end(finish: &Finish, tokens: u64) -> Bytes {
    let (reason, sequence) = reason(finish);
    let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
    let usage = json!({"output_tokens": tokens});
    let frames = [
        event("content_block_stop", &json!({"index": 0})),
        event("message_delta", &json!({"delta": delta, "usage": usage})),
        event("message_stop", &json!({})),
    ];
    frames.concat().into()
}

/// The block of a call, if the answer is one.
fn tool(meta: &Meta, input: &Value) -> Option<Value> {
    let name = meta.tool.as_ref()?;
    let id = format!("toolu_simulator_{}", meta.id);
    Some(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
}

fn message(meta: &Meta, content: &Value, finish: Option<&Finish>, tokens: u64) -> Value {
    let (reason, sequence) = finish.map(reason).unzip();
    json!({
        "id": format!("msg_simulator_{}", meta.id),
        "type": "message",
        "role": "assistant",
        "model": meta.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence.flatten(),
        "usage": {
            "input_tokens": meta.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": tokens,
        },
    })
}

fn reason(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::End => ("end_turn", None),
        Finish::Length => ("max_tokens", None),
        Finish::Tool => ("tool_use", None),
        Finish::Stop(sequence) => ("stop_sequence", Some(sequence)),
    }
}

/// The data repeats the event's name as its type.
fn event(name: &str, data: &Value) -> String {
    let mut data = data.clone();
    if let Some(fields) = data.as_object_mut() {
        fields.insert("type".into(), name.into());
    }
    format!("event: {name}\ndata: {data}\n\n")
}
