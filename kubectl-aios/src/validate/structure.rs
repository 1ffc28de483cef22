//! What the API server refuses: unknown and missing fields, wrong types and forms, and the CEL rules
//! of the kinds, all read from the same definitions that the cluster has.

use std::sync::LazyLock;

use aios_crds::yaml;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::{
    Finding, Kind,
    path::{child, nearest, readable, schema_at},
    sources::Manifest,
};

const RULES: &str = "x-kubernetes-validations";
const OPEN: &str = "x-kubernetes-preserve-unknown-fields";

/// Schema of each kind's spec: as the cluster has it, and closed for fields it does not know.
static SCHEMAS: LazyLock<Vec<(Kind, Value, Value)>> = LazyLock::new(|| {
    let kinds = yaml::all().into_iter().filter_map(|crd| {
        let kind = Kind::parse(&crd.spec.names.kind)?;
        let crd = serde_json::to_value(crd).ok()?;
        let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let spec = crd.pointer(place)?.clone();
        let mut closed = spec.clone();
        close(&mut closed);
        Some((kind, spec, closed))
    });
    kinds.collect()
});

/// Mistakes of an object's structure; none for kinds of others.
pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let schemas = SCHEMAS
        .iter()
        .find(|(kind, _, _)| Some(*kind) == manifest.kind);
    let Some((kind, schema, closed)) = schemas else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    envelope(&manifest.value, &mut wrong);
    match manifest.value.get("spec") {
        None => wrong.push((
            "spec".into(),
            "is missing".into(),
            "write the object's spec".into(),
        )),
        Some(spec) => {
            fields(*kind, schema, closed, spec, &mut wrong);
            rules(schema, spec, "spec", &mut wrong);
        }
    }
    let finding = |(path, message, remedy)| Finding {
        file: manifest.file.clone(),
        object: format!("{}/{}", manifest.kind_name, manifest.name),
        path,
        place: None,
        message,
        remedy,
    };
    wrong.into_iter().map(finding).collect()
}

/// Path, message, remedy.
type Wrong = (String, String, String);

fn envelope(value: &Value, wrong: &mut Vec<Wrong>) {
    const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    for field in value.as_object().into_iter().flat_map(Map::keys) {
        if !KNOWN.contains(&field.as_str()) {
            let message = "is no field of any kind".to_owned();
            wrong.push((
                field.clone(),
                message,
                "move it under spec, or leave it out".to_owned(),
            ));
        }
    }
}

fn fields(kind: Kind, schema: &Value, closed: &Value, spec: &Value, wrong: &mut Vec<Wrong>) {
    let Ok(validator) = jsonschema::options().offline().build(closed) else {
        return;
    };
    for error in validator.iter_errors(spec) {
        let pointer = error.instance_path().to_string();
        let path = readable("spec", &pointer);
        let here = schema_at(schema, &pointer);
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let field = here.and_then(|schema| schema.pointer(&format!("/properties/{name}")));
                let path = child(&path, name);
                let remedy = said(kind, &path, field);
                wrong.push((path, "is missing".into(), remedy));
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    wrong.push(unknown(&path, name, here));
                }
            }
            ValidationErrorKind::Enum { options } => {
                let remedy = format!("use one of {}", listed(options));
                wrong.push((
                    path,
                    format!("{} is not one of its values", error.instance()),
                    remedy,
                ));
            }
            ValidationErrorKind::Type { kind } => {
                let message = format!("{} is not {}", error.instance(), types(kind));
                wrong.push((path, message, format!("write {}", types(kind))));
            }
            ValidationErrorKind::Pattern { pattern } => {
                let message = format!("{} does not have the form {pattern}", error.instance());
                let remedy = said(kind, &path, here);
                wrong.push((path, message, remedy));
            }
            _ => {
                let remedy = said(kind, &path, here);
                wrong.push((path, error.to_string(), remedy));
            }
        }
    }
}

fn unknown(path: &str, name: &str, schema: Option<&Value>) -> Wrong {
    let known = schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    let names = || known.into_iter().flat_map(Map::keys).map(String::as_str);
    let remedy = match nearest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!(
            "leave it out; here are {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    };
    (child(path, name), "is unknown".into(), remedy)
}

/// What the schema says of a field.
fn said(kind: Kind, path: &str, schema: Option<&Value>) -> String {
    let description = schema.and_then(|schema| schema.get("description")?.as_str());
    description.map_or_else(
        || {
            let path: String = path.split(['[', ']']).step_by(2).collect();
            format!(
                "see kubectl explain {}.{path}",
                kind.as_str().to_lowercase()
            )
        },
        |description| description.trim_end_matches('.').replace('\n', " "),
    )
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(single) => format!("a value of type {single}"),
        TypeKind::Multiple(_) => "a value of another type".to_owned(),
    }
}

fn listed(options: &Value) -> String {
    let options = options.as_array().into_iter().flatten();
    let words = options.map(|o| o.as_str().map_or_else(|| o.to_string(), str::to_owned));
    words.collect::<Vec<_>>().join(", ")
}

/// Evaluates every rule that needs no earlier version of the object. A rule that cannot run here
/// says nothing: missing and mistyped fields are reported already.
fn rules(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<Wrong>) {
    for rule in schema
        .get(RULES)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |key| rule.get(key).and_then(Value::as_str).unwrap_or_default();
        if !text("rule").contains("oldSelf") && holds(text("rule"), value) == Some(false) {
            let message = "does not obey its rule".to_owned();
            wrong.push((path.to_owned(), message, text("message").to_owned()));
        }
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let inner = schema.pointer(&format!("/properties/{name}"));
                if let Some(inner) = inner.or_else(|| schema.get("additionalProperties")) {
                    rules(inner, value, &child(path, name), wrong);
                }
            }
        }
        Value::Array(list) => {
            let Some(inner) = schema.get("items") else {
                return;
            };
            for (index, value) in list.iter().enumerate() {
                rules(inner, value, &format!("{path}[{index}]"), wrong);
            }
        }
        _ => {}
    }
}

fn holds(rule: &str, value: &Value) -> Option<bool> {
    let program = cel::Program::compile(rule).ok()?;
    let mut context = cel::Context::default();
    context.add_variable("self", value).ok()?;
    match program.execute(&context).ok()? {
        cel::Value::Bool(holds) => Some(holds),
        _ => None,
    }
}

/// Forbids fields that the schema does not name, as strict field validation does.
fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let open = map.get(OPEN).is_some_and(|open| open == &json!(true));
    if map.get("properties").is_some() && !open {
        map.entry("additionalProperties").or_insert(json!(false));
    }
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(close);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            close(inner);
        }
    }
}
