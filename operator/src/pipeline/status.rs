//! A pipeline's status, from what the server, the data planes and the witness said. Pure.

use std::time::Duration;

use aios_budget::Book;
use aios_crds::{
    ConditionType, Conditions, Reason, WritingPipeline, WritingPipelineStatus,
    writing_pipeline::{AuditHead, DocumentCounts},
};
use aios_proto::control::PipelineReport;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    conditions::{Fact, State, summarize, with_failure, write},
    control::{Enforcement, Head},
    diagnostics::text,
    error::Error,
    names::GATEWAY,
    pipeline::{start::Started, validate::Flaw},
    policy::enforcement,
    spending::Spending,
    status::{Stated, Status},
    tenant::Gateway,
};

/// What a pass saw.
pub struct Observed {
    /// Why there is no new configuration.
    pub flaw: Option<Flaw>,
    /// How long missing objects may still arrive.
    pub arriving: Option<Duration>,
    pub absent_models: Vec<String>,
    pub unready_models: Vec<String>,
    /// Without a price in the budget's currency.
    pub unpriced_models: Vec<String>,
    /// Of the pipeline's budget, if it has one.
    pub book: Option<Book>,
    pub policies: Vec<PolicyState>,
    /// Digest of the configuration that is offered.
    pub digest: Option<String>,
    pub last_good: bool,
    pub enforcement: Enforcement,
    pub gateway: Gateway,
    pub report: Option<PipelineReport>,
    pub head: Option<Head>,
    /// None where there are no triggers.
    pub started: Option<Started>,
}

pub struct PolicyState {
    pub name: String,
    pub compiled: Compiled,
    pub enforcement: Enforcement,
}

/// Whether a policy has a version that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiled {
    Yes,
    /// Only in data planes, since before this operator led.
    Held,
    /// Nobody has looked at it yet.
    NotYet,
    Never,
}

impl Observed {
    /// Whether something that it refers to does not exist.
    pub fn misses(&self) -> bool {
        let is_missing = matches!(self.flaw, Some(Flaw::Missing { .. }));
        is_missing || !self.absent_models.is_empty()
    }

    pub fn look_again(&self) -> Option<Duration> {
        let missing = self.flaw.is_some() || !self.absent_models.is_empty();
        let policies = self
            .policies
            .iter()
            .map(|policy| policy.enforcement.look_again);
        policies
            .chain([
                self.enforcement.look_again,
                self.arriving.filter(|_| missing),
                self.started.as_ref().and_then(|started| started.look_again),
            ])
            .flatten()
            .min()
    }
}

pub fn status(
    pipeline: &WritingPipeline,
    observed: Option<&Observed>,
    error: Option<&Error>,
    now: Timestamp,
) -> WritingPipelineStatus {
    let before = pipeline.status.clone().unwrap_or_default();
    let generation = pipeline.metadata.generation.unwrap_or_default();
    let facts = match (observed, error) {
        (Some(observed), None) => facts(pipeline, observed, now),
        (_, error) => {
            let message = error.map(ToString::to_string).unwrap_or_default();
            let failure = Fact::no(ConditionType::Serving, Reason::ApiError, message);
            with_failure(&before.conditions, applicable(pipeline), &failure)
        }
    };
    let conditions = write(summarize(facts), &before.conditions, generation, now);
    let mut after = WritingPipelineStatus {
        observed_generation: generation,
        conditions,
        ..before
    };
    if let Some(observed) = observed {
        let namespace = pipeline.namespace().unwrap_or_default();
        if observed.digest.is_some() || !observed.last_good {
            after.config_digest.clone_from(&observed.digest);
        }
        after.endpoint = Some(format!("https://{GATEWAY}.{namespace}.svc:8443"));
        let started = observed.started.as_ref();
        after.triggers = started.map_or_else(Vec::new, |started| started.statuses.clone());
        numbers(observed, &mut after);
        let spending = spending(pipeline, observed, now);
        after.budget = spending.map(|spending| Box::new(spending.spent()));
    }
    after
}

