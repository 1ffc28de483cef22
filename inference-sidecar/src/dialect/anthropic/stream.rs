//! Events of a streamed message to chunks of a streamed chat completion.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error::from_error,
    response::{Tokens, finish_reason},
};
use crate::{error::ApiError, sse::Event};

/// State of one stream.
#[derive(Debug)]
pub struct Translator {
    /// Seconds since 1970, for every chunk.
    created: u64,
    /// Whether the caller wants the usage chunk.
    usage_asked: bool,
    id: String,
    model: String,
    tokens: Tokens,
    stop_reason: Option<String>,
    /// Tools that were called so far.
    tools: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum In {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: Tokens,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    id: String,
    model: String,
    #[serde(default)]
    usage: Tokens,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

impl Translator {
    /// At the start of a stream.
    pub fn new(created: u64, usage_asked: bool) -> Self {
        Self {
            created,
            usage_asked,
            id: String::new(),
            model: String::new(),
            tokens: Tokens::default(),
            stop_reason: None,
            tools: 0,
        }
    }

    /// Takes an event, gives what goes to the caller: often nothing.
    ///
    /// # Errors
    /// When the stream says that it failed, or an event cannot be read.
    pub fn push(&mut self, event: &Event) -> Result<Bytes, ApiError> {
        let data = event.data.as_deref().unwrap_or_default();
        if data.trim_ascii().is_empty() {
            return Ok(Bytes::new());
        }
        let incoming: In = serde_json::from_str(data)
            .map_err(|error| ApiError::UpstreamMalformed(error.to_string()))?;
        Ok(match incoming {
            In::MessageStart { message } => {
                self.id = message.id;
                self.model = message.model;
                self.tokens = message.usage;
                self.chunk(&json!({"role": "assistant", "content": ""}), None)
                    .into()
            }
            In::ContentBlockDelta {
                delta: Delta::Text { text },
            } => self.chunk(&json!({ "content": text }), None).into(),
            In::ContentBlockStart {
                content_block: Block::ToolUse { id, name },
            } => {
                self.tools += 1;
                let function = json!({"name": name, "arguments": ""});
                self.tool(json!({"id": id, "type": "function", "function": function}))
            }
            In::ContentBlockDelta {
                delta: Delta::InputJson { partial_json },
            } => self.tool(json!({"function": {"arguments": partial_json}})),
            In::MessageDelta { delta, usage } => {
                self.tokens = self.tokens.merge(usage);
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                Bytes::new()
            }
            In::MessageStop => self.end().into(),
            In::Error => return Err(from_error(data)),
            // Thoughts, pings and the like show that the stream is alive.
            In::ContentBlockStart {
                content_block: Block::Other,
            }
            | In::ContentBlockDelta {
                delta: Delta::Other,
            }
            | In::Other => Bytes::from_static(b": alive\n\n"),
        })
    }

    /// A piece of the last tool call.
    fn tool(&self, mut call: Value) -> Bytes {
        call["index"] = json!(self.tools.saturating_sub(1));
        self.chunk(&json!({"tool_calls": [call]}), None).into()
    }

    fn end(&self) -> String {
        let reason = finish_reason(self.stop_reason.as_deref());
        let mut out = self.chunk(&json!({}), Some(reason));
        let usage = self.tokens.to_usage();
        if self.usage_asked && !usage.is_null() {
            out.push_str(&self.event(&json!([]), &usage));
        }
        out.push_str("data: [DONE]\n\n");
        out
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> String {
        let choice = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]);
        self.event(&choice, &Value::Null)
    }

    fn event(&self, choices: &Value, usage: &Value) -> String {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if self.usage_asked {
            chunk["usage"] = usage.clone();
        }
        format!("data: {chunk}\n\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Translator;
    use crate::sse::{Event, Splitter};

    const STREAM: &str = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","#,
        r#""content":[],"model":"claude-x","usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        "\n\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hél"}}"#,
        "\n\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}"#,
        "\n\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
        "\n\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":15}}"#,
        "\n\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    );

    fn translate(usage_asked: bool) -> Vec<Value> {
        let mut translator = Translator::new(9, usage_asked);
        let mut out = Vec::new();
        for event in Splitter::default().push(STREAM.as_bytes()).unwrap() {
            out.extend_from_slice(&translator.push(&event).unwrap());
        }
        let mut events = Splitter::default().push(&out).unwrap();
        events.retain(|event| event.data.is_some());
        assert_eq!(events.last().unwrap().data.as_deref(), Some("[DONE]"));
        events
            .iter()
            .take(events.len() - 1)
            .map(|event| serde_json::from_str(event.data.as_deref().unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_stream_of_a_message_becomes_a_stream_of_chunks() {
        let chunk = |delta: Value, reason: Value| {
            json!({"id": "msg_1", "object": "chat.completion.chunk", "created": 9,
                "model": "claude-x",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        };
        assert_eq!(
            translate(false),
            [
                chunk(json!({"role": "assistant", "content": ""}), Value::Null),
                chunk(json!({"content": "Hél"}), Value::Null),
                chunk(json!({"content": "lo"}), Value::Null),
                chunk(json!({}), json!("length")),
            ]
        );
    }

    #[test]
    fn usage_comes_in_a_chunk_of_its_own_when_asked() {
        let chunks = translate(true);
        let last = chunks.last().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["prompt_tokens"], 30);
        assert_eq!(last["usage"]["completion_tokens"], 15);
        assert!(chunks[0]["usage"].is_null());
    }

    #[test]
    fn an_error_event_ends_the_stream_by_its_type() {
        let event = Event::of_data(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
        );
        let error = Translator::new(0, false).push(&event).unwrap_err();
        assert_eq!(error.code(), "upstream_failed");
    }

    #[test]
    fn an_event_that_cannot_be_read_is_an_error() {
        for data in ["?", "[]", r#"{"type":"message_start"}"#] {
            let result = Translator::new(0, false).push(&Event::of_data(data));
            assert_eq!(result.unwrap_err().code(), "upstream_malformed", "{data}");
        }
    }
}
