//! Follows the run until every item is published, refused or waits for a person.

use std::time::{Duration, Instant};

use aios_crds::writing_run::ItemCounts;
use aios_crds::{WritingRun, WritingRunStatus};
use anyhow::{Context, Result, bail};
use kube::Api;

use super::campaign::Campaign;
use super::collect;
use super::progress::{Shown, settled};
use super::settings::Settings;
use super::stats::Stats;
use super::tenant::People;
use crate::Cluster;
use crate::progress::seconds;

const LOOK: Duration = Duration::from_secs(1);
/// A run in which nothing moves for so long does not end by itself.
const STILL: Duration = Duration::from_mins(10);

/// The gateway is asked, which knows at once; a run's status follows later.
pub async fn until_settled(
    cluster: &Cluster,
    campaign: &Campaign,
    people: &People,
    settings: &Settings,
) -> Result<()> {
    let runs = Api::<WritingRun>::namespaced(cluster.client(), &settings.namespace);
    let all = i64::try_from(campaign.customers.len())?;
    let (begun, mut moved, mut before) = (Instant::now(), Instant::now(), None);
    let mut shown = Shown::new();
    let mut clock = tokio::time::interval(LOOK);
    eprintln!("  • write, check and publish {all} documents …");
    loop {
        clock.tick().await;
        let (status, stats) = match look(&runs, campaign, people).await {
            Ok(seen) => seen,
            // Gateway and API server may restart meanwhile.
            Err(error) if moved.elapsed() > STILL => return Err(error),
            Err(_) => continue,
        };
        let items = stats.items();
        shown.update(&items, all, begun.elapsed());
        match end(&status, &items, all) {
            End::Settled => break,
            End::Stalled(why) => {
                shown.end();
                bail!("the run is stalled: {why}");
            }
            End::NotYet => {}
        }
        // A model call more is a move too: the first documents take long.
        let now = Some((items, stats.model_calls));
        if before != now {
            (moved, before) = (Instant::now(), now);
        }
        if moved.elapsed() > STILL {
            shown.end();
            let namespace = &settings.namespace;
            bail!(
                "nothing has moved for {}: see `kubectl aios status -n {namespace}` and \
                 `kubectl -n {namespace} get pods,events`",
                seconds(STILL)
            );
        }
    }
    shown.end();
    eprintln!(
        "  ✓ every document is published, refused or waits ({})",
        seconds(begun.elapsed())
    );
    Ok(())
}

async fn look(
    runs: &Api<WritingRun>,
    campaign: &Campaign,
    people: &People,
) -> Result<(WritingRunStatus, Stats)> {
    let run = runs
        .get(&campaign.run_name)
        .await
        .context("the run cannot be read")?;
    Ok((
        run.status.unwrap_or_default(),
        collect::stats(campaign, people).await?,
    ))
}

enum End {
    NotYet,
    Settled,
    Stalled(String),
}

fn end(status: &WritingRunStatus, items: &ItemCounts, all: i64) -> End {
    let condition = |name: &str| {
        let mut conditions = status.conditions.iter();
        conditions.find(|one| one.type_ == name && one.status == "True")
    };
    if let Some(stalled) = condition("Stalled") {
        return End::Stalled(format!("{}: {}", stalled.reason, stalled.message));
    }
    if items.accepted >= all && settled(items) >= all {
        End::Settled
    } else {
        End::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_settled_when_every_item_is() {
        let (run, none) = (WritingRunStatus::default(), ItemCounts::default());
        let of = |published, waiting| ItemCounts {
            accepted: 3,
            published,
            waiting,
            ..none.clone()
        };
        assert!(matches!(end(&run, &of(2, 0), 3), End::NotYet));
        assert!(matches!(end(&run, &of(2, 1), 3), End::Settled));
        assert!(matches!(end(&run, &of(2, 1), 300), End::NotYet));
    }
}
