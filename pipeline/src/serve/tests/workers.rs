//! Gateway and workers together: leases, fencing, runs.

use std::{sync::Arc, time::Duration};

use aios_crds::writing_run::{RunInput, UploadInput};
use aios_proto::{
    config::RunConfig,
    work::{CheckpointRequest, LeaseRequest, work_client::WorkClient},
};
use aios_runtime::control::Enforce;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::town::{Town, TownOptions, rule, until};
use crate::{
    clock::now_ms,
    draft::Egress,
    enforced::Enforced,
    fault::Faults,
    machine::Event,
    work::{GatewayClient, Worker},
};

pub(super) fn run(suspend: bool) -> RunConfig {
    RunConfig {
        name: "batch".into(),
        uid: "uid-batch".into(),
        pipeline: "mail".into(),
        input: RunInput {
            pointers: None,
            upload: Some(UploadInput {
                context: "customer".into(),
            }),
        },
        author: None,
        suspend,
        deadline_ms: None,
        budget: None,
    }
}

/// The same, due so long ago.
fn due(ago: Duration) -> RunConfig {
    let ago = u64::try_from(ago.as_millis()).unwrap();
    RunConfig {
        deadline_ms: Some(now_ms() - ago),
        ..run(false)
    }
}

pub(super) fn worker(town: &Town, name: &str, shutdown: CancellationToken) -> Worker {
    let gateway = GatewayClient::new(&town.work, None, "uid-batch", name).unwrap();
    let enforced = Arc::new(Enforced::default());
    enforced.enforce(town.gateway.enforced.snapshot());
    Worker::new(
        gateway,
        Egress::new(town.model_uri()).unwrap(),
        enforced,
        Faults::default(),
        shutdown,
    )
}

pub(super) async fn in_run(town: &Town, status: &str) -> Vec<Value> {
    let path = format!("/v1/pipelines/mail/documents?run=batch&status={status}");
    town.get("alice", &path).await.1["documents"]
        .as_array()
        .unwrap()
        .clone()
}

/// A town that has accepted its run of three.
async fn begun(options: TownOptions) -> Town {
    let town = Town::start(options).await;
    town.upload_customers().await;
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    town
}

#[tokio::test]
async fn a_run_of_an_upload_is_drafted_by_a_worker_and_published_by_the_gateway() {
    let town = Town::start(TownOptions::default()).await;
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    let row = town.gateway.store.run("uid-batch").await.unwrap().unwrap();
    assert!(
        row.error
            .contains("PUT /v1/pipelines/mail/context/customer"),
        "{}",
        row.error
    );
    town.upload_customers().await;
    town.accept_runs().await;
    town.accept_runs().await;
    worker(&town, "w1", CancellationToken::new())
        .run()
        .await
        .unwrap();
    let published = until(|| async {
        let found = in_run(&town, "Published").await;
        (found.len() == 2).then_some(found)
    });
    published.await;
    assert_eq!(in_run(&town, "Refused").await.len(), 1);
    let counts = town.gateway.store.run_counts("uid-batch").await.unwrap();
    assert_eq!(
        (
            counts.accepted,
            counts.drafted,
            counts.published,
            counts.refused
        ),
        (3, 3, 2, 1)
    );
    assert_eq!(town.receiver_counts().await["posts"], 2);
}

#[tokio::test]
async fn calls_for_a_document_name_its_run_where_the_run_has_a_budget() {
    for (budget, named) in [
        (None, None),
        (
            Some(json!({"amount": "20", "currency": "EUR"})),
            Some(("batch".to_owned(), "EUR".to_owned())),
        ),
        (
            Some(json!({"tokens": 9000})),
            Some(("batch".to_owned(), "tokens".to_owned())),
        ),
    ] {
        let town = Town::start(TownOptions::default()).await;
        town.upload_customers().await;
        let run = RunConfig {
            budget: budget.map(|budget| serde_json::from_value(budget).unwrap()),
            ..run(false)
        };
        town.enforce(2, &[run], vec![]);
        town.accept_runs().await;
        let worker = worker(&town, "w1", CancellationToken::new());
        worker.run().await.unwrap();
        let runs = town.model.runs();
        assert!(
            !runs.is_empty() && runs.iter().all(|run| *run == named),
            "{runs:?}"
        );
    }
}

