#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use aios_crds::writing_pipeline::{ContentKind, Execution, Models, Step};
use aios_proto::{
    config::{Owner, PipelineConfig, PolicyScope, pack, unpack},
    control::{Ack, Item, ItemAck, ItemKind, PipelineReport, PolicyReport, Report, RuleReport},
};
use jiff::{SignedDuration, Timestamp};

use super::{Broken, Index, Mandatory};
use crate::{
    ca::{Expected, KeyId, Papers},
    control::{Audience, Draft, Key, Kind, Pod, Seat},
    names::Component,
};

const NS: &str = "team";

fn now() -> Timestamp {
    Timestamp::from_second(10_000).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner {
        name: name.into(),
        uid: format!("uid-{name}"),
        generation: 1,
    }
}

fn policy(name: &str, body: &str) -> Item {
    pack(ItemKind::Policy, owner(name), &body).unwrap()
}

fn mandatory(name: &str, selector: &[(&str, &str)]) -> Mandatory {
    let item = pack(ItemKind::ClusterPolicy, owner(name), &"body").unwrap();
    Mandatory {
        item: std::sync::Arc::new(item.into()),
        selector: labels(selector),
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn draft(name: &str, policies: &[&str]) -> Draft {
    let config = PipelineConfig {
        name: name.into(),
        kind: ContentKind::Email,
        variables: None,
        language_variable: None,
        subject_variable: None,
        labels: Vec::new(),
        skeletons: Vec::new(),
        context: Vec::new(),
        retrieval: None,
        models: Models {
            draft: Step {
                routes: Vec::new(),
                experiment: None,
                cache: None,
            },
            finish: None,
        },
        policies: Vec::new(),
        publish: Vec::new(),
        execution: Execution::default(),
        reporters: Vec::new(),
        budget: None,
    };
    let policies = policies.iter().map(|p| (*p).to_owned()).collect();
    Draft::new(owner(name), &config, policies).unwrap()
}

fn index() -> Index {
    let mut index = Index::new(1_000);
    index.listed();
    index
}

fn pins(index: &Index, pipeline: &str) -> Vec<(PolicyScope, String, String)> {
    let item = index
        .offered(NS, &Key::new(Kind::Pipeline, pipeline))
        .unwrap();
    let config: PipelineConfig = unpack(&item.item()).unwrap();
    config
        .policies
        .into_iter()
        .map(|p| (p.scope, p.name, p.digest))
        .collect()
}

fn pod(name: &str, component: Component, age_seconds: i64) -> Pod {
    Pod {
        uid: format!("uid-{name}"),
        name: name.into(),
        component,
        model: None,
        seen: now() - SignedDuration::from_secs(age_seconds),
    }
}

fn ack(index: &Index, keys: &[Key], accepted: bool) -> Ack {
    let items = keys.iter().map(|key| ItemAck {
        kind: key.kind.to_wire().into(),
        name: key.name.clone(),
        digest: index
            .offered(NS, key)
            .map(|item| item.digest().to_owned())
            .unwrap_or_default(),
        accepted,
        message: if accepted { String::new() } else { "no".into() },
        engine: index
            .offered(NS, key)
            .map(|item| item.engine().to_owned())
            .unwrap_or_default(),
    });
    Ack {
        sequence: 1,
        items: items.collect(),
    }
}

#[test]
fn a_pipeline_is_offered_once_its_policies_are_compiled() {
    let mut index = index();
    index.apply_pipeline(NS, draft("mail", &["tone"]));
    assert!(
        index
            .offered(NS, &Key::new(Kind::Pipeline, "mail"))
            .is_none()
    );
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    assert_eq!(pins(&index, "mail").len(), 1);
}

#[test]
fn a_policy_and_its_pin_change_in_the_same_snapshot() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    index.apply_pipeline(NS, draft("mail", &["tone"]));
    index.apply(NS, Kind::Policy, policy("tone", "2"));
    let snapshot = index.snapshot(NS, &Seat::Gateway).unwrap();
    let offered = snapshot
        .items
        .iter()
        .find(|item| item.name == "tone")
        .unwrap();
    assert_eq!(pins(&index, "mail")[0].2, offered.digest);
}

#[test]
fn mandatory_policies_of_selected_namespaces_come_first() {
    let mut index = index();
    index.label(NS, labels(&[("bank", "yes")]));
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    index.apply_pipeline(NS, draft("mail", &["tone"]));
    index.apply_mandatory(mandatory("law", &[("bank", "yes")]));
    index.apply_mandatory(mandatory("other", &[("bank", "no")]));
    let pins = pins(&index, "mail");
    assert_eq!(pins.len(), 2);
    assert_eq!(
        (pins[0].0, pins[0].1.as_str()),
        (PolicyScope::Cluster, "law")
    );
    assert_eq!(
        (pins[1].0, pins[1].1.as_str()),
        (PolicyScope::Namespace, "tone")
    );
    index.label(NS, labels(&[]));
    assert_eq!(self::pins(&index, "mail").len(), 1);
}

#[test]
fn a_deleted_policy_stays_in_force_while_a_pipeline_pins_it() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    index.apply_pipeline(NS, draft("mail", &["tone"]));
    index.delete(NS, &Key::new(Kind::Policy, "tone"));
    assert_eq!(pins(&index, "mail").len(), 1);
    index.apply_pipeline(NS, draft("mail", &[]));
    assert!(index.offered(NS, &Key::new(Kind::Policy, "tone")).is_none());
}

