//! How the documents of each variant fared: counts, joined to what was reported of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    database::{Row, query},
    error::StoreError,
    open::Store,
    share::Share,
};

/// The documents of one variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantReport {
    pub step: String,
    pub experiment: String,
    pub variant: String,
    /// Documents for which a model answered.
    pub exposed: u64,
    /// Those of them that are published or refused: the others are under way or wait.
    pub finished: u64,
    /// Of those that were checked: the models' words went on as policy first found them, and nobody was asked for
    /// others.
    pub score: Share,
    /// Of the finished.
    pub published: Share,
    /// Of the finished: a person changed the text.
    pub edited: Share,
    /// Of the finished: a person said no.
    pub rejected: Share,
    /// Of the finished: policy said no.
    pub blocked: Share,
    /// Of the finished: the reviewed wording stands in the place of a model's.
    pub template: Share,
    /// What was reported of the published, by name.
    pub outcomes: BTreeMap<String, OutcomeReport>,
}

/// One sort of event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeReport {
    /// Of the published: documents with an event or more.
    pub documents: Share,
    pub events: u64,
    /// Events that had a value, and the sum of those.
    pub values: u64,
    pub value_sum: u64,
}

type Variant = (String, String, String);

impl Store {
    /// How the documents of each variant fared; counts and intervals, no verdict.
    pub async fn variants(&self, pipeline: &str) -> Result<Vec<VariantReport>, StoreError> {
        let mut session = self.database.read().await?;
        let documents = query(
            "SELECT e.step, e.experiment, e.variant, d.status, d.reason, d.origin, e.passed, COUNT(*)
             FROM exposures e JOIN documents d ON d.id = e.document WHERE e.pipeline = $1
             GROUP BY e.step, e.experiment, e.variant, d.status, d.reason, d.origin, e.passed",
        )
        .bind(pipeline)
        .all(&mut session)
        .await?;
        let outcomes = query(
            "SELECT e.step, e.experiment, e.variant, o.name, COUNT(DISTINCT o.document), COUNT(*),
             COUNT(o.value), CAST(COALESCE(SUM(o.value), 0) AS BIGINT)
             FROM exposures e JOIN outcomes o ON o.document = e.document WHERE e.pipeline = $1
             GROUP BY e.step, e.experiment, e.variant, o.name",
        )
        .bind(pipeline)
        .all(&mut session)
        .await?;
        let mut tallies: BTreeMap<Variant, Tally> = BTreeMap::new();
        for row in &documents {
            tallies.entry(variant(row)?).or_default().documents(row)?;
        }
        for row in &outcomes {
            tallies.entry(variant(row)?).or_default().outcome(row)?;
        }
        Ok(tallies.into_iter().map(Tally::report).collect())
    }
}

fn variant(row: &Row) -> Result<Variant, StoreError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

#[derive(Default)]
struct Tally {
    exposed: u64,
    judged: u64,
    passed: u64,
    published: u64,
    refused: u64,
    edited: u64,
    rejected: u64,
    blocked: u64,
    template: u64,
    outcomes: BTreeMap<String, (u64, OutcomeReport)>,
}

impl Tally {
    fn documents(&mut self, row: &Row) -> Result<(), StoreError> {
        let status: String = row.get(3)?;
        let reason: Option<String> = row.get(4)?;
        let origin: Option<String> = row.get(5)?;
        let count = row.number(7)?;
        self.exposed += count;
        if let Some(passed) = row.maybe_number(6)? {
            self.judged += count;
            self.passed += passed * count;
        }
        match status.as_str() {
            "Published" => self.published += count,
            "Refused" => self.refused += count,
            _ => return Ok(()),
        }
        match origin.as_deref() {
            Some("Edited") => self.edited += count,
            Some("Template") => self.template += count,
            _ => {}
        }
        match reason.as_deref() {
            Some("RejectedByReviewer") => self.rejected += count,
            Some("PolicyBlocked") => self.blocked += count,
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self, row: &Row) -> Result<(), StoreError> {
        let report = OutcomeReport {
            events: row.number(5)?,
            values: row.number(6)?,
            value_sum: row.number(7)?,
            documents: Share::default(),
        };
        self.outcomes.insert(row.get(3)?, (row.number(4)?, report));
        Ok(())
    }

    fn report(((step, experiment, variant), tally): (Variant, Self)) -> VariantReport {
        let finished = tally.published + tally.refused;
        let of_finished = |count| Share::of(count, finished);
        let outcomes = tally.outcomes.into_iter();
        let outcomes = outcomes.map(|(name, (documents, report))| {
            let documents = Share::of(documents, tally.published);
            (
                name,
                OutcomeReport {
                    documents,
                    ..report
                },
            )
        });
        VariantReport {
            step,
            experiment,
            variant,
            exposed: tally.exposed,
            finished,
            score: Share::of(tally.passed, tally.judged),
            published: of_finished(tally.published),
            edited: of_finished(tally.edited),
            rejected: of_finished(tally.rejected),
            blocked: of_finished(tally.blocked),
            template: of_finished(tally.template),
            outcomes: outcomes.collect(),
        }
    }
}
