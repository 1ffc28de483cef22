//! Chunks of a streamed chat completion to events of a streamed response.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::output::{self, Envelope, Response, State};
use crate::{
    cost::estimate,
    dialect::openai::{Choice, Chunk, Tokens, ToolCall},
    limits::may_keep,
};

/// What an item or a part is kept in, about.
const FRAME: usize = 1 << 10;

/// State of one stream.
#[derive(Debug)]
pub struct Writer {
    envelope: Envelope,
    /// Tokens of the prompt, by estimate.
    prompt: u64,
    /// Seconds since 1970.
    created: u64,
    /// Bytes of text so far, for an estimate.
    bytes: u64,
    tokens: Option<Tokens>,
    /// Of the answer that the response is made of; none before its first chunk.
    of: Option<String>,
    model: String,
    /// Number of the next event.
    sequence: u64,
    /// Items that are whole.
    output: Vec<Value>,
    open: Option<Item>,
    /// Tools that were called so far, by their index in the chunks.
    called: Vec<u64>,
    /// Bytes that are kept to be told again at the end.
    kept: usize,
    cut_by: Option<&'static str>,
}

/// The item that is open: items follow each other.
#[derive(Debug)]
enum Item {
    Reasoning(String),
    /// Parts that are whole, and the open one.
    Message(Vec<Value>, Part),
    Call {
        index: u64,
        id: String,
        name: String,
        arguments: String,
    },
}

#[derive(Debug)]
struct Part {
    refuses: bool,
    text: String,
}

impl Writer {
    /// At the start of a stream, before a prompt of so many tokens by estimate; `created` in seconds since
    /// 1970.
    pub fn new(envelope: Envelope, prompt: u64, created: u64) -> Self {
        Self {
            envelope,
            prompt,
            created,
            bytes: 0,
            tokens: None,
            of: None,
            model: String::new(),
            sequence: 0,
            output: Vec::new(),
            open: None,
            called: Vec::new(),
            kept: 0,
            cut_by: None,
        }
    }

    /// Takes the data of an event, gives what goes to the caller: nothing for what has no counterpart.
    ///
    /// # Errors
    /// What is wrong with the chunk.
    pub fn push(&mut self, data: &str) -> Result<Bytes, String> {
        let mut chunk = Chunk::read(data)?;
        let mut out = String::new();
        if self.of.is_none() {
            self.of = Some(std::mem::take(&mut chunk.id));
            self.model = std::mem::take(&mut chunk.model);
            for kind in ["response.created", "response.in_progress"] {
                let response = self.response(State::Running, None);
                self.event(&mut out, kind, json!({ "response": response }));
            }
        }
        self.tokens = chunk.usage.or(self.tokens);
        for choice in chunk.first() {
            self.choice(&mut out, choice)?;
        }
        may_keep(self.kept)?;
        Ok(out.into())
    }

    /// The end of a whole answer.
    pub fn end(&mut self) -> Bytes {
        let mut out = String::new();
        self.close(&mut out);
        let kind = match self.cut_by {
            None => "response.completed",
            Some(_) => "response.incomplete",
        };
        let response = self.response(State::Ended(self.cut_by), Some(self.counted()));
        self.event(&mut out, kind, json!({ "response": response }));
        out.into()
    }

    /// The end of an answer that broke off.
    pub fn fail(&mut self, code: &str, message: &str) -> Bytes {
        let mut out = String::new();
        let state = State::Failed(code.to_owned(), message.to_owned());
        let response = self.response(state, Some(self.counted()));
        self.event(&mut out, "response.failed", json!({ "response": response }));
        out.into()
    }

    fn counted(&self) -> Tokens {
        let estimated = || Tokens::estimated(self.prompt, estimate(self.bytes));
        self.tokens.unwrap_or_else(estimated)
    }

    fn choice(&mut self, out: &mut String, choice: &Choice) -> Result<(), String> {
        let said = &choice.message;
        if let Some(thoughts) = said.thoughts() {
            self.think(out, thoughts);
        }
        if let Some(text) = said.content.as_deref().filter(|text| !text.is_empty()) {
            self.text(out, text, false);
        }
        if let Some(text) = said.refusal.as_deref().filter(|text| !text.is_empty()) {
            self.text(out, text, true);
        }
        for call in said.tool_calls.iter().flatten() {
            self.call(out, call)?;
        }
        self.cut_by = output::cut_by(choice).or(self.cut_by);
        Ok(())
    }

    fn think(&mut self, out: &mut String, thoughts: &str) {
        self.bytes += thoughts.len() as u64;
        self.kept += thoughts.len();
        if !matches!(&self.open, Some(Item::Reasoning(_))) {
            self.close(out);
            let item = output::reasoning(self.of(), self.output.len(), "in_progress", &[]);
            self.added(out, &item);
            let mut fields = self.in_thoughts();
            fields["part"] = output::thoughts("");
            self.event(out, "response.content_part.added", fields);
            self.open = Some(Item::Reasoning(String::new()));
        }
        if let Some(Item::Reasoning(text)) = &mut self.open {
            text.push_str(thoughts);
        }
        let mut fields = self.in_thoughts();
        fields["delta"] = json!(thoughts);
        self.event(out, "response.reasoning_text.delta", fields);
    }

