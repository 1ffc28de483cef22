//! Chat completions to responses.

use serde_json::{Map, Value, json};

use crate::dialect::openai::{Choice, Completion, Tokens};

/// What a response repeats of its request.
#[derive(Clone, Debug)]
pub struct Envelope(Map<String, Value>);

/// How a response stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Running,
    /// Why it is shorter than it would be, if it is.
    Ended(Option<&'static str>),
    /// Code and message.
    Failed(String, String),
}

/// A response at one point in time.
#[derive(Debug)]
pub struct Response<'a> {
    pub id: &'a str,
    pub model: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    pub state: State,
    pub output: &'a [Value],
    /// None while it runs.
    pub tokens: Option<Tokens>,
}

impl Envelope {
    pub(super) fn of(request: &Map<String, Value>) -> Self {
        let given = |field: &str| request.get(field).filter(|value| !value.is_null()).cloned();
        let or = |field: &str, default: Value| (field.to_owned(), given(field).unwrap_or(default));
        let fields = [
            or("instructions", Value::Null),
            or("max_output_tokens", Value::Null),
            or("metadata", json!({})),
            or("parallel_tool_calls", json!(true)),
            or("reasoning", json!({"effort": null, "summary": null})),
            or("temperature", Value::Null),
            or("text", json!({"format": {"type": "text"}})),
            or("tool_choice", json!("auto")),
            or("tools", json!([])),
            or("top_p", Value::Null),
            or("user", Value::Null),
        ];
        let fixed = [
            ("background", json!(false)),
            ("object", json!("response")),
            ("previous_response_id", Value::Null),
            ("store", json!(false)),
            ("truncation", json!("disabled")),
        ];
        let fixed = fixed.map(|(field, value)| (field.to_owned(), value));
        Self(fields.into_iter().chain(fixed).collect())
    }

    /// Translates a chat completion. `estimated` counts where its server did not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn to_response(&self, body: &[u8], estimated: Tokens) -> Result<Value, String> {
        let (completion, tokens) = Completion::read(body)?;
        let choice = completion.first()?;
        let id = id(&completion.id);
        Ok(self.response(&Response {
            id: &id,
            model: &completion.model,
            created: completion.created,
            state: State::Ended(cut_by(choice)),
            output: &items(&completion.id, choice),
            tokens: Some(tokens.unwrap_or(estimated)),
        }))
    }

    pub(super) fn response(&self, response: &Response<'_>) -> Value {
        let (status, cut_by, error) = match &response.state {
            State::Running => ("in_progress", None, Value::Null),
            State::Ended(None) => ("completed", None, Value::Null),
            State::Ended(cut_by) => ("incomplete", *cut_by, Value::Null),
            State::Failed(code, message) => {
                ("failed", None, json!({"code": code, "message": message}))
            }
        };
        let mut fields = self.0.clone();
        for (field, value) in [
            ("id", json!(response.id)),
            ("created_at", json!(response.created)),
            ("model", json!(response.model)),
            ("status", json!(status)),
            ("error", error),
            (
                "incomplete_details",
                cut_by.map_or(Value::Null, |reason| json!({ "reason": reason })),
            ),
            ("output", json!(response.output)),
            ("usage", response.tokens.map_or(Value::Null, usage)),
        ] {
            fields.insert(field.to_owned(), value);
        }
        Value::Object(fields)
    }
}

/// Of a response, from the name of the answer that it is made of.
pub(super) fn id(of: &str) -> String {
    format!("resp_{of}")
}

/// Items are named after the answer, so that a stream and its end agree.
pub(super) fn message(of: &str, index: usize, status: &str, content: &[Value]) -> Value {
    json!({
        "id": format!("msg_{of}_{index}"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    })
}

/// What was thought.
pub(super) fn reasoning(of: &str, index: usize, status: &str, content: &[Value]) -> Value {
    json!({
        "id": format!("rs_{of}_{index}"),
        "type": "reasoning",
        "status": status,
        "summary": [],
        "content": content,
        "encrypted_content": null,
    })
}

/// A call of a function.
pub(super) fn call(of: &str, index: usize, status: &str, call: [&str; 3]) -> Value {
    let [call_id, name, arguments] = call;
    json!({
        "id": format!("fc_{of}_{index}"),
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    })
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

pub(super) fn refusal(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

pub(super) fn thoughts(text: &str) -> Value {
    json!({"type": "reasoning_text", "text": text})
}

/// Why the answer is shorter than it would be.
pub(super) fn cut_by(choice: &Choice) -> Option<&'static str> {
    match choice.finish_reason.as_deref() {
        Some("length") => Some("max_output_tokens"),
        Some("content_filter") => Some("content_filter"),
        _ => None,
    }
}

fn items(of: &str, choice: &Choice) -> Vec<Value> {
    let said = &choice.message;
    let filled = |text: &&String| !text.is_empty();
    let texts = said.content.iter().filter(filled).map(|said| text(said));
    let refusals = said.refusal.iter().filter(filled).map(|said| refusal(said));
    let content: Vec<_> = texts.chain(refusals).collect();
    let mut items = Vec::new();
    if let Some(told) = said.thoughts() {
        items.push(reasoning(of, 0, "completed", &[thoughts(told)]));
    }
    if !content.is_empty() {
        items.push(message(of, items.len(), "completed", &content));
    }
    for made in said.tool_calls.iter().flatten() {
        let id = made.id.as_deref().unwrap_or_default();
        let made = [id, made.name(), made.arguments()];
        items.push(call(of, items.len(), "completed", made));
    }
    items
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached()},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning()},
        "total_tokens": tokens.prompt.saturating_add(tokens.completion),
    })
}
