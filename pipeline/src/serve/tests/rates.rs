//! What the operator hears of how often rules fire.

use aios_proto::{
    config::{PipelineConfig, PolicyConfig, PolicyPin, PolicyScope, unpack},
    control::{Item, ItemKind, PolicyReport, Snapshot},
};
use aios_runtime::control::Enforce;
use serde_json::json;

use super::town::{Town, TownOptions, item};
use crate::serve::reports::report;

async fn of_house(town: &Town) -> PolicyReport {
    let report = report(&town.gateway).await.unwrap();
    report.policies.into_iter().next().unwrap_or_default()
}

fn fired(report: &PolicyReport, rule: &str) -> Option<u64> {
    let mut rules = report.rules.iter();
    rules.find(|one| one.rule == rule).map(|one| one.fired)
}

#[tokio::test]
async fn rules_that_fire_are_counted_for_the_operator_and_outlive_the_gateway() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    assert_eq!(of_house(&town).await, PolicyReport::default());
    town.model.say("You are guaranteed to win.");
    let refused = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&refused, "Refused").await;
    town.model.say("Join our webinar today.");
    let published = town.created("k2", json!({"customerId": 17})).await;
    town.wait_for(&published, "Published").await;
    let town = town.restart().await;
    let report = of_house(&town).await;
    assert_eq!(
        (report.kind(), report.name.as_str()),
        (ItemKind::Policy, "house")
    );
    let items = town.gateway.enforced.snapshot().items;
    let item = items.iter().find(|item| item.name == "house").unwrap();
    assert_eq!(report.digest, item.digest);
    assert_eq!((report.texts, fired(&report, "no-guarantee")), (2, Some(1)));
    assert_eq!(fired(&report, "no-doubt"), None, "it never fired");
}

/// The same rules a second time, as the platform's and under the same name.
fn mandated(items: Vec<Item>) -> Vec<Item> {
    let of = |kind: ItemKind| items.iter().find(|item| item.kind() == kind).unwrap();
    let mut policy: PolicyConfig = unpack(of(ItemKind::Policy)).unwrap();
    policy.scope = PolicyScope::Cluster;
    let policy = item(ItemKind::ClusterPolicy, "house", &policy);
    let mut pipeline: PipelineConfig = unpack(of(ItemKind::Pipeline)).unwrap();
    pipeline.policies.push(PolicyPin {
        scope: PolicyScope::Cluster,
        name: "house".into(),
        digest: policy.digest.clone(),
    });
    let pipeline = item(ItemKind::Pipeline, "mail", &pipeline);
    let kept = items
        .into_iter()
        .filter(|item| item.kind() != ItemKind::Pipeline);
    kept.chain([policy, pipeline]).collect()
}

#[tokio::test]
async fn policies_of_one_name_are_counted_apart_by_who_wrote_them() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let items = mandated(town.gateway.enforced.snapshot().items);
    let sequence = 2;
    town.gateway.enforced.enforce(Snapshot { sequence, items });
    town.model.say("You are guaranteed to win.");
    let refused = town.created("k1", json!({"customerId": 17})).await;
    let refused = town.wait_for(&refused, "Refused").await;
    let findings = refused["verdict"]["findings"].as_array().unwrap();
    let spoke: Vec<_> = findings.iter().map(|found| &found["policy"]).collect();
    assert_eq!(spoke, ["cluster/house", "house"]);
    let mut reports = report(&town.gateway).await.unwrap().policies;
    reports.sort_by_key(|report| report.kind);
    let counted: Vec<_> = reports
        .iter()
        .map(|one| (one.kind(), one.texts, fired(one, "no-guarantee")))
        .collect();
    let once = |kind| (kind, 1, Some(1));
    let mut expected = [once(ItemKind::Policy), once(ItemKind::ClusterPolicy)];
    expected.sort_by_key(|(kind, ..)| i32::from(*kind));
    assert_eq!(counted, expected);
    assert!(reports.iter().all(|report| report.name == "house"));
}
