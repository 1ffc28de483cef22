//! Compiles a WritingRun, and checks it against the pipeline that it names.

use aios_crds::{WritingPipelineSpec, WritingRunSpec};
use aios_proto::config::RunConfig;

use crate::{Diagnostic, checks, input};

/// Longest name of a run: its Job and labels are named after it.
pub const MAX_NAME: usize = 52;

const AT: &str = "spec.input";

/// Compiles a WritingRun.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn run(name: &str, uid: &str, spec: &WritingRunSpec) -> Result<RunConfig, Vec<Diagnostic>> {
    let mut found: Vec<_> = checks::object_name("WritingRun", name, MAX_NAME)
        .into_iter()
        .collect();
    input::check(AT, &spec.input, &mut found);
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
        budget: spec.budget.clone(),
    })
}

/// Mistakes that only show beside the pipeline: contexts it lacks, pointers that name no record.
pub fn run_fits(spec: &WritingRunSpec, pipeline: &WritingPipelineSpec) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    input::fits(AT, &spec.input, pipeline, &mut found);
    found
}
