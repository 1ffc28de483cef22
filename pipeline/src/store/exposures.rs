//! Which variant of each step a document is in, counted once, and whether policy was content with its words.

use std::collections::BTreeMap;

use aios_policy::VerdictAction;

use super::{
    database::{Session, query},
    error::StoreError,
};
use crate::machine::{Checked, Event, Slot, State, Step, Usage};

/// What an event says of a document's variants.
pub enum Seen {
    /// A model answered under one, as in `tone/bold`.
    Answered { step: Step, variant: String },
    /// What was written under them was checked.
    Judged { passed: bool },
}

impl Seen {
    /// Taken before the event changes the document.
    pub fn of(before: &State, event: &Event) -> Option<Self> {
        let (step, usage): (Step, &Usage) = match event {
            Event::Drafted(drafted) => (Step::Draft, &drafted.usage),
            Event::Unusable { usage, .. } => (Step::Draft, usage),
            Event::Finished { usage, .. } => (Step::Final, usage),
            Event::Checked(checked) => return Some(Self::judged(before, checked)),
            _ => return None,
        };
        let variant = usage.variant.clone()?;
        Some(Self::Answered { step, variant })
    }

    fn judged(before: &State, checked: &Checked) -> Self {
        let passed = checked.verdict.by_rules() <= VerdictAction::Redact;
        Self::Judged {
            passed: passed && before.slots.values().all(Slot::by_model),
        }
    }
}

/// Writes it in the event's transaction. The first answer of a step decides, and the first check after it.
pub async fn note(
    write: &mut Session,
    state: &State,
    seen: Option<Seen>,
    now_ms: u64,
) -> Result<(), StoreError> {
    match seen {
        None => {}
        Some(Seen::Answered { step, variant }) => {
            let Some((experiment, variant)) = variant.split_once('/') else {
                return Ok(());
            };
            query(
                "INSERT INTO exposures (document, step, pipeline, experiment, variant, time_ms)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(&state.id)
            .bind(step.as_str())
            .bind(&state.pipeline)
            .bind(experiment)
            .bind(variant)
            .bind(now_ms)
            .execute(write)
            .await?;
        }
        Some(Seen::Judged { passed }) => {
            query("UPDATE exposures SET passed = $1 WHERE document = $2 AND passed IS NULL")
                .bind(passed)
                .bind(&state.id)
                .execute(write)
                .await?;
        }
    }
    Ok(())
}

/// The variants that a document is in, by step.
pub async fn of_document(
    session: &mut Session,
    document: &str,
) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = query("SELECT step, experiment, variant FROM exposures WHERE document = $1")
        .bind(document)
        .all(session)
        .await?;
    let named = rows.iter().map(|row| {
        let (experiment, variant): (String, String) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, format!("{experiment}/{variant}")))
    });
    named.collect()
}
