//! What the release before accepted is accepted: its definitions stand in `previous/`, and are replaced
//! with each release. Where this fails, objects that people have in Git would be refused or cut short.
#![cfg(feature = "kube")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

#[test]
fn what_the_release_before_accepted_is_accepted() {
    let mut lost = Vec::new();
    for (name, text) in aios_crds::yaml::definitions().unwrap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/previous")
            .join(&name);
        let before = schema(&fs::read_to_string(path).unwrap());
        compare(&before, &schema(&text), &name, &mut lost);
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn a_lost_field_a_new_duty_and_a_tighter_bound_are_found() {
    let before = r#"{"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "enum": ["x", "y"]}, "b": {"type": "integer", "maximum": 9},
        "c": {"type": "array", "items": {"type": "string", "maxLength": 5}}}}"#;
    let now = r#"{"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "string", "enum": ["x"]}, "b": {"type": "integer", "maximum": 8},
        "d": {"type": "string"}}}"#;
    let mut lost = Vec::new();
    let of = |text: &str| serde_json::from_str(text).unwrap();
    compare(&of(before), &of(now), "kind", &mut lost);
    assert_eq!(
        lost,
        [
            "kind: b is required now",
            "kind.a: \"y\" is no value any more",
            "kind.b: maximum was 9 and is 8",
            "kind.c is gone",
        ]
    );
}

fn schema(text: &str) -> Value {
    let plain: Vec<&str> = text.lines().filter(|line| !line.contains("{{")).collect();
    let definition: Value = serde_saphyr::from_str(&plain.join("\n")).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn compare(before: &Value, now: &Value, at: &str, lost: &mut Vec<String>) {
    if before["type"] != now["type"] {
        lost.push(format!(
            "{at}: type was {} and is {}",
            before["type"], now["type"]
        ));
    }
    let had = texts(&before["required"]);
    for name in texts(&now["required"]).difference(&had) {
        lost.push(format!("{at}: {name} is required now"));
    }
    for value in before["enum"].as_array().into_iter().flatten() {
        if !now["enum"].as_array().is_none_or(|all| all.contains(value)) {
            lost.push(format!("{at}: {value} is no value any more"));
        }
    }
    bounds(before, now, at, lost);
    for (name, property) in before["properties"].as_object().into_iter().flatten() {
        match now["properties"].get(name) {
            Some(now) => compare(property, now, &format!("{at}.{name}"), lost),
            None => lost.push(format!("{at}.{name} is gone")),
        }
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if before[key].is_object() {
            compare(&before[key], &now[key], &format!("{at}{mark}"), lost);
        }
    }
}

/// A bound may be widened or lifted.
fn bounds(before: &Value, now: &Value, at: &str, lost: &mut Vec<String>) {
    let at_most = ["maximum", "maxLength", "maxItems", "maxProperties"];
    let at_least = ["minimum", "minLength", "minItems", "minProperties"];
    for (key, sign) in at_most
        .map(|key| (key, 1.0))
        .into_iter()
        .chain(at_least.map(|key| (key, -1.0)))
    {
        let Some(is) = now[key].as_f64() else {
            continue;
        };
        if before[key]
            .as_f64()
            .is_none_or(|was| was * sign > is * sign)
        {
            lost.push(format!(
                "{at}: {key} was {} and is {}",
                before[key], now[key]
            ));
        }
    }
    if now["pattern"].is_string() && now["pattern"] != before["pattern"] {
        lost.push(format!("{at}: its pattern is another"));
    }
}

fn texts(list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(ToOwned::to_owned))
        .collect()
}
