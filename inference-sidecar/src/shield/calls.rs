//! Calls of tools in a stream: held until they are whole, for a name and arguments say nothing before, and
//! servers may send pieces of several calls in turn.

use serde_json::{Map, Value, json};

use super::{
    Judge, Stop,
    channel::{Channel, LABEL},
};

/// What came of one call.
#[derive(Debug, Default)]
pub struct Call {
    pub of: u64,
    /// Which of the choice's calls.
    pub index: u64,
    id: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
}

/// A piece of one, as it came.
pub type Piece = Map<String, Value>;

impl Call {
    pub fn new(of: u64, index: u64) -> Self {
        Self {
            of,
            index,
            ..Self::default()
        }
    }

    /// Pieces in the value of `tool_calls`, and of which call each is; none when it is no list of calls.
    pub fn pieces(list: &str) -> Option<Vec<(u64, Piece)>> {
        let list: Option<Vec<Piece>> = serde_json::from_str(list).ok()?;
        let pieces = list.unwrap_or_default().into_iter().map(|piece| {
            let index = piece.get("index").and_then(Value::as_u64);
            (index.unwrap_or_default(), piece)
        });
        Some(pieces.collect())
    }

    /// Takes a piece: how many fields of it nobody knows, which are left out.
    pub fn push(&mut self, piece: Piece) -> usize {
        let mut unknown = 0;
        for (name, value) in piece {
            match (name.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("id", value) => said_once(&mut self.id, value),
                ("type", value) => said_once(&mut self.kind, value),
                ("function", Value::Object(function)) => unknown += self.function(function),
                _ => unknown += 1,
            }
        }
        unknown
    }

    fn function(&mut self, function: Piece) -> usize {
        let mut unknown = 0;
        for (name, value) in function {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("name", value) => said_once(&mut self.name, value),
                ("arguments", value) => {
                    let arguments = self.arguments.get_or_insert_default();
                    arguments.push_str(&said(value));
                }
                _ => unknown += 1,
            }
        }
        unknown
    }

    /// Bytes of text that it holds.
    pub fn held(&self) -> usize {
        let texts = [&self.id, &self.kind, &self.name, &self.arguments];
        texts.into_iter().flatten().map(String::len).sum()
    }
}

impl Judge<'_> {
    /// What may be told of a call that is whole.
    pub fn call(&mut self, call: Call) -> Result<Value, Stop> {
        let mut told = json!({"index": call.index});
        for (name, label) in [("id", call.id), ("type", call.kind)] {
            if let Some(label) = label {
                let label = if label.len() > LABEL {
                    self.or_as_it_is(Channel::Other, label)?
                } else {
                    label
                };
                told[name] = label.into();
            }
        }
        if let Some(name) = call.name {
            told["function"]["name"] = self.or_as_it_is(Channel::ToolName, name)?.into();
        }
        if let Some(arguments) = call.arguments {
            let judged = self.json_text(&arguments)?;
            told["function"]["arguments"] = judged.unwrap_or(arguments).into();
        }
        Ok(told)
    }

    fn or_as_it_is(&mut self, channel: Channel, text: String) -> Result<String, Stop> {
        let judged = self.text(channel, &text).map_err(Stop::Blocked)?;
        Ok(judged.unwrap_or(text))
    }
}

/// Some servers say it again with each piece, some say it in pieces.
fn said_once(so_far: &mut Option<String>, value: Value) {
    let more = said(value);
    match so_far {
        Some(known) if *known == more => {}
        Some(known) => known.push_str(&more),
        None => *so_far = Some(more),
    }
}

fn said(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
