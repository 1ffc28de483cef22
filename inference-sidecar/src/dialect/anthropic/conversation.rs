//! Messages of a chat as messages of the Messages API.

use serde_json::{Map, Value, json};

use crate::{
    dialect::block::{kind, refusal, sayable, text_of},
    error::ApiError,
};

/// What a conversation becomes.
#[derive(Debug, Default)]
pub struct Conversation {
    /// Blocks of the leading system messages.
    pub system: Vec<Value>,
    pub messages: Vec<Value>,
}

impl Conversation {
    /// Reads `messages`, of which one at least is no instruction.
    ///
    /// # Errors
    /// `InvalidField` or `Unsupported`, with the path.
    pub fn read(value: &Value) -> Result<Self, ApiError> {
        let Value::Array(list) = value else {
            return Err(ApiError::field("messages", "must be a list of messages"));
        };
        let mut conversation = Self::default();
        for (index, message) in list.iter().enumerate() {
            conversation.add(message, &format!("messages[{index}]"))?;
        }
        if conversation.messages.is_empty() {
            return Err(ApiError::unsupported("messages", "add a user message"));
        }
        Ok(conversation)
    }

    fn add(&mut self, message: &Value, at: &str) -> Result<(), ApiError> {
        let content = message.get("content").unwrap_or(&Value::Null);
        let field = format!("{at}.content");
        match message.get("role").and_then(Value::as_str) {
            Some("system" | "developer") if self.messages.is_empty() => {
                self.system.extend(blocks(content, &field, text_block)?);
            }
            Some("system" | "developer") => {
                let remedy = "put system messages before all others";
                return Err(ApiError::unsupported(format!("{at}.role"), remedy));
            }
            Some("user") => self.say("user", blocks(content, &field, user_block)?),
            Some("assistant") => {
                sayable(message, at)?;
                let refusal = refusal(message);
                let calls = message.get("tool_calls").filter(|calls| !calls.is_null());
                let mut said = match content {
                    Value::Null if calls.is_some() || refusal.is_some() => Vec::new(),
                    content => blocks(content, &field, text_block)?,
                };
                said.extend(refusal.map(|text| json!({"type": "text", "text": text})));
                said.extend(tool_uses(calls, &format!("{at}.tool_calls"))?);
                self.say("assistant", said);
            }
            Some("tool") => self.result(tool_result(message, at)?),
            _ => {
                let remedy = "use roles system, developer, user, assistant and tool";
                return Err(ApiError::unsupported(format!("{at}.role"), remedy));
            }
        }
        Ok(())
    }

    /// What says nothing is left out: Anthropic refuses it.
    fn say(&mut self, role: &str, content: Vec<Value>) {
        if content.is_empty() {
            return;
        }
        let mut message = json!({ "role": role });
        message["content"] = Value::Array(content);
        self.messages.push(message);
    }

    /// Results of the calls of one message stand together in the next.
    fn result(&mut self, result: Value) {
        let last = self.messages.last_mut();
        let content = last
            .and_then(|message| message.get_mut("content"))
            .and_then(Value::as_array_mut)
            .filter(|content| {
                content
                    .first()
                    .is_some_and(|block| kind(block) == "tool_result")
            });
        match content {
            Some(content) => content.push(result),
            None => self.say("user", vec![result]),
        }
    }
}

type Block = fn(&Value, &str) -> Result<Value, ApiError>;

/// A content's parts by a reader of each; an empty text is none.
fn blocks(content: &Value, field: &str, read: Block) -> Result<Vec<Value>, ApiError> {
    match content {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(parts) => {
            let parts = parts.iter().enumerate();
            let blocks = parts.map(|(index, part)| read(part, &format!("{field}[{index}]")));
            let says = |block: &Result<Value, ApiError>| match block {
                Ok(block) => block.get("text").is_none_or(|text| text != ""),
                Err(_) => true,
            };
            blocks.filter(says).collect()
        }
        _ => Err(ApiError::field(field, "must be a text or a list of parts")),
    }
}

fn text_block(part: &Value, at: &str) -> Result<Value, ApiError> {
    if kind(part) != "text" {
        let remedy = "send text parts, or route to a model of the OpenAI dialect";
        return Err(ApiError::unsupported(format!("{at}.type"), remedy));
    }
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("text"));
    block.insert("text".to_owned(), json!(text_of(part, "text", at)?));
    if let Some(cache) = part.get("cache_control") {
        block.insert("cache_control".to_owned(), cache.clone());
    }
    Ok(Value::Object(block))
}

fn user_block(part: &Value, at: &str) -> Result<Value, ApiError> {
    if kind(part) != "image_url" {
        return text_block(part, at);
    }
    let image = part.get("image_url").unwrap_or(&Value::Null);
    let url = text_of(image, "url", &format!("{at}.image_url"))?;
    let inline = url
        .strip_prefix("data:")
        .and_then(|data| data.split_once(";base64,"));
    let source = match inline {
        Some((media, data)) => json!({"type": "base64", "media_type": media, "data": data}),
        None => json!({"type": "url", "url": url}),
    };
    let mut block = json!({"type": "image", "source": source});
    if let Some(cache) = part.get("cache_control") {
        block["cache_control"] = cache.clone();
    }
    Ok(block)
}

fn tool_uses(calls: Option<&Value>, field: &str) -> Result<Vec<Value>, ApiError> {
    let Some(calls) = calls else {
        return Ok(Vec::new());
    };
    let list = calls.as_array();
    let list = list.ok_or_else(|| ApiError::field(field, "must be a list of calls"))?;
    let uses = list.iter().enumerate().map(|(index, call)| {
        let at = format!("{field}[{index}]");
        let function = call.get("function").unwrap_or(&Value::Null);
        let at_function = format!("{at}.function");
        Ok(json!({
            "type": "tool_use",
            "id": text_of(call, "id", &at)?,
            "name": text_of(function, "name", &at_function)?,
            "input": input(text_of(function, "arguments", &at_function)?, &at_function)?,
        }))
    });
    uses.collect()
}

fn input(arguments: &str, at: &str) -> Result<Value, ApiError> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    let object = serde_json::from_str::<Map<String, Value>>(arguments);
    let problem = "must be a JSON object in a text";
    let object = object.map_err(|_| ApiError::field(format!("{at}.arguments"), problem))?;
    Ok(Value::Object(object))
}

fn tool_result(message: &Value, at: &str) -> Result<Value, ApiError> {
    let content = message.get("content").unwrap_or(&Value::Null);
    Ok(json!({
        "type": "tool_result",
        "tool_use_id": text_of(message, "tool_call_id", at)?,
        "content": blocks(content, &format!("{at}.content"), text_block)?,
    }))
}
