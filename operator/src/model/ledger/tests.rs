#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use aios_crds::{Reason, cold_start::ColdStart};
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Entry, Facts, coarse, kept, newest, objective};
use crate::{conditions::State, model::groups::seen};

/// A second of the first minutes of a day.
fn at(second: i64) -> String {
    let at = Timestamp::from_second(1_767_225_600 + second).unwrap();
    at.to_string()
}

fn set(slot: u32) -> StatefulSet {
    serde_json::from_value(json!({
        "metadata": {"name": format!("m-aaaaaa-{slot}"), "labels": {
            "app.kubernetes.io/component": "engine", "aios.dev/group": format!("m-aaaaaa-{slot}"),
            "aios.dev/revision": "aaaaaa", "aios.dev/slot": slot.to_string()}},
        "spec": {"replicas": 1, "serviceName": "s", "selector": {}, "template": {}},
    }))
    .unwrap()
}

/// A pod of a group: made, placed, its engine started, ready.
fn pod(slot: u32, [made, placed, began, ready]: [i64; 4]) -> Value {
    json!({
        "metadata": {"name": format!("m-aaaaaa-{slot}-0"), "uid": format!("uid-{slot}"),
            "creationTimestamp": at(made), "labels": {
            "app.kubernetes.io/component": "engine", "aios.dev/group": format!("m-aaaaaa-{slot}")}},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(placed)},
                {"type": "Ready", "status": "True", "lastTransitionTime": at(ready)}],
            "containerStatuses": [{"name": "engine", "image": "", "imageID": "",
                "ready": true, "restartCount": 0, "state": {"running": {"startedAt": at(began)}}}],
        },
    })
}

fn job(made: i64, done: i64) -> Job {
    serde_json::from_value(json!({
        "metadata": {"name": "m-prefetch", "creationTimestamp": at(made)},
        "status": {"succeeded": 1, "completionTime": at(done)},
    }))
    .unwrap()
}

fn fetcher(placed: i64, began: i64) -> Value {
    json!({
        "metadata": {"name": "m-prefetch-x", "uid": "uid-fetch",
            "labels": {"batch.kubernetes.io/job-name": "m-prefetch"}},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(placed)}],
            "containerStatuses": [{"name": "prefetch", "image": "", "imageID": "",
                "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "startedAt": at(began)}}}],
        },
    })
}

fn entry(pods: &[Value], prefetch: Option<&Job>, first: Option<u64>) -> Option<Entry> {
    after(None, pods, prefetch, first)
}

fn after(
    last: Option<&ColdStart>,
    pods: &[Value],
    prefetch: Option<&Job>,
    first: Option<u64>,
) -> Option<Entry> {
    let pods: Vec<Pod> = pods
        .iter()
        .map(|pod| serde_json::from_value(pod.clone()).unwrap())
        .collect();
    let groups = seen(&[set(1), set(2)], &pods);
    let facts = Facts {
        groups: &groups,
        pods: &pods,
        prefetch,
        last,
    };
    newest(&facts, |_| first.map(Duration::from_millis))
}

fn start(pods: &[Value], prefetch: Option<&Job>, first: Option<u64>) -> ColdStart {
    entry(pods, prefetch, first).unwrap().start
}

/// Node, image, weights, engine, first token, total.
fn told(start: &ColdStart) -> [String; 6] {
    let shown = |span: Option<aios_crds::Duration>| {
        span.map_or_else(|| "-".to_owned(), |span| span.to_string())
    };
    [
        shown(start.node),
        shown(start.image),
        shown(start.weights),
        shown(start.engine),
        shown(start.first_token),
        start.total.to_string(),
    ]
}

#[test]
fn every_second_of_a_start_is_somebodys() {
    let pods = [fetcher(90, 95), pod(1, [155, 156, 160, 190])];
    let start = start(&pods, Some(&job(0, 155)), Some(1_234));
    assert_eq!(
        told(&start),
        ["1m31s", "9s", "1m", "29s", "1s200ms", "3m10s"]
    );
    assert_eq!(start.group, "m-aaaaaa-1");
    assert_eq!(start.started_at.0.to_string(), at(0));
}

#[rstest]
#[case::weights_were_there(&[pod(1, [900, 901, 903, 913])], Some(job(0, 155)),
    ["1s", "2s", "-", "10s", "-", "13s"])]
#[case::no_weights_to_fetch(&[pod(1, [900, 901, 903, 913])], None,
    ["1s", "2s", "-", "10s", "-", "13s"])]
#[case::the_jobs_pod_is_gone(&[pod(1, [155, 156, 160, 190])], Some(job(0, 155)),
    ["1s", "4s", "2m35s", "30s", "-", "3m10s"])]
fn a_start_counts_what_it_waited_for(
    #[case] pods: &[Value],
    #[case] job: Option<Job>,
    #[case] parts: [&str; 6],
) {
    assert_eq!(told(&start(pods, job.as_ref(), None)), parts);
}

#[test]
fn weights_count_for_the_first_start_that_waited_for_them_alone() {
    let job = job(0, 155);
    let first = start(&[pod(1, [155, 156, 160, 170])], Some(&job), None);
    assert!(first.weights.is_some());
    let soon = [pod(1, [180, 181, 183, 190])];
    let newest = after(Some(&first), &soon, Some(&job), None);
    let starts = kept(&[first], newest);
    assert_eq!(told(&starts[0]), ["1s", "2s", "-", "7s", "-", "10s"]);
}

