//! A whole answer as far as the sidecar must know it.

use serde::Deserialize;
use serde_json::Value;

use super::{choices::Choice, tally::Counted};
use crate::cost::{Basis, Cached, Usage};

/// What an answer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As the model's server counted, if it did.
    pub usage: Option<Usage>,
    /// Bytes of answer text, for estimates.
    pub text_bytes: u64,
}

#[derive(Deserialize)]
struct Touched {
    choices: Option<Vec<Counted<Choice>>>,
    data: Option<Vec<serde::de::IgnoredAny>>,
    results: Option<Vec<serde::de::IgnoredAny>>,
    usage: Option<Value>,
}

/// Reads a chat completion, a list of embeddings or one of judgements.
///
/// # Errors
/// What is wrong, when it is none of them.
pub fn read(body: &[u8]) -> Result<Answer, String> {
    let touched: Touched = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let choices = match (touched.choices, touched.data, touched.results) {
        (Some(choices), ..) => choices,
        (None, None, None) => return Err("no `choices`, `data` or `results`".to_owned()),
        (None, ..) => Vec::new(),
    };
    let text_bytes = choices.iter().map(|choice| choice.0.bytes).sum();
    Ok(Answer {
        usage: touched.usage.as_ref().and_then(usage),
        text_bytes,
    })
}

/// `usage` of an answer or of a stream's last chunk. Cached tokens count inside `prompt_tokens`.
pub fn usage(value: &Value) -> Option<Usage> {
    let tokens = |name: &str| value.get(name).and_then(Value::as_u64);
    let input = tokens("prompt_tokens")?;
    let output = tokens("completion_tokens").unwrap_or(0);
    let details = value.get("prompt_tokens_details");
    let detail = |name: &str| details?.get(name)?.as_u64();
    // DeepSeek tells it beside.
    let read = detail("cached_tokens").or_else(|| tokens("prompt_cache_hit_tokens"));
    let written = detail("cache_write_tokens");
    Some(Usage {
        input,
        output,
        cached: Cached::new(read.unwrap_or(0), written.unwrap_or(0)),
        basis: Basis::Exact,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn usage_is_exact_when_it_arrived() {
        let answer = read(
            br#"{"choices":[{"message":{"content":"hello"}}],
            "usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
        )
        .unwrap();
        assert_eq!(
            (answer.usage.unwrap().input, answer.usage.unwrap().output),
            (7, 2)
        );
        assert_eq!(answer.text_bytes, 5);
    }

    #[test]
    fn what_a_cache_gave_is_known_as_each_provider_tells_it() {
        for cached in [
            r#""prompt_tokens_details":{"cached_tokens":6}"#,
            r#""prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":1"#,
        ] {
            let body = format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":7,"completion_tokens":2,{cached}}}}}"#
            );
            let usage = read(body.as_bytes()).unwrap().usage.unwrap();
            assert_eq!(
                (usage.input, usage.cached.read, usage.cached.written),
                (7, 6, 0)
            );
        }
    }

    #[test]
    fn without_usage_the_text_remains_for_an_estimate() {
        let answer =
            read(br#"{"choices":[{"message":{"content":"hello"}}],"usage":null}"#).unwrap();
        assert_eq!((answer.usage, answer.text_bytes), (None, 5));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        for body in ["", "<html>", "[]", "{}", r#"{"choices":3}"#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
