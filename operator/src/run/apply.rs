//! Writes a run's Job: once the gateway has accepted the run, and while there is work.

use aios_crds::{ConditionType, WritingRun};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::{
    conditions::is_true,
    context::Context,
    error::Result,
    run::{
        build,
        fetch::Found,
        status::{accepted, open_items},
    },
};

pub async fn apply(
    run: &WritingRun,
    namespace: &str,
    context: &Context,
    found: &Found,
) -> Result<Option<Job>> {
    let Some(pipeline) = &found.pipeline else {
        return Ok(found.job.clone());
    };
    let desired = build::job(&context.settings, run, pipeline, namespace);
    if let Some(job) = &found.job {
        return follow(job, &desired, namespace, context).await.map(Some);
    }
    let work = found
        .report
        .as_ref()
        .is_some_and(|r| r.error.is_empty() && accepted(run, r) && open_items(r) > 0);
    if !work || run.spec.suspend || finished(run) {
        return Ok(None);
    }
    context.applier.apply(namespace, &desired).await.map(Some)
}

/// A Job's template is immutable: workers under way keep the image they were started with. Only
/// what may change is brought along.
async fn follow(live: &Job, desired: &Job, namespace: &str, context: &Context) -> Result<Job> {
    let (Some(is), Some(wanted)) = (&live.spec, &desired.spec) else {
        return Ok(live.clone());
    };
    let mut changes = Map::new();
    if is.suspend.unwrap_or_default() != wanted.suspend.unwrap_or_default() {
        changes.insert("suspend".into(), json!(wanted.suspend));
    }
    if is.parallelism != wanted.parallelism {
        changes.insert("parallelism".into(), json!(wanted.parallelism));
    }
    if changes.is_empty() || ended(live).is_some() {
        return Ok(live.clone());
    }
    let patch = json!({"spec": Value::Object(changes)});
    context
        .applier
        .merge(namespace, &live.name_any(), &patch)
        .await
}

/// Whether the Job ended, and if so whether well.
pub fn ended(job: &Job) -> Option<bool> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let holds = |kind: &str| {
        conditions
            .iter()
            .any(|c| c.type_ == kind && c.status == "True")
    };
    match (holds("Complete"), holds("Failed")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn finished(run: &WritingRun) -> bool {
    let conditions = run
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    is_true(
        conditions.unwrap_or_default(),
        ConditionType::Finished,
        None,
    )
}
