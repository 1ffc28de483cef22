//! A model's status, from what the server returned. Pure.

use std::time::Duration;

use aios_compile::Diagnostic;
use aios_compile::references;
use aios_crds::{
    ConditionType, Conditions, ModelDeployment, ModelDeploymentSpec, ModelDeploymentStatus, Reason,
};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use crate::{
    conditions::{Fact, summarize, with_failure, write},
    control::Enforcement,
    diagnostics::text,
    error::Error,
    metrics::Metrics,
    model::{
        build::{Desired, DesiredGroup},
        fetch::{Credentials, Found},
        groups::{Group, Role},
        kserve::Told,
        ledger::{self, Entry, Part},
        prefetch::Fetched,
        rollout::Rolled,
        scale::{Scaled, grace},
    },
    names::{self, Component, LABEL_COMPONENT, LABEL_MODEL},
    spending::Spending,
    status::{Stated, Status},
};

/// What a pass saw.
pub enum Observed {
    Invalid(Vec<Diagnostic>),
    /// The platform does not offer the GPU class that it names; what runs goes on.
    NoGpuClass(String),
    /// A stage failed before anything could be seen.
    Unknown,
    Applied(Box<Applied>),
}

pub struct Applied {
    /// Models with a key of their provider or of a source only.
    pub credentials: Option<Credentials>,
    /// Self-hosted models only.
    pub weights: Option<Fetched>,
    pub standing: Standing,
    /// Whether the model is served here.
    pub engine: bool,
    pub enforcement: Enforcement,
    /// Models with a GPU class only.
    pub nodes: Option<Fact>,
    /// When the nodes are looked at again.
    pub nodes_again: Option<Duration>,
    /// When the certificate is due.
    pub renewal: Option<Duration>,
    /// Scaling of mode Builtin only.
    pub scaled: Option<Scaled>,
    /// How long calls may wait for a group; zero where none is held.
    pub hold_for: Duration,
    /// When weights that could not be fetched are tried again.
    pub retry: Option<Duration>,
    /// When new groups will be known to every node.
    pub groups_again: Option<Duration>,
    /// What KServe says, where it runs the model.
    pub inference: Option<Told>,
    /// The newest start of a group.
    pub started: Option<Entry>,
    /// Models with a rollout only.
    pub rolled: Option<Rolled>,
    /// Models with a budget only.
    pub spending: Option<Spending>,
}

/// Groups, or ingresses of a hosted model, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub replicas: i32,
    pub ready: i32,
    /// Whether all of them run the present spec.
    pub updated: bool,
    pub standby_ready: i32,
    pub desired_standby: i32,
}

impl Standing {
    pub fn of_ingress(workload: Option<&Deployment>) -> Self {
        let Some(workload) = workload else {
            return Self::default();
        };
        let status = workload.status.clone().unwrap_or_default();
        let wanted = workload.spec.as_ref().and_then(|spec| spec.replicas);
        let wanted = wanted.unwrap_or(1);
        Self {
            replicas: status.replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            updated: status.observed_generation >= workload.metadata.generation
                && status.updated_replicas.unwrap_or_default() == wanted
                && status.replicas.unwrap_or_default() == wanted,
            ..Self::default()
        }
    }

    /// Whether so many run the present spec, loaded.
    pub fn is_settled(&self, wanted: i32) -> bool {
        self.updated && self.ready + self.standby_ready >= wanted
    }

    pub fn of_groups(standby: u32, found: &Found, desired: &Desired) -> Self {
        let seen = |group: &DesiredGroup| found.groups.iter().find(|seen| seen.name == group.name);
        let is_ready = |group: &&DesiredGroup| seen(group).is_some_and(Group::is_ready);
        let is_known =
            |group: &&DesiredGroup| seen(group).is_some_and(|seen| seen.is_known(found.at));
        let of = |role: Role| desired.groups.iter().filter(move |g| g.place.role == role);
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        Self {
            replicas: count(of(Role::Active).count()),
            ready: count(of(Role::Active).filter(is_ready).count()),
            updated: desired
                .groups
                .iter()
                .all(|group| group.kept || !group.sets.is_empty()),
            // Before nodes know of it, a standby is no help.
            standby_ready: count(of(Role::Standby).filter(is_known).count()),
            desired_standby: i32::try_from(standby).unwrap_or(i32::MAX),
        }
    }
}

