//! Walks the tables of `docs/translation.md`: each row is tried by conversion, and each field that the SDKs publish
//! has one.

use std::collections::BTreeMap;

use aios_inference_sidecar::{
    ApiError,
    dialect::{
        anthropic::{self, Translator, inbound},
        openai::Tokens,
        responses,
        text::{Protocol, Speech},
    },
    sse::Event,
};
use aios_proto::config::TextShape;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/translation.md");
const PUBLISHED: &str = include_str!("../sdks/published.json");

/// What a row says of a field.
#[derive(Debug)]
enum Becomes {
    Carried,
    Mapped(Value),
    Nothing,
    Dropped(String),
    Refused(String),
    LeftOut,
}

#[derive(Debug)]
struct Row {
    table: &'static str,
    field: &'static str,
    given: Value,
    becomes: Becomes,
}

/// What a converter says.
#[derive(Debug, PartialEq)]
struct Told {
    said: Vec<Value>,
    dropped: Vec<String>,
}

/// Where in a plain body something is put.
enum Place {
    /// A field of the object there.
    Field(&'static str),
    /// At the end of the list there.
    Item(&'static str),
    /// An event before the last.
    Event,
    /// What an event before the last adds.
    Delta,
}

type Convert = fn(&Value) -> Result<Told, String>;

/// The converter of a table, a plain body for a prefix of fields, and the place there.
fn trial(table: &str, prefix: &str) -> (Convert, Value, Place) {
    use Place::{Delta, Field, Item};
    match table {
        "Chat completions to messages" => {
            let (mut body, place) = chat(prefix);
            if prefix != "system" || body["tools"].is_null() {
                body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
            }
            (to_messages, body, place)
        }
        "Chat completions to a text" => {
            let (body, place) = chat(prefix);
            (to_text, body, place)
        }
        "Messages to chat completions: answers" => {
            let message = json!({"id": "m1", "type": "message", "role": "assistant", "model": "claude",
                "content": [{"type": "text", "text": "y"}], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 4}});
            let place = match prefix {
                "block" => Item("/content"),
                "usage" => Field("/usage"),
                _ => Field(""),
            };
            (from_message, message, place)
        }
        "Messages to chat completions: events" => {
            let events = json!([
                {"type": "message_start", "message": {"id": "m1", "model": "claude",
                    "usage": {"input_tokens": 5, "output_tokens": 1}}},
                {"type": "message_stop"},
            ]);
            let place = if prefix == "delta" {
                Delta
            } else {
                Place::Event
            };
            (from_events, events, place)
        }
        "Messages from callers to chat completions" => messages(prefix),
        "Responses to chat completions" => {
            let (field, value, place) = match prefix {
                "item" => (
                    "input",
                    json!([{"role": "user", "content": "x"}]),
                    Item("/input"),
                ),
                "reasoning" => ("reasoning", json!({}), Field("/reasoning")),
                "text" => ("text", json!({}), Field("/text")),
                "tools" => {
                    let tool = json!([{"type": "function", "name": "f"}]);
                    ("tools", tool, Field("/tools/0"))
                }
                _ => ("input", json!("x"), Field("")),
            };
            let mut body = json!({"model": "m", "input": "x"});
            body[field] = value;
            (from_responses, body, place)
        }
        "Chat completions to messages for callers: answers" => completion(to_message, prefix),
        "Chat completions to responses: answers" => completion(to_response, prefix),
        "Chat completions to messages for callers: events" => chunks(to_message_events, prefix),
        "Chat completions to responses: events" => chunks(to_response_events, prefix),
        _ => panic!("no converter is known for {table}"),
    }
}

fn chat(prefix: &str) -> (Value, Place) {
    use Place::{Field, Item};
    let user = json!({"role": "user", "content": "x"});
    let parts = |part: Value| json!([{"role": "user", "content": [part]}]);
    let (messages, place) = match prefix {
        "system" => (
            json!([{"role": "system", "content": "s"}, user]),
            Field("/messages/0"),
        ),
        "user" => (json!([user]), Field("/messages/0")),
        "assistant" => (
            json!([user, {"role": "assistant", "content": "y"}, user]),
            Field("/messages/1"),
        ),
        "tool" => (
            json!([user, {"role": "assistant", "content": "y"},
                {"role": "tool", "tool_call_id": "t1", "content": "z"}]),
            Field("/messages/2"),
        ),
        "part" => (
            parts(json!({"type": "text", "text": "x"})),
            Item("/messages/0/content"),
        ),
        "text" => (
            parts(json!({"type": "text", "text": "x"})),
            Field("/messages/0/content/0"),
        ),
        "image_url" => (
            parts(json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})),
            Field("/messages/0/content/0/image_url"),
        ),
        "tools" => (json!([user]), Field("/tools/0")),
        _ => (json!([user]), Field("")),
    };
    (json!({"model": "m", "messages": messages}), place)
}

