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
    /// An event without data, which readers of JSON stumble over.
    Blank,
    /// No JSON: what is wrong with it.
    Malformed(String),
}

/// State of one stream.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    /// As the model's server counted, once it did.
    pub usage: Option<Usage>,
    /// Bytes of generated text so far.
    pub text_bytes: u64,
    /// Whether every choice gave its `finish_reason`.
    pub finished: bool,
    /// How many choices there are, where there is more than one, and a bit for each that ended.
    choices: u32,
    ended: u128,
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

    /// Waits for the end of so many choices.
    pub fn expect(&mut self, choices: u64) {
        self.choices = u32::try_from(choices).unwrap_or(u32::MAX).min(u128::BITS);
    }

    /// Reads one event.
    pub fn see(&mut self, event: &Event) -> Seen {
        let Some(data) = event.data.as_deref() else {
            return Seen::Other;
        };
        if data.trim_ascii().is_empty() {
            return Seen::Blank;
        }
        if self.messages {
            return anthropic::see(self, data);
        }
        if data.trim() == "[DONE]" {
            self.done = true;
            return Seen::Done;
        }
        let chunk = match serde_json::from_str::<Chunk>(data) {
            Ok(chunk) => chunk,
            Err(error) => return Seen::Malformed(error.to_string()),
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
        let mut ends = false;
        for choice in choices.iter().filter(|choice| choice.0.finished) {
            let bit = choice.0.index.min(u64::from(u128::BITS - 1));
            self.ended |= 1_u128 << bit;
            ends = true;
        }
        self.finished |= ends && self.ended.count_ones() >= self.choices.max(1);
        if bytes > 0 || ends {
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
        assert!(matches!(see("gibberish"), Seen::Malformed(_)));
        assert_eq!(see(" "), Seen::Blank);
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

    #[test]
    fn several_choices_have_ended_when_each_has() {
        let mut observer = Observer::default();
        observer.expect(2);
        let end = |index: u64| {
            Event::of_data(&format!(
                r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#
            ))
        };
        for (index, finished) in [(1, false), (1, false), (0, true)] {
            observer.see(&end(index));
            assert_eq!(observer.finished, finished);
        }
    }
}