#[test]
fn what_does_not_compile_leaves_the_last_good_of_the_same_object() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    index.keep(NS, &key, broken("uid-tone", true));
    assert!(index.offered(NS, &key).is_some());
    index.keep(NS, &key, broken("another-uid", false));
    assert!(index.offered(NS, &key).is_none());
}

#[test]
fn a_new_leader_offers_nothing_that_would_drop_a_last_good_version() {
    let mut index = index();
    let key = Key::new(Kind::Policy, "tone");
    index.keep(NS, &key, broken("uid-tone", true));
    assert!(index.is_held(NS, &key) && index.snapshot(NS, &Seat::Gateway).is_none());
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    assert!(!index.is_held(NS, &key) && index.snapshot(NS, &Seat::Gateway).is_some());
    index.keep(
        NS,
        &Key::new(Kind::Policy, "fresh"),
        broken("uid-fresh", false),
    );
    assert!(index.snapshot(NS, &Seat::Gateway).is_some());
}

#[test]
fn a_broken_mandatory_policy_holds_the_namespaces_it_selects() {
    let mut index = index();
    index.label(NS, labels(&[("bank", "yes")]));
    let selector = labels(&[("bank", "yes")]);
    let law = Key::new(Kind::ClusterPolicy, "law");
    index.keep(
        "",
        &law,
        Broken {
            selector: Some(&selector),
            ..broken("u", true)
        },
    );
    assert!(index.snapshot(NS, &Seat::Gateway).is_none());
    assert!(index.snapshot("another", &Seat::Gateway).is_some());
    index.delete("", &law);
    assert!(index.snapshot(NS, &Seat::Gateway).is_some());
}

fn broken(uid: &str, was_good: bool) -> Broken<'_> {
    Broken {
        uid,
        was_good,
        selector: None,
    }
}

#[test]
fn nothing_is_offered_before_all_that_was_listed_is_compiled() {
    let mut index = Index::new(1);
    let key = Key::new(Kind::Policy, "tone");
    index.expect(NS, key.clone());
    index.expect("", Key::new(Kind::ClusterPolicy, "law"));
    index.listed();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    assert!(index.snapshot(NS, &Seat::Gateway).is_none());
    index.keep(
        "",
        &Key::new(Kind::ClusterPolicy, "law"),
        broken("uid", false),
    );
    assert!(index.snapshot(NS, &Seat::Gateway).is_some());
    assert!(index.snapshot("another", &Seat::Gateway).is_some());
}

