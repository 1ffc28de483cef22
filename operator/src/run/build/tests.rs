#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::job;
use crate::testing::{assert_restricted, pipeline, run, settings};

fn built() -> Value {
    let job = job(
        &settings(),
        &run(false),
        &pipeline("mail", false, "Retain"),
        "team",
    );
    serde_json::to_value(job).unwrap()
}

#[test]
fn a_run_is_a_work_queue_of_restricted_pods() {
    let job = built();
    assert_restricted(&job);
    assert_eq!(job["metadata"]["name"], "batch");
    let spec = &job["spec"];
    assert_eq!(spec["parallelism"], 2);
    assert!(spec.get("completions").is_none());
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
    assert_eq!(
        spec["template"]["spec"]["automountServiceAccountToken"],
        false
    );
    // Worker after worker may die, and those that a drained node takes along do not count.
    assert_eq!(spec["backoffLimit"], 20);
    let rule = &spec["podFailurePolicy"]["rules"][0];
    assert_eq!(rule["action"], "Ignore");
    assert_eq!(rule["onPodConditions"][0]["type"], "DisruptionTarget");
}

#[test]
fn workers_know_run_and_gateway() {
    let job = built();
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .clone();
    for (name, value) in [
        ("AIOS_RUN", "batch"),
        ("AIOS_RUN_UID", "uid-batch"),
        ("AIOS_GATEWAY_URI", "https://aios-gateway.team.svc:8444"),
        (
            "AIOS_OPERATOR_URI",
            "https://aios-operator.aios-system.svc:8443",
        ),
    ] {
        assert!(
            env.contains(&json!({"name": name, "value": value})),
            "{name}"
        );
    }
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["aios.dev/run"], "batch");
    assert_eq!(labels["aios.dev/pipeline"], "mail");
}

#[test]
fn a_run_in_a_queue_is_made_suspended_for_kueue_to_start() {
    let mut pipeline = pipeline("mail", false, "Retain");
    assert_eq!(built()["spec"]["suspend"], false);
    pipeline.spec.execution.queue_name = Some("team-a".into());
    let job = job(&settings(), &run(false), &pipeline, "team");
    let job = serde_json::to_value(job).unwrap();
    let label = "kueue.x-k8s.io/queue-name";
    assert_eq!(job["metadata"]["labels"][label], "team-a");
    assert_eq!(job["spec"]["suspend"], true);
    // Of a pod, Kueue would make a Workload of its own.
    let pod = &job["spec"]["template"]["metadata"]["labels"];
    assert!(pod.get(label).is_none(), "{pod}");
}
