//! Parts that are JSON: one value, each key once, of a schema. What does not fit is marked where it
//! stands.

mod cost;
mod place;

use std::ops::Range;

use aios_crds::check::Schema as Spec;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::Ranges;
use crate::{diagnostic::Diagnostic, work::spend};
use place::Node;

/// Bytes of one compiled pattern.
const PATTERN_LIMIT: usize = 1 << 20;
/// Most misfits that are marked: each is looked up in the text.
const MOST_MISFITS: usize = 32;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema(Validator);

impl Schema {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let path = format!("{path}.jsonSchema");
        let schema = spec.json_schema.value();
        if let Err(why) = cost::check(&schema) {
            return Err(vec![Diagnostic::new(path, why.to_string())]);
        }
        jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_LIMIT))
            .build(&schema)
            .map(Self)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                let message = format!(
                    "{}: write JSON Schema (draft 2020-12), and patterns without look-around and \
                     back references",
                    error.masked()
                );
                vec![Diagnostic::new(field(&path, &place), message)]
            })
    }

    /// Bytes of a part's text that do not fit; all of it where it is no JSON.
    pub(crate) fn find(&self, text: &str) -> Ranges {
        let all = 0..text.len();
        spend(text.len());
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return vec![all];
        };
        let misfits: Vec<String> = self
            .0
            .iter_errors(&value)
            .take(MOST_MISFITS)
            .map(|misfit| misfit.instance_path().to_string())
            .collect();
        let Some(root) = Node::read(text) else {
            return vec![all];
        };
        let mut ranges: Vec<Range<usize>> = Vec::new();
        root.repeated(&mut ranges);
        ranges.truncate(MOST_MISFITS);
        ranges.extend(misfits.iter().map(|pointer| root.at(pointer)));
        ranges
    }
}

/// The path of a manifest's field for a JSON pointer (RFC 6901) into it.
fn field(path: &str, pointer: &str) -> String {
    place::steps(pointer).fold(path.to_owned(), |path, step| {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{path}[{step}]")
        } else {
            format!("{path}.{step}")
        }
    })
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Schema as Spec;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::Schema;

    fn compile(schema: &Value) -> Result<Schema, Vec<crate::Diagnostic>> {
        let spec = Spec {
            json_schema: schema.into(),
        };
        Schema::compile(&spec, "spec.rules[0].schema")
    }

    fn offer() -> Value {
        json!({
            "type": "object",
            "required": ["title", "price"],
            "additionalProperties": false,
            "properties": {
                "title": {"type": "string", "maxLength": 20},
                "price": {"type": "object", "properties": {
                    "amount": {"type": "string", "pattern": "^[0-9]+\\.[0-9]{2}$"}}},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
                "a/b": {"type": "number"},
            },
            "$defs": {"tag": {"enum": ["new", "sale"]}},
        })
    }

    #[rstest]
    #[case::fits(r#" {"title": "Käse", "price": {"amount": "4.20"}, "tags": ["new"]} "#, &[])]
    #[case::no_json("Here is the offer: {}", &["Here is the offer: {}"])]
    #[case::two_values("{} {}", &["{} {}"])]
    #[case::fenced("```json\n{}\n```", &["```json\n{}\n```"])]
    #[case::nothing("", &[""])]
    #[case::missing(r#"{"title": "x"}"#, &[r#"{"title": "x"}"#])]
    #[case::deep(r#"{"title": "x", "price": {"amount": "4,20"}}"#, &[r#""4,20""#])]
    #[case::by_reference(r#"{"title": "x", "price": {}, "tags": ["new", "Ünique", "old"]}"#,
        &[r#""Ünique""#, r#""old""#])]
    #[case::escaped_key(r#"{"title": "x", "price": {}, "a\/b": true}"#, &["true"])]
    #[case::key_twice(r#"{"title": "x", "price": {}, "title": "y"}"#, &[r#""y""#])]
    #[case::key_twice_in_disguise(r#"{"title": "x", "price": {"a": 1, "\u0061": 2}}"#, &["2"])]
    fn what_does_not_fit_is_marked_where_it_stands(#[case] text: &str, #[case] bad: &[&str]) {
        let schema = compile(&offer()).unwrap();
        let found: Vec<_> = schema.find(text).into_iter().map(|r| &text[r]).collect();
        assert_eq!(found, bad);
    }

    #[rstest]
    #[case::no_schema(json!({"type": "objekt"}), ".type", "write JSON Schema")]
    #[case::deep(json!({"properties": {"a": {"maxLength": "3"}}}), ".properties.a.maxLength",
        "write JSON Schema")]
    #[case::look_around(json!({"properties": {"a": {"pattern": "(?=x)y"}}}),
        ".properties.a.pattern", "look-around")]
    #[case::back_reference(json!({"pattern": "(a)\\1"}), ".pattern", "back references")]
    #[case::other_document(json!({"$ref": "https://x.example/s.json"}), "", "`#/…`")]
    #[case::nowhere(json!({"$ref": "#/$defs/none"}), "", "leads nowhere")]
    #[case::endless(json!({"properties": {"child": {"$ref": "#"}}}), "", "write the levels out")]
    fn a_schema_that_cannot_be_held_is_refused(
        #[case] schema: Value,
        #[case] place: &str,
        #[case] remedy: &str,
    ) {
        let mistake = compile(&schema).unwrap_err().remove(0);
        assert_eq!(
            mistake.path,
            format!("spec.rules[0].schema.jsonSchema{place}")
        );
        assert!(mistake.message.contains(remedy), "{mistake}");
    }

    #[test]
    fn deep_nesting_ends_as_no_json() {
        let schema = compile(&json!({})).unwrap();
        let text = "[".repeat(100_000);
        assert_eq!(schema.find(&text).first(), Some(&(0..text.len())));
    }
}
