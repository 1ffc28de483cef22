//! Writes a run's Job: once the gateway has accepted the run, and while there is work.

use aios_crds::WritingRun;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::{
    conditions::is_finished,
    context::Context,
    error::Result,
    run::{
        build,
        deadline::is_past_deadline,
        fetch::Found,
        queue::{queue_of, rests},
        status::{accepted, open_items},
    },
};

pub async fn apply(
    run: &WritingRun,
    namespace: &str,
    context: &Context,
    found: &Found,
    now: Timestamp,
) -> Result<Option<Job>> {
    let Some(pipeline) = &found.pipeline else {
        return Ok(found.job.clone());
    };
    let desired = build::job(&context.settings, run, pipeline, namespace);
    let Some(live) = &found.job else {
        return if begins(run, found, now) {
            context.applier.apply(namespace, &desired).await.map(Some)
        } else {
            Ok(None)
        };
    };
    let is_over = found
        .report
        .as_ref()
        .is_some_and(|report| accepted(run, report) && open_items(report) <= 0);
    match step(live, &desired, run.spec.suspend, is_over) {
        Step::Keep => Ok(Some(live.clone())),
        Step::Change(spec) => {
            let patch = json!({"spec": Value::Object(spec)});
            let (applier, name) = (&context.applier, live.name_any());
            applier.merge(namespace, &name, &patch).await.map(Some)
        }
        Step::Remove => {
            let (name, uid) = (live.name_any(), live.uid().unwrap_or_default());
            let applier = &context.applier;
            applier.delete::<Job>(namespace, &name, &uid).await?;
            Ok(None)
        }
    }
}

fn begins(run: &WritingRun, found: &Found, now: Timestamp) -> bool {
    let work = found
        .report
        .as_ref()
        .is_some_and(|r| r.error.is_empty() && accepted(run, r) && open_items(r) > 0);
    work && !run.spec.suspend && !is_finished(run) && !is_past_deadline(run, now)
}

/// What is to be done with a Job that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Keep,
    /// Fields of its spec.
    Change(Map<String, Value>),
    /// Workers give back what they hold; where work is left, another Job follows.
    Remove,
}

/// A Job's template is immutable: workers under way keep the image they were started with. Only
/// what may change is brought along, and of a Job in a queue nothing that is Kueue's.
pub fn step(live: &Job, desired: &Job, is_held: bool, is_over: bool) -> Step {
    if ended(live).is_some() || live.metadata.deletion_timestamp.is_some() {
        return Step::Keep;
    }
    let (queue, wanted) = (queue_of(live), queue_of(desired));
    let elsewhere = wanted.is_some() && wanted != queue;
    match (rests(live), queue) {
        (true, _) if is_over || elsewhere => Step::Remove,
        // Kueue starts an admitted Job again whenever somebody suspends it.
        (_, Some(_)) if is_held => Step::Remove,
        // There is quota for so many workers; for others the Job would have to wait again.
        (false, Some(_)) => Step::Keep,
        (true, Some(_)) => change(live, desired, None),
        (_, None) => change(live, desired, Some(is_held)),
    }
}

fn change(live: &Job, desired: &Job, suspend: Option<bool>) -> Step {
    let parallelism = |job: &Job| job.spec.as_ref().and_then(|spec| spec.parallelism);
    let mut changes = Map::new();
    if let Some(suspend) = suspend
        && suspend != rests(live)
    {
        changes.insert("suspend".into(), json!(suspend));
    }
    if parallelism(live) != parallelism(desired) {
        changes.insert("parallelism".into(), json!(parallelism(desired)));
    }
    if changes.is_empty() {
        Step::Keep
    } else {
        Step::Change(changes)
    }
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

#[cfg(test)]
mod tests;