impl Observed {
    pub fn look_again(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::Applied(applied) => {
                let due = [
                    applied.renewal,
                    applied.retry,
                    applied.groups_again,
                    applied.inference.as_ref().and_then(|told| told.again),
                    applied.rolled.as_ref().and_then(|rolled| rolled.look_again),
                    applied.nodes_again,
                    applied.enforcement.look_again,
                    applied.scaled.as_ref().and_then(|scaled| scaled.look_again),
                    applied.following(now),
                    applied
                        .spending
                        .as_ref()
                        .and_then(|spending| spending.turns_after(now)),
                ];
                due.into_iter().flatten().min()
            }
            _ => None,
        }
    }
}

impl Applied {
    /// Groups that there are to be.
    fn desired(&self, model: &ModelDeployment) -> i32 {
        let scaled = self.scaled.as_ref().map(|scaled| scaled.desired);
        scaled.unwrap_or(model.spec.replicas)
    }

    /// Time left for groups to follow demand: so long calls wait for them, and nothing is wrong.
    fn following(&self, now: Timestamp) -> Option<Duration> {
        grace(self.scaled.as_ref()?, self.hold_for, now)
    }
}

pub fn status(
    model: &ModelDeployment,
    observed: &Observed,
    error: Option<&Error>,
    now: Timestamp,
) -> ModelDeploymentStatus {
    let before = model.status.clone().unwrap_or_default();
    let generation = model.metadata.generation.unwrap_or_default();
    let failed = |fact: Fact| with_failure(&before.conditions, applicable(&model.spec), &fact);
    let failure =
        |reason, message| failed(Fact::no(ConditionType::EndpointReachable, reason, message));
    let cold_starts = match observed {
        Observed::Applied(applied) if applied.engine => {
            ledger::kept(&before.cold_starts, applied.started.clone())
        }
        Observed::Applied(_) => Vec::new(),
        _ => before.cold_starts.clone(),
    };
    let slo = model.spec.slo.as_ref();
    let objective = slo.map(|slo| ledger::objective(slo.cold_start, &cold_starts));
    let facts = match (observed, error) {
        (_, Some(error)) => failure(error.reason(), error.to_string()),
        (Observed::NoGpuClass(message), _) => {
            let kind = ConditionType::NodePoolReady;
            failed(Fact::no(kind, Reason::GpuClassUnknown, message.as_str()))
        }
        (Observed::Invalid(diagnostics), _) => failure(Reason::InvalidSpec, text(diagnostics)),
        (Observed::Unknown, _) => failure(Reason::Progressing, String::new()),
        (Observed::Applied(applied), _) => {
            let mut facts = facts(model, applied, now);
            facts.extend(objective);
            let spending = applied.spending.as_ref();
            facts.extend(spending.map(|spending| spending.fact("spec.budget", &[])));
            facts
        }
    };
    let mut after = ModelDeploymentStatus {
        observed_generation: generation,
        conditions: write(summarize(facts), &before.conditions, generation, now),
        model: Some(aios_compile::model_name(&model.spec).to_owned()),
        cold_starts,
        ..before
    };
    if let Observed::Applied(applied) = observed {
        numbers(model, applied, &mut after);
    }
    after
}

/// Conditions that a model has, whatever a pass saw; in the order of its facts.
fn applicable(spec: &ModelDeploymentSpec) -> impl Iterator<Item = ConditionType> {
    let own = spec.self_hosted.as_ref();
    let gpu = own.and_then(|own| own.gpu.as_ref());
    let has_weights = own.is_some_and(|own| own.model.is_some());
    let all = [
        (
            ConditionType::CredentialsReady,
            !references::of_model(spec).secrets.is_empty(),
        ),
        (
            ConditionType::NodePoolReady,
            gpu.is_some_and(|gpu| gpu.class.is_some()),
        ),
        (ConditionType::WeightsReady, has_weights),
        (ConditionType::ShardsReady, own.is_some()),
        (ConditionType::StandbyWarm, waits(spec)),
        (ConditionType::EndpointReachable, true),
        (
            ConditionType::RolloutHealthy,
            own.is_some_and(|own| own.rollout.is_some()),
        ),
        (ConditionType::SLOMet, spec.slo.is_some()),
        (ConditionType::BudgetAvailable, spec.budget.is_some()),
    ];
    let applies = all.into_iter().filter(|(_, applies)| *applies);
    applies.map(|(kind, _)| kind)
}

