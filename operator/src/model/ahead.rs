//! A model that sleeps is woken not by its first call, but for a run with a deadline as soon as the run's
//! items are known, and for the runs of a trigger before their time.

use std::time::Duration;

use aios_compile::{Schedule, Trigger, references};
use aios_crds::{WritingPipelineSpec, WritingRun};
use aios_proto::control::RunReport;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    context::Context,
    control::Index,
    model::schedule::{Due, due},
    watch::valid,
};

/// After its time a run's first call comes soon, and from then on demand says how many groups there are.
const UNTIL_CALLS: Duration = Duration::from_mins(5);

/// Whether a run with a deadline is going to call the model.
pub fn is_expected(context: &Context, namespace: &str, model: &str, now: Timestamp) -> bool {
    let Some(cell) = context.stores.cell(namespace) else {
        return false;
    };
    let runs = cell.runs.state();
    let mut runs = runs.iter().filter_map(|guarded| valid(guarded));
    runs.any(|run| {
        if run.namespace().as_deref() != Some(namespace) || run.spec.deadline.is_none() {
            return false;
        }
        let uid = run.uid().unwrap_or_default();
        let report = |index: &Index| index.run_report(namespace, &uid).cloned();
        let pipeline = context
            .stores
            .pipeline(namespace, &run.spec.pipeline_ref.name);
        awaits_drafts(run, context.hub.read(report).as_ref(), now)
            && pipeline
                .and_then(|guarded| valid(&guarded).map(|found| calls(&found.spec, model)))
                .unwrap_or_default()
    })
}

/// Whether a trigger's run is about to call the model, and when that may change.
pub fn awaited(context: &Context, namespace: &str, model: &str, now: Timestamp) -> Due {
    let Some(cell) = context.stores.cell(namespace) else {
        return Due::default();
    };
    let pipelines = cell.pipelines.state();
    let pipelines = pipelines.iter().filter_map(|guarded| valid(guarded));
    let calling = pipelines.filter(|pipeline| {
        pipeline.namespace().as_deref() == Some(namespace)
            && pipeline.metadata.deletion_timestamp.is_none()
            && !pipeline.spec.triggers.is_empty()
            && calls(&pipeline.spec, model)
    });
    let spans: Vec<Schedule> = calling.flat_map(|pipeline| spans(&pipeline.spec)).collect();
    due(&spans, now)
}

/// When the triggers of a pipeline want its models up. None do that are suspended or do not compile.
fn spans(pipeline: &WritingPipelineSpec) -> Vec<Schedule> {
    let triggers = aios_compile::triggers(pipeline).unwrap_or_default();
    let wanted = |trigger: &Trigger| !trigger.written.suspend && !trigger.ahead.is_zero();
    let triggers = triggers.into_iter().filter(wanted);
    triggers
        .map(|trigger| Schedule {
            groups: 1,
            ahead: trigger.ahead,
            lasts: UNTIL_CALLS,
            times: trigger.times,
        })
        .collect()
}

/// Whether items of a run with a deadline are still to be drafted.
fn awaits_drafts(run: &WritingRun, report: Option<&RunReport>, now: Timestamp) -> bool {
    let ahead = run.spec.deadline.as_ref().is_some_and(|at| at.0 > now);
    let left = report.is_some_and(|report| report.accepted > report.drafted);
    let goes_on = !run.spec.suspend && run.metadata.deletion_timestamp.is_none();
    ahead && left && goes_on
}

fn calls(pipeline: &WritingPipelineSpec, model: &str) -> bool {
    references::of_pipeline(pipeline).models.contains(model)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_proto::control::RunReport;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use serde_json::json;

    use super::{awaits_drafts, calls, spans};
    use crate::{
        model::schedule::due,
        testing::{pipeline, run},
    };

    #[test]
    fn only_a_run_with_a_deadline_to_come_and_drafts_to_write_wakes_models() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let report = |drafted| RunReport {
            accepted: 3,
            drafted,
            ..RunReport::default()
        };
        let mut due = run(false);
        assert!(!awaits_drafts(&due, Some(&report(0)), at(0)), "no deadline");
        due.spec.deadline = Some(Time(at(100)));
        assert!(awaits_drafts(&due, Some(&report(2)), at(99)));
        assert!(!awaits_drafts(&due, Some(&report(2)), at(100)), "too late");
        assert!(!awaits_drafts(&due, Some(&report(3)), at(99)), "drafted");
        assert!(!awaits_drafts(&due, None, at(99)), "not accepted");
        due.spec.suspend = true;
        assert!(!awaits_drafts(&due, Some(&report(2)), at(99)), "held back");
    }

    #[test]
    fn models_are_up_ahead_of_a_triggers_times_and_until_its_runs_call() {
        let mut pipeline = pipeline("mail", false, "Retain");
        let with = |changes: &serde_json::Value| {
            let mut trigger = json!({"name": "daily", "suspend": false, "cron": {"schedule": "0 9 * * *",
                "timeZone": "Europe/Berlin", "warmAhead": "20m",
                "run": {"input": {"pointers": [{"customerId": 1}]}}}});
            for (field, value) in changes.as_object().unwrap() {
                *trigger.pointer_mut(field).unwrap() = value.clone();
            }
            vec![serde_json::from_value(trigger).unwrap()]
        };
        pipeline.spec.triggers = with(&json!({}));
        let told = |now: &str| {
            let due = due(&spans(&pipeline.spec), now.parse().unwrap());
            (due.groups, due.until.unwrap().to_string())
        };
        let before = told("2026-01-09T07:39:59Z");
        assert_eq!(before, (0, "2026-01-09T07:40:00Z".into()));
        let ahead = told("2026-01-09T07:40:00Z");
        assert_eq!(ahead, (1, "2026-01-09T08:05:00Z".into()));
        assert_eq!(told("2026-01-09T08:04:59Z").0, 1);
        assert_eq!(told("2026-01-09T08:05:00Z").0, 0);
        for off in [
            json!({"/suspend": true}),
            json!({"/cron/warmAhead": "0s"}),
            json!({"/cron/schedule": "0 9 31 2 *"}),
        ] {
            let mut changed = pipeline.clone();
            changed.spec.triggers = with(&off);
            assert!(spans(&changed.spec).is_empty(), "{off}");
        }
    }

    #[test]
    fn a_run_calls_the_models_of_its_pipelines_routes() {
        let pipeline = pipeline("mail", false, "Retain");
        assert!(calls(&pipeline.spec, "small"));
        assert!(!calls(&pipeline.spec, "large"));
    }
}
