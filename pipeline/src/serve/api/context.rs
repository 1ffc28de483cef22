//! Uploads of records.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use serde_json::{Map, Value, json};

use super::caller::Caller;
use crate::{
    compiled::scalar,
    serve::{auth::Verb, gateway::Gateway, problem::Problem, runs::record_subject},
    store::UploadedRecord,
};

/// `PUT /v1/pipelines/{pipeline}/context/{name}`: replaces all records of a context, or none. The
/// body is NDJSON or a JSON array of objects.
pub async fn upload(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::Create, &pipeline).await?;
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let source = compiled
        .config
        .context
        .iter()
        .find(|context| context.name == name)
        .ok_or_else(|| {
            let contexts = compiled.config.context.iter();
            let known: Vec<_> = contexts.map(|context| context.name.as_str()).collect();
            let known = known.join(", ");
            let why =
                format!("pipeline `{pipeline}` has no context `{name}`; its contexts: {known}");
            Problem::invalid("name", why)
        })?;
    let key_field = &source.upload.key;
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for (place, record) in parse(&body)? {
        let key = record.get(key_field).and_then(scalar).ok_or_else(|| {
            Problem::invalid(
                format!("{place}.{key_field}"),
                format!("the record has no scalar field `{key_field}`, which is its key"),
            )
        })?;
        if !seen.insert(key.clone()) {
            let why = format!("another record has the same `{key_field}`: keys are unique");
            return Err(Problem::invalid(format!("{place}.{key_field}"), why));
        }
        let subject = record_subject(&gateway, &compiled, &name, &record);
        records.push(UploadedRecord {
            key,
            subject,
            record,
        });
    }
    let count = records.len();
    gateway.store.put_context(&pipeline, &name, records).await?;
    Ok(Json(json!({"context": name, "records": count})))
}

type Placed = (String, Map<String, Value>);

/// Records with their places, as `line 3` or `[2]`.
fn parse(body: &[u8]) -> Result<Vec<Placed>, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::invalid("body", format!("not UTF-8: {error}")))?;
    if text.trim_start().starts_with('[') {
        let all: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
            Problem::invalid("body", format!("an array of objects is wanted: {error}"))
        })?;
        return Ok(all
            .into_iter()
            .enumerate()
            .map(|(n, r)| (format!("[{n}]"), r))
            .collect());
    }
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            match serde_json::from_str(line) {
                Ok(record) => Ok((place, record)),
                Err(error) => Err(Problem::invalid(
                    place,
                    format!("one JSON object a line is wanted: {error}"),
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let problem = parse(b"{\"id\":1}\n\n{\"id\":\n").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("line 3"));
    }

    #[test]
    fn lines_and_arrays_give_the_same_records() {
        let lines = parse(b"{\"id\":1}\n{\"id\":2}\n").unwrap();
        let array = parse(b"[{\"id\":1},{\"id\":2}]").unwrap();
        assert_eq!(lines.len(), array.len());
        assert!(lines.iter().zip(&array).all(|(a, b)| a.1 == b.1));
    }
}
