//! The converter of each table, and the plain body that its rows are put into.

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

/// What a converter says.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub said: Vec<Value>,
    pub dropped: Vec<String>,
}

/// Where in a plain body something is put.
pub enum Place {
    /// A field of the object there.
    Field(&'static str),
    /// At the end of the list there.
    Item(&'static str),
    /// An event before the last.
    Event,
    /// What an event before the last adds.
    Delta,
}

pub type Convert = fn(&Value) -> Result<Told, String>;

/// The converter of a table, a plain body for a prefix of fields, and the place there.
pub fn trial(table: &str, prefix: &str) -> (Convert, Value, Place) {
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
