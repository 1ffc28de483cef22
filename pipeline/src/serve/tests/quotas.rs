//! No more documents a day than policies allow.

use aios_crds::data_bounds::DataBounds;
use aios_crds::policy_set::{Quotas, Review};
use aios_proto::{
    config::{PolicyConfig, PolicyPin, PolicyScope},
    control::{ItemKind, Snapshot},
};
use aios_runtime::control::Enforce;
use serde_json::json;

use super::{
    town::{Town, TownOptions, item, pipeline, rule},
    workers::{in_run, run},
};
use crate::enforced::Enforced;

async fn town(quota: i32, dry_run: bool) -> Town {
    let town = Town::start(TownOptions {
        quota: Some(quota),
        dry_run,
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    town
}

/// Why the run was not accepted.
async fn refused(town: &Town) -> String {
    let row = town.gateway.store.run("uid-batch").await.unwrap().unwrap();
    assert!(!row.accepted, "{row:?}");
    row.error
}

#[tokio::test]
async fn a_pipeline_accepts_no_more_than_its_quota_a_day() {
    let town = town(2, false).await;
    let create = async |key: &str| {
        let (status, answer) = town.create("alice", key, json!({"customerId": 17})).await;
        (
            status,
            answer["title"].clone(),
            answer["detail"].to_string(),
        )
    };
    assert_eq!(create("k1").await.0, 201);
    assert_eq!(create("k2").await.0, 201);
    let (status, code, detail) = create("k3").await;
    assert_eq!((status, code), (429, json!("quota_exceeded")));
    assert!(detail.contains("2 documents a day"), "{detail}");
    assert_eq!(create("k1").await.0, 200, "a repeat is no other document");
    assert_eq!(create("k3").await.0, 429, "what was refused left nothing");
}

#[tokio::test]
async fn a_run_that_does_not_fit_into_the_day_waits_whole() {
    let town = town(3, false).await;
    town.created("k1", json!({"customerId": 17})).await;
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    let error = refused(&town).await;
    assert!(error.contains("it ends at midnight UTC"), "{error}");
    assert_eq!(in_run(&town, "Accepted").await.len(), 0);
    town.created("k2", json!({"customerId": 18})).await;
}

#[tokio::test]
async fn a_run_that_fits_into_no_day_says_so() {
    let town = town(2, false).await;
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    let error = refused(&town).await;
    assert!(error.contains("no day has room"), "{error}");
}

#[tokio::test]
async fn a_quota_of_a_policy_that_only_reports_limits_nothing() {
    let town = town(1, true).await;
    town.created("k1", json!({"customerId": 17})).await;
    town.created("k2", json!({"customerId": 17})).await;
}

#[test]
fn of_several_quotas_the_least_counts_the_platforms_too() {
    let policy = |scope, documents_per_day| PolicyConfig {
        name: "house".into(),
        scope,
        data: DataBounds::default(),
        rules: vec![rule(
            json!({"name": "r", "action": "Warn", "terms": {"list": ["x"]}}),
        )],
        review: Review::default(),
        quotas: Some(Quotas {
            documents_per_day: Some(documents_per_day),
            budget: None,
        }),
        dry_run: false,
    };
    let least = |platform: i32, own: i32| {
        let scopes = [
            (ItemKind::ClusterPolicy, PolicyScope::Cluster, platform),
            (ItemKind::Policy, PolicyScope::Namespace, own),
        ];
        let mut config = pipeline("http://receiver");
        let mut items = Vec::new();
        for (kind, scope, quota) in scopes {
            let policy = item(kind, "house", &policy(scope, quota));
            config.policies.push(PolicyPin {
                scope,
                name: "house".into(),
                digest: policy.digest.clone(),
            });
            items.push(policy);
        }
        items.push(item(ItemKind::Pipeline, "mail", &config));
        let enforced = Enforced::default();
        enforced.enforce(Snapshot { sequence: 1, items });
        enforced.load().pipelines["mail"].documents_per_day
    };
    assert_eq!(least(5, 9), Some(5));
    assert_eq!(least(9, 5), Some(5));
}
