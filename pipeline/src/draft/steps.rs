//! Carries out the effects of writing: model calls through the egress, everything else pure.

use aios_crds::writing_pipeline::CachedCalls;
use aios_policy::{Inputs, Step as Judged, VerdictAction};

use super::{
    check::check,
    egress::{Answer, Ask, Egress, EgressError},
    prompt,
};
use crate::{
    compiled::{Pipeline, Skeleton},
    machine::{
        Drafted, Effect, Event, FellBack, Material, OpenSlot, RefuseReason, SafeReason, State,
        Step, Usage, clean,
    },
    render::{RenderError, Template},
    store::{Store, StoreError},
};

/// Why a step gave no event: it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the document has no material yet")]
    NoMaterial,
    #[error("the pipeline has no skeleton in the document's language any more")]
    NoSkeleton,
    #[error("slot `{0}` is not in the skeleton any more")]
    NoSlot(String),
    #[error("the step is not one of writing")]
    NotWriting,
}

/// Carries out one step of writing. Rules that ask for other people's data run where the records are.
pub async fn write_step(
    effect: &Effect,
    state: &State,
    pipeline: &Pipeline,
    egress: &Egress,
    records: Option<&Store>,
) -> Result<Event, StepError> {
    let material = state.material.as_ref().ok_or(StepError::NoMaterial)?;
    let skeleton = pipeline.skeleton_of(state).ok_or(StepError::NoSkeleton)?;
    let desk = Desk {
        state,
        material,
        skeleton,
        pipeline,
        egress,
        records,
    };
    match effect {
        Effect::Draft { slot, open } => desk.draft(slot, open).await,
        Effect::Finish { slot, draft } => desk.finish(slot, draft).await,
        Effect::UseSafe { slot, reason } => Ok(desk.safe(slot, *reason)),
        Effect::Check => Ok(
            match skeleton
                .templates
                .document(&material.variables, &state.slot_texts())
            {
                Ok(document) => Event::Checked(Box::new(check(&desk, document).await?)),
                Err(error) => failed(&error),
            },
        ),
        Effect::CheckEdited => {
            let version = state.version.as_ref().ok_or(StepError::NoMaterial)?;
            let checked = check(&desk, version.document.clone()).await?;
            Ok(Event::Checked(Box::new(checked)))
        }
        _ => Err(StepError::NotWriting),
    }
}

/// What a step of one document works with.
pub(super) struct Desk<'a> {
    pub(super) state: &'a State,
    pub(super) material: &'a Material,
    pub(super) skeleton: &'a Skeleton,
    pub(super) pipeline: &'a Pipeline,
    pub(super) egress: &'a Egress,
    /// Where the records are, unless this is a worker.
    pub(super) records: Option<&'a Store>,
}

