//! A text as a chat completion. Tokens are not told, so that callers estimate them and say so.

use bytes::Bytes;
use serde_json::{Value, json};

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Name of the call.
    pub id: String,
    pub text: String,
}

impl Answer {
    /// A chat completion. `created` is in seconds since 1970.
    pub fn to_completion(&self, model: &str, created: u64) -> Value {
        let message = json!({"role": "assistant", "content": self.text, "refusal": null});
        self.whole("chat.completion", ("message", message), model, created)
    }

    /// A stream of one chunk, and its end.
    pub fn to_events(&self, model: &str, created: u64) -> Bytes {
        let delta = json!({"role": "assistant", "content": self.text});
        let chunk = self.whole("chat.completion.chunk", ("delta", delta), model, created);
        format!("data: {chunk}\n\ndata: [DONE]\n\n").into()
    }

    fn whole(&self, object: &str, said: (&str, Value), model: &str, created: u64) -> Value {
        let mut choice = json!({"index": 0, "logprobs": null, "finish_reason": "stop"});
        choice[said.0] = said.1;
        json!({
            "id": self.id,
            "object": object,
            "created": created,
            "model": model,
            "choices": [choice],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Answer;
    use crate::{dialect::openai, sse::Splitter};

    fn answer() -> Answer {
        Answer {
            id: "7".into(),
            text: "Dear Zoë".into(),
        }
    }

    #[test]
    fn a_text_becomes_a_completion_without_usage() {
        let completion = answer().to_completion("house", 9);
        assert_eq!(
            completion,
            json!({"id": "7", "object": "chat.completion", "created": 9, "model": "house",
                "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Dear Zoë", "refusal": null}}]})
        );
        let read = openai::read(completion.to_string().as_bytes()).unwrap();
        assert_eq!((read.usage, read.text_bytes), (None, 9));
    }

    #[test]
    fn a_text_becomes_a_stream_of_one_chunk_and_its_end() {
        let events = Splitter::default()
            .push(&answer().to_events("house", 9))
            .unwrap();
        let mut observer = openai::Observer::default();
        let seen: Vec<_> = events.iter().map(|event| observer.see(event)).collect();
        assert_eq!(seen, [openai::Seen::Token, openai::Seen::Done]);
        assert!(
            observer.finished && observer.text_bytes == 9,
            "{observer:?}"
        );
    }
}
