//! Judges texts by a pipeline's policies, and fetches what their rules need: evidence of the egress, and
//! what is another's of the records, where those are here.

use std::time::Instant;

use aios_policy::{
    Asked, Collected, Document, Evaluation, Evidence, Inputs, Judgement, Others, PolicyStack,
    Query, Step,
};

use super::{
    batch::Batch,
    egress::EgressError,
    moderation::{Judge, Judged},
    steps::{Desk, StepError, with_inputs},
};
use crate::{
    compiled::Skeleton,
    machine::{Checked, Material},
    store::StoreError,
};

/// Judges a text by the pipeline's policies.
pub(super) async fn check(desk: &Desk<'_>, document: Document) -> Result<Checked, StepError> {
    let started = Instant::now();
    let (state, material) = (desk.state, desk.material);
    let mut batch = desk
        .records
        .map(|store| Batch::new(store, desk.pipeline, &state.pipeline, &material.variables));
    let mut evidence: Collected = state.evidence.iter().cloned().collect();
    let evaluation = match weigh(desk, batch.as_mut(), &document, &evidence).await? {
        Judgement::Reached(evaluation) => *evaluation,
        Judgement::Needs(queries) => {
            for query in queries {
                fetch(desk, &query, &mut evidence).await?;
            }
            let (skeleton, policies) = (desk.skeleton, &desk.pipeline.policies);
            let batch = batch.as_mut();
            judge(policies, batch, material, skeleton, &document, &evidence).await?
        }
    };
    let evidence = evidence.of(&evaluation.verdict.evidence);
    let (document, original) = match evaluation.redacted {
        Some(redacted) => (redacted, Some(document)),
        None => (document, None),
    };
    Ok(Checked {
        document,
        original,
        template: desk.skeleton.digest.clone(),
        verdict: evaluation.verdict,
        evidence,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// What is another's is known before evidence is asked for: a letter that is refused for it is shown to
/// no model.
async fn weigh(
    desk: &Desk<'_>,
    batch: Option<&mut Batch<'_>>,
    document: &Document,
    evidence: &Collected,
) -> Result<Judgement, StoreError> {
    let policies = &desk.pipeline.policies;
    judged(
        (policies, batch),
        (desk.material, desk.skeleton),
        |inputs, others| policies.judge_among(document, inputs, evidence, others),
        |inputs| policies.evaluate_with(document, inputs, evidence),
    )
    .await
}

/// An egress that is away is an error, and the step is tried again: only a model that was asked in vain, or
/// that policy keeps the text from, leaves a rule without its evidence.
async fn fetch(desk: &Desk<'_>, query: &Query, evidence: &mut Collected) -> Result<(), StepError> {
    let Query::Moderation { model, text } = query;
    let question = Judge {
        pipeline: &desk.state.pipeline,
        run: desk.state.run.as_ref(),
        document: &desk.state.id,
        model,
        text,
    };
    let why = match desk.egress.judge(question).await {
        Ok(Judged { by, answer }) => {
            evidence.add(Evidence {
                query: query.digest(),
                by,
                answer,
            });
            return Ok(());
        }
        Err(EgressError::Exhausted(why)) => why,
        Err(blocked @ EgressError::Blocked(_)) => blocked.to_string(),
        Err(error) => return Err(error.into()),
    };
    tracing::info!(document = desk.state.id, model, why, "no evidence");
    evidence.fail(query, why);
    Ok(())
}

/// Judges a text with all that it was made from, what was said of it, and the records of its pipeline
/// where those are here; nobody else is asked.
pub async fn judge(
    policies: &PolicyStack,
    batch: Option<&mut Batch<'_>>,
    material: &Material,
    skeleton: &Skeleton,
    document: &Document,
    evidence: &Collected,
) -> Result<Evaluation, StoreError> {
    judged(
        (policies, batch),
        (material, skeleton),
        |inputs, others| policies.conclude_among(document, inputs, evidence, others),
        |inputs| policies.conclude(document, inputs, evidence),
    )
    .await
}

/// Judges `among` the records where they are here; `alone` where they are not, or never said enough.
async fn judged<T>(
    (policies, batch): (&PolicyStack, Option<&mut Batch<'_>>),
    (material, skeleton): (&Material, &Skeleton),
    among: impl Fn(&Inputs<'_>, &Others) -> Result<T, Asked>,
    alone: impl FnOnce(&Inputs<'_>) -> T,
) -> Result<T, StoreError> {
    if let Some(batch) = batch {
        let known = batch.judge(policies, |others| {
            with_inputs(material, skeleton, Step::Final, |inputs| {
                among(inputs, others)
            })
        });
        if let Some(judged) = known.await? {
            return Ok(judged);
        }
    }
    Ok(with_inputs(material, skeleton, Step::Final, alone))
}
