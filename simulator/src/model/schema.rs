//! An example for a JSON schema, as constrained decoding would give one: objects with all their
//! properties, arrays, enums, strings within their length, numbers within their bounds.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use super::answer::sentences;

/// Deeper schemas are cut off with null.
const DEEPEST: u8 = 16;

/// Keywords beyond those named above, such as `$ref` and `pattern`, are not followed.
pub fn example(schema: &Value, rng: &mut StdRng) -> Value {
    nested(schema, rng, DEEPEST)
}

fn nested(schema: &Value, rng: &mut StdRng, depth: u8) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(choices) = schema
        .get("enum")
        .and_then(Value::as_array)
        .filter(|c| !c.is_empty())
    {
        let at = rng.random_range(0..choices.len());
        return choices.get(at).cloned().unwrap_or_default();
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    match kind(schema) {
        "object" => object(schema, rng, depth),
        "array" => array(schema, rng, depth),
        "string" => Value::String(string(schema, rng)),
        "integer" | "number" => number(schema),
        "boolean" => Value::Bool(rng.random()),
        _ => Value::Null,
    }
}

fn kind(schema: &Value) -> &str {
    let stated = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        other => other,
    };
    match stated.and_then(Value::as_str) {
        Some(kind) => kind,
        None if schema.get("items").is_some() => "array",
        None => "object",
    }
}

fn object(schema: &Value, rng: &mut StdRng, depth: u8) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return json!({"text": sentences(rng)});
    };
    let fields = properties
        .iter()
        .map(|(name, schema)| (name.clone(), nested(schema, rng, depth)))
        .collect::<Map<_, _>>();
    Value::Object(fields)
}

fn array(schema: &Value, rng: &mut StdRng, depth: u8) -> Value {
    let least = schema
        .get("minItems")
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .min(100);
    let items = schema.get("items").unwrap_or(&Value::Null);
    Value::Array((0..least).map(|_| nested(items, rng, depth)).collect())
}

fn string(schema: &Value, rng: &mut StdRng) -> String {
    let bound = |name| schema.get(name).and_then(Value::as_u64);
    let least = usize::try_from(bound("minLength").unwrap_or(0).min(10_000)).unwrap_or(0);
    let most = bound("maxLength").and_then(|most| usize::try_from(most).ok());
    let mut text = sentences(rng);
    while text.chars().count() < least {
        text.push(' ');
        text.push_str(&sentences(rng));
    }
    match most {
        Some(most) => shorten(&text, most, least),
        None => text,
    }
}

/// Cuts at the last word that fits, unless that would leave too little.
fn shorten(text: &str, most: usize, least: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most).collect();
    let at_word = cut.rfind(' ').and_then(|at| cut.get(..at)).unwrap_or(&cut);
    let at_word = at_word.trim_end_matches([',', '.', ' ']);
    if at_word.chars().count() >= least.max(1) {
        at_word.to_owned()
    } else {
        cut
    }
}

fn number(schema: &Value) -> Value {
    for bound in ["minimum", "maximum"] {
        if let Some(value) = schema.get(bound) {
            return value.clone();
        }
    }
    json!(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn an_example_keeps_to_its_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "opening": {"type": "string", "minLength": 10, "maxLength": 40},
                "tone": {"enum": ["warm", "plain"]},
                "points": {"type": "array", "minItems": 2, "items": {"type": "string"}},
                "count": {"type": "integer", "minimum": 3},
                "code": {"type": "string", "maxLength": 1},
            },
        });
        for seed in 0..50 {
            let value = example(&schema, &mut StdRng::seed_from_u64(seed));
            let opening = value["opening"].as_str().unwrap();
            assert!((10..=40).contains(&opening.chars().count()), "{opening}");
            assert!(["warm", "plain"].contains(&value["tone"].as_str().unwrap()));
            assert_eq!(value["points"].as_array().unwrap().len(), 2);
            assert_eq!(value["count"], 3);
            assert_eq!(value["code"].as_str().unwrap().len(), 1);
        }
    }
}
