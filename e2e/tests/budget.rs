//! Pipelines, runs and tenants whose model calls may come to no more than so much.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::{ClusterPolicySet, WritingPipeline, WritingRun, budget::BudgetSpent};
use aios_e2e::eventually;
use anyhow::{Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use scene::{DEADLINE, PIPELINE, Scene, records};
use serde_json::json;

/// A thousandth of a euro for each token of an answer, of which a slot takes 40 at most.
const PRICE: &str = r#"{inputPerMillion: "0", outputPerMillion: "1000", currency: EUR}"#;
const DOCUMENTS: usize = 60;

/// The quickstart with a dear model.
fn priced(manifest: &str) -> String {
    manifest.replace(
        r#"{inputPerMillion: "0.15", outputPerMillion: "0.60", currency: EUR}"#,
        PRICE,
    )
}

/// The same with two workers and a budget.
fn with_budget(amount: &'static str) -> impl Fn(&str) -> String {
    move |manifest| {
        let manifest = priced(manifest);
        let budget = format!(
            "  budget: {{amount: \"{amount}\", currency: EUR, period: Month}}\n  \
             execution: {{parallelism: 2}}\n  policyRefs:"
        );
        manifest.replace("  policyRefs:", &budget)
    }
}

async fn seen(scene: &Scene) -> Result<(Option<BudgetSpent>, Option<Condition>)> {
    let pipelines = scene.namespace.api::<WritingPipeline>();
    let status = pipelines.get(PIPELINE).await?.status.unwrap_or_default();
    let mut conditions = status.conditions.into_iter();
    let available = conditions.find(|one| one.type_ == "BudgetAvailable");
    Ok((status.budget.map(|spent| *spent), available))
}

#[tokio::test]
async fn two_workers_spend_a_budget_and_no_more_and_go_on_once_it_is_raised() {
    let scene = Scene::with("budget", with_budget("0.4")).await;
    scene.upload(&records(DOCUMENTS, |_| "saving")).await;
    scene.run_uploaded("batch").await;

    eventually("the budget has no room left", DEADLINE, async || {
        let (budget, available) = seen(&scene).await?;
        let available = available.ok_or_else(|| anyhow::anyhow!("not said yet"))?;
        ensure!(available.status == "False", "{budget:?}: {available:?}");
        assert_eq!(available.reason, "BudgetExhausted");
        Ok(Some(()))
    })
    .await
    .unwrap();
    // What a worker held and could not use for a call comes back; then all that is gone was spent.
    let tokens = eventually("what is gone is what was spent", DEADLINE, async || {
        let (budget, _) = seen(&scene).await?;
        let budget = budget.ok_or_else(|| anyhow::anyhow!("not said yet"))?;
        assert!(budget.committed.millionths() <= 400_000, "{budget:?}");
        let tokens = scene.model_tokens().await?;
        let spent = budget.spent.millionths();
        ensure!(spent == tokens * 1_000, "{budget:?}, {tokens} tokens");
        Ok(Some(tokens))
    })
    .await
    .unwrap();
    assert!((1..=400).contains(&tokens), "{tokens} tokens");
    let written = scene.documents(Some("Published")).await.unwrap().len();
    assert!(written > 0 && written < DOCUMENTS, "{written} were written");

    scene.reapply(with_budget("40")).await;
    let items = scene.finished("batch").await;
    assert_eq!(items.accepted, i64::try_from(DOCUMENTS).unwrap());
    assert_eq!(items.published, items.accepted);
    eventually("the budget has room", DEADLINE, async || {
        let (_, available) = seen(&scene).await?;
        Ok(available.filter(|available| available.status == "True"))
    })
    .await
    .unwrap();
    assert_eq!(scene.audited().await.documents, DOCUMENTS as u64);
}

async fn of_run(scene: &Scene, run: &str) -> Result<BudgetSpent> {
    let run = scene.namespace.api::<WritingRun>().get(run).await?;
    let budget = run.status.and_then(|status| status.budget);
    budget.ok_or_else(|| anyhow::anyhow!("not said yet"))
}

#[tokio::test]
async fn a_run_spends_its_budget_and_a_tenant_its_own_and_both_go_on_once_they_are_raised() {
    let scene = Scene::with("purses", priced).await;
    let name = scene.namespace.name().to_owned();
    let platform: ClusterPolicySet = serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "ClusterPolicySet", "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "rules": [{"name": "short", "action": "Warn", "length": {"maxWords": 500}}],
            "quotas": {"budget": {"amount": "0.8", "currency": "EUR"}},
        },
    }))
    .unwrap();
    let policies: Api<ClusterPolicySet> = Api::all(scene.namespace.client());
    let made = policies.create(&PostParams::default(), &platform).await;
    made.unwrap();
    eventually("the platform's budget is in force", DEADLINE, async || {
        let status = policies.get(&name).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        let enforced = conditions.any(|one| one.type_ == "Enforced" && one.status == "True");
        ensure!(enforced, "{status:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();

    scene.upload(&records(DOCUMENTS, |_| "saving")).await;
    let runs = scene.namespace.api::<WritingRun>();
    let run: WritingRun = serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun", "metadata": {"name": "batch"},
        "spec": {
            "pipelineRef": {"name": PIPELINE}, "input": {"upload": {"context": "customer"}},
            "budget": {"amount": "0.3", "currency": "EUR"},
        },
    }))
    .unwrap();
    runs.create(&PostParams::default(), &run).await.unwrap();
    eventually("the run's budget has no room left", DEADLINE, async || {
        let available = scene.condition("batch", "BudgetAvailable").await?;
        let available = available.ok_or_else(|| anyhow::anyhow!("not said yet"))?;
        ensure!(available.reason == "BudgetExhausted", "{available:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let spent = of_run(&scene, "batch").await.unwrap();
    assert!(spent.committed.millionths() <= 300_000, "{spent:?}");
    assert!(scene.model_tokens().await.unwrap() <= 300);

    let amount = |amount: &str| Patch::Merge(json!({"spec": {"budget": {"amount": amount}}}));
    let params = PatchParams::default();
    runs.patch("batch", &params, &amount("40")).await.unwrap();
    // Now the tenant's is the narrower one.
    eventually(
        "the tenant's budget has no room left",
        DEADLINE,
        async || {
            let status = policies.get(&name).await?.status.unwrap_or_default();
            let mut conditions = status.conditions.iter();
            let short = conditions
                .any(|one| one.reason == "BudgetExhausted" && one.message.contains(&name));
            ensure!(short, "{status:?}");
            let told = status.budgets.iter().find(|told| told.namespace == name);
            let told = told.ok_or_else(|| anyhow::anyhow!("not told yet"))?;
            assert!(told.committed.millionths() <= 800_000, "{told:?}");
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
    assert!(scene.model_tokens().await.unwrap() <= 800);

    let more = Patch::Merge(json!({"spec": {"quotas": {"budget": {"amount": "40"}}}}));
    policies.patch(&name, &params, &more).await.unwrap();
    let items = scene.finished("batch").await;
    assert_eq!(items.published, i64::try_from(DOCUMENTS).unwrap());
    eventually(
        "all that was spent is told of the run",
        DEADLINE,
        async || {
            let (spent, tokens) = (of_run(&scene, "batch").await?, scene.model_tokens().await?);
            ensure!(
                spent.spent.millionths() == tokens * 1_000,
                "{spent:?}, {tokens} tokens"
            );
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
    let deleted = policies.delete(&name, &DeleteParams::default()).await;
    deleted.unwrap();
}
