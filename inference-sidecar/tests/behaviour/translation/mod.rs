//! Walks the tables of `docs/translation.md`: each row is tried by conversion, and each field that the SDKs publish
//! has one.

mod page;
mod trials;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::{
    page::{Becomes, Row, parts, rows},
    trials::{Place, Told, trial},
};

const PUBLISHED: &str = include_str!("../../sdks/published.json");

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
