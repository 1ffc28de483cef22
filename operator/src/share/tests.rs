#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use prometheus_client::metrics::gauge::Gauge;

use super::{Choice, Move, NamespaceSelector, Share, Standing, Verdict};

fn selector(team: &str) -> NamespaceSelector {
    let text = format!(r#"{{"matchLabels":{{"team":"{team}"}}}}"#);
    text.parse().unwrap()
}

fn share(me: &str) -> (Share, tokio::sync::mpsc::UnboundedReceiver<super::Arrived>) {
    Share::new(me, (Choice::Selected, selector(me)), Gauge::default())
}

fn labels(team: &str) -> BTreeMap<String, String> {
    [("team".to_owned(), team.to_owned())].into()
}

/// ConfigMap `aios-ca` with the claim of a share.
fn claimed(by: &Share, version: &str) -> ObjectMeta {
    let mut meta = ObjectMeta {
        namespace: Some("one".into()),
        resource_version: Some(version.into()),
        ..ObjectMeta::default()
    };
    by.sign(&mut meta);
    meta
}

/// With namespace `one`, whose objects all are held.
fn settled(me: &str) -> Share {
    let (share, mut arrivals) = share(me);
    share.gained("one");
    assert!(share.settle(&arrivals.try_recv().unwrap()));
    share
}

#[test]
fn a_namespace_has_arrived_once_everybody_holds_its_objects() {
    let (share, mut arrivals) = share("a");
    let (mut first, mut second) = (share.follow().unwrap(), share.follow().unwrap());
    share.gained("one");
    assert_eq!(
        share.standing("one", Some(&labels("a"))),
        Standing::Arriving
    );
    assert!(share.selects("one") && !share.serves("one"));
    drop(first.try_recv().unwrap());
    assert!(arrivals.try_recv().is_err());
    drop(second.try_recv().unwrap());
    assert!(share.settle(&arrivals.try_recv().unwrap()));
    assert!(share.serves("one"));
}

#[test]
fn a_namespace_that_left_meanwhile_does_not_arrive() {
    let (share, mut arrivals) = share("a");
    let mut moves = share.follow().unwrap();
    share.gained("one");
    share.lost("one");
    share.gained("one");
    let told: Vec<_> = std::iter::from_fn(|| moves.try_recv().ok())
        .map(|told| match told {
            Move::Gained(arrival) => format!("+{}", arrival.namespace()),
            Move::Lost(namespace) => format!("-{namespace}"),
        })
        .collect();
    assert_eq!(told, ["+one", "-one", "+one"]);
    assert!(!share.settle(&arrivals.try_recv().unwrap()), "the first");
    assert!(share.settle(&arrivals.try_recv().unwrap()), "the second");
    share.lost("one");
    assert_eq!(share.standing("one", Some(&labels("b"))), Standing::Outside);
    assert!(!share.serves("one"));
}

#[test]
fn of_two_that_select_a_namespace_the_first_serves_it() {
    let (a, b) = (settled("a"), settled("b"));
    let of_a = claimed(&a, "7");
    a.saw(&of_a);
    b.saw(&of_a);
    let both = labels("a");
    assert_eq!(
        a.standing("one", Some(&both)),
        Standing::Judged(Verdict::Mine)
    );
    assert_eq!(
        b.standing("one", Some(&both)),
        Standing::Judged(Verdict::Another("a".into()))
    );
    assert!(a.serves("one") && !b.serves("one"));
    // Its claim is gone, as a person may decide.
    let mut gone = of_a.clone();
    gone.resource_version = Some("9".into());
    b.saw_gone(&gone);
    assert_eq!(
        b.standing("one", Some(&both)),
        Standing::Judged(Verdict::Free)
    );
    // A watch that lags behind does not bring it back.
    b.saw(&of_a);
    assert_eq!(
        b.standing("one", Some(&both)),
        Standing::Judged(Verdict::Free)
    );
}

#[test]
fn a_label_moves_a_namespace_also_while_its_old_operator_is_away() {
    let (a, b) = (settled("a"), settled("b"));
    b.saw(&claimed(&a, "7"));
    let standing = b.standing("one", Some(&labels("b")));
    assert_eq!(standing, Standing::Judged(Verdict::Free));
    assert!(!b.serves("one"), "not before it is claimed");
    b.saw(&claimed(&b, "8"));
    assert!(b.serves("one"));
}

#[test]
fn an_operator_of_all_or_of_named_namespaces_waits_for_no_arrival() {
    let (all, _) = Share::new(
        "a",
        (Choice::All, NamespaceSelector::default()),
        Gauge::default(),
    );
    assert!(all.serves("any") && all.follow().is_none());
    let names = Choice::Named(["one".to_owned()].into());
    let (named, _) = Share::new("a", (names, NamespaceSelector::default()), Gauge::default());
    assert!(named.serves("one") && !named.serves("two"));
}

#[test]
fn what_is_said_of_a_refused_namespace_is_said_once() {
    let share = settled("a");
    assert!(share.refuses("one"));
    assert!(!share.refuses("one"));
    assert_eq!(share.0.refused.get(), 1);
    let now = std::time::Instant::now();
    assert_eq!(share.waits("uid", 1, now), Some(now));
    share.told("uid", 1);
    assert_eq!(share.waits("uid", 1, now), None);
    assert_eq!(share.waits("uid", 2, now), Some(now), "a new spec");
    share.accepts("one");
    assert_eq!(share.0.refused.get(), 0);
    assert!(share.refuses("one"), "again");
    share.lost("one");
    assert_eq!(share.0.refused.get(), 0);
}
