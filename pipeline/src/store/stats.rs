//! What steps took and how documents stand, in numbers.

use std::collections::BTreeMap;

use super::{
    database::{Session, query},
    error::StoreError,
    open::Store,
};
use crate::machine::{Event, Phase, State, Step, Usage};

/// One measurement.
pub struct Measured {
    step: Step,
    millis: u64,
    usage: Option<Usage>,
    first_draft: bool,
}

/// Documents of a pipeline by status.
pub type StatusCounts = BTreeMap<String, u64>;

/// Milliseconds of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

/// A pipeline in numbers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStats {
    pub documents: StatusCounts,
    /// Published documents by who wrote them.
    pub origins: BTreeMap<String, u64>,
    pub refusals: BTreeMap<String, u64>,
    pub parked: BTreeMap<String, u64>,
    /// Milliseconds by step.
    pub steps: BTreeMap<String, Latency>,
    /// From acceptance to the first draft, milliseconds.
    pub first_draft: Latency,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Answer tokens a second of model time.
    pub tokens_per_second: f64,
    /// By currency, as decimals.
    pub cost: BTreeMap<String, String>,
    /// Cost of a thousand tokens, by currency.
    pub cost_per_thousand_tokens: BTreeMap<String, String>,
    /// Every model call was counted by its upstream.
    pub exact: bool,
    pub model_calls: u64,
    /// Percent of decided documents that a person edited.
    pub edit_rate_percent: f64,
}

/// What an event says about times; taken before the event changes the document.
pub fn measure(before: &State, event: &Event, now_ms: u64) -> Option<Measured> {
    let reviewing = |since: u64| now_ms.saturating_sub(since);
    let first_draft =
        before.version.is_none() && before.slots.values().all(|s| s.filled().is_none());
    let (step, millis, usage) = match event {
        Event::Retrieved(retrieved) => (Step::Retrieve, retrieved.millis, None),
        Event::Drafted(drafted) => (Step::Draft, drafted.usage.millis, Some(&drafted.usage)),
        Event::Unusable { usage, .. } => (Step::Draft, usage.millis, Some(usage)),
        Event::Finished { usage, .. } => (Step::Final, usage.millis, Some(usage)),
        Event::Checked(checked) => (Step::Check, checked.millis, None),
        Event::Published { millis, .. } => (Step::Publish, *millis, None),
        Event::Approved { .. } | Event::Rejected { .. } | Event::ReviewExpired => {
            let Phase::Review { since_ms, .. } = before.phase else {
                return None;
            };
            (Step::Review, reviewing(since_ms), None)
        }
        _ => return None,
    };
    let first_draft = first_draft && matches!(event, Event::Drafted(_));
    Some(Measured {
        step,
        millis,
        usage: usage.cloned(),
        first_draft,
    })
}

/// Writes a measurement in the event's transaction.
pub async fn record(
    write: &mut Session,
    state: &State,
    measured: Option<Measured>,
    now_ms: u64,
) -> Result<(), StoreError> {
    let Some(Measured {
        step,
        millis,
        usage,
        first_draft,
    }) = measured
    else {
        return Ok(());
    };
    let (cost, currency) = usage
        .as_ref()
        .and_then(|u| u.cost.as_deref())
        .map_or((0, None), cost);
    let usage = usage.unwrap_or(Usage {
        exact: true,
        ..Usage::default()
    });
    query(
        "INSERT INTO steps (document, pipeline, run_uid, step, millis, input_tokens, output_tokens,
         cost_nano, currency, exact) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&state.id)
    .bind(&state.pipeline)
    .bind(state.run.as_ref().map(|run| run.uid.as_str()))
    .bind(step.as_str())
    .bind(millis)
    .bind(usage.input_tokens)
    .bind(usage.output_tokens)
    .bind(cost)
    .bind(currency.as_deref())
    .bind(usage.exact)
    .execute(write)
    .await?;
    if first_draft {
        query("UPDATE documents SET first_draft_ms = $1 WHERE id = $2")
            .bind(now_ms.saturating_sub(state.created_ms))
            .bind(&state.id)
            .execute(write)
            .await?;
    }
    Ok(())
}

/// `0.000120 USD` in billionths and currency.
fn cost(text: &str) -> (u64, Option<String>) {
    let mut words = text.split_whitespace();
    let amount = words.next().unwrap_or_default();
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let fraction: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    let nano = whole
        .parse::<u64>()
        .ok()
        .and_then(|whole| whole.checked_mul(1_000_000_000))
        .zip(fraction.parse::<u64>().ok())
        .map_or(0, |(whole, fraction)| whole.saturating_add(fraction));
    (nano, words.next().map(str::to_owned))
}

