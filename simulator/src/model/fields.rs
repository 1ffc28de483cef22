//! Reading a request field by field, so that a refusal names the field.

use serde_json::{Map, Value};

use super::problem::Problem;

/// A JSON object of a request. Unknown fields are accepted, so that tests can see them arrive.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub fn new(body: &'a Value) -> Result<Self, Problem> {
        body.as_object()
            .map(Self)
            .ok_or_else(|| Problem::Json("an object is expected".into()))
    }

    /// Absent and null are the same.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn required(self, name: &str) -> Result<&'a Value, Problem> {
        self.get(name).ok_or_else(|| Problem::Missing(name.into()))
    }

    pub fn text(self, name: &str) -> Result<&'a str, Problem> {
        let text = self
            .required(name)?
            .as_str()
            .filter(|text| !text.is_empty());
        text.ok_or_else(|| Problem::invalid(name, "a non-empty string is expected"))
    }

    pub fn flag(self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Problem::invalid(name, "true or false is expected")),
        }
    }

    pub fn positive(self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| *number > 0);
        number
            .map(Some)
            .ok_or_else(|| Problem::invalid(name, "an integer above 0 is expected"))
    }

    pub fn within(self, name: &str, least: f64, most: f64) -> Result<(), Problem> {
        let bad = |value: &Value| !value.as_f64().is_some_and(|n| (least..=most).contains(&n));
        if self.get(name).is_some_and(bad) {
            let why = format!("a number between {least} and {most} is expected");
            return Err(Problem::invalid(name, why));
        }
        Ok(())
    }

    /// One string or a list of them.
    pub fn strings(self, name: &str) -> Result<Vec<String>, Problem> {
        let strings = match self.get(name) {
            None => Some(Vec::new()),
            Some(Value::String(one)) => Some(vec![one.clone()]),
            Some(Value::Array(many)) => many
                .iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect(),
            Some(_) => None,
        };
        strings.ok_or_else(|| Problem::invalid(name, "strings are expected"))
    }

    /// The message that is to be answered.
    pub fn last_message(self) -> Option<&'a Value> {
        self.get("messages")?.as_array()?.last()
    }

    /// A list with at least one entry.
    pub fn list(self, name: &str) -> Result<&'a [Value], Problem> {
        let list = self
            .required(name)?
            .as_array()
            .filter(|list| !list.is_empty());
        list.map(Vec::as_slice)
            .ok_or_else(|| Problem::invalid(name, "a list with at least one entry is expected"))
    }
}

/// The text of a message's content: a string, or a list of parts whose text parts are joined.
pub fn content(value: &Value, param: &str) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => parts.iter().map(|part| self::part(part, param)).collect(),
        _ => Err(Problem::invalid(
            param,
            "a string or a list of parts is expected",
        )),
    }
}

fn part(part: &Value, param: &str) -> Result<String, Problem> {
    let kind = part.get("type").and_then(Value::as_str);
    let text = part.get("text").and_then(Value::as_str);
    match (kind, text) {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        (Some("text"), None) | (None, _) => Err(Problem::invalid(
            param,
            "a part needs a `type`, and a text part a `text`",
        )),
        (Some(_), _) => Ok(String::new()),
    }
}