fn messages(prefix: &str) -> (Convert, Value, Place) {
    use Place::{Field, Item};
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let place = match prefix {
        "message" => Field("/messages/0"),
        "block" | "text" => {
            body["messages"][0]["content"] = text("x");
            match prefix {
                "block" => Item("/messages/0/content"),
                _ => Field("/messages/0/content/0"),
            }
        }
        "said" => {
            let user = body["messages"][0].clone();
            body["messages"] = json!([user, {"role": "assistant", "content": text("y")}, user]);
            Item("/messages/1/content")
        }
        "tools" => Field("/tools/0"),
        "output_config" => {
            body["output_config"] = json!({});
            Field("/output_config")
        }
        _ => Field(""),
    };
    (from_messages, body, place)
}

fn completion(convert: Convert, prefix: &str) -> (Convert, Value, Place) {
    let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "y"},
            "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}});
    let place = match prefix {
        "choice" => "/choices/0",
        "message" => "/choices/0/message",
        "usage" => "/usage",
        _ => "",
    };
    (convert, body, Place::Field(place))
}

fn chunks(convert: Convert, prefix: &str) -> (Convert, Value, Place) {
    let chunk = |delta: Value| json!({"id": "c1", "model": "up", "choices": [{"index": 0, "delta": delta}]});
    let body = json!([
        chunk(json!({"role": "assistant", "content": "y"})),
        chunk(json!({}))
    ]);
    let place = match prefix {
        "choice" => "/1/choices/0",
        "delta" => "/1/choices/0/delta",
        // Those of the first chunk are told.
        "id" | "model" => "/0",
        _ => "/1",
    };
    (convert, body, Place::Field(place))
}

// === converters ===

fn to_messages(body: &Value) -> Result<Told, String> {
    let made = anthropic::to_messages(body.to_string().as_bytes(), "claude", 512);
    let made = made.map_err(|error| named(&error))?;
    Ok(Told {
        said: vec![made.body],
        dropped: made.dropped,
    })
}

fn to_text(body: &Value) -> Result<Told, String> {
    let settings = json!({"input": "prompt", "settings": ["max_tokens", "temperature"]});
    let shape: TextShape = serde_json::from_value(settings).unwrap();
    let speech = Speech {
        protocol: Protocol::BentoML,
        shape: &shape,
        id: "1",
    };
    let asked = speech.ask(body.to_string().as_bytes(), 512);
    let asked = asked.map_err(|error| named(&error))?;
    Ok(Told {
        said: vec![json!({"prompt": asked.prompt, "settings": asked.settings})],
        dropped: asked.dropped,
    })
}

fn from_messages(body: &Value) -> Result<Told, String> {
    let chat = inbound::to_chat(body.to_string().as_bytes()).map_err(|error| named(&error))?;
    let mut said = chat.body;
    said["cap"] = json!(chat.cap);
    Ok(Told {
        said: vec![said],
        dropped: chat.dropped,
    })
}

fn from_responses(body: &Value) -> Result<Told, String> {
    let made = responses::to_chat(body.to_string().as_bytes());
    let (chat, _) = made.map_err(|error| named(&error))?;
    let mut said = chat.body;
    said["cap"] = json!(chat.cap);
    Ok(Told {
        said: vec![said],
        dropped: chat.dropped,
    })
}

fn from_message(body: &Value) -> Result<Told, String> {
    answered(anthropic::to_completion(body.to_string().as_bytes(), 1))
}

fn to_message(body: &Value) -> Result<Told, String> {
    let estimated = Tokens::estimated(1, 1);
    answered(inbound::to_message(body.to_string().as_bytes(), estimated))
}

fn to_response(body: &Value) -> Result<Told, String> {
    let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).unwrap();
    answered(envelope.to_response(body.to_string().as_bytes(), Tokens::estimated(1, 1)))
}

