//! Watches a stream of chunks go by: first token, usage, errors and whether it came to its end.

use serde::Deserialize;
use serde_json::Value;

use super::{Operation, answer::usage, choices::Choice, tally::Counted};
use crate::{
    cost::Usage,
    dialect::anthropic::{self, Counts},
    sse::Event,
};

/// What an event means to those who forward it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Carries generated text, or says why it ended.
    Token,
    /// Carries nothing but usage.
    Usage,
    /// The end, `[DONE]`.
    Done,
    /// The model's server failed: code and message.
    Error { code: String, message: String },
    /// Anything else: a comment, the role, an unknown event.
    Other,
}

/// State of one stream.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    /// As the model's server counted, once it did.
    pub usage: Option<Usage>,
    /// Bytes of generated text so far.
    pub text_bytes: u64,
    /// Whether a choice gave its `finish_reason`.
    pub finished: bool,
    /// Whether `[DONE]` came.
    pub done: bool,
    /// Whether events are those of the Messages API, and what they counted so far.
    messages: bool,
    pub(in crate::dialect) counts: Counts,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Counted<Choice>>>,
    usage: Option<Value>,
    error: Option<Value>,
}

impl Observer {
    /// At the start of a stream.
    pub fn of(operation: Operation) -> Self {
        Self {
            messages: operation == Operation::Messages,
            ..Self::default()
        }
    }

    /// Reads one event.
    pub fn see(&mut self, event: &Event) -> Seen {
        let Some(data) = event.data.as_deref() else {
            return Seen::Other;
        };
        if self.messages {
            return anthropic::see(self, data);
        }
        if data.trim() == "[DONE]" {
            self.done = true;
            return Seen::Done;
        }
        let Ok(chunk) = serde_json::from_str::<Chunk>(data) else {
            return Seen::Other;
        };
        if let Some(error) = &chunk.error {
            return seen_error(error);
        }
        let found = chunk.usage.as_ref().and_then(usage);
        self.usage = found.or(self.usage);
        let choices = chunk.choices.unwrap_or_default();
        if choices.is_empty() && found.is_some() {
            return Seen::Usage;
        }
        let bytes: u64 = choices.iter().map(|choice| choice.0.bytes).sum();
        self.text_bytes += bytes;
        let finished = choices.iter().any(|choice| choice.0.finished);
        self.finished |= finished;
        if bytes > 0 || finished {
            Seen::Token
        } else {
            Seen::Other
        }
    }
}

fn seen_error(error: &Value) -> Seen {
    let text = |field: &str| match error.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Seen::Error {
        code: text("code"),
        message: text("message"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Observer, Seen};
    use crate::sse::Event;

    #[test]
    fn a_stream_is_understood_event_by_event() {
        let mut observer = Observer::default();
        let mut see = |data: &str| observer.see(&Event::of_data(data));
        assert_eq!(
            see(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#),
            Seen::Other
        );
        assert_eq!(
            see(r#"{"choices":[{"delta":{"content":"hé"}}],"usage":null}"#),
            Seen::Token
        );
        assert_eq!(
            see(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#),
            Seen::Token
        );
        assert_eq!(
            see(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#),
            Seen::Usage
        );
        assert_eq!(see("[DONE]"), Seen::Done);
        assert_eq!(see("gibberish"), Seen::Other);
        assert_eq!(
            see(r#"{"error":{"message":"m","code":"c"}}"#),
            Seen::Error {
                code: "c".into(),
                message: "m".into()
            }
        );
        assert_eq!(observer.text_bytes, 3);
        assert_eq!(observer.usage.unwrap().output, 1);
        assert!(observer.finished && observer.done);
    }
}
