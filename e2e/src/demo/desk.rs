//! The review desk: decides what waits, or waits for the person who does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kubectl_aios::client::{ClientError, DocumentFilter, DocumentView, Receipt};

use super::campaign::Campaign;
use super::record::{Draft, Record};
use super::review::{Decision, decide};
use super::settings::{Reviewer, Settings};
use super::tenant::People;
use crate::progress::seconds;

const LOOK: Duration = Duration::from_secs(1);
/// What a script has not moved for so long it will not move.
const STILL: Duration = Duration::from_mins(3);

/// What came of the reviews.
pub struct Desk {
    pub reviewer: Reviewer,
    /// How each document read when it first waited, by id.
    pub drafts: BTreeMap<String, Draft>,
}

/// Goes on until nothing of the run is under way, or nothing moves any more.
pub async fn clear(campaign: &Campaign, people: &People, settings: &Settings) -> Result<Desk> {
    let mut desk = Desk {
        reviewer: settings.reviewer,
        drafts: BTreeMap::new(),
    };
    let filter = DocumentFilter {
        run: Some(campaign.run_name.clone()),
        status: None,
    };
    let (begun, mut moved, mut before) = (Instant::now(), Instant::now(), Vec::new());
    let mut clock = tokio::time::interval(LOOK);
    loop {
        clock.tick().await;
        let listed = people
            .reviewer
            .documents(&campaign.pipeline, &filter)
            .await?;
        let open: Vec<(String, String)> = listed
            .into_iter()
            .filter(|document| !matches!(document.status.as_str(), "Published" | "Refused"))
            .map(|document| (document.id, document.status))
            .collect();
        let is_still = settings.reviewer == Reviewer::Scripted && moved.elapsed() > STILL;
        if open.is_empty() || is_still {
            break;
        }
        if open != before {
            (moved, before) = (Instant::now(), open);
        }
        let waiting = people.reviewer.reviews(&campaign.pipeline).await?;
        if desk.drafts.is_empty() && !waiting.is_empty() {
            announce(campaign, settings, waiting.len());
        }
        for view in waiting {
            let draft = Draft {
                parts: view.parts.clone(),
                verdict: view.verdict.clone(),
            };
            desk.drafts.entry(view.id.clone()).or_insert(draft);
            if settings.reviewer == Reviewer::Scripted && view.status == "Review" {
                review(campaign, people, view).await?;
            }
        }
    }
    eprintln!(
        "  ✓ the review desk is clear ({})",
        seconds(begun.elapsed())
    );
    Ok(desk)
}

async fn review(campaign: &Campaign, people: &People, view: DocumentView) -> Result<()> {
    let record = Record::read(view.clone(), None)?;
    let Some(digest) = view.digest.as_deref() else {
        return Ok(());
    };
    let edited = record
        .decisions
        .iter()
        .any(|decision| decision.kind == "Edited");
    let (pipeline, id) = (campaign.pipeline.as_str(), view.id.as_str());
    let answer = match decide(campaign, &record.customer, &view, edited) {
        Decision::Approve => people.reviewer.approve(pipeline, id, digest).await,
        Decision::Reject(why) => people.reviewer.reject(pipeline, id, digest, &why).await,
        Decision::Edit(parts) => people.editor.edit(pipeline, id, digest, &parts).await,
    };
    decided(answer).with_context(|| format!("document {id}"))
}

/// A document that moved on meanwhile is looked at again.
fn decided(answer: Result<Receipt, ClientError>) -> Result<()> {
    match answer {
        Err(error) if error.status() == Some(409) => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
}

fn announce(campaign: &Campaign, settings: &Settings, count: usize) {
    if settings.reviewer == Reviewer::Scripted {
        eprintln!(
            "  • {count} documents wait for a person; a script decides (REVIEW=me to do it) …"
        );
        return;
    }
    let (namespace, pipeline) = (&settings.namespace, &campaign.pipeline);
    let as_person = |verb: &str, who: &str| {
        format!(
            "  kubectl aios review {verb} -n {namespace} -p {pipeline} --as-service-account {who}"
        )
    };
    println!("{count} documents wait for you. In another terminal, until none is left:");
    println!("  export KUBECONFIG=$(cargo run -q --bin cluster -- kubeconfig)");
    println!("  export PATH=$PWD/target/debug:$PATH");
    println!("{}", as_person("list", "reviewer"));
    println!("{}", as_person("approve ID", "reviewer"));
    println!("{}", as_person("reject ID --reason WHY", "reviewer"));
    println!("{}", as_person("edit ID --part text=FILE", "editor"));
    println!("Whoever edits a document cannot approve it; that is why there are two.");
}
