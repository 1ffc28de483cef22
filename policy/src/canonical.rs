//! The canonical form of a policy: what it says, without defaults, spelling or order that mean
//! nothing. Its digest names a behaviour.

use aios_crds::policy_set::{Review, Rule};
use serde::Serialize;
use serde_json::Value;

use crate::digest::{Canonical, Digest};

/// Lists that are sets.
const SETS: [&str; 12] = [
    "parts",
    "calls",
    "list",
    "endings",
    "detect",
    "read",
    "allowVariables",
    "allow",
    "schemes",
    "variables",
    "openings",
    "keep",
];
/// Fields that hold names or JSON of the user's making, in which everything means something.
const VERBATIM: [&str; 2] = ["jsonSchema", "categories"];
/// Fields and the values they have when left out, where the schema types write them all the same.
const DEFAULTS: [(&str, &str); 3] = [
    ("onError", "Closed"),
    ("match", "Word"),
    ("when", "Flagged"),
];

/// SHA-256 over the fields `aios.dev/policy/v1`, the canonical JSON of every rule in order, and of
/// the review.
pub(crate) fn digest(rules: &[Rule], review: &Review) -> Digest {
    let rules = rules
        .iter()
        .fold(Canonical::new("aios.dev/policy/v1"), |digest, rule| {
            digest.field(canonical(rule).as_bytes())
        });
    rules.field(canonical(review).as_bytes()).finish()
}

/// The same rules that only report are another behaviour.
pub(crate) fn dry_run(enforced: Digest) -> Digest {
    Canonical::new("aios.dev/policy-dry-run/v1")
        .field(enforced.as_bytes())
        .finish()
}

fn canonical(value: &impl Serialize) -> String {
    // The schema types have text keys: this cannot fail.
    let value = serde_json::to_value(value).unwrap_or_default();
    let mut out = String::new();
    write(&value, &mut out);
    out
}

/// JSON with sorted keys and no white space, nulls, empty collections and defaults left out.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut kept: Vec<_> = fields
                .iter()
                .filter(|(name, value)| says(name, value))
                .collect();
            kept.sort_unstable_by_key(|(name, _)| *name);
            joined(('{', '}'), kept, out, |(name, value), out| {
                write(&Value::String(name.clone()), out);
                out.push(':');
                if VERBATIM.contains(&name.as_str()) {
                    write_all(value, out);
                } else if SETS.contains(&name.as_str()) {
                    write_set(value, out);
                } else {
                    write(value, out);
                }
            });
        }
        Value::Array(items) => joined(('[', ']'), items, out, write),
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// JSON with sorted keys and no white space, nothing left out.
fn write_all(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            joined(('{', '}'), fields, out, |(name, value), out| {
                write_all(&Value::String(name.clone()), out);
                out.push(':');
                write_all(value, out);
            });
        }
        Value::Array(items) => joined(('[', ']'), items, out, write_all),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_set(value: &Value, out: &mut String) {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut items: Vec<_> = items.iter().map(Value::to_string).collect();
    items.sort_unstable();
    items.dedup();
    joined(('[', ']'), items, out, |item, out| out.push_str(&item));
}

fn says(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !DEFAULTS.contains(&(name, text)),
        _ => true,
    }
}

fn joined<T>(
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut each: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use aios_crds::PolicySetSpec;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::digest;
    use crate::Digest;

    fn of(rules: &Value, review: &Value) -> Digest {
        let spec = json!({"rules": rules, "review": review});
        let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
        digest(&spec.rules, &spec.review)
    }

    fn base() -> Value {
        json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review"}])
    }

    #[rstest]
    #[case(json!([{"name": "a", "terms": {"list": ["y", "x"]}, "action": "Review"}]))]
    #[case(json!([{"action": "Review", "onError": "Closed", "parts": [], "name": "a",
        "terms": {"match": "Word", "list": ["x", "y"]}}]))]
    fn spelling_defaults_and_order_of_sets_change_nothing(#[case] rules: Value) {
        assert_eq!(
            of(&rules, &json!({"when": "Flagged"})),
            of(&base(), &json!({}))
        );
    }

    #[rstest]
    #[case(json!([{"name": "b", "terms": {"list": ["x", "y"]}, "action": "Review"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x"]}, "action": "Review"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Block"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"], "match": "Prefix"},
        "action": "Review"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "when": "vars.a"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "calls": ["Answer"]}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "onError": "Open"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "message": "say it otherwise"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "instruction": "say it otherwise"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"]}, "action": "Review",
        "parts": ["subject"]}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"], "view": "Raw"},
        "action": "Review"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"], "stem": "German"},
        "action": "Review"}]), json!({}))]
    #[case(json!([{"name": "a", "terms": {"list": ["x", "y"], "endings": ["s"]},
        "action": "Review"}]), json!({}))]
    #[case(base(), json!({"samplePercent": 5}))]
    #[case(base(), json!({"when": "Always"}))]
    #[case(base(), json!({"due": "24h"}))]
    fn whatever_changes_behaviour_changes_the_digest(#[case] rules: Value, #[case] review: Value) {
        assert_ne!(of(&rules, &review), of(&base(), &json!({})));
    }

    #[rstest]
    #[case(json!({"const": null}), json!({}))]
    #[case(json!({"enum": []}), json!({}))]
    #[case(json!({"prefixItems": [true, false]}), json!({"prefixItems": [false, true]}))]
    #[case(json!({"properties": {"list": {"type": "array"}}}), json!({"properties": {"list": {}}}))]
    #[case(json!({"properties": {"match": "Word"}}), json!({"properties": {}}))]
    fn nothing_in_a_schema_is_without_meaning(#[case] one: Value, #[case] other: Value) {
        let rules = |schema: &Value| json!([{"name": "a", "schema": {"jsonSchema": schema}, "action": "Review"}]);
        assert_ne!(of(&rules(&one), &json!({})), of(&rules(&other), &json!({})));
    }

    #[test]
    fn a_category_may_be_named_as_a_field_is() {
        let rules = |percent: i32| {
            json!([{"name": "a", "action": "Review",
            "moderation": {"model": "judge", "categories": {"list": percent}}}])
        };
        assert_ne!(of(&rules(50), &json!({})), of(&rules(60), &json!({})));
    }

    #[test]
    fn the_digest_is_pinned() {
        assert_eq!(
            of(&base(), &json!({})).to_string(),
            "sha256:896f4e4ba7cec9c11ab9262f6d3a6f21a29cf37513366b842082b4cb93074c70"
        );
    }
}