#[test]
fn a_namespace_that_comes_later_is_offered_nothing_before_all_of_it_is_compiled() {
    let mut index = index();
    let key = |name| Key::new(Kind::Policy, name);
    index.arrive(NS);
    index.expect(NS, key("tone"));
    index.apply(NS, Kind::Policy, policy("rules", "1"));
    assert_eq!(
        index.snapshot(NS, &Seat::Gateway),
        None,
        "not all is listed"
    );
    let woken = index.arrived(NS);
    assert_eq!(woken, [(NS.to_owned(), Vec::new())]);
    assert_eq!(
        index.snapshot(NS, &Seat::Gateway),
        None,
        "not all is compiled"
    );
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let offered = index.snapshot(NS, &Seat::Gateway).unwrap();
    assert_eq!(offered.items.len(), 2);
    index.arrive(NS);
    index.forget(NS);
    assert!(index.is_settled(NS), "it left again");
}

#[test]
fn who_waits_for_what_was_listed_is_named_once_when_the_last_of_it_came() {
    let mut index = Index::new(1);
    let waits = Key::new(Kind::Pipeline, "letters");
    let tone = Key::new(Kind::Policy, "tone");
    let law = Key::new(Kind::ClusterPolicy, "law");
    index.expect(NS, tone);
    index.expect("", law.clone());
    index.listed();
    assert!(!index.await_settled(NS, &waits));
    assert!(!index.await_settled("another", &waits));
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    assert!(index.take_rested().is_empty());
    index.delete("", &law);
    let both = [
        ("another".to_owned(), waits.clone()),
        (NS.to_owned(), waits.clone()),
    ];
    let mut rested = index.take_rested();
    rested.sort();
    let mut expected = both.to_vec();
    expected.sort();
    assert_eq!(rested, expected);
    assert!(index.take_rested().is_empty());
    assert!(index.await_settled(NS, &waits));
}

#[test]
fn the_sequence_grows_with_changes_and_only_with_them() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let first = index.snapshot(NS, &Seat::Gateway).unwrap().sequence;
    assert!(first > 1_000);
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    assert_eq!(index.snapshot(NS, &Seat::Gateway).unwrap().sequence, first);
    index.apply(NS, Kind::Policy, policy("tone", "2"));
    assert!(index.snapshot(NS, &Seat::Gateway).unwrap().sequence > first);
}

#[test]
fn each_seat_gets_what_it_reads() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    for model in ["small", "large"] {
        index.apply(
            NS,
            Kind::Model,
            pack(ItemKind::Model, owner(model), &"m").unwrap(),
        );
    }
    index.apply(
        NS,
        Kind::Run,
        pack(ItemKind::Run, owner("batch"), &"r").unwrap(),
    );
    index.apply_pipeline(NS, draft("mail", &[]));
    let count = |seat: &Seat| index.snapshot(NS, seat).unwrap().items.len();
    assert_eq!(count(&Seat::Gateway), 5);
    assert_eq!(count(&Seat::Worker), 4);
    assert_eq!(count(&Seat::Egress), 4);
    assert_eq!(count(&Seat::Ingress("small".into())), 1);
}

#[test]
fn a_policy_without_data_planes_has_nothing_to_enforce_it() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    assert_eq!(
        index.enforcement(NS, &key, Audience::Writers, now()).total,
        0
    );
}

#[test]
fn a_new_pod_counts_once_it_attached_and_is_named_once_its_grace_is_over() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    index.pod(NS, pod("gateway", Component::Gateway, 5));
    let young = index.enforcement(NS, &key, Audience::Writers, now());
    assert_eq!(young.total, 0);
    assert!(young.look_again.is_some());
    index.pod(NS, pod("partitioned", Component::Worker, 600));
    let said = ack(&index, std::slice::from_ref(&key), true);
    index.acknowledge(NS, "uid-gateway", &Seat::Gateway, said);
    let late = index.enforcement(NS, &key, Audience::Writers, now());
    assert_eq!((late.enforcing, late.total), (1, 2));
    assert_eq!(late.awaiting, ["partitioned"]);
}

