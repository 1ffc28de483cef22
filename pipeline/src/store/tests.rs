//! What survives, what is fenced, what is sealed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aios_crds::writing_pipeline::Writer;
use rstest::rstest;
use serde_json::{Map, json};

use super::{
    testing::{Kind, TestPlace},
    *,
};
use crate::machine::{Event, PipelineView, RefuseReason, RunItem, Status};

pub(super) const NOW: u64 = 1_000;

pub(super) fn accept(id: &str, key: &str, of_run: bool) -> Accept {
    let run = RunItem {
        name: "r".into(),
        uid: "u".into(),
        item: id.into(),
        budget: None,
    };
    Accept {
        id: id.into(),
        pipeline: "mail".into(),
        creator: "alice".into(),
        run: of_run.then_some(run),
        pointer: Map::from_iter([("customerId".into(), json!(key))]),
        subject: None,
        idempotency: Idempotency::Key(key.into()),
        quota: None,
    }
}

pub(super) fn view() -> PipelineView {
    PipelineView {
        writer: Writer::Model,
        slots: vec![],
        finish: false,
        revisions: 0,
        targets: vec![],
    }
}

pub(super) fn refused() -> Event {
    Event::Refused {
        reason: RefuseReason::InvalidVariables,
        detail: "x".into(),
    }
}

#[rstest]
#[tokio::test]
async fn documents_log_and_epoch_survive_a_reopening(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let first_epoch = store.epoch();
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    store.accept(accept("b", "18", false), NOW).await.unwrap();
    let root = store.with_log(|log| (log.size(), log.root()));
    drop(store);
    let store = place.open().await;
    assert_eq!(store.with_log(|log| (log.size(), log.root())), root);
    assert_eq!(store.epoch(), first_epoch + 1);
    assert_eq!(
        store.document("b").await.unwrap().pointer["customerId"],
        "18"
    );
}

#[rstest]
#[tokio::test]
async fn a_second_gateway_of_a_folder_is_turned_away_and_another_key_everywhere(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let second = Store::open(place.config(7)).await.err();
    match kind {
        Kind::Sqlite => assert!(matches!(second, Some(StoreError::Locked(_)))),
        Kind::Postgres => assert!(second.is_none()),
    }
    drop(store);
    let other = Store::open(place.config(8)).await;
    assert!(matches!(other.err(), Some(StoreError::WrongKey)));
    place.open().await;
}

#[rstest]
#[tokio::test]
async fn an_intent_is_accepted_once(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    assert_eq!(
        store.accept(accept("a", "17", false), NOW).await.unwrap(),
        ("a".into(), true)
    );
    assert_eq!(
        store.accept(accept("b", "17", false), NOW).await.unwrap(),
        ("a".into(), false)
    );
    let mut other = accept("c", "17", false);
    other.pointer.insert("more".into(), json!(1));
    assert!(matches!(
        store.accept(other, NOW).await,
        Err(StoreError::KeyReused)
    ));
    assert_eq!(store.with_log(aios_audit::Log::size), 1);
}

#[rstest]
#[tokio::test]
async fn a_run_is_accepted_with_all_its_items_or_none_and_once(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let run = RunRow {
        uid: "u".into(),
        name: "r".into(),
        pipeline: "mail".into(),
        accepted: true,
        suspended: false,
        error: String::new(),
    };
    let mut clash = accept("a", "18", true);
    clash.idempotency = Idempotency::Key("other".into());
    let all = vec![accept("b", "19", true), clash];
    assert!(store.accept_run(&run, all, NOW).await.is_err());
    assert!(matches!(
        store.document("b").await,
        Err(StoreError::NoDocument(_))
    ));
    assert_eq!(store.run("u").await.unwrap(), None);
    assert_eq!(store.with_log(aios_audit::Log::size), 1);
    let all = vec![accept("b", "19", true), accept("c", "20", true)];
    store.accept_run(&run, all, NOW).await.unwrap();
    assert_eq!(store.run("u").await.unwrap(), Some(run.clone()));
    assert_eq!(store.run_counts("u").await.unwrap().accepted, 2);
    let later = vec![accept("d", "21", true)];
    store.accept_run(&run, later, NOW).await.unwrap();
    assert_eq!(store.with_log(aios_audit::Log::size), 3);
}

