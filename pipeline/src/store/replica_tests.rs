//! Two gateways, one PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use super::{
    testing::{Kind, TestPlace},
    tests::{NOW, accept, refused, view},
    *,
};

async fn pair() -> Option<(Arc<Store>, Arc<Store>, TestPlace)> {
    let place = TestPlace::new(Kind::Postgres).await?;
    let (one, other) = tokio::join!(place.open(), place.open());
    Some((Arc::new(one), Arc::new(other), place))
}

#[tokio::test]
async fn gateways_that_open_at_once_get_an_epoch_each() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let mut epochs = [one.epoch(), other.epoch()];
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2]);
}

#[tokio::test]
async fn what_both_write_at_once_becomes_one_log() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..40 {
        let store = if n % 2 == 0 { &one } else { &other }.clone();
        let id = format!("document-{n:02}");
        writing.spawn(async move { store.accept(accept(&id, &id, false), NOW).await });
    }
    while let Some(written) = writing.join_next().await {
        assert!(written.unwrap().unwrap().1);
    }
    let (size, note) = one.sign_checkpoint().await.unwrap();
    assert_eq!(size, 40);
    assert_eq!(other.sign_checkpoint().await.unwrap(), (size, note));
    let leaves = other.leaves(0, size).await.unwrap();
    let rebuilt: aios_audit::Log = leaves.iter().map(|stored| stored.leaf.hash()).collect();
    assert_eq!(rebuilt.root(), one.with_log(aios_audit::Log::root));
}

#[tokio::test]
async fn an_intent_that_reaches_both_is_accepted_once() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let (here, there) = tokio::join!(
        one.accept(accept("a", "17", false), NOW),
        other.accept(accept("b", "17", false), NOW)
    );
    let ((first, new), (second, also_new)) = (here.unwrap(), there.unwrap());
    assert_eq!(first, second);
    assert!(new ^ also_new);
}

#[tokio::test]
async fn a_change_wakes_the_other_gateway() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let mut changes = other.changes();
    changes.mark_unchanged();
    one.accept(accept("a", "17", false), NOW).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), changes.changed());
    woken.await.expect("in time").unwrap();
    assert_eq!(other.with_log(aios_audit::Log::size), 1);
}

#[tokio::test]
async fn a_document_is_claimed_by_one_and_after_its_lease_by_the_other() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    one.accept(accept("a", "17", false), NOW).await.unwrap();
    let (here, there) = tokio::join!(one.claim(NOW, NOW + 10, 5), other.claim(NOW, NOW + 10, 5));
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_eq!(here.len() + there.len(), 1);
    let (holder, next) = if there.is_empty() {
        (&one, &other)
    } else {
        (&other, &one)
    };
    let held = here.into_iter().chain(there).next().unwrap();
    assert!(holder.keep(&held, NOW + 20).await.unwrap());
    assert!(next.claim(NOW + 10, NOW + 30, 5).await.unwrap().is_empty());
    let taken = next.claim(NOW + 20, NOW + 40, 5).await.unwrap().remove(0);
    assert!(!holder.keep(&held, NOW + 50).await.unwrap());
    let late = holder
        .apply("a", refused(), &view(), &holder.claim_fence(&held), NOW)
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    holder.unclaim(&held, None).await.unwrap();
    assert!(next.keep(&taken, NOW + 60).await.unwrap());
}

#[tokio::test]
async fn a_start_leaves_the_leases_of_living_gateways_alone() {
    let Some((one, _other, place)) = pair().await else {
        return;
    };
    one.accept(accept("a", "17", false), NOW).await.unwrap();
    let held = one.claim(NOW, NOW + 10, 5).await.unwrap().remove(0);
    let third = place.open().await;
    assert!(third.claim(NOW, NOW + 10, 5).await.unwrap().is_empty());
    assert!(one.keep(&held, NOW + 20).await.unwrap());
}

#[tokio::test]
async fn a_gateway_that_hangs_while_it_writes_does_not_keep_the_others_from_writing() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let hanging = one.database.write().await.unwrap();
    let written = other.accept(accept("a", "17", false), NOW);
    let written = tokio::time::timeout(Duration::from_mins(1), written).await;
    assert!(written.expect("in time").unwrap().1);
    assert!(hanging.commit().await.is_err());
    let (_, new) = one.accept(accept("b", "18", false), NOW).await.unwrap();
    assert!(new);
}

#[tokio::test]
async fn who_is_erased_by_one_is_unreadable_through_the_other() {
    let Some((one, other, _place)) = pair().await else {
        return;
    };
    let person = one.vault().person("17");
    let mut about = accept("a", "17", false);
    about.subject = Some(person);
    one.accept(about, NOW).await.unwrap();
    assert_eq!(other.erase(person, "alice", NOW).await.unwrap(), 1);
    assert!(matches!(
        one.document("a").await,
        Err(StoreError::Erased(_))
    ));
    assert!(one.leaves(0, 1).await.unwrap()[0].opening.is_none());
}
