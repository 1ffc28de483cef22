//! Items of a run, which a run and a trigger name alike.

use aios_crds::{WritingPipelineSpec, writing_run::RunInput};
use serde_json::Value;

use crate::Diagnostic;

/// Mistakes that show without the pipeline.
pub fn check(at: &str, input: &RunInput, found: &mut Vec<Diagnostic>) {
    if input.pointers.is_some() == input.upload.is_some() {
        found.push(Diagnostic::new(
            at,
            "neither or both of pointers and upload are set",
            "set exactly one of pointers and upload",
        ));
    }
    for (index, pointer) in input.pointers.iter().flatten().enumerate() {
        for (field, value) in pointer {
            if matches!(value, Value::Object(_) | Value::Array(_)) {
                found.push(Diagnostic::new(
                    format!("{at}.pointers[{index}].{field}"),
                    "is not a plain value",
                    "point at a record by its key and upload the record itself: records never \
                     stand in a manifest",
                ));
            }
        }
    }
}

/// Mistakes that only show beside the pipeline: contexts it lacks, pointers that name no record.
pub fn fits(
    at: &str,
    input: &RunInput,
    pipeline: &WritingPipelineSpec,
    found: &mut Vec<Diagnostic>,
) {
    let contexts: Vec<&str> = pipeline
        .context
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    if let Some(upload) = &input.upload
        && !contexts.contains(&upload.context.as_str())
    {
        found.push(Diagnostic::new(
            format!("{at}.upload.context"),
            format!("the pipeline has no context `{}`", upload.context),
            format!("use one of its spec.context: {}", listed(&contexts)),
        ));
    }
    for (index, pointer) in input.pointers.iter().flatten().enumerate() {
        for source in &pipeline.context {
            let field = &source.upload.pointer;
            if !pointer.contains_key(field) {
                found.push(Diagnostic::new(
                    format!("{at}.pointers[{index}].{field}"),
                    format!(
                        "is missing, and context `{}` looks records up by it",
                        source.name
                    ),
                    format!("add `{field}` with the record's `{}`", source.upload.key),
                ));
            }
        }
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "it has none".into()
    } else {
        names.join(", ")
    }
}