fn from_events(events: &Value) -> Result<Told, String> {
    let mut translator = Translator::new(1, true);
    streamed(events, |data| {
        let said = translator.push(&Event::of_data(data));
        said.map(Vec::from).map_err(|error| error.code().to_owned())
    })
}

fn to_message_events(chunks: &Value) -> Result<Told, String> {
    let mut writer = inbound::Writer::new(1);
    let mut told = streamed(chunks, |data| writer.push(data).map(Vec::from))?;
    told.said.extend(data(&writer.end()));
    Ok(told)
}

fn to_response_events(chunks: &Value) -> Result<Told, String> {
    let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).unwrap();
    let mut writer = responses::Writer::new(envelope, 1, 1);
    let mut told = streamed(chunks, |data| writer.push(data).map(Vec::from))?;
    told.said.extend(data(&writer.end()));
    Ok(told)
}

fn streamed(
    events: &Value,
    mut push: impl FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Told, String> {
    let mut said = Vec::new();
    for event in events.as_array().unwrap() {
        said.extend(data(&push(&event.to_string())?));
    }
    let dropped = Vec::new();
    Ok(Told { said, dropped })
}

fn data(bytes: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    let data = lines.filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn answered(said: Result<Value, String>) -> Result<Told, String> {
    Ok(Told {
        said: vec![said?],
        dropped: Vec::new(),
    })
}

fn named(error: &ApiError) -> String {
    let body = error.body();
    body["error"]["param"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

// === the page ===

fn rows() -> Vec<Row> {
    let mut table = "";
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            table = title;
        }
        let Some(cells) = line.strip_prefix("| `").filter(|_| !table.is_empty()) else {
            continue;
        };
        let cells: Vec<_> = cells.trim_end_matches(" |").split(" | ").collect();
        let [field, given, becomes] = cells[..] else {
            panic!("{line}");
        };
        rows.push(Row {
            table,
            field: field.trim_end_matches('`'),
            given: serde_json::from_str(quoted(given)).expect(line),
            becomes: becomes_of(field, becomes),
        });
    }
    rows
}

fn becomes_of(field: &str, cell: &str) -> Becomes {
    let (word, named) = cell.split_once(": ").unwrap_or((cell, ""));
    let named = quoted(named);
    let leaf = field.trim_end_matches('`').rsplit('.').next().unwrap();
    let name = if named.is_empty() { leaf } else { named };
    match word {
        "carried" => Becomes::Carried,
        "mapped" => Becomes::Mapped(serde_json::from_str(named).expect(cell)),
        "mapped to nothing" => Becomes::Nothing,
        "dropped" => Becomes::Dropped(name.to_owned()),
        "refused" => Becomes::Refused(name.to_owned()),
        "left out" => Becomes::LeftOut,
        _ => panic!("{cell}"),
    }
}

fn quoted(text: &str) -> &str {
    text.trim_matches('`')
}

/// Prefix of a field, and its own name.
fn parts(field: &str) -> (&str, &str) {
    field.split_once('.').unwrap_or(("", field))
}

// === what a row claims ===

impl Row {
    /// What is wrong with it, if anything is.
    fn wrong(&self) -> Option<String> {
        let (prefix, leaf) = parts(self.field);
        let is_chunk = self.table.ends_with(": events") && matches!(leaf, "id" | "model");
        let (convert, base, place) = trial(self.table, if is_chunk { leaf } else { prefix });
        let (body, had) = put(&base, &place, leaf, &self.given);
        let told = convert(&body);
        let (holds, plain) = match (&self.becomes, &told) {
            (Becomes::Refused(name), Err(param)) => (name == param, None),
            (Becomes::Refused(_), Ok(_)) | (_, Err(_)) => (false, None),
            (becomes, Ok(told)) => {
                let plain = convert(&base).unwrap();
                (
                    holds(becomes, leaf, &self.given, (told, &plain, had)),
                    Some(plain),
                )
            }
        };
        (!holds).then(|| format!("{self:?}\n  became {told:?}\n  without it {plain:?}"))
    }
}

/// Whether what is told bears out the row, given what is told without the field; `had` is what stood in its place.
fn holds(
    becomes: &Becomes,
    leaf: &str,
    given: &Value,
    (told, plain, had): (&Told, &Told, Option<Value>),
) -> bool {
    let more = |count: fn(&Value, &Value, &str) -> usize, wanted: &Value| {
        let counted =
            |told: &Told| -> usize { told.said.iter().map(|said| count(said, wanted, leaf)).sum() };
        match &had {
            None => counted(told) > counted(plain),
            Some(before) => counted(told) > 0 && (before == given || told.said != plain.said),
        }
    };
    match becomes {
        Becomes::Carried => more(under_its_name, given),
        Becomes::Mapped(wanted) => more(
            |said, wanted, _| usize::from(holds_all(said, wanted)),
            wanted,
        ),
        Becomes::Nothing | Becomes::LeftOut => told == plain,
        Becomes::Dropped(name) => {
            told.said == plain.said && told.dropped.contains(name) && !plain.dropped.contains(name)
        }
        Becomes::Refused(_) => false,
    }
}

/// The body with it, and what stood in its place.
fn put(base: &Value, place: &Place, leaf: &str, given: &Value) -> (Value, Option<Value>) {
    let mut body = base.clone();
    let had = match place {
        Place::Field(at) => {
            let fields = body.pointer_mut(at).unwrap().as_object_mut().unwrap();
            fields.insert(leaf.to_owned(), given.clone())
        }
        Place::Item(at) => {
            let items = body.pointer_mut(at).unwrap().as_array_mut().unwrap();
            items.push(given.clone());
            None
        }
        Place::Event | Place::Delta => {
            let event = match place {
                Place::Delta => {
                    json!({"type": "content_block_delta", "index": 0, "delta": given})
                }
                _ => given.clone(),
            };
            let events = body.as_array_mut().unwrap();
            events.insert(events.len() - 1, event);
            None
        }
    };
    (body, had)
}

/// How often a value stands under a name, anywhere.
fn under_its_name(said: &Value, wanted: &Value, name: &str) -> usize {
    match said {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                usize::from(key == name && value == wanted) + under_its_name(value, wanted, name)
            })
            .sum(),
        Value::Array(items) => items
            .iter()
            .map(|item| under_its_name(item, wanted, name))
            .sum(),
        _ => 0,
    }
}

