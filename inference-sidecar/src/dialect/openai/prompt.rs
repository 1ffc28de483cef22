//! How many tokens a prompt has, by estimate: the tokenizer is the model's own.

use serde_json::Value;

use crate::cost::estimate;

/// Role, separators and the like of one message.
const PER_MESSAGE: u64 = 4;

/// Tokens of `messages` and `tools`.
pub fn of_chat(messages: &[Value], tools: Option<&Value>) -> u64 {
    let texts: u64 = messages.iter().map(text_bytes).sum();
    let tools = tools.map_or(0, |tools| tools.to_string().len() as u64);
    estimate(texts + tools) + PER_MESSAGE * messages.len() as u64
}

/// Tokens of a request of the Messages API.
pub fn of_messages(messages: &[Value], system: Option<&Value>, tools: Option<&Value>) -> u64 {
    let system = system.map_or(0, block_bytes);
    let texts: u64 = messages
        .iter()
        .filter_map(|message| message.get("content"))
        .map(block_bytes)
        .sum();
    let tools = tools.map_or(0, |tools| tools.to_string().len() as u64);
    estimate(system + texts + tools) + PER_MESSAGE * messages.len() as u64
}

/// Bytes of text in blocks, and in blocks within them.
fn block_bytes(content: &Value) -> u64 {
    match content {
        Value::String(text) => text.len() as u64,
        Value::Array(blocks) => blocks.iter().map(block_bytes).sum(),
        Value::Object(block) => {
            let texts = ["text", "thinking", "content", "name"];
            let texts: u64 = texts
                .iter()
                .filter_map(|field| block.get(*field))
                .map(block_bytes)
                .sum();
            let input = block
                .get("input")
                .map_or(0, |input| input.to_string().len());
            texts + input as u64
        }
        _ => 0,
    }
}

/// Tokens of an embeddings `input`: texts are estimated, lists of token ids are counted.
pub fn of_input(input: &Value) -> u64 {
    match input {
        Value::String(text) => estimate(text.len() as u64),
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(of_input).sum(),
        _ => 0,
    }
}

/// Bytes of text in a message. Images and sound count nothing: what they cost differs by model.
fn text_bytes(message: &Value) -> u64 {
    let content = match message.get("content") {
        Some(Value::String(text)) => text.len(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .map(str::len)
            .sum(),
        _ => 0,
    };
    let calls = message
        .get("tool_calls")
        .map_or(0, |calls| calls.to_string().len());
    (content + calls) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn text_counts_and_pictures_do_not() {
        let messages = [json!({"role": "user", "content": [
            {"type": "text", "text": "12345678"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAAAAAA"}},
        ]})];
        assert_eq!(super::of_chat(&messages, None), 2 + 4);
    }

    #[test]
    fn token_ids_are_counted_and_texts_estimated() {
        assert_eq!(super::of_input(&json!([[1, 2, 3], [4]])), 4);
        assert_eq!(super::of_input(&json!(["12345", "1"])), 3);
    }
}