/// Conditions that a pipeline has, whatever a pass saw; in the order of its facts.
fn applicable(pipeline: &WritingPipeline) -> impl Iterator<Item = ConditionType> {
    let spec = &pipeline.spec;
    let all = [
        (ConditionType::ModelsReady, true),
        (ConditionType::PoliciesEnforced, true),
        (ConditionType::RetrievalReady, spec.retrieval.is_some()),
        (ConditionType::Serving, true),
        (ConditionType::TriggersReady, !spec.triggers.is_empty()),
        (ConditionType::AuditVerified, true),
        (ConditionType::BudgetAvailable, spec.budget.is_some()),
    ];
    let applies = all.into_iter().filter(|(_, applies)| *applies);
    applies.map(|(kind, _)| kind)
}

/// Numbers of a gateway that has not spoken yet stay as they were.
fn numbers(observed: &Observed, status: &mut WritingPipelineStatus) {
    if let Some(report) = &observed.report {
        status.documents = DocumentCounts {
            accepted: report.accepted,
            published: report.published,
            refused: report.refused,
            waiting: report.waiting,
        };
    }
    if let Some(head) = &observed.head {
        status.audit = Some(AuditHead {
            tree_size: i64::try_from(head.checkpoint.size).unwrap_or(i64::MAX),
            root: head.checkpoint.root.to_string(),
        });
    }
}

fn facts(pipeline: &WritingPipeline, observed: &Observed, now: Timestamp) -> Vec<Fact> {
    let mut facts = vec![models(observed), policies(observed)];
    if pipeline.spec.retrieval.is_some() {
        facts.push(retrieval(observed));
    }
    facts.push(serving(observed));
    facts.extend(observed.started.iter().map(|started| started.fact.clone()));
    facts.push(audit(observed));
    let spending = spending(pipeline, observed, now);
    facts.extend(spending.map(|spending| spending.fact("spec.budget", &observed.unpriced_models)));
    facts
}

fn spending(pipeline: &WritingPipeline, observed: &Observed, now: Timestamp) -> Option<Spending> {
    let budget = pipeline.spec.budget.as_ref()?;
    Spending::of(budget, observed.book.as_ref()?, now)
}

/// Time until a budget that does not pay for calls does again.
pub fn turns(pipeline: &WritingPipeline, observed: &Observed, now: Timestamp) -> Option<Duration> {
    spending(pipeline, observed, now)?.turns_after(now)
}

fn models(observed: &Observed) -> Fact {
    let kind = ConditionType::ModelsReady;
    if !observed.absent_models.is_empty() {
        let message = format!(
            "ModelDeployment {} does not exist: create it",
            observed.absent_models.join(", ")
        );
        return missing(kind, message, observed.arriving);
    }
    if !observed.unready_models.is_empty() {
        let message = format!("not ready: {}", observed.unready_models.join(", "));
        return Fact::pending(kind, Reason::ModelsNotReady, message);
    }
    Fact::yes(
        kind,
        Reason::Ready,
        "every model that a route or a rule names is ready",
    )
}

fn policies(observed: &Observed) -> Fact {
    let kind = ConditionType::PoliciesEnforced;
    let total = observed.policies.len();
    for policy in &observed.policies {
        let name = &policy.name;
        let (reason, trouble) = match policy.compiled {
            Compiled::Yes => continue,
            Compiled::NotYet => {
                let message = format!("policy `{name}` is being compiled");
                return Fact::pending(kind, Reason::PoliciesNotEnforced, message);
            }
            Compiled::Held => (Reason::LastKnownGood, "data planes keep what they run"),
            Compiled::Never => (Reason::PoliciesNotEnforced, "it never was"),
        };
        let message =
            format!("policy `{name}` is not fit to be enforced ({trouble}): see its status");
        return Fact::no(kind, reason, message);
    }
    for policy in &observed.policies {
        let fact = enforcement(kind, &policy.enforcement, "");
        if fact.state != State::True {
            let message = format!("policy `{}`: {}", policy.name, fact.message);
            return Fact {
                reason: Reason::PoliciesNotEnforced,
                message,
                ..fact
            };
        }
    }
    Fact::yes(
        kind,
        Reason::Ready,
        format!("{total} policies are enforced"),
    )
}

