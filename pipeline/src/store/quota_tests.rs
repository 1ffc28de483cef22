//! Days and what they have room for, in both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rstest::rstest;

use super::{
    Accept, RunRow, StoreError,
    testing::{Kind, TestPlace},
    tests::accept,
};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// One where three a day are allowed.
fn one(key: &str) -> Accept {
    Accept {
        quota: Some(3),
        ..accept(&uuid::Uuid::now_v7().to_string(), key, true)
    }
}

#[rstest]
#[tokio::test]
async fn a_run_is_accepted_on_a_day_that_has_room_for_all_of_it(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let row = RunRow {
        uid: "uid".into(),
        name: "batch".into(),
        pipeline: "mail".into(),
        accepted: true,
        suspended: false,
        error: String::new(),
    };
    let items = || ["1", "2", "3"].map(one).to_vec();
    store.accept(one("early"), DAY - 1).await.unwrap();
    let full = store.accept_run(&row, items(), DAY - 1).await;
    assert!(matches!(full, Err(StoreError::Quota { .. })), "{full:?}");
    assert_eq!(store.accepted_today("mail", DAY - 1).await.unwrap(), 1);
    store.accept_run(&row, items(), DAY).await.unwrap();
    assert_eq!(store.accepted_today("mail", DAY).await.unwrap(), 3);
    let more = store.accept(one("late"), DAY).await;
    assert!(matches!(more, Err(StoreError::Quota { .. })), "{more:?}");
    let again = store.accept(one("1"), DAY).await;
    assert!(!again.unwrap().1, "a repeat is no other document");
}
