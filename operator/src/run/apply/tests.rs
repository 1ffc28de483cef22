#![allow(clippy::unwrap_used)]

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Map, Value, json};

use super::{Step, step};
use crate::{
    run::build,
    testing::{pipeline, run, settings},
};

/// The Job that a pipeline with such an execution wants.
fn desired(execution: Value, is_held: bool) -> Job {
    let mut pipeline = pipeline("mail", false, "Retain");
    pipeline.spec.execution = serde_json::from_value(execution).unwrap();
    build::job(&settings(), &run(is_held), &pipeline, "team")
}

fn queued() -> Job {
    desired(json!({"parallelism": 2, "queueName": "team-a"}), false)
}

fn unqueued() -> Job {
    desired(json!({"parallelism": 2}), false)
}

/// As Kueue leaves a Job that it admitted.
fn admitted(mut job: Job) -> Job {
    let spec = job.spec.as_mut().unwrap();
    spec.suspend = Some(false);
    let pod = spec.template.spec.as_mut().unwrap();
    pod.node_selector = Some([("pool".to_owned(), "spot".to_owned())].into());
    job
}

fn changed(fields: &Value) -> Step {
    Step::Change(fields.as_object().cloned().unwrap_or_else(Map::new))
}

#[test]
fn a_run_without_a_queue_is_suspended_and_resumed_at_its_job() {
    let (running, wanted) = (unqueued(), unqueued());
    assert_eq!(step(&running, &wanted, false, false), Step::Keep);
    let held = desired(json!({"parallelism": 2}), true);
    let suspend = json!({"suspend": true});
    assert_eq!(step(&running, &held, true, false), changed(&suspend));
    assert_eq!(step(&held, &held, true, false), Step::Keep);
    let resume = json!({"suspend": false});
    assert_eq!(step(&held, &wanted, false, false), changed(&resume));
}

#[test]
fn workers_of_a_run_follow_the_pipelines_parallelism() {
    let more = desired(json!({"parallelism": 5}), false);
    let changes = json!({"parallelism": 5});
    assert_eq!(step(&unqueued(), &more, false, false), changed(&changes));
}

#[test]
fn a_job_that_kueue_admitted_is_left_to_kueue() {
    let live = admitted(queued());
    assert_eq!(step(&live, &queued(), false, false), Step::Keep);
    let more = desired(json!({"parallelism": 5, "queueName": "team-a"}), false);
    assert_eq!(step(&live, &more, false, false), Step::Keep);
    let waits = changed(&json!({"parallelism": 5}));
    assert_eq!(step(&queued(), &more, false, false), waits);
}

#[test]
fn suspending_a_queued_run_takes_its_job_out_of_the_queue() {
    let held = desired(json!({"parallelism": 2, "queueName": "team-a"}), true);
    for live in [queued(), admitted(queued())] {
        assert_eq!(step(&live, &held, true, false), Step::Remove);
    }
}

#[test]
fn a_job_that_rests_goes_to_the_queue_that_the_pipeline_names_now() {
    let other = desired(json!({"queueName": "team-b"}), false);
    assert_eq!(step(&queued(), &other, false, false), Step::Remove);
    let suspended = desired(json!({"parallelism": 2}), true);
    assert_eq!(step(&suspended, &queued(), false, false), Step::Remove);
    // What runs goes on where it is.
    assert_eq!(step(&unqueued(), &queued(), false, false), Step::Keep);
    let live = admitted(queued());
    assert_eq!(step(&live, &other, false, false), Step::Keep);
}

#[test]
fn a_queue_that_kueue_chose_itself_is_kept() {
    assert_eq!(step(&queued(), &unqueued(), false, false), Step::Keep);
}

#[test]
fn a_job_that_waits_for_nothing_any_more_is_removed() {
    assert_eq!(step(&queued(), &queued(), false, true), Step::Remove);
    let held = desired(json!({"parallelism": 2}), true);
    assert_eq!(step(&held, &held, true, true), Step::Remove);
    // Workers end by themselves.
    assert_eq!(step(&unqueued(), &unqueued(), false, true), Step::Keep);
}

#[test]
fn a_job_that_ended_or_is_going_is_not_touched() {
    let held = desired(json!({"queueName": "team-a"}), true);
    let mut ended = queued();
    ended.status =
        serde_json::from_value(json!({"conditions": [{"type": "Complete", "status": "True"}]}))
            .unwrap();
    assert_eq!(step(&ended, &held, true, true), Step::Keep);
    let mut going = queued();
    going.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(step(&going, &held, true, true), Step::Keep);
}
