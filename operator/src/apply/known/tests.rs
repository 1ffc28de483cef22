#![allow(clippy::unwrap_used)]
use super::{Known, LABEL_MODEL, SECRET};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

const KIND: &str = "Deployment";

fn meta(version: u64) -> ObjectMeta {
    ObjectMeta {
        namespace: Some("team".into()),
        name: Some("writer".into()),
        resource_version: Some(version.to_string()),
        ..ObjectMeta::default()
    }
}

fn live(version: u64) -> Value {
    json!({"metadata": {"name": "writer", "uid": "u", "resourceVersion": version.to_string()},
        "spec": {"replicas": 2, "defaulted": true}, "status": {"readyReplicas": 1}})
}

/// Whether what a watch shows is news at once.
fn is_news(known: &Known, version: u64) -> bool {
    let told = Arc::new(AtomicBool::new(false));
    let teller = told.clone();
    known.seen(KIND.into(), meta(version), move |_| {
        teller.store(true, SeqCst);
    });
    told.load(SeqCst)
}

fn unchanged(known: &Known) -> bool {
    known
        .unchanged(KIND, "team", "writer", "sha256:a")
        .is_some()
}

#[test]
fn what_was_verified_is_unchanged_until_a_watch_shows_a_later_version() {
    let known = Known::default();
    known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
    assert!(unchanged(&known));
    assert!(
        known
            .unchanged(KIND, "team", "writer", "sha256:b")
            .is_none()
    );
    assert!(is_news(&known, 6));
    assert!(!unchanged(&known));
}

#[test]
fn ones_own_write_is_no_news_and_neither_is_what_was_before_it() {
    let known = Known::default();
    known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
    assert!(!is_news(&known, 4));
    assert!(!is_news(&known, 5));
    assert!(unchanged(&known));
}

#[test]
fn anothers_change_seen_before_our_answer_is_not_forgotten() {
    let known = Known::default();
    is_news(&known, 7);
    known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
    assert!(!unchanged(&known));
}

#[test]
fn an_event_that_overtakes_the_answer_to_its_write_is_no_news() {
    let known = Known::default();
    let told = Arc::new(AtomicUsize::new(0));
    let writing = known.writing(KIND.into(), "team", "writer");
    for version in [5, 7] {
        let told = told.clone();
        known.seen(KIND.into(), meta(version), move |_| {
            told.fetch_add(1, SeqCst);
        });
    }
    known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
    assert_eq!(told.load(SeqCst), 0);
    drop(writing);
    assert_eq!(told.load(SeqCst), 1, "somebody else's change is news");
    assert!(!unchanged(&known));
}

#[test]
fn an_object_is_absent_only_once_everything_was_listed() {
    let known = Known::default();
    assert!(!known.is_absent(KIND, "team", "writer"));
    known.listed();
    assert!(known.is_absent(KIND, "team", "writer"));
    is_news(&known, 1);
    assert!(!known.is_absent(KIND, "team", "writer"));
    known.gone(KIND, &meta(2));
    assert!(known.is_absent(KIND, "team", "writer"));
}

#[test]
fn the_end_of_a_former_object_does_not_hide_its_successor() {
    let known = Known::default();
    known.listed();
    known.verified(KIND.into(), &meta(9), "sha256:a", &live(9));
    known.gone(KIND, &meta(8));
    assert!(unchanged(&known));
}

#[test]
fn what_a_list_does_not_have_is_gone_unless_it_was_written_since() {
    let known = Known::default();
    known.listed();
    let of = |name: &str, version| ObjectMeta {
        name: Some(name.into()),
        ..meta(version)
    };
    known.seen(KIND.into(), of("stays", 1), |_| ());
    known.seen(KIND.into(), of("goes", 2), |_| ());
    let listing = known.listing(KIND.into(), Some("team"));
    known.seen(KIND.into(), of("stays", 1), |_| panic!("it is as it was"));
    known.verified(KIND.into(), &of("written", 4), "sha256:a", &live(4));
    assert_eq!(listing.ended(), ["team"]);
    let gone = ["stays", "goes", "written"].map(|name| known.is_absent(KIND, "team", name));
    assert_eq!(gone, [false, true, false]);
    let elsewhere = known.listing(KIND.into(), Some("other"));
    assert!(elsewhere.ended().is_empty());
    assert!(!known.is_absent(KIND, "team", "stays"));
}

#[test]
fn a_models_objects_are_found_by_their_label() {
    let known = Known::default();
    let labelled = ObjectMeta {
        labels: Some([(LABEL_MODEL.to_owned(), "small".to_owned())].into()),
        ..meta(1)
    };
    known.seen(KIND.into(), labelled, |_| ());
    assert_eq!(known.of_model(KIND, "team", "small"), ["writer"]);
    assert!(known.of_model(KIND, "team", "large").is_empty());
    assert!(known.of_model(KIND, "other", "small").is_empty());
}

#[test]
fn callers_find_identity_replicas_and_status() {
    let known = Known::default();
    known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
    let (added, version) = known.unchanged(KIND, "team", "writer", "sha256:a").unwrap();
    let desired = json!({"metadata": {"name": "writer"}, "spec": {"paused": false}});
    assert_eq!(
        added.over(desired, version),
        json!({"metadata": {"name": "writer", "uid": "u", "resourceVersion": "5"},
            "spec": {"paused": false, "replicas": 2}, "status": {"readyReplicas": 1}})
    );
}

#[test]
fn a_certificate_is_good_for_its_purpose_until_somebody_changes_its_secret() {
    let known = Known::default();
    let until = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    known.good("team", "writer", "writer.team.svc", until);
    let good = |purpose: &str| known.good_until("team", "writer", purpose);
    assert_eq!(good("writer.team.svc"), None, "nobody read it");
    known.verified(SECRET.into(), &meta(5), "sha256:a", &live(5));
    known.good("team", "writer", "writer.team.svc", until);
    assert_eq!(good("writer.team.svc"), Some(until));
    assert_eq!(good("reader.team.svc"), None);
    known.seen(SECRET.into(), meta(6), |_| ());
    assert_eq!(good("writer.team.svc"), None);
}
