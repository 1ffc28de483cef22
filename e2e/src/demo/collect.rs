//! Gathers what the summary is made of: documents, numbers, counts of the webhook, the log.

use std::time::Duration;

use aios_audit::Head;
use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kubectl_aios::client::DocumentFilter;
use serde::Deserialize;

use super::campaign::Campaign;
use super::desk::Desk;
use super::proof::{self, Proof};
use super::record::Record;
use super::settings::Settings;
use super::stats::Stats;
use super::tenant::People;
use crate::files::repository;
use crate::testing::aios::SYSTEM;
use crate::{Cluster, eventually};

const AT_ONCE: usize = 8;
/// The gateway shows its head from time to time.
const WITNESSED: Duration = Duration::from_mins(1);

/// What arrived at the webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Posts {
    /// Every POST, before anything else is looked at.
    pub posts: u64,
    /// Distinct documents.
    pub documents: u64,
}

pub async fn records(campaign: &Campaign, people: &People, desk: &Desk) -> Result<Vec<Record>> {
    let filter = DocumentFilter {
        run: Some(campaign.run_name.clone()),
        status: None,
    };
    let listed = people
        .auditor
        .documents(&campaign.pipeline, &filter)
        .await?;
    let mut records: Vec<Record> = futures::stream::iter(listed)
        .map(|summary| record(campaign, people, desk, summary.id))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    records.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    Ok(records)
}

async fn record(campaign: &Campaign, people: &People, desk: &Desk, id: String) -> Result<Record> {
    let view = people.auditor.document(&campaign.pipeline, &id).await?;
    Record::read(view, desk.drafts.get(&id).cloned())
}

pub async fn stats(campaign: &Campaign, people: &People) -> Result<Stats> {
    let stats = people
        .auditor
        .stats(&campaign.pipeline, Some(&campaign.run_name))
        .await?;
    serde_json::from_value(stats).context("the gateway's numbers are not as expected")
}

pub async fn posts(cluster: &Cluster, namespace: &str) -> Result<Posts> {
    let forward = cluster
        .forward_service(namespace, "webhook-receiver", 8080)
        .await?;
    let answer = reqwest::get(format!("http://{}/counts", forward.address())).await?;
    Ok(answer.error_for_status()?.json().await?)
}

/// Exports the log and proves it. The witness is asked first, so that its head cannot be newer.
pub async fn proof(cluster: &Cluster, people: &People, settings: &Settings) -> Result<Proof> {
    let witnessed = witnessed(cluster, settings).await;
    let mut bundle = Vec::new();
    people.auditor.bundle(&mut bundle).await?;
    let folder = repository().join("target").join("demo");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("audit.ndjson"), &bundle)?;
    Ok(proof::prove(
        &bundle,
        witnessed.map_err(|error| error.to_string()),
    ))
}

/// The head that the operator keeps, out of the tenant's reach.
async fn witnessed(cluster: &Cluster, settings: &Settings) -> Result<Head> {
    let maps = Api::<ConfigMap>::namespaced(cluster.client(), SYSTEM);
    let name = format!("aios-witness-{}", settings.namespace);
    let data = eventually(
        "the operator has witnessed the log",
        WITNESSED,
        async || Ok(maps.get_opt(&name).await?.and_then(|map| map.data)),
    )
    .await?;
    if let Some(fault) = data.get("fault") {
        bail!("{fault}");
    }
    let note = data
        .get("checkpoint")
        .with_context(|| format!("ConfigMap {name}: no checkpoint"))?;
    proof::head(note).map_err(anyhow::Error::msg)
}
