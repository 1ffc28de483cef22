//! Compiles a WritingRun, and checks it against the pipeline that it names.

use aios_crds::{WritingPipelineSpec, WritingRunSpec};
use aios_proto::config::RunConfig;
use serde_json::Value;

use crate::{Diagnostic, checks};

/// Longest name of a run: its Job and labels are named after it.
const MAX_NAME: usize = 52;

/// Compiles a WritingRun.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn run(name: &str, uid: &str, spec: &WritingRunSpec) -> Result<RunConfig, Vec<Diagnostic>> {
    let mut found: Vec<_> = checks::object_name("WritingRun", name, MAX_NAME)
        .into_iter()
        .collect();
    if spec.input.pointers.is_some() == spec.input.upload.is_some() {
        found.push(Diagnostic::new(
            "spec.input",
            "neither or both of pointers and upload are set",
            "set exactly one of pointers and upload",
        ));
    }
    for (index, pointer) in spec.input.pointers.iter().flatten().enumerate() {
        for (field, value) in pointer {
            if matches!(value, Value::Object(_) | Value::Array(_)) {
                found.push(Diagnostic::new(
                    format!("spec.input.pointers[{index}].{field}"),
                    "is not a plain value",
                    "point at a record by its key and upload the record itself: records never \
                     stand in a manifest",
                ));
            }
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    Ok(RunConfig {
        name: name.to_owned(),
        uid: uid.to_owned(),
        pipeline: spec.pipeline_ref.name.clone(),
        input: spec.input.clone(),
        author: spec.author.clone(),
        suspend: spec.suspend,
        deadline_ms: spec
            .deadline
            .as_ref()
            .map(|deadline| u64::try_from(deadline.0.as_millisecond()).unwrap_or_default()),
    })
}

/// Mistakes that only show beside the pipeline: contexts it lacks, pointers that name no record.
pub fn run_fits(spec: &WritingRunSpec, pipeline: &WritingPipelineSpec) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let contexts: Vec<&str> = pipeline
        .context
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    if let Some(upload) = &spec.input.upload
        && !contexts.contains(&upload.context.as_str())
    {
        found.push(Diagnostic::new(
            "spec.input.upload.context",
            format!("the pipeline has no context `{}`", upload.context),
            format!("use one of its spec.context: {}", listed(&contexts)),
        ));
    }
    for (index, pointer) in spec.input.pointers.iter().flatten().enumerate() {
        for source in &pipeline.context {
            let field = &source.upload.pointer;
            if !pointer.contains_key(field) {
                found.push(Diagnostic::new(
                    format!("spec.input.pointers[{index}].{field}"),
                    format!(
                        "is missing, and context `{}` looks records up by it",
                        source.name
                    ),
                    format!("add `{field}` with the record's `{}`", source.upload.key),
                ));
            }
        }
    }
    found
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "it has none".into()
    } else {
        names.join(", ")
    }
}