#[rstest]
#[tokio::test]
async fn a_lease_is_exclusive_until_it_ends_and_its_loser_is_fenced(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store
        .accept(accept("run-a", "17", true), NOW)
        .await
        .unwrap();
    let first = store
        .lease("u", "w1", NOW, NOW + 10, 5)
        .await
        .unwrap()
        .remove(0);
    assert!(
        store
            .lease("u", "w2", NOW, NOW + 10, 5)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store.claim(NOW, NOW + 10, 5).await.unwrap().is_empty(),
        "it is the workers'"
    );
    assert!(
        store
            .renew("run-a", "w1", first.token, NOW + 20)
            .await
            .unwrap()
    );
    let second = store
        .lease("u", "w2", NOW + 20, NOW + 30, 5)
        .await
        .unwrap()
        .remove(0);
    assert!(second.token > first.token);
    assert!(
        !store
            .renew("run-a", "w1", first.token, NOW + 99)
            .await
            .unwrap()
    );
    let fence = |worker: &str, token| Fence::Lease {
        owner: worker_owner(worker),
        token,
    };
    let late = store
        .apply("run-a", refused(), &view(), &fence("w1", first.token), NOW)
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let state = store
        .apply("run-a", refused(), &view(), &fence("w2", second.token), NOW)
        .await;
    assert_eq!(state.unwrap().status(), Status::Refused);
    assert_eq!(store.left_for_workers("u").await.unwrap(), 0);
}

#[tokio::test]
async fn the_gateway_of_a_folder_takes_its_own_leases_again_after_a_crash() {
    let place = TestPlace::new(Kind::Sqlite).await.unwrap();
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let claim = store
        .claim(NOW, NOW + 1_000_000, 5)
        .await
        .unwrap()
        .remove(0);
    let old = store.claim_fence(&claim);
    drop(store);
    let store = place.open().await;
    let again = store.claim(NOW, NOW + 10, 5).await.unwrap().remove(0);
    assert!(again.token > claim.token);
    let late = store.apply("a", refused(), &view(), &old, NOW).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
}

#[rstest]
#[tokio::test]
async fn what_failed_is_looked_at_again_when_it_is_due(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let claim = store.claim(NOW, NOW + 10, 5).await.unwrap().remove(0);
    store.unclaim(&claim, Some(NOW + 500)).await.unwrap();
    assert!(
        store
            .claim(NOW + 499, NOW + 600, 5)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.next_wake().await.unwrap(), Some(NOW + 500));
    assert_eq!(store.attempts("a").await.unwrap(), 1);
    assert_eq!(store.claim(NOW + 500, NOW + 600, 5).await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn an_event_that_does_not_apply_leaves_no_leaf(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let error = store
        .apply("a", Event::Completed, &view(), &Fence::Open, NOW)
        .await;
    assert!(matches!(error, Err(StoreError::Machine(_))));
    assert_eq!(store.with_log(aios_audit::Log::size), 1);
    assert_eq!(store.leaves(0, 10).await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn an_upload_replaces_all_records_and_finds_them_by_key(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let record = |key: &str| UploadedRecord {
        key: key.into(),
        subject: Some(store.vault().person(key)),
        record: Map::from_iter([("id".into(), json!(key))]),
    };
    store
        .put_context("mail", "customer", vec![record("1"), record("2")])
        .await
        .unwrap();
    store
        .put_context("mail", "customer", vec![record("3"), record("2")])
        .await
        .unwrap();
    assert!(
        store
            .record("mail", "customer", "1")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        store
            .record("mail", "customer", "2")
            .await
            .unwrap()
            .unwrap()["id"],
        "2"
    );
    let all = store.records("mail", "customer").await.unwrap();
    assert_eq!(
        all.iter()
            .map(|r| r["id"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["3", "2"]
    );
    assert!(store.records("mail", "other").await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_checkpoint_is_signed_once_for_each_head(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let (size, note) = store.sign_checkpoint().await.unwrap();
    assert_eq!(store.sign_checkpoint().await.unwrap(), (size, note.clone()));
    let key = store.log_key().verifier();
    assert_eq!(aios_audit::Checkpoint::verify(&note, &key).unwrap().size, 1);
    store.witnessed(size).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap(), Some((1, note, true)));
}

#[rstest]
#[tokio::test]
async fn an_older_snapshot_never_takes_the_place_of_a_newer(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    assert_eq!(store.snapshot_sequence().await.unwrap(), 0);
    assert_eq!(store.put_snapshot(2, b"two".to_vec()).await.unwrap(), 2);
    assert_eq!(store.put_snapshot(1, b"one".to_vec()).await.unwrap(), 2);
    assert_eq!(store.snapshot().await.unwrap().unwrap(), b"two");
    assert_eq!(store.put_snapshot(3, b"three".to_vec()).await.unwrap(), 3);
    assert_eq!(store.snapshot_sequence().await.unwrap(), 3);
}

#[rstest]
#[tokio::test]
async fn a_gateway_never_takes_a_document_from_itself(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    store.accept(accept("a", "17", false), NOW).await.unwrap();
    let held = store.claim(NOW, NOW + 10, 5).await.unwrap().remove(0);
    assert!(store.claim(NOW + 20, NOW + 30, 5).await.unwrap().is_empty());
    assert_eq!(store.next_wake().await.unwrap(), None);
    assert!(store.keep(&held, NOW + 40).await.unwrap());
    store.unclaim(&held, None).await.unwrap();
    assert_eq!(store.claim(NOW + 20, NOW + 30, 5).await.unwrap().len(), 1);
}
