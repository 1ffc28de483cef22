use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::answer::Finish;
use crate::model::dialect::Meta;

pub fn whole(meta: &Meta, text: &str, finish: &Finish, tokens: u64) -> Value {
    json!({
        "id": id(meta),
        "object": "chat.completion",
        "created": meta.created,
        "model": meta.model,
        "choices": [{
            "index": 0,
            "message": message(meta, text),
            "logprobs": null,
            "finish_reason": reason(finish),
        }],
        "usage": usage(meta, tokens),
        "system_fingerprint": "aios-simulator",
    })
}

pub fn start(meta: &Meta) -> Bytes {
    let delta = match &meta.tool {
        None => json!({"role": "assistant", "content": ""}),
        Some(name) => {
            let call = json!({"index": 0, "id": call_id(meta), "type": "function",
                "function": {"name": name, "arguments": ""}});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        }
    };
    chunk(meta, &delta, None)
}

pub fn token(meta: &Meta, piece: &str) -> Bytes {
    let delta = match &meta.tool {
        None => json!({"content": piece}),
        Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
    };
    chunk(meta, &delta, None)
}

fn message(meta: &Meta, text: &str) -> Value {
    let Some(name) = &meta.tool else {
        return json!({"role": "assistant", "content": text, "refusal": null});
    };
    let function = json!({"name": name, "arguments": text});
    let call = json!({"id": call_id(meta), "type": "function", "function": function});
    json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]})
}

fn call_id(meta: &Meta) -> String {
    format!("call_simulator_{}", meta.id)
}

pub fn end(meta: &Meta, finish: &Finish, tokens: u64) -> Bytes {
    let mut frames = chunk(meta, &json!({}), Some(reason(finish))).to_vec();
    if meta.include_usage {
        let mut last = envelope(meta, &json!([]));
        if let Some(fields) = last.as_object_mut() {
            fields.insert("usage".into(), usage(meta, tokens));
        }
        frames.extend_from_slice(&data(&last));
    }
    frames.extend_from_slice(b"data: [DONE]\n\n");
    frames.into()
}

fn chunk(meta: &Meta, delta: &Value, finish: Option<&str>) -> Bytes {
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let mut chunk = envelope(meta, &json!([choice]));
    // The published contract: with include_usage every earlier chunk carries a null.
    if let Some(fields) = chunk.as_object_mut().filter(|_| meta.include_usage) {
        fields.insert("usage".into(), Value::Null);
    }
    data(&chunk)
}

fn envelope(meta: &Meta, choices: &Value) -> Value {
    json!({
        "id": id(meta),
        "object": "chat.completion.chunk",
        "created": meta.created,
        "model": meta.model,
        "system_fingerprint": "aios-simulator",
        "choices": choices,
    })
}

fn usage(meta: &Meta, tokens: u64) -> Value {
    json!({
        "prompt_tokens": meta.prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": meta.prompt_tokens + tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

fn id(meta: &Meta) -> String {
    format!("chatcmpl-simulator-{}", meta.id)
}

fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::End | Finish::Stop(_) => "stop",
        Finish::Length => "length",
        Finish::Tool => "tool_calls",
    }
}

fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}
