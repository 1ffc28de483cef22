//! A model's status, from what the server returned. Pure.

use std::time::Duration;

use aios_compile::Diagnostic;
use aios_crds::{ConditionType, ModelDeployment, ModelDeploymentStatus, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    conditions::{Fact, summarize, with_failure, write},
    control::Enforcement,
    diagnostics::text,
    error::Error,
    model::{fetch::Credentials, prefetch::Fetched},
    names::{self, Component, LABEL_COMPONENT, LABEL_MODEL},
    status::{Stated, Status},
};

/// What a pass saw.
pub enum Observed {
    Invalid(Vec<Diagnostic>),
    /// A stage failed before anything could be seen.
    Unknown,
    Applied(Box<Applied>),
}

pub struct Applied {
    /// Hosted models with a key only.
    pub credentials: Option<Credentials>,
    /// Self-hosted models only.
    pub weights: Option<Fetched>,
    pub replicas: i32,
    pub ready: i32,
    /// Whether the active groups run the present spec.
    pub updated: bool,
    pub standby_ready: i32,
    pub desired_standby: i32,
    /// Whether the model is served here.
    pub engine: bool,
    pub enforcement: Enforcement,
    /// When the certificate is due.
    pub renewal: Option<Duration>,
    /// When weights that could not be fetched are tried again.
    pub retry: Option<Duration>,
}

impl Observed {
    pub fn look_again(&self) -> Option<Duration> {
        match self {
            Self::Applied(applied) => {
                let due = [
                    applied.renewal,
                    applied.retry,
                    applied.enforcement.look_again,
                ];
                due.into_iter().flatten().min()
            }
            _ => None,
        }
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
    let failure = |reason, message| {
        let fact = Fact::no(ConditionType::EndpointReachable, reason, message);
        with_failure(&before.conditions, fact)
    };
    let facts = match (observed, error) {
        (_, Some(error)) => failure(error.reason(), error.to_string()),
        (Observed::Invalid(diagnostics), _) => failure(Reason::InvalidSpec, text(diagnostics)),
        (Observed::Unknown, _) => failure(Reason::Progressing, String::new()),
        (Observed::Applied(applied), _) => facts(model.spec.replicas, applied),
    };
    let mut after = ModelDeploymentStatus {
        observed_generation: generation,
        conditions: write(summarize(facts), &before.conditions, generation, now),
        model: Some(aios_compile::model_name(&model.spec).to_owned()),
        ..before
    };
    if let Observed::Applied(applied) = observed {
        numbers(model, applied, &mut after);
    }
    after
}

fn numbers(model: &ModelDeployment, applied: &Applied, status: &mut ModelDeploymentStatus) {
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let namespace = model.metadata.namespace.as_deref().unwrap_or_default();
    let component = if applied.engine {
        Component::Engine
    } else {
        Component::Ingress
    };
    let standby = match applied.desired_standby {
        0 => String::new(),
        desired => format!(" +{}/{desired}", applied.standby_ready),
    };
    status.replicas = applied.replicas;
    status.ready_replicas = applied.ready;
    status.standby_ready = applied.standby_ready;
    status.summary = Some(format!(
        "{}/{}{standby}",
        applied.ready, model.spec.replicas
    ));
    status.selector = Some(format!(
        "{LABEL_MODEL}={name},{LABEL_COMPONENT}={}",
        component.as_str()
    ));
    status.endpoint = Some(format!(
        "https://{}.{namespace}.svc:8443",
        names::model_service(name)
    ));
}

fn facts(desired: i32, applied: &Applied) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(applied.credentials.as_ref().map(credentials));
    facts.extend(applied.weights.as_ref().map(weights));
    if applied.engine {
        facts.push(shards(desired, applied));
        if applied.desired_standby > 0 {
            facts.push(standby(applied));
        }
    }
    facts.push(endpoint(desired, applied));
    facts
}

fn credentials(found: &Credentials) -> Fact {
    let kind = ConditionType::CredentialsReady;
    match found {
        Credentials::Ready => Fact::yes(kind, Reason::Ready, "the Secret holds the key"),
        Credentials::Missing { secret, key } => Fact::no(
            kind,
            Reason::CredentialsMissing,
            format!("Secret `{secret}` with key `{key}` does not exist: create it"),
        ),
    }
}

fn weights(found: &Fetched) -> Fact {
    let kind = ConditionType::WeightsReady;
    match found {
        Fetched::Ready => Fact::yes(kind, Reason::Ready, "the digest is right"),
        Fetched::Missing | Fetched::Running { trouble: None } => Fact::pending(
            kind,
            Reason::WeightsDownloading,
            "the weights are being fetched",
        ),
        Fetched::Running {
            trouble: Some(trouble),
        } => Fact::pending(
            kind,
            Reason::WeightsDownloading,
            format!("trying again after: {trouble}"),
        ),
        Fetched::Invalid(why) => Fact::no(kind, Reason::WeightsInvalid, why.as_str()),
        Fetched::Unavailable { why, .. } => {
            Fact::no(kind, Reason::WeightsUnavailable, why.as_str())
        }
    }
}

fn shards(desired: i32, applied: &Applied) -> Fact {
    let kind = ConditionType::ShardsReady;
    let count = format!("{} of {desired} groups are ready", applied.ready);
    if applied.ready >= desired && applied.updated {
        Fact::yes(kind, Reason::Ready, count)
    } else {
        Fact::pending(kind, Reason::PodsNotReady, count)
    }
}

fn standby(applied: &Applied) -> Fact {
    let kind = ConditionType::StandbyWarm;
    let desired = applied.desired_standby;
    let count = format!(
        "{} of {desired} standby groups are loaded",
        applied.standby_ready
    );
    if applied.standby_ready >= desired {
        Fact::yes(kind, Reason::Ready, count)
    } else {
        Fact::pending(kind, Reason::PodsNotReady, count)
    }
}

fn endpoint(desired: i32, applied: &Applied) -> Fact {
    let kind = ConditionType::EndpointReachable;
    let enforcement = &applied.enforcement;
    if let Some((pod, why)) = &enforcement.refused {
        return Fact::no(kind, Reason::Refused, format!("{pod}: {why}"));
    }
    if desired == 0 {
        return Fact::yes(kind, Reason::Ready, "scaled to zero by its spec");
    }
    if applied.ready == 0 {
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
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Replicas are few and matter: they are written at once.
    fn without_numbers(&self) -> Self {
        self.clone()
    }

    fn is_settled(&self) -> bool {
        true
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