/// Whether groups stand by while the model is awake.
fn waits(spec: &ModelDeploymentSpec) -> bool {
    let own = spec.self_hosted.as_ref();
    own.is_some_and(|own| own.warm.standby > 0)
}

fn numbers(model: &ModelDeployment, applied: &Applied, status: &mut ModelDeploymentStatus) {
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let namespace = model.metadata.namespace.as_deref().unwrap_or_default();
    let component = if applied.engine {
        Component::Engine
    } else {
        Component::Ingress
    };
    let standby = match applied.standing.desired_standby {
        0 => String::new(),
        desired => format!(" +{}/{desired}", applied.standing.standby_ready),
    };
    let scaled = applied.scaled.as_ref();
    status.desired_replicas = scaled.map(|scaled| scaled.desired);
    status.scaling_history = scaled
        .map(|scaled| scaled.history.clone())
        .unwrap_or_default();
    status.budget = applied
        .spending
        .as_ref()
        .map(|spending| Box::new(spending.spent()));
    status.rollout = applied
        .rolled
        .as_ref()
        .map(|rolled| Box::new(rolled.status.clone()));
    status.replicas = applied.standing.replicas;
    status.ready_replicas = applied.standing.ready;
    status.standby_ready = applied.standing.standby_ready;
    status.summary = Some(format!(
        "{}/{}{standby}",
        applied.standing.ready,
        applied.desired(model)
    ));
    status.selector = Some(format!(
        "{LABEL_MODEL}={name},{LABEL_COMPONENT}={}",
        component.as_str()
    ));
    status.inference_service = applied.inference.as_ref().map(|told| told.name.clone());
    status.endpoint = Some(format!(
        "https://{}.{namespace}.svc:8443",
        names::model_service(name)
    ));
}

fn facts(model: &ModelDeployment, applied: &Applied, now: Timestamp) -> Vec<Fact> {
    let desired = applied.desired(model);
    let follows = applied.following(now).is_some();
    let mut facts = Vec::new();
    facts.extend(applied.credentials.as_ref().map(credentials));
    facts.extend(applied.nodes.clone());
    facts.extend(applied.weights.as_ref().map(weights));
    if applied.engine {
        facts.push(match &applied.inference {
            Some(told) => told.fact.clone(),
            None => shards(desired, applied, follows),
        });
        if waits(&model.spec) {
            facts.push(standby(desired, applied, follows));
        }
    }
    facts.push(endpoint(desired, applied, follows));
    facts.extend(applied.rolled.as_ref().map(|rolled| rolled.fact.clone()));
    facts
}

fn credentials(found: &Credentials) -> Fact {
    let kind = ConditionType::CredentialsReady;
    match found {
        Credentials::Ready => Fact::yes(kind, Reason::Ready, "the Secret holds the key"),
        Credentials::Unneeded => Fact::yes(
            kind,
            Reason::Ready,
            "the weights are there: no source is asked again",
        ),
        Credentials::Missing { secret, key } => Fact::no(
            kind,
            Reason::CredentialsMissing,
            format!("Secret `{secret}` with key `{key}` does not exist: create it"),
        ),
    }
}

fn weights(found: &Fetched) -> Fact {
    let kind = ConditionType::WeightsReady;
    let downloading = |message: String| Fact::pending(kind, Reason::WeightsDownloading, message);
    match found {
        Fetched::Ready => Fact::yes(kind, Reason::Ready, "every digest is right"),
        Fetched::Missing => downloading("the weights are still to be fetched".to_owned()),
        Fetched::Waiting(why) => downloading(format!("the prefetch pod waits: {why}")),
        Fetched::Running { trouble, progress } => downloading(match (progress, trouble) {
            (Some(progress), None) => progress.to_string(),
            (Some(progress), Some(trouble)) => format!("{progress}, after: {trouble}"),
            (None, Some(trouble)) => format!("trying again after: {trouble}"),
            (None, None) => "the weights are being fetched".to_owned(),
        }),
        Fetched::Invalid(why) => Fact::no(kind, Reason::WeightsInvalid, why.as_str()),
        Fetched::Unavailable { why, .. } => {
            Fact::no(kind, Reason::WeightsUnavailable, why.as_str())
        }
    }
}

