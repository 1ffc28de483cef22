//! JSON Schema of the variables: compiles offline, and says what it declares.

use aios_crds::{Json, writing_pipeline::WritingPipelineSpec};
use serde_json::Value;

use crate::Diagnostic;

const PATH: &str = "spec.content.variables";

/// What a variable's path leads to in the schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Declared<'a> {
    /// The schema of that variable.
    Yes(&'a Value),
    /// The schema does not say: it has none for that level, or composes it.
    Open,
    /// The schema lists its properties and this is none of them.
    No,
}

/// Variables as declared by the schema and the contexts.
pub struct Variables<'a> {
    schema: Option<Value>,
    contexts: Vec<&'a str>,
}

/// Checks that the schema compiles without fetching anything.
fn check(schema: &Value) -> Option<Diagnostic> {
    let options = jsonschema::options();
    match options.offline().build(schema) {
        Ok(_) if schema.get("type").is_some_and(|kind| kind != "object") => Some(Diagnostic::new(
            format!("{PATH}.type"),
            "variables are fields of one object",
            "write `type: object`, with the fields under properties",
        )),
        Ok(_) => None,
        Err(error) => {
            let place = error.instance_path().to_string();
            let path = place.split('/').skip(1).fold(PATH.to_owned(), |path, key| {
                if key.bytes().all(|b| b.is_ascii_digit()) {
                    format!("{path}[{key}]")
                } else {
                    format!("{path}.{key}")
                }
            });
            Some(Diagnostic::new(
                path,
                error.to_string(),
                "write JSON Schema (draft 2020-12) that refers to nothing outside itself",
            ))
        }
    }
}

impl<'a> Variables<'a> {
    /// Of a pipeline.
    pub fn of(spec: &'a WritingPipelineSpec) -> Self {
        Self {
            schema: spec.content.variables.as_ref().map(Json::value),
            contexts: spec
                .context
                .iter()
                .map(|source| source.name.as_str())
                .collect(),
        }
    }

    /// A mistake in the schema itself.
    pub fn mistake(&self) -> Option<Diagnostic> {
        self.schema.as_ref().and_then(check)
    }

    /// The schema.
    pub fn into_schema(self) -> Option<Value> {
        self.schema
    }

    /// Whether templates and labels may use this path, as in `customer.email`.
    pub fn declared(&self, path: &str) -> Declared<'_> {
        let Some(mut at) = self.schema.as_ref() else {
            return Declared::Open;
        };
        for (depth, key) in path.split('.').enumerate() {
            let composed = ["$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties"];
            if composed.iter().any(|keyword| at.get(keyword).is_some()) {
                return Declared::Open;
            }
            let Some(properties) = at.get("properties") else {
                return Declared::Open;
            };
            match properties.get(key) {
                Some(property) => at = property,
                None if depth == 0 && self.contexts.contains(&key) => return Declared::Open,
                None if at.get("additionalProperties").is_some_and(Value::is_object) => {
                    return Declared::Open;
                }
                None => return Declared::No,
            }
        }
        Declared::Yes(at)
    }

    /// Checks a path that a field of the spec names.
    pub fn check_path(&self, field: &str, path: &str) -> Option<Diagnostic> {
        let legal = |key: &str| {
            key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !path.split('.').all(legal) {
            return Some(Diagnostic::new(
                field,
                format!("`{path}` is not the path of a variable"),
                "write names joined by dots, as in customer.language",
            ));
        }
        (self.declared(path) == Declared::No).then(|| undeclared(field, path))
    }
}

/// A path that the schema does not list.
pub fn undeclared(field: &str, path: &str) -> Diagnostic {
    Diagnostic::new(
        field,
        format!("`{path}` is no variable: {PATH} does not declare it"),
        format!("correct the name, or declare it under {PATH}.properties"),
    )
}
