//! How many tokens a prompt has, by estimate: the tokenizer is the model's own.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::Value;

use super::tally::{Counted, Tally, Text, Written};
use crate::cost::estimate;

/// Role, separators and the like of one message.
const PER_MESSAGE: u64 = 4;

/// `messages` of a chat completion, as far as they are counted. Images and sound count nothing: what they cost
/// differs by model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages {
    /// False of anything but a list.
    pub is_list: bool,
    pub count: u64,
    /// Index of the first that has no role.
    pub without_role: Option<u64>,
    bytes: u64,
}

#[derive(Default)]
struct Message {
    has_role: bool,
    bytes: u64,
}

/// Bytes of `content`, a text or a list of parts.
#[derive(Default)]
struct Content(u64);

#[derive(Default)]
struct Part(u64);

#[derive(Default)]
struct Role(bool);

/// Tokens of `messages` and `tools`.
pub fn of_chat(messages: Messages, tools: Option<&Value>) -> u64 {
    let tools = tools.map_or(0, |tools| tools.to_string().len() as u64);
    estimate(messages.bytes + tools) + PER_MESSAGE * messages.count
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

/// Tokens of an `input`: texts are estimated, also in typed parts, lists of token ids are counted.
pub fn of_input(input: &Value) -> u64 {
    match input {
        Value::String(text) => estimate(text.len() as u64),
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(of_input).sum(),
        Value::Object(part) => part.get("text").map_or(0, of_input),
        _ => 0,
    }
}

impl Tally for Messages {
    fn item<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        self.is_list = true;
        let Some(Counted(message)) = list.next_element::<Counted<Message>>()? else {
            return Ok(false);
        };
        if !message.has_role {
            self.without_role.get_or_insert(self.count);
        }
        self.count += 1;
        self.bytes += message.bytes;
        Ok(true)
    }
}

impl Tally for Message {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "role" => self.has_role = map.next_value::<Counted<Role>>()?.0.0,
            "content" => self.bytes += map.next_value::<Counted<Content>>()?.0.0,
            "tool_calls" => self.bytes += map.next_value::<Written>()?.0,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Tally for Role {
    fn text(&mut self, _text: &str) {
        self.0 = true;
    }
}

impl Tally for Content {
    fn text(&mut self, text: &str) {
        self.0 += text.len() as u64;
    }

    fn item<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let part = list.next_element::<Counted<Part>>()?;
        self.0 += part.as_ref().map_or(0, |part| part.0.0);
        Ok(part.is_some())
    }
}

impl Tally for Part {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "text" {
            self.0 += map.next_value::<Counted<Text>>()?.0.0;
            return Ok(());
        }
        map.next_value::<IgnoredAny>().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Counted, Messages};

    #[test]
    fn text_counts_and_pictures_do_not() {
        let messages = json!([{"role": "user", "content": [
            {"type": "text", "text": "12345678"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAAAAAA"}},
        ]}]);
        let Counted(messages): Counted<Messages> = serde_json::from_value(messages).unwrap();
        assert_eq!(super::of_chat(messages, None), 2 + 4);
    }

    #[test]
    fn token_ids_are_counted_and_texts_estimated() {
        assert_eq!(super::of_input(&json!([[1, 2, 3], [4]])), 4);
        assert_eq!(super::of_input(&json!(["12345", "1"])), 3);
    }
}
