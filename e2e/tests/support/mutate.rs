//! Every field of a spec, each in several wrong ways. Pure.

#![allow(clippy::unwrap_used, reason = "a table that cannot be made fails")]

use serde_json::{Value, json};

/// A change of one field.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// JSON pointer within the object.
    pub at: String,
    pub how: &'static str,
    /// None: the field is missing.
    pub value: Option<Value>,
}

/// All mutations of an object's spec.
pub fn mutations(object: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    walk("/spec", &object["spec"], &mut all);
    // Without any spec there is no field to name.
    all.retain(|mutation| mutation.at != "/spec");
    all
}

fn walk(at: &str, value: &Value, all: &mut Vec<Mutation>) {
    let mut add = |how, value| {
        all.push(Mutation {
            at: at.to_owned(),
            how,
            value,
        });
    };
    add("missing", None);
    match value {
        Value::Object(_) => {
            add("empty", Some(json!({})));
            add("another type", Some(json!("text")));
        }
        Value::Array(list) => {
            add("empty", Some(json!([])));
            add("another type", Some(json!({"a": 1})));
            let twice: Vec<&Value> = list.iter().chain(list).collect();
            add("twice", Some(json!(twice)));
        }
        Value::Number(_) => {
            add("below zero", Some(json!(-1)));
            add("huge", Some(json!(2_147_483_648_u64)));
            add("another type", Some(json!("seven")));
        }
        Value::String(_) => {
            add("empty", Some(json!("")));
            add("endless", Some(json!("x".repeat(70_000))));
            add("nonsense", Some(json!("No such {{ thing }}\u{7}")));
            add("another type", Some(json!(7)));
        }
        Value::Bool(is) => {
            add("the contrary", Some(json!(!is)));
            add("another type", Some(json!("perhaps")));
        }
        Value::Null => {}
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // A JSON Schema of the user's is checked as a whole.
                if !(at.ends_with("/variables") || at.ends_with("/jsonSchema")) {
                    walk(&format!("{at}/{key}"), value, all);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(&format!("{at}/{index}"), value, all);
            }
        }
        _ => {}
    }
}

impl Mutation {
    pub fn of(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let (parent, key) = self.at.rsplit_once('/').unwrap();
        match (object.pointer_mut(parent).unwrap(), self.value.clone()) {
            (Value::Object(map), None) => {
                map.remove(key);
            }
            (Value::Object(map), Some(value)) => {
                map.insert(key.to_owned(), value);
            }
            (Value::Array(list), None) => {
                list.remove(key.parse().unwrap());
            }
            (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
            _ => {}
        }
        object
    }

    /// Names on the way to the field, the last first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.at.split('/').skip(2);
        let names: Vec<&str> = names
            .filter(|name| name.parse::<usize>().is_err())
            .collect();
        names.into_iter().rev()
    }
}