#[tokio::test]
async fn a_suspended_run_gives_nothing_and_is_not_drained() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.enforce(2, &[run(true)], vec![]);
    town.accept_runs().await;
    let client = GatewayClient::new(&town.work, None, "uid-batch", "w1").unwrap();
    let leased = client.lease(5, 0).await.unwrap();
    assert!(leased.items.is_empty() && !leased.drained);
    town.enforce(3, &[run(false)], vec![]);
    town.accept_runs().await;
    assert!(!client.lease(5, 0).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn items_of_a_deleted_run_are_refused() {
    let town = begun(TownOptions::default()).await;
    town.enforce(3, &[], vec![]);
    town.accept_runs().await;
    let refused = in_run(&town, "Refused").await;
    assert_eq!(refused.len(), 3);
    assert!(
        refused
            .iter()
            .all(|document| document["reason"] == "RunDeleted")
    );
}

#[tokio::test]
async fn a_worker_that_shuts_down_gives_its_items_to_another_at_once() {
    let town = begun(TownOptions {
        model_down: true,
        ..TownOptions::default()
    })
    .await;
    let shutdown = CancellationToken::new();
    let first = worker(&town, "w1", shutdown.clone());
    let working = tokio::spawn(async move { first.run().await });
    let leased = until(|| async { (!in_run(&town, "Writing").await.is_empty()).then_some(()) });
    leased.await;
    shutdown.cancel();
    assert!(working.await.unwrap().is_err());
    town.model.up();
    worker(&town, "w2", CancellationToken::new())
        .run()
        .await
        .unwrap();
    let published = until(|| async { (in_run(&town, "Published").await.len() == 2).then_some(()) });
    published.await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_write_and_none_may_decide() {
    let town = begun(TownOptions::default()).await;
    let mut client = WorkClient::connect(town.work.clone()).await.unwrap();
    let lease = |worker: &str| LeaseRequest {
        run_uid: "uid-batch".into(),
        worker: worker.into(),
        max_items: 1,
        wait_ms: 0,
    };
    let item = client
        .lease(lease("w1"))
        .await
        .unwrap()
        .into_inner()
        .items
        .remove(0);
    town.gateway.store.give_back("w1").await.unwrap();
    let again = client
        .lease(lease("w2"))
        .await
        .unwrap()
        .into_inner()
        .items
        .remove(0);
    assert_eq!(again.document_id, item.document_id);
    assert!(again.fencing_token > item.fencing_token);
    let unusable = json!({"event": "Unusable", "slot": "opening", "usage":
        {"millis": 1, "inputTokens": 0, "outputTokens": 0, "exact": true, "attempts": 1}});
    let checkpoint = |worker: &str, token: u64, event: &Value| CheckpointRequest {
        worker: worker.into(),
        document_id: item.document_id.clone(),
        fencing_token: token,
        event: event.to_string().into_bytes(),
    };
    let stale = checkpoint("w1", item.fencing_token, &unusable);
    assert!(client.checkpoint(stale).await.unwrap().into_inner().fenced);
    let forged = checkpoint("w1", again.fencing_token, &unusable);
    assert!(client.checkpoint(forged).await.unwrap().into_inner().fenced);
    let own = checkpoint("w2", again.fencing_token, &unusable);
    assert!(!client.checkpoint(own).await.unwrap().into_inner().fenced);
    let approved = serde_json::to_value(Event::Approved {
        by: "w2".into(),
        digest: "d".into(),
    });
    let decision = checkpoint("w2", again.fencing_token, &approved.unwrap());
    let refused = client.checkpoint(decision).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
}

/// One item, drafted by a worker of other policies, and the events it reports.
async fn forged(town: &Town) -> (WorkClient<Channel>, [CheckpointRequest; 2]) {
    let mut client = WorkClient::connect(town.work.clone()).await.unwrap();
    let lease = LeaseRequest {
        run_uid: "uid-batch".into(),
        worker: "w1".into(),
        max_items: 1,
        wait_ms: 0,
    };
    let item = client
        .lease(lease)
        .await
        .unwrap()
        .into_inner()
        .items
        .remove(0);
    let state: crate::machine::State = serde_json::from_slice(&item.state).unwrap();
    let enforced = town.gateway.enforced.load();
    let honest = &enforced.pipelines["mail"];
    let mut lax = honest.config.clone();
    lax.policies.clear();
    let lax = crate::compiled::Pipeline::compile(lax, honest.digest.clone(), Vec::new()).unwrap();
    let usage = json!({"millis": 1, "inputTokens": 0, "outputTokens": 0, "exact": true,
        "attempts": 1});
    let drafted = json!({"event": "Drafted", "slot": "opening", "text": "A win is guaranteed.",
        "deployment": "tiny", "digest": "tiny", "usage": usage});
    let drafted: Event = serde_json::from_value(drafted).unwrap();
    let view = lax.view_of(&state);
    let written = crate::machine::apply(state, drafted.clone(), &view, 1)
        .unwrap()
        .state;
    let egress = Egress::new(town.model_uri()).unwrap();
    let check = crate::machine::Effect::Check;
    let checked = crate::draft::write_step(&check, &written, &lax, &egress, None)
        .await
        .unwrap();
    let requests = [drafted, checked].map(|event| CheckpointRequest {
        worker: "w1".into(),
        document_id: item.document_id.clone(),
        fencing_token: item.fencing_token,
        event: serde_json::to_vec(&event).unwrap(),
    });
    (client, requests)
}

#[tokio::test]
async fn a_forged_verdict_publishes_nothing() {
    let town = begun(TownOptions::default()).await;
    let (mut client, requests) = forged(&town).await;
    let document = requests[0].document_id.clone();
    for request in requests {
        let answer = client.checkpoint(request).await.unwrap();
        assert!(!answer.into_inner().fenced);
    }
    let document = town.wait_for(&document, "Refused").await;
    assert_eq!(document["reason"], "PolicyBlocked");
    assert_eq!(town.receiver_counts().await["posts"], 0);
}

#[tokio::test]
async fn a_workers_verdict_does_not_stand_while_the_gateway_cannot_judge() {
    let moderation = json!({"name": "kind", "action": "Review", "onError": "Open",
        "moderation": {"model": "judge", "categories": {"harassment": 40}}});
    let away = axum::routing::post(async || axum::http::StatusCode::SERVICE_UNAVAILABLE);
    let town = begun(TownOptions {
        judge: Some(axum::Router::new().route("/v1/moderations", away)),
        more_rules: vec![rule(moderation)],
        ..TownOptions::default()
    })
    .await;
    let (mut client, [drafted, checked]) = forged(&town).await;
    let document = drafted.document_id.clone();
    let harmless = String::from_utf8(drafted.event).unwrap();
    let event = harmless
        .replace("A win is guaranteed.", "Join us.")
        .into_bytes();
    client
        .checkpoint(CheckpointRequest { event, ..drafted })
        .await
        .unwrap();
    let refused = client.checkpoint(checked).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    assert_eq!(town.read(&document).await["status"], "Writing");
}

#[tokio::test]
async fn what_nobody_began_before_the_deadline_is_refused_and_workers_end() {
    let town = begun(TownOptions::default()).await;
    town.enforce(3, &[due(Duration::from_secs(1))], vec![]);
    let client = GatewayClient::new(&town.work, None, "uid-batch", "w1").unwrap();
    let leased = client.lease(5, 0).await.unwrap();
    assert!(leased.items.is_empty() && !leased.drained);
    town.accept_runs().await;
    let refused = in_run(&town, "Refused").await;
    assert_eq!(refused.len(), 3);
    for document in refused {
        assert_eq!(document["reason"], "DeadlineExceeded");
    }
    let counts = town.gateway.store.run_counts("uid-batch").await.unwrap();
    assert_eq!((counts.refused, counts.overdue), (3, 3));
    assert!(client.lease(5, 0).await.unwrap().drained);
}

#[tokio::test]
async fn documents_under_way_at_the_deadline_are_finished() {
    let town = begun(TownOptions {
        model_down: true,
        ..TownOptions::default()
    })
    .await;
    let worker = worker(&town, "w1", CancellationToken::new());
    let working = tokio::spawn(async move { worker.run().await });
    // One needs no model, one is refused for its record, and one waits for the model.
    let waiting = until(|| async {
        let writing = in_run(&town, "Writing").await.len();
        let others = in_run(&town, "Published").await.len() + in_run(&town, "Refused").await.len();
        ((writing, others) == (1, 2)).then_some(())
    });
    waiting.await;
    town.enforce(3, &[due(Duration::from_secs(1))], vec![]);
    town.accept_runs().await;
    assert_eq!(in_run(&town, "Writing").await.len(), 1);
    town.model.up();
    working.await.unwrap().unwrap();
    let published = until(|| async { (in_run(&town, "Published").await.len() == 2).then_some(()) });
    published.await;
    let counts = town.gateway.store.run_counts("uid-batch").await.unwrap();
    assert_eq!(counts.overdue, 0);
}

#[tokio::test]
async fn a_document_that_is_never_finished_does_not_hold_the_run_for_ever() {
    let town = begun(TownOptions::default()).await;
    let client = GatewayClient::new(&town.work, None, "uid-batch", "w1").unwrap();
    let item = client.lease(1, 0).await.unwrap().items.remove(0);
    town.enforce(3, &[due(Duration::from_mins(6))], vec![]);
    town.accept_runs().await;
    let counts = town.gateway.store.run_counts("uid-batch").await.unwrap();
    assert_eq!(counts.overdue, 3);
    let held = aios_proto::work::HeldLease {
        document_id: item.document_id.clone(),
        fencing_token: item.fencing_token,
    };
    assert_eq!(client.renew(vec![held]).await.unwrap(), [item.document_id]);
}

#[tokio::test]
async fn a_run_that_comes_after_its_deadline_is_not_accepted() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.enforce(2, &[due(Duration::from_secs(1))], vec![]);
    town.accept_runs().await;
    let row = town.gateway.store.run("uid-batch").await.unwrap().unwrap();
    assert!(!row.accepted && row.error.contains("deadline"), "{row:?}");
    let counts = town.gateway.store.run_counts("uid-batch").await.unwrap();
    assert_eq!(counts.accepted, 0);
}
