//! Watches a stream of the Messages API go by.

use serde::Deserialize;
use serde_json::Value;

use super::{Counts, response::block_bytes};
use crate::dialect::openai::{Observer, Seen};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum In {
    MessageStart {
        message: Start,
    },
    ContentBlockDelta {
        delta: Value,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: Counts,
    },
    MessageStop,
    Error {
        error: Problem,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: Counts,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    /// Of an ingress.
    code: Option<String>,
    #[serde(default)]
    message: String,
}

/// Reads the data of one event. Only the last counts are taken for exact: those of the start are a promise.
pub fn see(observer: &mut Observer, data: &str) -> Seen {
    match serde_json::from_str(data) {
        Ok(In::MessageStart { message }) => {
            observer.counts = message.usage;
            Seen::Other
        }
        Ok(In::ContentBlockDelta { delta }) => {
            let bytes = block_bytes(&delta);
            observer.text_bytes += bytes;
            if bytes > 0 { Seen::Token } else { Seen::Other }
        }
        Ok(In::MessageDelta { delta, usage }) => {
            observer.counts = observer.counts.merge(usage);
            observer.usage = observer.counts.sum();
            observer.finished |= delta.stop_reason.is_some();
            Seen::Token
        }
        Ok(In::MessageStop) => {
            observer.done = true;
            Seen::Done
        }
        Ok(In::Error { error }) => Seen::Error {
            code: error.code.unwrap_or(error.kind),
            message: error.message,
        },
        Ok(In::Other) => Seen::Other,
        Err(error) => Seen::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        dialect::openai::{Observer, Operation, Seen},
        sse::Event,
    };

    #[test]
    fn a_stream_is_understood_event_by_event() {
        let mut observer = Observer::of(Operation::Messages);
        let mut see = |data: &str| observer.see(&Event::of_data(data));
        assert_eq!(
            see(
                r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":4,"output_tokens":1}}}"#
            ),
            Seen::Other
        );
        assert_eq!(see(r#"{"type":"ping"}"#), Seen::Other);
        assert_eq!(
            see(
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\u00e9"}}"#
            ),
            Seen::Token
        );
        assert_eq!(
            see(
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#
            ),
            Seen::Token
        );
        assert_eq!(see(r#"{"type":"message_stop"}"#), Seen::Done);
        assert!(matches!(see("gibberish"), Seen::Malformed(_)));
        assert_eq!(
            see(r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#),
            Seen::Error {
                code: "overloaded_error".into(),
                message: "busy".into()
            }
        );
        let usage = observer.usage.unwrap();
        assert_eq!((usage.input, usage.output), (9, 7));
        assert_eq!(observer.text_bytes, 3);
        assert!(observer.finished && observer.done);
    }
}
