//! Follows a run: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use aios_crds::{ConditionType, WritingRun, writing_run::ItemCounts};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;

const LOOK: Duration = Duration::from_secs(1);
const LINE: Duration = Duration::from_secs(5);
/// Failed looks in a row before giving up: an API server may restart meanwhile.
const PATIENCE: u32 = 30;

/// Waits for `Finished`. True if the run succeeded; leaving early leaves the run alone.
pub async fn until_finished(runs: &Api<WritingRun>, name: &str, limit: Duration) -> Result<bool> {
    let started = Instant::now();
    let mut shown = Shown::new();
    let mut failures = 0;
    let mut clock = tokio::time::interval(LOOK);
    loop {
        clock.tick().await;
        let run = match runs.get_opt(name).await {
            Ok(Some(run)) => run,
            Ok(None) => bail!("WritingRun {name} was deleted"),
            Err(error) => {
                failures += 1;
                if failures == PATIENCE {
                    return Err(error).context("the API server does not answer; the run goes on");
                }
                continue;
            }
        };
        failures = 0;
        let status = run.status.unwrap_or_default();
        let conditions = &status.conditions;
        shown.update(
            &status.items,
            conditions.get(ConditionType::Ready).as_ref(),
            started.elapsed(),
        );
        if conditions.is_true(ConditionType::Finished, None) {
            shown.end();
            let items = &status.items;
            println!(
                "{} accepted = {} published + {} refused + {} waiting, in {:.0} s",
                items.accepted,
                items.published,
                items.refused,
                items.waiting,
                started.elapsed().as_secs_f64()
            );
            let failed = conditions
                .get(ConditionType::Succeeded)
                .filter(|succeeded| succeeded.status != "True");
            if let Some(failed) = &failed {
                eprintln!("the run did not succeed: {}", said(failed));
            }
            return Ok(failed.is_none());
        }
        if conditions.is_true(ConditionType::Stalled, None) {
            shown.end();
            let stalled = conditions.get(ConditionType::Stalled);
            let reason = stalled.as_ref().map(said).unwrap_or_default();
            bail!("WritingRun {name} is stalled: {reason}");
        }
        if started.elapsed() > limit {
            shown.end();
            let seconds = limit.as_secs();
            bail!(
                "WritingRun {name} is not finished after {seconds} s; it goes on: kubectl get writingrun {name}"
            );
        }
    }
}

/// Items that need nothing more from the run.
fn settled(items: &ItemCounts) -> i64 {
    items.published + items.refused + items.waiting
}

fn said(condition: &Condition) -> String {
    format!("{}: {}", condition.reason, condition.message)
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
}

impl Shown {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new(0);
        let form = "{elapsed_precise} [{bar:32}] {pos}/{len} {msg} (about {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn update(&mut self, items: &ItemCounts, ready: Option<&Condition>, elapsed: Duration) {
        let counts = format!(
            "{} drafted, {} published, {} refused, {} waiting",
            items.drafted, items.published, items.refused, items.waiting
        );
        // Before the first item is accepted, the reason is all there is to tell.
        let words = match ready {
            Some(ready) if items.accepted == 0 => ready.reason.clone(),
            _ => counts,
        };
        match self {
            Self::Bar(bar) => {
                bar.set_length(u64::try_from(items.accepted).unwrap_or_default());
                bar.set_position(u64::try_from(settled(items)).unwrap_or_default());
                bar.set_message(words);
            }
            Self::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= LINE) {
                    *last = Some(Instant::now());
                    let left = remaining(settled(items), items.accepted, elapsed)
                        .map_or_else(String::new, |left| {
                            format!(", about {} s left", left.as_secs())
                        });
                    eprintln!(
                        "{:>4} s  {}/{}  {words}{left}",
                        elapsed.as_secs(),
                        settled(items),
                        items.accepted
                    );
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish();
        }
    }
}

/// At the pace so far.
fn remaining(done: i64, all: i64, elapsed: Duration) -> Option<Duration> {
    let left = all.checked_sub(done).filter(|_| done > 0 && all >= done)?;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left as f64 / done as f64).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::remaining;

    #[test]
    fn the_estimate_follows_the_pace() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(remaining(50, 150, elapsed), Some(Duration::from_secs(20)));
        assert_eq!(remaining(0, 150, elapsed), None);
        assert_eq!(remaining(7, 3, elapsed), None);
    }
}
