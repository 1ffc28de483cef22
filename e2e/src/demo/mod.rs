//! The main job on a real cluster, from an empty namespace to a proved record: [`run`] does it, and
//! what it counts, matches and shows is decided by plain functions next to it.

mod campaign;
mod collect;
mod desk;
mod final_way;
mod plants;
mod progress;
mod proof;
mod record;
mod report;
mod review;
mod settings;
mod stats;
mod summary;
mod tally;
mod tenant;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::files::repository;
use crate::progress::{seconds, step};
use crate::testing::install;
use crate::{Cluster, Options};

use campaign::Campaign;
pub use settings::{Chosen, FinalModel, Reviewer, Settings};
use summary::Facts;

/// Does it all. True if everything that the summary promises holds.
///
/// # Errors
/// When it cannot go on: with what failed and the remedy.
pub async fn run(settings: &Settings) -> Result<bool> {
    let begun = Instant::now();
    let campaign = Campaign::read(
        &repository().join("examples").join("campaign"),
        &settings.chosen,
    )?;
    let cluster = cluster(settings).await?;
    let way = match &settings.final_model {
        Some(chosen) => Some(final_way::open(&cluster, chosen).await?),
        None => None,
    };
    let final_url = way.as_ref().map(|way| way.base_url.as_str());
    tenant::prepare(&cluster, &campaign, settings, final_url).await?;
    let people = tenant::People::connect(&cluster, &settings.namespace).await?;
    tenant::start(&cluster, &campaign, &people, settings).await?;
    watch::until_settled(&cluster, &campaign, &people, settings).await?;
    let desk = desk::clear(&campaign, &people, settings).await?;

    let records = step(
        "read every document",
        collect::records(&campaign, &people, &desk),
    )
    .await?;
    let stats = collect::stats(&campaign, &people).await?;
    let posts = collect::posts(&cluster, &settings.namespace).await?;
    let proof = step(
        "export and verify the log",
        collect::proof(&cluster, &people, settings),
    )
    .await?;

    let facts = Facts {
        campaign: &campaign,
        records: &records,
        desk: &desk,
        stats: &stats,
        posts,
        proof: &proof,
        took: begun.elapsed(),
    };
    let summary = summary::of(&facts);
    let path = write_report(&report::page(&summary, &records, &campaign))?;
    println!("\n{}", summary.lines.join("\n"));
    println!("report: {}", path.display());
    for failure in &summary.failures {
        println!("FAILED: {failure}");
    }
    eprintln!("Done in {}.", seconds(begun.elapsed()));
    Ok(summary.failures.is_empty())
}

/// With AIOS in it.
async fn cluster(settings: &Settings) -> Result<Cluster> {
    if settings.is_installed {
        let name = std::env::var("AIOS_CLUSTER_NAME").ok();
        let name = name.as_deref().unwrap_or(Options::DEFAULT_NAME);
        return Cluster::attach(Options::named(name)?).await;
    }
    let cluster = Cluster::shared().await?;
    step("install AIOS from its charts", install(&cluster)).await?;
    Ok(cluster)
}

fn write_report(page: &str) -> Result<PathBuf> {
    let folder = repository().join("target").join("demo");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("report.html");
    std::fs::write(&path, page)?;
    Ok(path)
}
