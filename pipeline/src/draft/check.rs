//! Judges texts by a pipeline's policies, and fetches the evidence that their rules need.

use std::time::Instant;

use aios_policy::{
    Collected, Document, Evaluation, Evidence, Inputs, Judgement, PolicyStack, Query,
};

use super::{
    egress::EgressError,
    moderation::{Judge, Judged},
    steps::{Desk, StepError, with_inputs},
};
use crate::{
    compiled::Skeleton,
    machine::{Checked, Material},
};

/// Judges a text by the pipeline's policies.
pub(super) async fn check(desk: &Desk<'_>, document: Document) -> Result<Checked, StepError> {
    let started = Instant::now();
    let mut evidence: Collected = desk.state.evidence.iter().cloned().collect();
    let evaluation = match weigh(desk, &document, &evidence) {
        Judgement::Reached(evaluation) => *evaluation,
        Judgement::Needs(queries) => {
            for query in queries {
                fetch(desk, &query, &mut evidence).await?;
            }
            let policies = &desk.pipeline.policies;
            judge(policies, desk.material, desk.skeleton, &document, &evidence)
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

fn weigh(desk: &Desk<'_>, document: &Document, evidence: &Collected) -> Judgement {
    with_inputs(desk.material, desk.skeleton, |inputs: &Inputs<'_>| {
        desk.pipeline
            .policies
            .evaluate_with(document, inputs, evidence)
    })
}

/// An egress that is away is an error, and the step is tried again: only a model that was asked in vain
/// leaves a rule without its evidence.
async fn fetch(desk: &Desk<'_>, query: &Query, evidence: &mut Collected) -> Result<(), StepError> {
    let Query::Moderation { model, text } = query;
    let question = Judge {
        pipeline: &desk.state.pipeline,
        document: &desk.state.id,
        model,
        text,
    };
    match desk.egress.judge(question).await {
        Ok(Judged { by, answer }) => evidence.add(Evidence {
            query: query.digest(),
            by,
            answer,
        }),
        Err(EgressError::Exhausted(why)) => {
            tracing::info!(document = desk.state.id, model, why, "no evidence");
            evidence.fail(query, why);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Judges a text with all that it was made from, and what was said of it; nobody is asked.
pub fn judge(
    policies: &PolicyStack,
    material: &Material,
    skeleton: &Skeleton,
    document: &Document,
    evidence: &Collected,
) -> Evaluation {
    with_inputs(material, skeleton, |inputs| {
        policies.conclude(document, inputs, evidence)
    })
}
