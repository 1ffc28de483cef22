//! Batches of calls in the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aios_audit::{CallBatch, CallChains, CallRecord, CallToken, CallsError, Scribe};
use rstest::rstest;

use super::{
    testing::{Kind, TestPlace},
    tests::NOW,
    *,
};

pub(crate) fn record(token: CallToken) -> CallRecord<'static> {
    CallRecord {
        call: token.call(),
        time_ms: NOW,
        pipeline: "mail".into(),
        step: "draft".into(),
        document: None,
        model: Some("tiny".into()),
        model_digest: None,
        route: None,
        variant: None,
        policies: "none".into(),
        judged: None,
        cache: None,
        outcome: "ok".into(),
        input_tokens: 1,
        output_tokens: 1,
        exact: true,
        cost: None,
        request: token.commit(b"?"),
        answer: token.commit(b"!"),
    }
}

fn batches(seed: u8, count: u8) -> Vec<CallBatch> {
    let mut scribe = Scribe::new(&[seed; 32]).unwrap();
    let one = |call| vec![record(CallToken::new([call; 16]))];
    (0..count)
        .map(|call| scribe.sign(one(call), NOW).unwrap())
        .collect()
}

fn json(batch: &CallBatch) -> Vec<u8> {
    serde_json::to_vec(batch).unwrap()
}

async fn record_all(store: &Store, batches: &[&CallBatch]) -> Result<(), StoreError> {
    let batches: Vec<_> = batches.iter().map(|batch| json(batch)).collect();
    store.record_calls(&batches, NOW).await
}

/// What an auditor finds in the log.
async fn audited(store: &Store) -> aios_audit::CallsReport {
    let size = *store.log_size().borrow();
    let mut chains = CallChains::default();
    for stored in store.leaves(0, size).await.unwrap() {
        let (_, payload) = stored.opening.unwrap();
        chains.batch(&stored.leaf, &payload).unwrap();
    }
    chains.report()
}

#[rstest]
#[tokio::test]
async fn batches_are_in_the_log_once_however_often_they_are_handed_over(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let (one, other) = (batches(1, 3), batches(2, 1));
    record_all(&store, &[&one[0], &one[1]]).await.unwrap();
    record_all(&store, &[&one[0], &one[1], &other[0]])
        .await
        .unwrap();
    record_all(&store, &[&one[2], &other[0]]).await.unwrap();
    let found = audited(&store).await;
    assert_eq!((found.processes, found.batches, found.missing), (2, 4, 0));
}

#[rstest]
#[tokio::test]
async fn a_batch_that_no_auditor_could_verify_never_stands_in_the_log(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let own = batches(1, 2);
    record_all(&store, &[&own[0]]).await.unwrap();
    let mut forged = own[1].clone();
    forged.records[0].cost = Some("0 USD".into());
    let refused = record_all(&store, &[&forged]).await;
    assert!(matches!(refused, Err(StoreError::Calls(CallsError::Root))));
    let mut scribe = Scribe::new(&[1; 32]).unwrap();
    for call in [8, 9] {
        let of_another_row = scribe
            .sign(vec![record(CallToken::new([call; 16]))], NOW)
            .unwrap();
        let refused = record_all(&store, &[&of_another_row]).await;
        assert_eq!(refused.is_err(), call == 9, "the first is passed over");
    }
    record_all(&store, &[&own[1]]).await.unwrap();
    let found = audited(&store).await;
    assert_eq!((found.batches, found.records), (2, 2));
}
