//! Chunks of a streamed chat completion to events of a streamed message.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::response::{stop_reason, usage};
use crate::{
    cost::estimate,
    dialect::{
        anthropic::UNSIGNED,
        openai::{Choice, Chunk, Tokens, ToolCall},
    },
};

/// State of one stream.
#[derive(Debug)]
pub struct Writer {
    /// Tokens of the prompt, by estimate.
    prompt: u64,
    /// Bytes of text so far, for an estimate.
    bytes: u64,
    tokens: Option<Tokens>,
    begun: bool,
    /// The block that is open: blocks follow each other.
    open: Option<Block>,
    /// Blocks so far.
    blocks: u64,
    /// Tools that were called so far, by their index in the chunks.
    called: Vec<u64>,
    refused: bool,
    stop: (Option<&'static str>, Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Thinking,
    Text,
    Tool(u64),
}

impl Writer {
    /// At the start of a stream, before a prompt of so many tokens by estimate.
    pub fn new(prompt: u64) -> Self {
        Self {
            prompt,
            bytes: 0,
            tokens: None,
            begun: false,
            open: None,
            blocks: 0,
            called: Vec::new(),
            refused: false,
            stop: (None, None),
        }
    }

    /// Takes the data of an event, gives what goes to the caller: nothing for what has no counterpart.
    ///
    /// # Errors
    /// What is wrong with the chunk.
    pub fn push(&mut self, data: &str) -> Result<Bytes, String> {
        let chunk = Chunk::read(data)?;
        let mut out = String::new();
        if !self.begun {
            self.begun = true;
            self.begin(&mut out, &chunk);
        }
        self.tokens = chunk.usage.or(self.tokens);
        for choice in chunk.first() {
            self.choice(&mut out, choice)?;
        }
        Ok(out.into())
    }

    /// The end of the message.
    pub fn end(&mut self) -> Bytes {
        let mut out = String::new();
        self.close(&mut out);
        let counted = self.tokens;
        let tokens =
            counted.unwrap_or_else(|| Tokens::estimated(self.prompt, estimate(self.bytes)));
        let (reason, sequence) = &self.stop;
        let reason = if self.refused {
            "refusal"
        } else {
            reason.unwrap_or("end_turn")
        };
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        let fields = json!({"delta": delta, "usage": usage(tokens)});
        event(&mut out, "message_delta", fields);
        event(&mut out, "message_stop", json!({}));
        out.into()
    }

    fn begin(&self, out: &mut String, chunk: &Chunk) {
        let message = json!({
            "id": chunk.id,
            "type": "message",
            "role": "assistant",
            "model": chunk.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(Tokens::estimated(self.prompt, 0)),
        });
        event(out, "message_start", json!({ "message": message }));
    }

    fn choice(&mut self, out: &mut String, choice: &Choice) -> Result<(), String> {
        let said = &choice.message;
        if let Some(thoughts) = said.thoughts() {
            self.think(out, thoughts);
        }
        for text in [&said.content, &said.refusal].into_iter().flatten() {
            self.text(out, text);
        }
        self.refused |= said.refusal.as_ref().is_some_and(|text| !text.is_empty());
        for call in said.tool_calls.iter().flatten() {
            self.tool(out, call)?;
        }
        if let Some(reason) = stop_reason(choice) {
            self.stop = (Some(reason), choice.stopped_by().map(str::to_owned));
        }
        Ok(())
    }

    fn think(&mut self, out: &mut String, thoughts: &str) {
        if self.open != Some(Block::Thinking) {
            self.close(out);
            let start = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.start(out, Block::Thinking, &start);
        }
        self.delta(
            out,
            &json!({"type": "thinking_delta", "thinking": thoughts}),
        );
        self.bytes += thoughts.len() as u64;
    }

    fn text(&mut self, out: &mut String, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.open != Some(Block::Text) {
            self.close(out);
            self.start(out, Block::Text, &json!({"type": "text", "text": ""}));
        }
        self.delta(out, &json!({"type": "text_delta", "text": text}));
        self.bytes += text.len() as u64;
    }

    fn tool(&mut self, out: &mut String, call: &ToolCall) -> Result<(), String> {
        let block = Block::Tool(call.index);
        if self.open != Some(block) {
            if self.called.contains(&call.index) {
                return Err("pieces of tool calls come mixed".to_owned());
            }
            self.called.push(call.index);
            self.close(out);
            let id = call.id.as_deref().unwrap_or_default();
            let start = json!({"type": "tool_use", "id": id, "name": call.name(), "input": {}});
            self.start(out, block, &start);
        }
        let arguments = call.arguments();
        if !arguments.is_empty() {
            let delta = json!({"type": "input_json_delta", "partial_json": arguments});
            self.delta(out, &delta);
        }
        self.bytes += (call.name().len() + arguments.len()) as u64;
        Ok(())
    }

    fn start(&mut self, out: &mut String, block: Block, content: &Value) {
        self.open = Some(block);
        let fields = json!({"index": self.blocks, "content_block": content});
        event(out, "content_block_start", fields);
    }

    fn delta(&self, out: &mut String, delta: &Value) {
        let fields = json!({"index": self.blocks, "delta": delta});
        event(out, "content_block_delta", fields);
    }

    fn close(&mut self, out: &mut String) {
        if self.open == Some(Block::Thinking) {
            self.delta(
                out,
                &json!({"type": "signature_delta", "signature": UNSIGNED}),
            );
        }
        if self.open.take().is_some() {
            event(out, "content_block_stop", json!({"index": self.blocks}));
            self.blocks += 1;
        }
    }
}

/// The data repeats the event's name as its type.
fn event(out: &mut String, name: &str, mut data: Value) {
    data["type"] = json!(name);
    // Writing to a text does not fail.
    let _ = write!(out, "event: {name}\ndata: {data}\n\n");
}