fn decimal(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Store {
    /// Documents by pipeline and status.
    pub async fn counts(&self) -> Result<BTreeMap<String, StatusCounts>, StoreError> {
        let mut session = self.database.read().await?;
        let rows =
            query("SELECT pipeline, status, COUNT(*) FROM documents GROUP BY pipeline, status")
                .all(&mut session)
                .await?;
        let mut counts: BTreeMap<String, StatusCounts> = BTreeMap::new();
        for row in rows {
            let (pipeline, status): (String, String) = (row.get(0)?, row.get(1)?);
            counts
                .entry(pipeline)
                .or_default()
                .insert(status, row.number(2)?);
        }
        Ok(counts)
    }

    /// A pipeline in numbers; one run of it if `run` is given.
    pub async fn stats(
        &self,
        pipeline: &str,
        run: Option<&str>,
    ) -> Result<PipelineStats, StoreError> {
        let mut stats = PipelineStats {
            exact: true,
            ..PipelineStats::default()
        };
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT status, reason, origin, first_draft_ms FROM documents WHERE pipeline = $1
             AND ($2 IS NULL OR run = $2)",
        )
        .bind(pipeline)
        .bind(run)
        .all(&mut session)
        .await?;
        drop(session);
        let (mut first_drafts, mut decided, mut edited) = (Vec::new(), 0_u64, 0_u64);
        for row in &rows {
            let place: String = row.get(0)?;
            let reason: Option<String> = row.get(1)?;
            let origin: Option<String> = row.get(2)?;
            if let Some(origin) = origin {
                decided += 1;
                edited += u64::from(origin == "Edited");
                if place == "Published" {
                    *stats.origins.entry(origin).or_default() += 1;
                }
            }
            match (place.as_str(), reason) {
                ("Refused", Some(reason)) => *stats.refusals.entry(reason).or_default() += 1,
                ("Parked", Some(reason)) => *stats.parked.entry(reason).or_default() += 1,
                _ => {}
            }
            *stats.documents.entry(place).or_default() += 1;
            first_drafts.extend(row.maybe_number(3)?);
        }
        stats.first_draft = latency(first_drafts);
        stats.edit_rate_percent = 100.0 * edited as f64 / decided.max(1) as f64;
        self.step_stats(pipeline, run, &mut stats).await?;
        Ok(stats)
    }

    async fn step_stats(
        &self,
        pipeline: &str,
        run: Option<&str>,
        stats: &mut PipelineStats,
    ) -> Result<(), StoreError> {
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT step, millis, input_tokens, output_tokens, cost_nano, currency, exact
             FROM steps WHERE pipeline = $1 AND ($2 IS NULL OR document IN
             (SELECT id FROM documents WHERE run = $2))",
        )
        .bind(pipeline)
        .bind(run)
        .all(&mut session)
        .await?;
        let mut steps: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let (mut model_millis, mut costs) = (0, BTreeMap::<String, u64>::new());
        for row in &rows {
            let step: String = row.get(0)?;
            let millis = row.number(1)?;
            if step == Step::Draft.as_str() || step == Step::Final.as_str() {
                model_millis += millis;
                stats.model_calls += 1;
                stats.input_tokens += row.number(2)?;
                stats.output_tokens += row.number(3)?;
                stats.exact &= row.flag(6)?;
                if let Some(currency) = row.get::<Option<String>>(5)? {
                    *costs.entry(currency).or_default() += row.number(4)?;
                }
            }
            steps.entry(step).or_default().push(millis);
        }
        let tokens = stats.input_tokens + stats.output_tokens;
        for (currency, nano) in costs {
            let each = nano.saturating_mul(1000) / tokens.max(1);
            stats
                .cost_per_thousand_tokens
                .insert(currency.clone(), decimal(each));
            stats.cost.insert(currency, decimal(nano));
        }
        stats.tokens_per_second =
            stats.output_tokens as f64 * 1000.0 / (model_millis.max(1)) as f64;
        stats.steps = steps
            .into_iter()
            .map(|(step, millis)| (step, latency(millis)))
            .collect();
        Ok(())
    }
}

fn latency(mut millis: Vec<u64>) -> Latency {
    millis.sort_unstable();
    let at = |percent: usize| {
        let rank = (millis.len() * percent).div_ceil(100).saturating_sub(1);
        millis.get(rank).copied().unwrap_or_default()
    };
    Latency {
        count: millis.len() as u64,
        p50: at(50),
        p95: at(95),
        p99: at(99),
    }
}

#[cfg(test)]
mod tests {
    use super::{cost, decimal, latency};

    #[test]
    fn costs_are_summed_exactly() {
        assert_eq!(cost("0.000120 USD"), (120_000, Some("USD".into())));
        assert_eq!(cost("2 EUR"), (2_000_000_000, Some("EUR".into())));
        assert_eq!(cost("?"), (0, None));
        assert_eq!(decimal(1_500_000_001), "1.500000001");
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let found = latency((1..=100).collect());
        assert_eq!((found.p50, found.p95, found.p99), (50, 95, 99));
        assert_eq!(latency(vec![]).p99, 0);
    }
}
