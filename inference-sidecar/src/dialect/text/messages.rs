//! Messages of a chat completion request that are texts and nothing else.

use serde_json::Value;

use crate::{
    dialect::block::{refusal, sayable},
    error::ApiError,
};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `system` or `developer`.
    System,
    User,
    Assistant,
}

/// A text part; parts without text are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub text: String,
}

// === impl Role ===

impl Role {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "system" | "developer" => Some(Self::System),
            "user" => Some(Self::User),
            "assistant" => Some(Self::Assistant),
            _ => None,
        }
    }
}

/// Reads `messages`, of which one at least is a user's or the assistant's.
///
/// # Errors
/// `InvalidField` or `Unsupported`, with the path of what is no text.
pub fn read(value: &Value) -> Result<Vec<Message>, ApiError> {
    let Value::Array(list) = value else {
        return Err(ApiError::field("messages", "must be a list of messages"));
    };
    let messages: Result<Vec<_>, _> = list.iter().enumerate().map(message).collect();
    let messages = messages?;
    if messages.iter().all(|message| message.role == Role::System) {
        return Err(ApiError::unsupported("messages", "add a user message"));
    }
    Ok(messages)
}

fn message((index, message): (usize, &Value)) -> Result<Message, ApiError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let role = message.get("role").and_then(Value::as_str);
    let role = role.and_then(Role::parse).ok_or_else(|| {
        let remedy = "use roles system, developer, user and assistant";
        ApiError::unsupported(at("role"), remedy)
    })?;
    sayable(message, &format!("messages[{index}]"))?;
    let calls = message.get("tool_calls");
    if calls.is_some_and(|calls| !calls.is_null()) {
        let remedy = "leave tools out, or route to a model of the OpenAI dialect";
        return Err(ApiError::unsupported(at("tool_calls"), remedy));
    }
    let refusal = refusal(message);
    let mut parts = match message.get("content") {
        None | Some(Value::Null) if refusal.is_some() => Vec::new(),
        content => parts(content, &at("content"))?,
    };
    parts.extend(refusal.map(|text| Part {
        text: text.to_owned(),
    }));
    Ok(Message { role, parts })
}

fn parts(content: Option<&Value>, field: &str) -> Result<Vec<Part>, ApiError> {
    match content {
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part { text: text.clone() }]),
        Some(Value::Array(parts)) => parts
            .iter()
            .enumerate()
            .map(|(index, value)| part(value, &format!("{field}[{index}]")))
            .collect(),
        _ => Err(ApiError::field(field, "must be a text or a list of parts")),
    }
}

fn part(value: &Value, field: &str) -> Result<Part, ApiError> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind != Some("text") {
        let remedy = "send text parts, or route to a model of the OpenAI dialect";
        return Err(ApiError::unsupported(format!("{field}.type"), remedy));
    }
    let text = value.get("text").and_then(Value::as_str);
    let text = text
        .ok_or_else(|| ApiError::field(format!("{field}.text"), "is missing or no text"))?
        .to_owned();
    Ok(Part { text })
}
