#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use aios_crds::{
    ConditionType, Conditions, ModelDeploymentStatus, PolicySet, PolicySetStatus, Reason,
    WritingPipelineStatus, WritingRun, WritingRunStatus,
    writing_run::{ItemCounts, Outcome},
};
use http::Method;
use jiff::Timestamp;
use kube::{
    Api,
    runtime::events::{Recorder, Reporter},
};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Budget, Ledger, Print, StatusWriter};
use crate::{
    conditions::{Fact, summarize, write},
    metrics::Metrics,
    testing::server::Server,
};

fn policy(status: Option<&Value>) -> PolicySet {
    let mut policy = json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
        "metadata": {"name": "tone", "namespace": "team", "uid": "u", "generation": 1},
        "spec": {"rules": []},
    });
    if let Some(status) = status {
        policy["status"] = status.clone();
        // Another status is another version.
        policy["metadata"]["resourceVersion"] = json!(status.to_string().len().to_string());
    }
    serde_json::from_value(policy).unwrap()
}

fn status(digest: &str) -> PolicySetStatus {
    let facts = vec![Fact::yes(
        ConditionType::Compiled,
        Reason::Ready,
        "compiled",
    )];
    PolicySetStatus {
        observed_generation: 1,
        conditions: write(
            summarize(facts),
            &Conditions::default(),
            1,
            Timestamp::UNIX_EPOCH,
        ),
        digest: Some(digest.into()),
        ..PolicySetStatus::default()
    }
}

/// Of a CRD that does not know `digest` yet.
fn older_server() -> Server {
    Server::start(|request, sent| {
        if request.path().ends_with("/status") {
            let mut status = sent["status"].clone();
            status.as_object_mut().unwrap().remove("digest");
            return (200, json!(policy(Some(&status))));
        }
        (201, sent.clone())
    })
}

fn writer(server: &Server) -> StatusWriter {
    let reporter = Reporter {
        controller: "aios-operator".into(),
        instance: None,
    };
    let recorder = Recorder::new(server.client.clone(), reporter);
    StatusWriter::new(Metrics::new(&mut Registry::default()), recorder)
}

fn writes(server: &Server) -> usize {
    let all = server.requests();
    let statuses = all
        .iter()
        .filter(|request| request.method == Method::PATCH && request.path.ends_with("/status"));
    statuses.count()
}

#[tokio::test]
async fn a_field_that_an_older_crd_drops_is_not_written_again_and_again() {
    let server = older_server();
    let (writer, api) = (
        writer(&server),
        Api::<PolicySet>::namespaced(server.client.clone(), "team"),
    );
    let one = status("sha256:1");
    writer.write(&api, &policy(None), &one).await.unwrap();
    assert_eq!(writes(&server), 1);

    let mut kept = json!(one);
    kept.as_object_mut().unwrap().remove("digest");
    let stored = policy(Some(&kept));
    writer.write(&api, &stored, &one).await.unwrap();
    assert_eq!(writes(&server), 1, "nothing changed that it would keep");

    // What changes is written still, and so is what another writer changed.
    let two = status("sha256:2");
    writer.write(&api, &stored, &two).await.unwrap();
    assert_eq!(writes(&server), 2);
    kept["conditions"] = json!([]);
    writer
        .write(&api, &policy(Some(&kept)), &two)
        .await
        .unwrap();
    assert_eq!(writes(&server), 3);
}

#[tokio::test]
async fn the_status_of_a_deleted_object_is_let_go() {
    let server = Server::start(|_, _| crate::testing::server::refusal(404, "NotFound"));
    let api = Api::<PolicySet>::namespaced(server.client.clone(), "team");
    let (writer, deleted, status) = (writer(&server), policy(None), status("d"));
    let written = writer.write(&api, &deleted, &status).await;
    assert_eq!(written.unwrap(), None);
}

#[test]
fn a_status_of_which_an_older_crd_keeps_nothing_can_be_read() {
    fn readable<S: DeserializeOwned>() {
        serde_json::from_value::<S>(json!({})).unwrap();
    }
    readable::<ModelDeploymentStatus>();
    readable::<PolicySetStatus>();
    readable::<WritingPipelineStatus>();
    readable::<WritingRunStatus>();
}

#[test]
fn a_status_is_not_written_twice_from_one_version() {
    let ledger = Ledger::default();
    let print = Print { all: 1, facts: 1 };
    ledger.note("u", print.all);
    ledger.wrote("u", (print, "7".into()), None);
    assert!(ledger.is_sent("u", 1, "7"));
    assert!(!ledger.is_sent("u", 1, "8"));
    assert!(!ledger.is_sent("u", 2, "7"));
}

#[tokio::test]
async fn numbers_of_very_many_objects_wait_their_turn_and_facts_do_not() {
    let spec = json!({"pipelineRef": {"name": "mail"}, "input": {"pointers": [{"id": 1}]}});
    let stored = spec.clone();
    let server = Server::start(move |request, sent| {
        let mut answer = sent.clone();
        if request.path().ends_with("/status") {
            answer["spec"] = stored.clone();
        }
        (200, answer)
    });
    let (writer, api) = (
        writer(&server),
        Api::<WritingRun>::namespaced(server.client.clone(), "team"),
    );
    let of = |accepted: i64| WritingRunStatus {
        observed_generation: 1,
        items: ItemCounts {
            accepted,
            ..ItemCounts::default()
        },
        ..WritingRunStatus::default()
    };
    let run = |name: usize| -> WritingRun {
        serde_json::from_value(json!({
            "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun",
            "metadata": {"name": format!("run-{name}"), "namespace": "team", "uid": format!("u{name}"),
                "resourceVersion": "1"},
            "spec": spec,
            "status": of(1),
        }))
        .unwrap()
    };
    // Others have used up what all may write in the next hour.
    let later = Instant::now() + Duration::from_hours(1);
    *writer.budget.lock().unwrap() = Budget::spent_until(later);
    let put_off = writer.write(&api, &run(1), &of(2)).await.unwrap();
    assert!(put_off.is_some());
    assert_eq!(writes(&server), 0);
    let finished = WritingRunStatus {
        outcome: Some(Outcome::Succeeded),
        ..of(2)
    };
    let written = writer.write(&api, &run(1), &finished).await.unwrap();
    assert_eq!((written, writes(&server)), (None, 1));
}