#[test]
fn a_pod_that_judges_the_same_digest_by_other_revisions_does_not_enforce_it_and_is_named() {
    let mut index = index();
    let judged_by = |engine: &str| Item {
        engine: engine.to_owned(),
        ..policy("tone", "1")
    };
    let key = Key::new(Kind::Policy, "tone");
    let keys = std::slice::from_ref(&key);
    index.apply(NS, Kind::Policy, judged_by("engine.2 pii.1"));
    for name in ["old", "new", "ancient"] {
        index.pod(NS, pod(name, Component::Worker, 600));
    }
    let said = ack(&index, keys, true);
    index.acknowledge(NS, "uid-old", &Seat::Worker, said);
    let mut said = ack(&index, keys, true);
    said.items[0].engine.clear();
    index.acknowledge(NS, "uid-ancient", &Seat::Worker, said);

    index.apply(NS, Kind::Policy, judged_by("engine.2 pii.2"));
    let said = ack(&index, keys, true);
    index.acknowledge(NS, "uid-new", &Seat::Worker, said);
    let found = index.enforcement(NS, &key, Audience::Writers, now());
    assert_eq!((found.enforcing, found.total, found.refused), (1, 3, None));
    assert_eq!(
        found.awaiting,
        [
            "ancient (judges by unknown revisions)",
            "old (judges by pii.1)"
        ]
    );
}

#[test]
fn a_pod_enforces_a_policy_once_its_egress_does_too() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    let keys = std::slice::from_ref(&key);
    index.pod(NS, pod("writer", Component::Worker, 600));
    let said = ack(&index, keys, true);
    index.acknowledge(NS, "uid-writer", &Seat::Worker, said.clone());
    let mut without = said.clone();
    without.items.clear();
    index.acknowledge(NS, "uid-writer", &Seat::Egress, without);
    let found = index.enforcement(NS, &key, Audience::Writers, now());
    assert_eq!((found.enforcing, found.total), (0, 1));
    assert_eq!(found.awaiting, ["writer"]);
    index.acknowledge(NS, "uid-writer", &Seat::Egress, said);
    let found = index.enforcement(NS, &key, Audience::Writers, now());
    assert!(found.is_complete());
}

#[test]
fn a_changed_digest_awaits_every_pod_and_a_refusal_is_told() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    index.pod(NS, pod("gateway", Component::Gateway, 600));
    let said = ack(&index, std::slice::from_ref(&key), true);
    index.acknowledge(NS, "uid-gateway", &Seat::Gateway, said);
    assert!(
        index
            .enforcement(NS, &key, Audience::Writers, now())
            .is_complete()
    );
    index.apply(NS, Kind::Policy, policy("tone", "2"));
    assert!(
        !index
            .enforcement(NS, &key, Audience::Writers, now())
            .is_complete()
    );
    let said = ack(&index, std::slice::from_ref(&key), false);
    index.acknowledge(NS, "uid-gateway", &Seat::Gateway, said);
    let refused = index
        .enforcement(NS, &key, Audience::Writers, now())
        .refused;
    assert_eq!(refused, Some(("gateway".into(), "no".into())));
    index.pod_gone(NS, "uid-gateway");
    assert_eq!(
        index.enforcement(NS, &key, Audience::Writers, now()).total,
        0
    );
}

#[test]
fn only_new_acknowledgements_and_counts_wake_anybody() {
    let mut index = index();
    index.apply(NS, Kind::Policy, policy("tone", "1"));
    let key = Key::new(Kind::Policy, "tone");
    let said = ack(&index, std::slice::from_ref(&key), true);
    assert_eq!(
        index.acknowledge(NS, "u", &Seat::Gateway, said.clone()),
        [key]
    );
    assert!(index.acknowledge(NS, "u", &Seat::Gateway, said).is_empty());
    let counts = PipelineReport {
        pipeline: "mail".into(),
        accepted: 1,
        ..Default::default()
    };
    let report = Report {
        pipelines: vec![counts],
        ..Default::default()
    };
    assert_eq!(index.report(NS, "one", report.clone()).0, ["mail"]);
    assert!(index.report(NS, "one", report).0.is_empty());
}