    fn text(&mut self, out: &mut String, text: &str, refuses: bool) {
        self.bytes += text.len() as u64;
        self.kept += text.len();
        if !matches!(&self.open, Some(Item::Message(..))) {
            self.close(out);
            let item = output::message(self.of(), self.output.len(), "in_progress", &[]);
            self.added(out, &item);
            self.open_part(out, Vec::new(), refuses);
        }
        if let Some(Item::Message(done, part)) = self
            .open
            .take_if(|item| matches!(item, Item::Message(_, part) if part.refuses != refuses))
        {
            let done = self.close_part(out, done, &part);
            self.open_part(out, done, refuses);
        }
        let Some(Item::Message(done, part)) = &mut self.open else {
            return;
        };
        part.text.push_str(text);
        let at = done.len();
        let kind = if refuses {
            "response.refusal.delta"
        } else {
            "response.output_text.delta"
        };
        let mut fields = self.in_part(at);
        fields["delta"] = json!(text);
        if !refuses {
            fields["logprobs"] = json!([]);
        }
        self.event(out, kind, fields);
    }

    fn call(&mut self, out: &mut String, call: &ToolCall) -> Result<(), String> {
        let open = matches!(&self.open, Some(Item::Call { index, .. }) if *index == call.index);
        if !open {
            if self.called.contains(&call.index) {
                return Err("pieces of tool calls come mixed".to_owned());
            }
            self.called.push(call.index);
            self.close(out);
            let id = call.id.clone().unwrap_or_default();
            let made = [id.as_str(), call.name(), ""];
            let item = output::call(self.of(), self.output.len(), "in_progress", made);
            self.added(out, &item);
            self.open = Some(Item::Call {
                index: call.index,
                id,
                name: call.name().to_owned(),
                arguments: String::new(),
            });
        }
        let piece = call.arguments();
        self.bytes += (call.name().len() + piece.len()) as u64;
        self.kept += call.name().len() + piece.len();
        if piece.is_empty() {
            return Ok(());
        }
        if let Some(Item::Call { arguments, .. }) = &mut self.open {
            arguments.push_str(piece);
        }
        let mut fields = self.in_item("fc");
        fields["delta"] = json!(piece);
        self.event(out, "response.function_call_arguments.delta", fields);
        Ok(())
    }

    fn added(&mut self, out: &mut String, item: &Value) {
        self.kept += FRAME;
        let fields = json!({"output_index": self.output.len(), "item": item});
        self.event(out, "response.output_item.added", fields);
    }

    fn open_part(&mut self, out: &mut String, done: Vec<Value>, refuses: bool) {
        self.kept += FRAME;
        let part = Part {
            refuses,
            text: String::new(),
        };
        let mut fields = self.in_part(done.len());
        fields["part"] = part.content();
        self.event(out, "response.content_part.added", fields);
        self.open = Some(Item::Message(done, part));
    }

    fn close_part(&mut self, out: &mut String, mut done: Vec<Value>, part: &Part) -> Vec<Value> {
        let (kind, field) = if part.refuses {
            ("response.refusal.done", "refusal")
        } else {
            ("response.output_text.done", "text")
        };
        let mut fields = self.in_part(done.len());
        fields[field] = json!(part.text);
        if !part.refuses {
            fields["logprobs"] = json!([]);
        }
        self.event(out, kind, fields);
        let mut fields = self.in_part(done.len());
        fields["part"] = part.content();
        self.event(out, "response.content_part.done", fields);
        done.push(part.content());
        done
    }

    fn close(&mut self, out: &mut String) {
        let item = match self.open.take() {
            None => return,
            Some(Item::Reasoning(text)) => {
                let mut fields = self.in_thoughts();
                fields["text"] = json!(text);
                self.event(out, "response.reasoning_text.done", fields);
                let part = output::thoughts(&text);
                let mut fields = self.in_thoughts();
                fields["part"] = part.clone();
                self.event(out, "response.content_part.done", fields);
                output::reasoning(self.of(), self.output.len(), "completed", &[part])
            }
            Some(Item::Message(done, part)) => {
                let content = self.close_part(out, done, &part);
                output::message(self.of(), self.output.len(), "completed", &content)
            }
            Some(Item::Call {
                id,
                name,
                arguments,
                ..
            }) => {
                let mut fields = self.in_item("fc");
                fields["arguments"] = json!(arguments);
                fields["name"] = json!(name);
                self.event(out, "response.function_call_arguments.done", fields);
                let made = [id.as_str(), name.as_str(), arguments.as_str()];
                output::call(self.of(), self.output.len(), "completed", made)
            }
        };
        let fields = json!({"output_index": self.output.len(), "item": item});
        self.event(out, "response.output_item.done", fields);
        self.output.push(item);
    }

    fn of(&self) -> &str {
        self.of.as_deref().unwrap_or_default()
    }

    fn in_item(&self, prefix: &str) -> Value {
        let index = self.output.len();
        json!({"item_id": format!("{prefix}_{}_{index}", self.of()), "output_index": index})
    }

    fn in_thoughts(&self) -> Value {
        let mut fields = self.in_item("rs");
        fields["content_index"] = json!(0);
        fields
    }

    fn in_part(&self, part: usize) -> Value {
        let mut fields = self.in_item("msg");
        fields["content_index"] = json!(part);
        fields
    }

    fn response(&self, state: State, tokens: Option<Tokens>) -> Value {
        self.envelope.response(&Response {
            id: &output::id(self.of()),
            model: &self.model,
            created: self.created,
            state,
            output: &self.output,
            tokens,
        })
    }

    /// The data repeats the event's name as its type.
    fn event(&mut self, out: &mut String, name: &str, mut data: Value) {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        // Writing to a text does not fail.
        let _ = write!(out, "event: {name}\ndata: {data}\n\n");
    }
}

impl Part {
    fn content(&self) -> Value {
        if self.refuses {
            output::refusal(&self.text)
        } else {
            output::text(&self.text)
        }
    }
}