impl Desk<'_> {
    async fn draft(&self, slot: &str, open: &OpenSlot) -> Result<Event, StepError> {
        if self.is_suspect(Judged::Draft) {
            return Ok(self.safe(slot, SafeReason::SuspectInput));
        }
        let prompt = match self.prompt(slot) {
            Ok(prompt) => prompt,
            Err(error) => return Ok(failed(&error)),
        };
        let seed = self.seed(Step::Draft, slot, open);
        let messages = prompt::draft(prompt, open);
        match self.ask(slot, Step::Draft, messages, seed).await {
            Ok((answer, Some(text))) => Ok(Event::Drafted(Drafted {
                slot: slot.to_owned(),
                text,
                deployment: answer.deployment,
                digest: answer.digest,
                usage: answer.usage,
            })),
            Ok((answer, None)) => Ok(Event::Unusable {
                slot: slot.to_owned(),
                usage: answer.usage,
            }),
            Err(StepError::Egress(EgressError::Exhausted(why))) => {
                tracing::info!(document = self.state.id, slot, why, "safe wording");
                Ok(self.safe(slot, SafeReason::RoutesExhausted))
            }
            Err(StepError::Egress(EgressError::Blocked(why))) => {
                tracing::info!(document = self.state.id, slot, why, "safe wording");
                Ok(self.safe(slot, SafeReason::CallBlocked))
            }
            Err(error) => Err(error),
        }
    }

    async fn finish(&self, slot: &str, draft: &str) -> Result<Event, StepError> {
        if self.is_suspect(Judged::Final) {
            return Ok(Event::Finished {
                slot: slot.to_owned(),
                text: None,
                usage: Usage::default(),
            });
        }
        let prompt = match self.prompt(slot) {
            Ok(prompt) => prompt,
            Err(error) => return Ok(failed(&error)),
        };
        let messages = prompt::finish(prompt, draft.to_owned());
        let seed = self.seed(Step::Final, slot, &OpenSlot::default());
        let slot_name = slot.to_owned();
        match self.ask(slot, Step::Final, messages, seed).await {
            Ok((answer, text)) => Ok(Event::Finished {
                slot: slot_name,
                text,
                usage: answer.usage,
            }),
            Err(StepError::Egress(EgressError::Exhausted(why) | EgressError::Blocked(why))) => {
                tracing::info!(document = self.state.id, slot, why, "the draft is final");
                Ok(Event::Finished {
                    slot: slot_name,
                    text: None,
                    usage: Usage::default(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The answer, and its words if any are usable.
    async fn ask(
        &self,
        slot: &str,
        step: Step,
        messages: Vec<prompt::Message>,
        seed: u64,
    ) -> Result<(Answer, Option<String>), StepError> {
        let config = self
            .skeleton
            .config
            .slots
            .iter()
            .find(|config| config.name == slot);
        let config = config.ok_or_else(|| StepError::NoSlot(slot.to_owned()))?;
        let ask = Ask {
            pipeline: &self.state.pipeline,
            run: self.state.run.as_ref(),
            step,
            document: &self.state.id,
            language: &self.material.language,
            labels: &self.material.labels,
            messages,
            max_tokens: config.max_tokens,
            seed,
        };
        let answer = self.egress.ask(ask).await?;
        let text = clean(&answer.text, config.max_sentences).ok();
        Ok((answer, text))
    }

    /// Of the document's own, unless documents with the same prompt are to get the same words.
    fn seed(&self, step: Step, slot: &str, open: &OpenSlot) -> u64 {
        let models = &self.pipeline.config.models;
        let routes = match step {
            Step::Final => models.finish.as_ref(),
            _ => Some(&models.draft),
        };
        let cache = routes.and_then(|routes| routes.cache);
        let document = match cache.map(|cache| cache.calls) {
            Some(CachedCalls::All) => "",
            Some(CachedCalls::Deterministic) | None => self.state.id.as_str(),
        };
        seed(document, slot, self.state.revisions, open.unusable)
    }

    /// Whether policy keeps these inputs from a model; the check of the document says why.
    fn is_suspect(&self, step: Judged) -> bool {
        with_inputs(self.material, self.skeleton, step, |inputs| {
            self.pipeline.policies.screen(inputs) >= VerdictAction::Review
        })
    }

    fn safe(&self, slot: &str, reason: SafeReason) -> Event {
        let text =
            self.skeleton
                .templates
                .text(Template::Safe(slot), &self.material.variables, &[]);
        match text {
            Ok(text) => Event::FellBack(FellBack {
                slot: slot.to_owned(),
                text: text.trim().to_owned(),
                reason,
            }),
            Err(error) => failed(&error),
        }
    }

    fn prompt(&self, slot: &str) -> Result<String, RenderError> {
        let variables = &self.material.variables;
        self.skeleton
            .templates
            .text(Template::Prompt(slot), variables, &passages(self.material))
    }
}

fn passages(material: &Material) -> Vec<&str> {
    let passages = material.passages.iter();
    passages.map(|passage| passage.text.as_str()).collect()
}

/// What policies see beside a text.
pub(super) fn with_inputs<T>(
    material: &Material,
    skeleton: &Skeleton,
    step: Judged,
    look: impl FnOnce(&Inputs<'_>) -> T,
) -> T {
    let passages = passages(material);
    let template: Vec<&str> = skeleton
        .config
        .parts
        .iter()
        .map(|part| part.template.as_str())
        .chain(skeleton.config.slots.iter().map(|slot| slot.safe.as_str()))
        .collect();
    look(&Inputs {
        variables: &material.variables,
        labels: &material.labels,
        language: &material.language,
        passages: &passages,
        template: &template,
        step,
    })
}

fn failed(error: &RenderError) -> Event {
    Event::Refused {
        reason: RefuseReason::TemplateFailed,
        detail: error.to_string(),
    }
}

/// The same for the same try of the same slot, so that a repeated call may be answered from a cache.
fn seed(document: &str, slot: &str, revisions: u32, unusable: u32) -> u64 {
    let text = format!("{document}/{slot}/{revisions}/{unusable}");
    let digest = aios_audit::sha256(text.as_bytes());
    let [a, b, c, d, ..] = digest.0;
    u64::from(u32::from_be_bytes([a, b, c, d]) >> 1)
}