fn shards(desired: i32, applied: &Applied, follows: bool) -> Fact {
    let kind = ConditionType::ShardsReady;
    if desired == 0 {
        return Fact::yes(kind, Reason::ScaledToZero, "no group is asked for");
    }
    let standing = &applied.standing;
    let count = format!("{} of {desired} groups are ready", standing.ready);
    let complete = standing.ready >= desired && standing.updated;
    if follows && !complete {
        Fact::yes(kind, Reason::Scaling, "groups follow demand")
    } else if complete {
        Fact::yes(kind, Reason::Ready, count)
    } else {
        Fact::pending(kind, Reason::PodsNotReady, count)
    }
}

fn standby(desired_active: i32, applied: &Applied, follows: bool) -> Fact {
    let kind = ConditionType::StandbyWarm;
    if desired_active == 0 {
        let message = "no standby is asked for while the model sleeps";
        return Fact::yes(kind, Reason::ScaledToZero, message);
    }
    let desired = applied.standing.desired_standby;
    let count = format!(
        "{} of {desired} standby groups are loaded",
        applied.standing.standby_ready
    );
    if applied.standing.standby_ready >= desired {
        Fact::yes(kind, Reason::Ready, count)
    } else if follows {
        Fact::yes(kind, Reason::Scaling, "groups follow demand")
    } else {
        Fact::pending(kind, Reason::PodsNotReady, count)
    }
}

fn endpoint(desired: i32, applied: &Applied, follows: bool) -> Fact {
    let kind = ConditionType::EndpointReachable;
    let enforcement = &applied.enforcement;
    if let Some((pod, why)) = &enforcement.refused {
        return Fact::no(kind, Reason::Refused, format!("{pod}: {why}"));
    }
    if desired == 0 {
        let meaning = if applied.hold_for.is_zero() {
            "scaled to zero: calls fail until a group is asked for"
        } else {
            "scaled to zero: calls are held until a group answers"
        };
        return Fact::yes(kind, Reason::ScaledToZero, meaning);
    }
    if applied.standing.ready == 0 && follows {
        return Fact::yes(
            kind,
            Reason::Scaling,
            "calls are held until a group answers",
        );
    }
    if applied.standing.ready == 0 {
        return Fact::pending(kind, Reason::NoEndpoints, "no pod of the Service is ready");
    }
    if !enforcement.is_complete() {
        let pods = enforcement.awaiting.join(", ");
        return Fact::pending(
            kind,
            Reason::AwaitingDataPlane,
            format!("not confirmed by {pods}"),
        );
    }
    Fact::yes(kind, Reason::Ready, "the Service has ready endpoints")
}

impl Status for ModelDeploymentStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Replicas are few and matter: they are written at once.
    fn without_numbers(&self) -> Self {
        Self {
            budget: None,
            ..self.clone()
        }
    }

    fn is_settled(&self) -> bool {
        true
    }

    fn count(&self, before: Option<&Self>, metrics: &Metrics) {
        let known = before.and_then(|before| before.cold_starts.first());
        let Some(start) = self.cold_starts.first() else {
            return;
        };
        // A first token that was told late is counted for itself.
        let same = known.filter(|known| known.started_at == start.started_at);
        if same.is_none() {
            metrics.started_cold("total", start.total.get());
        }
        for (part, span) in ledger::parts(start) {
            let counts = match same {
                None => true,
                Some(same) => part == Part::FirstToken && same.first_token.is_none(),
            };
            if counts {
                metrics.started_cold(part.label(), span.get());
            }
        }
    }
}

impl Stated for ModelDeployment {
    type Status = ModelDeploymentStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

#[cfg(test)]
mod tests;