/// The gateway indexes every source before it confirms the configuration.
fn retrieval(observed: &Observed) -> Fact {
    let fact = running(ConditionType::RetrievalReady, observed);
    match fact.state {
        State::True => Fact {
            message: "every source is indexed".into(),
            ..fact
        },
        _ => fact,
    }
}

fn serving(observed: &Observed) -> Fact {
    let kind = ConditionType::Serving;
    match &observed.flaw {
        Some(Flaw::Invalid(diagnostics)) if observed.last_good => {
            return Fact::no(kind, Reason::LastKnownGood, text(diagnostics));
        }
        Some(Flaw::Invalid(diagnostics)) => {
            return Fact::no(kind, Reason::InvalidSpec, text(diagnostics));
        }
        Some(Flaw::Missing { objects, arriving }) => {
            let message = format!("{} does not exist: create it", objects.join(", "));
            return missing(kind, message, *arriving);
        }
        None => {}
    }
    if let Some(error) = &observed.gateway.error {
        return Fact::no(kind, Reason::ApiError, error.as_str());
    }
    if let Some(why) = &observed.gateway.store_conflict {
        return Fact::no(kind, Reason::StoreConflict, why.as_str());
    }
    running(kind, observed)
}

/// Whether the gateway runs the configuration that is offered.
fn running(kind: ConditionType, observed: &Observed) -> Fact {
    if observed.digest.is_none() {
        return Fact::pending(kind, Reason::Progressing, "no configuration is offered yet");
    }
    if !observed.gateway.ready {
        return Fact::pending(
            kind,
            Reason::GatewayNotReady,
            "the gateway's pod is not ready",
        );
    }
    let fact = enforcement(kind, &observed.enforcement, "");
    if fact.reason == Reason::NothingToEnforce {
        return Fact::pending(
            kind,
            Reason::AwaitingDataPlane,
            "the gateway has not attached yet",
        );
    }
    match fact.state {
        State::True => Fact {
            message: "the gateway runs this configuration".into(),
            ..fact
        },
        _ => fact,
    }
}

/// A log that nobody has written to yet is no fault.
fn audit(observed: &Observed) -> Fact {
    let kind = ConditionType::AuditVerified;
    match &observed.head {
        Some(Head {
            fault: Some(why), ..
        }) => Fact::no(kind, Reason::LogForked, why.as_str()),
        Some(_) => Fact::yes(kind, Reason::Ready, "the last head extends the one before"),
        None => Fact::yes(kind, Reason::NoLogYet, Reason::NoLogYet.meaning()),
    }
}

fn missing(kind: ConditionType, message: String, arriving: Option<Duration>) -> Fact {
    match arriving {
        Some(_) => Fact::pending(kind, Reason::ReferenceNotFound, message),
        None => Fact::no(kind, Reason::ReferenceNotFound, message),
    }
}

impl Status for WritingPipelineStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn without_numbers(&self) -> Self {
        let conditions = self.conditions.iter().map(|mut condition| {
            if condition.type_ == ConditionType::PoliciesEnforced.as_str() {
                condition.message.clear();
            }
            condition
        });
        Self {
            documents: DocumentCounts::default(),
            audit: None,
            budget: None,
            conditions: conditions.collect(),
            ..self.clone()
        }
    }

    fn is_settled(&self) -> bool {
        let counts = &self.documents;
        counts.published + counts.refused + counts.waiting >= counts.accepted
    }
}

impl Stated for WritingPipeline {
    type Status = WritingPipelineStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

#[cfg(test)]
mod tests;