#[test]
fn an_engine_that_was_started_again_and_again_has_no_parts_that_would_lie() {
    let run = |restarts: i32, last: Value| {
        let mut pod = pod(1, [0, 1, 50, 60]);
        pod["status"]["containerStatuses"][0]["restartCount"] = json!(restarts);
        pod["status"]["containerStatuses"][0]["lastState"] = last;
        told(&start(&[pod], None, None))
    };
    let once = run(
        1,
        json!({"terminated": {"exitCode": 1, "startedAt": at(5)}}),
    );
    assert_eq!(once, ["1s", "4s", "-", "55s", "-", "1m"]);
    assert_eq!(run(2, json!({})), ["1s", "-", "-", "-", "-", "1m"]);
}

#[test]
fn only_a_group_that_is_up_has_started_and_the_newest_counts() {
    assert_eq!(entry(&[], None, None), None);
    let old = pod(1, [0, 1, 2, 10]);
    let new = pod(2, [100, 101, 102, 120]);
    let both = [old.clone(), new.clone()];
    assert_eq!(start(&both, None, None).group, "m-aaaaaa-2");
    let mut starting = new;
    starting["status"]["conditions"][1]["status"] = json!("False");
    assert_eq!(start(&[old, starting], None, None).group, "m-aaaaaa-1");
}

#[test]
fn a_start_is_written_once_and_what_comes_late_is_added() {
    let pods = |ready| [pod(1, [0, 1, 2, ready])];
    let first = kept(&[], entry(&pods(10), None, None));
    let flapped = kept(&first, entry(&pods(500), None, None));
    assert_eq!(flapped, first, "it was not ready for a while");
    let late = kept(&first, entry(&pods(500), None, Some(2_000)));
    assert_eq!(told(&late[0]), ["1s", "1s", "-", "6s", "2s", "10s"]);
    assert_eq!(kept(&late, entry(&pods(10), None, Some(9))), late);
    assert_eq!(kept(&late, None), late, "it sleeps");
}

#[test]
fn five_starts_are_remembered_the_latest_first() {
    let mut starts = Vec::new();
    for begin in [0, 100, 200, 300, 400, 500] {
        let woken = [pod(1, [begin, begin + 1, begin + 2, begin + 40])];
        starts = kept(&starts, entry(&woken, None, None));
    }
    let began: Vec<_> = starts
        .iter()
        .map(|start| start.started_at.0.to_string())
        .collect();
    assert_eq!(began, [500, 400, 300, 200, 100].map(at));
}

#[test]
fn a_start_that_goes_on_while_another_ends_is_no_news() {
    let first = [start(&[pod(1, [0, 1, 2, 10])], None, None)];
    let both = [pod(1, [0, 1, 2, 10]), pod(2, [5, 6, 7, 30])];
    assert_eq!(kept(&first, entry(&both, None, None)), first);
}

fn measured() -> ColdStart {
    let span = |millis| Some(aios_crds::Duration::from_millis(millis));
    ColdStart {
        group: "m-aaaaaa-1".into(),
        started_at: Time(Timestamp::UNIX_EPOCH),
        node: span(20_000),
        image: None,
        weights: span(185_000),
        engine: span(44_000),
        first_token: span(300),
        total: aios_crds::Duration::from_millis(250_000),
    }
}

#[rstest]
#[case::met("5m", State::True, Reason::WithinObjective, "took 4m10s, within 5m")]
#[case::just_met("250s", State::True, Reason::WithinObjective, "within 4m10s")]
#[case::missed(
    "2m",
    State::False,
    Reason::ObjectiveMissed,
    "took 4m10s, over 2m: weights 3m5s"
)]
fn an_objective_that_was_missed_names_the_slowest_part(
    #[case] limit: &str,
    #[case] state: State,
    #[case] reason: Reason,
    #[case] says: &str,
) {
    let fact = objective(limit.parse().unwrap(), &[measured()]);
    assert_eq!((fact.state, fact.reason), (state, reason));
    assert!(fact.message.ends_with(says), "{}", fact.message);
}

#[test]
fn an_objective_is_judged_by_the_latest_start_and_says_how_many_kept_it() {
    let quick = ColdStart {
        total: "1m".parse().unwrap(),
        ..measured()
    };
    let starts = [measured(), quick.clone(), quick];
    let fact = objective("2m".parse().unwrap(), &starts);
    assert_eq!(fact.reason, Reason::ObjectiveMissed);
    let says = "weights 3m5s; 2 of the last 3 were within";
    assert!(fact.message.ends_with(says), "{}", fact.message);
    let fact = objective("2m".parse().unwrap(), &starts[1..]);
    assert_eq!(fact.reason, Reason::WithinObjective);
}

#[test]
fn before_the_first_start_nothing_is_known() {
    let fact = objective("5m".parse().unwrap(), &[]);
    assert_eq!(
        (fact.state, fact.reason),
        (State::Unknown, Reason::NotMeasured)
    );
}

#[rstest]
#[case(0, "0s")]
#[case(123, "120ms")]
#[case(1_234, "1s200ms")]
#[case(9_999, "10s")]
#[case(64_499, "1m4s")]
fn spans_are_rounded_to_what_people_plan_by(#[case] millis: u64, #[case] shown: &str) {
    assert_eq!(coarse(Duration::from_millis(millis)).to_string(), shown);
}
