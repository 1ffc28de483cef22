//! From a run and its pipeline to the run's configuration.

use std::time::Duration;

use aios_compile::Diagnostic;
use aios_crds::{WritingPipeline, WritingRun};
use aios_proto::config::RunConfig;
use jiff::Timestamp;
use kube::ResourceExt;

/// A pipeline that is applied together with its run may come after it.
const ARRIVING: Duration = Duration::from_secs(15);

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    Invalid(Vec<Diagnostic>),
    /// The pipeline does not exist; `arriving` for how long it may still come.
    NoPipeline {
        name: String,
        arriving: Option<Duration>,
    },
}

pub fn validate(
    run: &WritingRun,
    pipeline: Option<&WritingPipeline>,
    now: Timestamp,
) -> Result<RunConfig, Flaw> {
    let uid = run.uid().unwrap_or_default();
    let config = aios_compile::run(&run.name_any(), &uid, &run.spec).map_err(Flaw::Invalid)?;
    let Some(pipeline) = pipeline else {
        let name = run.spec.pipeline_ref.name.clone();
        return Err(Flaw::NoPipeline {
            name,
            arriving: arriving(run, now),
        });
    };
    // What the gateway has accepted goes on, also when the pipeline changes under it.
    if run
        .status
        .as_ref()
        .is_some_and(|status| status.items.accepted > 0)
    {
        return Ok(config);
    }
    let misfits = aios_compile::run_fits(&run.spec, &pipeline.spec);
    if misfits.is_empty() {
        Ok(config)
    } else {
        Err(Flaw::Invalid(misfits))
    }
}

fn arriving(run: &WritingRun, now: Timestamp) -> Option<Duration> {
    let created = run.metadata.creation_timestamp.as_ref()?.0;
    let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
    (age < ARRIVING).then(|| ARRIVING.saturating_sub(age) + Duration::from_secs(1))
}
