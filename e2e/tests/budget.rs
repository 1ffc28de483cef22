//! A pipeline whose model calls may cost no more than so much.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_crds::{WritingPipeline, writing_pipeline::BudgetSpent};
use aios_e2e::eventually;
use anyhow::{Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use scene::{DEADLINE, PIPELINE, Scene, records};

/// A thousandth of a euro for each token of an answer, of which a slot takes 40 at most.
const PRICE: &str = r#"{inputPerMillion: "0", outputPerMillion: "1000", currency: EUR}"#;
const DOCUMENTS: usize = 60;

/// The quickstart with two workers and a budget.
fn with_budget(amount: &'static str) -> impl Fn(&str) -> String {
    move |manifest| {
        let manifest = manifest.replace(
            r#"{inputPerMillion: "0.15", outputPerMillion: "0.60", currency: EUR}"#,
            PRICE,
        );
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
    Ok((status.budget, available))
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
