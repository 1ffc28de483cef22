//! A model that sleeps is woken for a run with a deadline as soon as the run's items are known, not by
//! its first call.

use aios_compile::references;
use aios_crds::{WritingPipelineSpec, WritingRun};
use aios_proto::control::RunReport;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{context::Context, control::Index, watch::valid};

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

    use super::{awaits_drafts, calls};
    use crate::testing::{pipeline, run};

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
    fn a_run_calls_the_models_of_its_pipelines_routes() {
        let pipeline = pipeline("mail", false, "Retain");
        assert!(calls(&pipeline.spec, "small"));
        assert!(!calls(&pipeline.spec, "large"));
    }
}
