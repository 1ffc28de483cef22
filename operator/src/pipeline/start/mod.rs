//! Starts a pipeline's runs when its triggers say so. The minute is in a run's name, so that there is
//! one however often, and by whomever, it is made.

mod build;
mod step;
mod tell;

use std::time::Duration;

use aios_compile::Trigger;
use aios_crds::{WritingPipeline, WritingRun, trigger::TriggerStatus};
use jiff::Timestamp;
use kube::ResourceExt;

use self::step::{Seen, Start, Step};
use crate::{
    conditions::{Fact, is_finished},
    context::Context,
    error::{Error, Result},
    names::LABEL_TRIGGER,
    watch::valid,
};

/// What became of the triggers.
pub struct Started {
    pub fact: Fact,
    pub statuses: Vec<TriggerStatus>,
    pub look_again: Option<Duration>,
    /// What is to be tried again.
    pub error: Option<Error>,
}

/// Does what every trigger of the pipeline is to do now; none where there are no triggers.
pub async fn bring(
    pipeline: &WritingPipeline,
    namespace: &str,
    context: &Context,
    serves: bool,
) -> Option<Started> {
    if pipeline.spec.triggers.is_empty() {
        return None;
    }
    let before = pipeline.status.as_ref();
    let before = before.map_or(&[][..], |status| status.triggers.as_slice());
    let triggers = match aios_compile::triggers(&pipeline.spec) {
        Ok(triggers) => triggers,
        Err(diagnostics) => return Some(tell::invalid(&diagnostics, before)),
    };
    let now = Timestamp::now();
    let mut told = tell::Told::default();
    for trigger in &triggers {
        let name = trigger.written.name.as_str();
        let runs = runs_of(pipeline, namespace, name, context);
        let before = before.iter().find(|before| before.name == name);
        let of = pipeline.name_any();
        let mut step = step::step(trigger, before, (&of, &runs, serves), now);
        let done = act(pipeline, (namespace, trigger), &mut step, context).await;
        told.add(trigger, step, done);
    }
    Some(told.end(now))
}

/// How a start ended.
enum Outcome {
    Fine,
    /// Something else has the run's name.
    Taken(String),
}

/// Does what a step says. Its status tells of a start that was made.
async fn act(
    pipeline: &WritingPipeline,
    (namespace, trigger): (&str, &Trigger),
    step: &mut Step,
    context: &Context,
) -> Result<Outcome> {
    if let Some(start) = step.start.take() {
        if !made(pipeline, (namespace, trigger), &start, context).await? {
            return Ok(Outcome::Taken(start.run));
        }
        start.told_in(&mut step.status);
    }
    for run in step.replaced.iter().chain(&step.outdated) {
        let applier = &context.applier;
        applier
            .delete::<WritingRun>(namespace, &run.name, &run.uid)
            .await?;
    }
    Ok(Outcome::Fine)
}

/// Whether the run is there, made now or before.
async fn made(
    pipeline: &WritingPipeline,
    (namespace, trigger): (&str, &Trigger),
    start: &Start,
    context: &Context,
) -> Result<bool> {
    if context.stores.run(namespace, &start.run).is_some() {
        // Runs of the trigger's own would have been among those it was shown.
        return Ok(false);
    }
    let run = build::run(pipeline, &trigger.written, start);
    if context.applier.create(namespace, &run).await? {
        tracing::info!(namespace, run = start.run, "started");
        return Ok(true);
    }
    // Made by an operator before this one, whose watch does not show it yet; or deleted since.
    let found = context
        .applier
        .get::<WritingRun>(namespace, &start.run)
        .await?;
    Ok(found.is_none_or(|found| is_of(&found, pipeline, &trigger.written.name)))
}

/// Runs that the trigger made.
fn runs_of(
    pipeline: &WritingPipeline,
    namespace: &str,
    trigger: &str,
    context: &Context,
) -> Vec<Seen> {
    let Some(cell) = context.stores.cell(namespace) else {
        return Vec::new();
    };
    let runs = cell.runs.state();
    let runs = runs.iter().filter_map(|guarded| valid(guarded));
    runs.filter(|run| run.namespace().as_deref() == Some(namespace))
        .filter(|run| is_of(run, pipeline, trigger))
        .map(|run| Seen {
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            made: run.metadata.creation_timestamp.as_ref().map(|at| at.0),
            is_finished: is_finished(run),
            is_leaving: run.metadata.deletion_timestamp.is_some(),
        })
        .collect()
}

fn is_of(run: &WritingRun, pipeline: &WritingPipeline, trigger: &str) -> bool {
    let uid = pipeline.metadata.uid.as_deref();
    let mut owners = run.owner_references().iter();
    let label = run.labels().get(LABEL_TRIGGER);
    label.is_some_and(|label| label == trigger)
        && owners.any(|owner| Some(owner.uid.as_str()) == uid)
}