/// Whether a value has all that is wanted; it may have more.
fn holds_all(said: &Value, wanted: &Value) -> bool {
    match (said, wanted) {
        (Value::Object(said), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| said.get(key).is_some_and(|said| holds_all(said, wanted))),
        (Value::Array(said), Value::Array(wanted)) => {
            said.len() >= wanted.len()
                && said
                    .iter()
                    .zip(wanted)
                    .all(|(said, wanted)| holds_all(said, wanted))
        }
        _ => said == wanted,
    }
}

#[test]
fn every_row_of_the_tables_holds() {
    let rows = rows();
    assert!(rows.len() > 300, "{}", rows.len());
    let wrong: Vec<_> = rows.iter().filter_map(Row::wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_field_that_the_sdks_publish_has_a_row() {
    type Published = BTreeMap<String, BTreeMap<String, Vec<String>>>;
    let published: Published = serde_json::from_str(PUBLISHED).unwrap();
    let rows = rows();
    let mut missing = Vec::new();
    for (shape, places) in &published {
        let tables: &[&str] = match shape.as_str() {
            "chat" => &["Chat completions to messages", "Chat completions to a text"],
            "messages" => &["Messages from callers to chat completions"],
            "responses" => &["Responses to chat completions"],
            "completion" => &[
                "Chat completions to messages for callers: answers",
                "Chat completions to responses: answers",
            ],
            "chunk" => &[
                "Chat completions to messages for callers: events",
                "Chat completions to responses: events",
            ],
            "message" => &["Messages to chat completions: answers"],
            "event" => &["Messages to chat completions: events"],
            _ => panic!("{shape}"),
        };
        for (table, (place, names)) in tables
            .iter()
            .flat_map(|table| places.iter().map(move |place| (table, place)))
        {
            // A text has no tools.
            if *table == "Chat completions to a text" && place == "tools" {
                continue;
            }
            let has = |name: &str| {
                rows.iter().filter(|row| row.table == *table).any(|row| {
                    let (prefix, leaf) = parts(row.field);
                    leaf == name && (prefix == place || (place == "block" && prefix == "said"))
                })
            };
            let without = names.iter().filter(|name| !has(name));
            missing.extend(without.map(|name| format!("{table}: {place}.{name}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
