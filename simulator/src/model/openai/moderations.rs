//! Moderations by script: a rule whose answer is a JSON object of scores says what a text it matches is
//! judged as; every other text is harmless. Nothing is understood.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::fields::Fields;
use crate::model::problem::Problem;
use crate::model::request::Request;
use crate::model::script::Script;

/// The categories of OpenAI's current models.
const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];
const HARMLESS: f64 = 0.01;
/// The score from which a text is flagged.
const FLAGGED: f64 = 0.5;

/// A checked `POST /v1/moderations`.
#[derive(Debug, Clone)]
pub struct Moderations {
    /// For faults and the log.
    pub request: Request,
    inputs: Vec<String>,
}

/// Texts alone: pictures are refused by name.
pub fn moderations_request(body: &Value) -> Result<Moderations, Problem> {
    let fields = Fields::new(body)?;
    let model = fields.text("model")?.to_owned();
    fields.required("input")?;
    let inputs = texts(fields)?;
    if inputs.is_empty() {
        return Err(Problem::invalid("input", "at least one text is expected"));
    }
    let request = Request::of_texts(model, &inputs);
    Ok(Moderations { request, inputs })
}

/// A list of typed parts is one input, as a list of strings is several.
fn texts(fields: Fields<'_>) -> Result<Vec<String>, Problem> {
    let expected = || {
        Problem::invalid(
            "input",
            "a string, strings, or parts of type text are expected",
        )
    };
    if let Ok(strings) = fields.strings("input") {
        return Ok(strings);
    }
    let parts = fields.get("input").and_then(Value::as_array);
    let parts = parts.ok_or_else(expected)?.iter().map(|part| {
        let is_text = part.get("type").is_some_and(|kind| kind == "text");
        let text = part.get("text").and_then(Value::as_str);
        text.filter(|_| is_text).ok_or_else(expected)
    });
    Ok(vec![parts.collect::<Result<Vec<_>, _>>()?.join("\n")])
}

impl Moderations {
    pub fn response(&self, id: u64, script: &Script) -> Value {
        let results = self.inputs.iter().map(|text| {
            let asked = Request {
                last_user: text.clone(),
                ..self.request.clone()
            };
            let rule = script.answer(&asked).map(|(_, answer)| answer);
            let rule = rule.and_then(|answer| serde_json::from_str(answer).ok());
            judged(&rule.unwrap_or_default())
        });
        json!({
            "id": format!("modr-{id}"),
            "model": self.request.model,
            "results": results.collect::<Vec<_>>(),
        })
    }
}

/// Scores of categories that do not exist are not told.
fn judged(scores: &BTreeMap<String, f64>) -> Value {
    let score = |name: &str| scores.get(name).copied().unwrap_or(HARMLESS);
    let of = |value: fn(f64) -> Value| -> Map<String, Value> {
        let all = CATEGORIES.into_iter();
        all.map(|name| (name.to_owned(), value(score(name))))
            .collect()
    };
    json!({
        "flagged": CATEGORIES.into_iter().any(|name| score(name) >= FLAGGED),
        "categories": of(|score| json!(score >= FLAGGED)),
        "category_scores": of(|score| json!(score)),
        "category_applied_input_types": of(|_| json!(["text"])),
    })
}
