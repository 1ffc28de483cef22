#![allow(clippy::unwrap_used)]

use aios_crds::Reason;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{Workload, missing, own, waits};
use crate::conditions::{Fact, State};

fn workload(value: Value) -> Workload {
    serde_json::from_value(value).unwrap()
}

fn said(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
}

fn told(conditions: &[Value]) -> Fact {
    waits(
        "team-a",
        Some(&workload(json!({"status": {"conditions": conditions}}))),
    )
}

#[test]
fn a_run_that_waits_for_quota_is_queued_in_kueues_own_words() {
    let words = "couldn't assign flavors: insufficient unused quota for cpu, 2 more needed";
    for reason in ["Pending", "WaitingForQuota"] {
        let fact = told(&[said("QuotaReserved", "False", reason, words)]);
        assert_eq!((fact.state, fact.reason), (State::Unknown, Reason::Queued));
        assert_eq!(fact.message, format!("LocalQueue `team-a`: {words}"));
    }
}

#[test]
fn a_queue_that_is_not_there_stalls_the_run() {
    for reason in ["Inadmissible", "Misconfigured", "ExceedsMaxQuota"] {
        let words = "LocalQueue team-a doesn't exist";
        let fact = told(&[said("QuotaReserved", "False", reason, words)]);
        assert_eq!(
            (fact.state, fact.reason),
            (State::False, Reason::Inadmissible)
        );
        assert!(fact.message.contains("doesn't exist"), "{}", fact.message);
    }
}

#[test]
fn reserved_quota_waits_for_the_checks() {
    let fact = told(&[
        said("QuotaReserved", "True", "QuotaReserved", "in cluster-a"),
        said("Admitted", "False", "UnsatisfiedAdmissionChecks", "prov"),
    ]);
    assert_eq!(
        (fact.state, fact.reason),
        (State::Unknown, Reason::QuotaReserved)
    );
    assert!(fact.message.ends_with("prov"), "{}", fact.message);
}

#[test]
fn an_evicted_run_says_by_what_and_what_it_waits_for() {
    let fact = told(&[
        said("Evicted", "True", "Preempted", "Preempted by another"),
        said("QuotaReserved", "False", "Pending", "2 more cpu needed"),
    ]);
    assert_eq!((fact.state, fact.reason), (State::Unknown, Reason::Evicted));
    let whole = "LocalQueue `team-a`: Preempted by another; 2 more cpu needed";
    assert_eq!(fact.message, whole);
}

#[test]
fn a_workload_that_is_switched_off_needs_a_person() {
    let conditions = [said(
        "Evicted",
        "True",
        "Deactivated",
        "The workload is deactivated",
    )];
    let off = workload(json!({"spec": {"active": false}, "status": {"conditions": conditions}}));
    let fact = waits("team-a", Some(&off));
    assert_eq!(
        (fact.state, fact.reason),
        (State::False, Reason::Deactivated)
    );
    assert!(fact.message.contains("spec.active"), "{}", fact.message);
}

#[test]
fn without_kueue_the_message_says_how_to_mend_it() {
    let fact = missing("team-a");
    assert_eq!(
        (fact.state, fact.reason),
        (State::False, Reason::KueueMissing)
    );
    assert!(fact.message.contains("install it"), "{}", fact.message);
}

#[test]
fn a_job_that_kueue_has_not_seen_is_queued() {
    assert_eq!(waits("team-a", None).reason, Reason::Queued);
    assert_eq!(told(&[]).reason, Reason::Queued);
}

#[test]
fn only_the_newest_workload_of_this_very_job_counts() {
    let one = |owner: &str, at: &str, active: bool| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload",
            "metadata": {"name": "w", "creationTimestamp": at, "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "batch", "uid": owner}]},
            "spec": {"active": active, "podSets": [{"name": "main"}]},
        }))
        .unwrap()
    };
    let all = [
        one("job", "2026-01-01T00:00:00Z", true),
        one("job", "2026-01-02T00:00:00Z", false),
        one("other", "2026-01-03T00:00:00Z", true),
    ];
    assert_eq!(own(&all, "job").unwrap().spec.active, Some(false));
    assert!(own(&all, "nobody").is_none());
}
