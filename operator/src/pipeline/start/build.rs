//! The run that a trigger makes. Pure.

use std::collections::BTreeMap;

use aios_crds::{
    WritingPipeline, WritingRun, WritingRunSpec, reference::LocalRef, trigger::Trigger,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;

use super::step::Start;
use crate::{
    apply::owned_by,
    names::{ANNOTATION_SCHEDULED, FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_PIPELINE, LABEL_TRIGGER},
};

pub fn run(pipeline: &WritingPipeline, trigger: &Trigger, start: &Start) -> WritingRun {
    let labels = [
        (LABEL_MANAGED_BY, FIELD_MANAGER.to_owned()),
        (LABEL_PIPELINE, pipeline.name_any()),
        (LABEL_TRIGGER, trigger.name.clone()),
    ];
    let template = &trigger.cron.run;
    let deadline = template.deadline_after;
    WritingRun {
        metadata: ObjectMeta {
            name: Some(start.run.clone()),
            namespace: pipeline.namespace(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            annotations: Some(BTreeMap::from([(
                ANNOTATION_SCHEDULED.to_owned(),
                start.time.to_string(),
            )])),
            owner_references: Some(owned_by(pipeline, true).into_iter().collect()),
            ..ObjectMeta::default()
        },
        spec: WritingRunSpec {
            pipeline_ref: LocalRef {
                name: pipeline.name_any(),
            },
            input: template.input.clone(),
            author: template.author.clone(),
            deadline: deadline
                .and_then(|span| start.time.checked_add(span.get()).ok())
                .map(Time),
            budget: template.budget.clone(),
            suspend: false,
            ttl_seconds_after_finished: None,
        },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::{Start, run};
    use crate::testing::pipeline;

    #[test]
    fn a_triggers_run_is_its_pipelines_and_has_a_deadline_after_its_time() {
        let pipeline = pipeline("mail", false, "Retain");
        let trigger = serde_json::from_value(json!({"name": "daily", "cron": {
            "schedule": "0 9 * * *", "run": {"input": {"upload": {"context": "customer"}},
                "author": "anna", "deadlineAfter": "2h", "budget": {"tokens": 9000}}}}))
        .unwrap();
        let start = Start {
            run: "mail-daily-202601090900".into(),
            time: "2026-01-09T09:00:00Z".parse().unwrap(),
        };
        let run = serde_json::to_value(run(&pipeline, &trigger, &start)).unwrap();
        assert_eq!(
            run["spec"],
            json!({"pipelineRef": {"name": "mail"}, "input": {"upload": {"context": "customer"}},
                "author": "anna", "deadline": "2026-01-09T11:00:00Z", "budget": {"tokens": 9000},
                "suspend": false})
        );
        let owner = &run["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["controller"]),
            (&json!("uid-mail"), &json!(true))
        );
        let labels = &run["metadata"]["labels"];
        assert_eq!(labels["aios.dev/trigger"], "daily");
        let annotations = &run["metadata"]["annotations"];
        assert_eq!(
            annotations["aios.dev/scheduled-for"],
            "2026-01-09T09:00:00Z"
        );
    }
}