#[test]
fn pods_are_heard_by_what_all_of_their_processes_said_until_they_go() {
    let mut index = Index::new(1);
    index.listed();
    for uid in ["one", "two", "three"] {
        index.pod(
            NS,
            Pod {
                uid: uid.into(),
                name: uid.into(),
                component: Component::Gateway,
                model: None,
                seen: Timestamp::UNIX_EPOCH,
            },
        );
    }
    let (old, new) = (KeyId::new(b"old"), KeyId::new(b"new"));
    let trusting = |keys: &[&KeyId]| Papers {
        trusted: keys.iter().map(|key| (*key).clone()).collect(),
        shown: vec![old.clone()],
    };
    index.papers_came((NS, "one"), &Seat::Gateway, trusting(&[&old, &new]));
    index.papers_came((NS, "one"), &Seat::Egress, trusting(&[&old]));
    index.papers_came((NS, "two"), &Seat::Gateway, trusting(&[&new]));
    let trusts = Expected::Trusts(new.clone());
    let heard = index.heard(&trusts);
    assert_eq!((heard.behind, heard.silent), (1, 1));
    assert_eq!(heard.named, ["team/one"]);
    index.papers_came((NS, "one"), &Seat::Egress, trusting(&[&old, &new]));
    assert_eq!(index.heard(&trusts).behind, 0);
    assert_eq!(index.heard(&Expected::ShowsOnly(new)).behind, 2);
    index.pod_gone(NS, "one");
    assert_eq!(index.heard(&Expected::ShowsOnly(old)).silent, 1);
}

#[test]
fn of_two_gateways_the_one_that_has_seen_more_is_believed_while_it_runs() {
    let mut index = Index::new(1);
    index.listed();
    let report = |accepted: i64, log_size: u64| Report {
        pipelines: vec![PipelineReport {
            pipeline: "mail".into(),
            accepted,
            ..Default::default()
        }],
        log_size,
        ..Default::default()
    };
    let accepted = |index: &Index| index.pipeline_report(NS, "mail").unwrap().accepted;
    index.pod(
        NS,
        Pod {
            uid: "one".into(),
            name: "one".into(),
            component: Component::Gateway,
            model: None,
            seen: Timestamp::UNIX_EPOCH,
        },
    );
    index.report(NS, "one", report(5, 50));
    assert!(index.report(NS, "other", report(4, 40)).0.is_empty());
    assert_eq!(accepted(&index), 5);
    index.report(NS, "other", report(6, 60));
    assert_eq!(accepted(&index), 6);
    index.report(NS, "one", report(5, 50));
    assert_eq!(accepted(&index), 5, "the other one does not run any more");
}

#[test]
fn what_policies_did_is_summed_of_the_gateways_that_counted_last() {
    let mut index = Index::new(1);
    index.listed();
    let item = policy("house", "a");
    index.apply(NS, Kind::Policy, item.clone());
    let key = Key::new(Kind::Policy, "house");
    let digest = index.offered(NS, &key).map(|item| item.digest().to_owned());
    let said = |texts: u64| PolicyReport {
        kind: ItemKind::Policy.into(),
        name: "house".into(),
        digest: digest.clone().unwrap_or_default(),
        texts,
        rules: vec![RuleReport {
            rule: "tone".into(),
            fired: texts / 10,
            failed: 0,
        }],
    };
    let counted = |log_size: u64| Report {
        log_size,
        ..Default::default()
    };
    index.report(NS, "one", counted(5));
    let news = index.policies_reported(NS, "one", vec![said(20)]);
    assert_eq!(news, std::slice::from_ref(&key));
    assert!(
        index
            .policies_reported(NS, "one", vec![said(20)])
            .is_empty()
    );
    assert!(
        index
            .policies_reported(NS, "other", vec![said(90)])
            .is_empty()
    );
    let rates = index.rates(NS, &key);
    assert_eq!((rates.texts, rates.rules["tone"]), (20, (2, 0)));
    let old = PolicyReport {
        digest: "sha256:0".into(),
        ..said(40)
    };
    index.policies_reported(NS, "one", vec![old]);
    assert_eq!(index.rates(NS, &key).texts, 0, "of other rules");
}
