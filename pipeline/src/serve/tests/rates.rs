//! What the operator hears of how often rules fire.

use aios_proto::control::{ItemKind, PolicyReport};
use serde_json::json;

use super::town::{Town, TownOptions};
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
