//! Messages to chat completions.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cost::{Basis, Cached, Usage},
    dialect::openai::Answer,
};

/// A message as far as it is translated.
#[derive(Deserialize)]
struct Message {
    id: String,
    model: String,
    content: Vec<Value>,
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Tokens,
}

/// Token counts of a message. Each is missing where it does not apply.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Tokens {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_creation: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

/// Translates a message. `created` is in seconds since 1970, which the message does not tell.
///
/// # Errors
/// What is wrong, when it is no message.
pub fn to_completion(body: &[u8], created: u64) -> Result<Value, String> {
    let message: Message = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let calls: Vec<Value> = message.content.iter().filter_map(tool_call).collect();
    let text: String = message
        .content
        .iter()
        .filter(|block| block.get("type").and_then(Value::as_str) == Some("text"))
        .filter_map(|block| block.get("text")?.as_str())
        .collect();
    let mut said = json!({"role": "assistant", "content": text, "refusal": null});
    if !calls.is_empty() {
        said["tool_calls"] = Value::Array(calls);
        if text.is_empty() {
            said["content"] = Value::Null;
        }
    }
    Ok(json!({
        "id": message.id,
        "object": "chat.completion",
        "created": created,
        "model": message.model,
        "choices": [{
            "index": 0,
            "message": said,
            "logprobs": null,
            "finish_reason": finish_reason(message.stop_reason.as_deref()),
        }],
        "usage": message.usage.to_usage(),
    }))
}

fn tool_call(block: &Value) -> Option<Value> {
    if block.get("type")? != "tool_use" {
        return None;
    }
    let input = block.get("input").map(Value::to_string);
    let function = json!({"name": block.get("name"), "arguments": input.unwrap_or_default()});
    Some(json!({"id": block.get("id"), "type": "function", "function": function}))
}

/// Reads a message as far as the sidecar must know it.
///
/// # Errors
/// What is wrong, when it is no message.
pub fn read(body: &[u8]) -> Result<Answer, String> {
    let message: Message = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(Answer {
        usage: message.usage.sum(),
        text_bytes: message.content.iter().map(block_bytes).sum(),
    })
}

/// Bytes of text in a block, on every channel that costs tokens.
pub fn block_bytes(block: &Value) -> u64 {
    let texts: usize = ["text", "thinking", "name", "partial_json"]
        .iter()
        .filter_map(|channel| block.get(channel)?.as_str())
        .map(str::len)
        .sum();
    let input = block.get("input").filter(|input| input.is_object());
    let input = input.map_or(0, |input| input.to_string().len());
    (texts + input) as u64
}

/// `finish_reason` for a `stop_reason`.
pub fn finish_reason(stop_reason: Option<&str>) -> &'static str {
    match stop_reason {
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("refusal") => "content_filter",
        Some("tool_use") => "tool_calls",
        _ => "stop",
    }
}

impl Tokens {
    /// Later counts win, field by field: a stream tells them in two events.
    pub fn merge(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            cache_creation: later.cache_creation.or(self.cache_creation),
            cache_read: later.cache_read.or(self.cache_read),
            output: later.output.or(self.output),
        }
    }

    /// All that was counted. None when nothing was told.
    pub fn sum(self) -> Option<Usage> {
        let read = self.cache_read.unwrap_or(0);
        let written = self.cache_creation.unwrap_or(0);
        Some(Usage {
            input: self.input? + read + written,
            output: self.output.unwrap_or(0),
            cached: Cached::new(read, written),
            basis: Basis::Exact,
        })
    }

    /// Cached tokens stand outside `input_tokens` at Anthropic and inside `prompt_tokens` at OpenAI.
    /// Null when the message told nothing.
    pub fn to_usage(self) -> Value {
        let Some(input) = self.input else {
            return Value::Null;
        };
        let cached = self.cache_read.unwrap_or(0);
        let written = self.cache_creation.unwrap_or(0);
        let prompt = input + cached + written;
        let mut details = json!({"cached_tokens": cached});
        if written > 0 {
            // As OpenRouter tells it; OpenAI asks nothing for it.
            details["cache_write_tokens"] = written.into();
        }
        let completion = self.output.unwrap_or(0);
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": details,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{finish_reason, read, to_completion};
    use crate::dialect::openai;

    #[test]
    fn a_message_becomes_a_completion() {
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "Dear "},
                {"type": "text", "text": "Zoë"},
            ],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 100, "output_tokens": 3},
        });
        let completion = to_completion(message.to_string().as_bytes(), 1_700_000_000).unwrap();
        assert_eq!(
            completion,
            json!({
                "id": "msg_1", "object": "chat.completion", "created": 1_700_000_000,
                "model": "claude-x",
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": "Dear Zoë", "refusal": null},
                    "logprobs": null, "finish_reason": "stop",
                }],
                "usage": {"prompt_tokens": 115, "completion_tokens": 3, "total_tokens": 118,
                    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 5}},
            })
        );
    }

    #[test]
    fn what_a_cache_gave_and_took_is_known_in_either_dialect() {
        let message = json!({"id": "msg_1", "model": "claude-x", "content": [], "usage": {
            "input_tokens": 10, "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 100, "output_tokens": 3}});
        let message = message.to_string();
        let own = read(message.as_bytes()).unwrap().usage.unwrap();
        assert_eq!(
            (own.input, own.cached.read, own.cached.written),
            (115, 100, 5)
        );
        let translated = to_completion(message.as_bytes(), 0).unwrap().to_string();
        let translated = openai::read(translated.as_bytes()).unwrap();
        assert_eq!(translated.usage, Some(own));
    }

    #[rstest]
    #[case(Some("end_turn"), "stop")]
    #[case(Some("stop_sequence"), "stop")]
    #[case(Some("max_tokens"), "length")]
    #[case(Some("model_context_window_exceeded"), "length")]
    #[case(Some("refusal"), "content_filter")]
    #[case(None, "stop")]
    fn every_stop_reason_has_its_finish_reason(#[case] from: Option<&str>, #[case] to: &str) {
        assert_eq!(finish_reason(from), to);
    }

    #[test]
    fn what_is_no_message_is_named() {
        for body in ["", "[]", "{}", r#"{"id":"x","model":"m"}"#] {
            assert!(to_completion(body.as_bytes(), 0).is_err(), "{body}");
        }
    }
}
