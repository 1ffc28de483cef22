//! From the spec to what the builders need, so that they cannot go wrong.

use aios_compile::{Diagnostic, Schedule, model_service, next_service, standby_service};
use aios_crds::{
    ModelDeployment,
    model_deployment::{Engine, EngineName, Gpu, SelfHosted, Shards, WarmMode},
    reference::KeyRef,
    rollout::Rollout,
};
use aios_proto::config::ModelConfig;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use crate::{apply::owned_by, ca::Subject, model::weights::Weights, names, pool::Placement};

/// Calls that llama.cpp decodes at once at most, for its context is divided among them; the ingress lets
/// more wait.
const MAX_SLOTS: u32 = 16;

/// A model that compiles.
pub struct Model {
    pub name: String,
    pub namespace: String,
    pub owner: Vec<OwnerReference>,
    pub config: ModelConfig,
    pub backend: Backend,
    /// Where its pods go: the platform's answer to the GPU class that it names.
    pub placement: Placement,
    /// Whether KServe ran it when it was looked at last.
    pub had_inference_service: bool,
}

pub enum Backend {
    Hosted { credentials: Option<KeyRef> },
    Own(Box<Own>),
}

/// A model that is served here.
pub struct Own {
    pub engine: Engine,
    /// Where it answers that it is loaded, unless it does where AIOS knows.
    pub health: Option<String>,
    pub weights: Weights,
    pub gpu: Option<Gpu>,
    pub shards: Shards,
    /// Pods of one group.
    pub pods: u32,
    /// Groups that take traffic.
    pub replicas: u32,
    /// Groups that wait while others take traffic.
    pub standby: u32,
    /// Whether they sleep meanwhile.
    pub sleeps: bool,
    /// When groups are kept up.
    pub schedules: Vec<Schedule>,
    pub slots: u32,
    pub context_tokens: u32,
    pub rollout: Option<Rollout>,
}

pub fn validate(model: &ModelDeployment) -> Result<Model, Vec<Diagnostic>> {
    let (name, namespace) = (model.name_any(), model.namespace().unwrap_or_default());
    let config = aios_compile::model(&name, &namespace, &model.spec)?;
    let backend = match &model.spec.self_hosted {
        Some(own) => Backend::Own(Box::new(self_hosted(model, own)?)),
        None => Backend::Hosted {
            credentials: model
                .spec
                .hosted
                .as_ref()
                .and_then(|hosted| hosted.credentials.as_ref())
                .map(|source| source.secret_key_ref.clone()),
        },
    };
    let owner = owned_by(model, true).into_iter().collect();
    Ok(Model {
        name,
        namespace,
        owner,
        config,
        backend,
        placement: Placement::default(),
        had_inference_service: model
            .status
            .as_ref()
            .is_some_and(|status| status.inference_service.is_some()),
    })
}

fn self_hosted(model: &ModelDeployment, own: &SelfHosted) -> Result<Own, Vec<Diagnostic>> {
    let limits = &model.spec.limits;
    let gpus = own.gpu.as_ref().map_or(0, |gpu| gpu.count);
    let gpus = u32::try_from(gpus).unwrap_or_default();
    Ok(Own {
        engine: own.engine.clone(),
        health: aios_compile::engine_health(own),
        weights: Weights::new(
            aios_compile::weights(own)?,
            own.model.as_ref().and_then(|model| model.cache.clone()),
        ),
        gpu: own.gpu.clone(),
        shards: own.shards.clone(),
        pods: own.shards.pods(gpus),
        replicas: u32::try_from(model.spec.replicas).unwrap_or_default(),
        standby: u32::try_from(own.warm.standby).unwrap_or_default(),
        sleeps: own.warm.mode == WarmMode::Asleep,
        schedules: aios_compile::schedules(own)?,
        slots: match own.engine.name {
            EngineName::LlamaCpp => limits.max_in_flight.clamp(1, MAX_SLOTS),
            _ => limits.max_in_flight.max(1),
        },
        context_tokens: limits.context_tokens,
        rollout: own.rollout.clone(),
    })
}

impl Own {
    /// Groups that are to wait now. A model that sleeps has none: a loaded group holds its GPUs.
    pub const fn waiting(&self) -> u32 {
        if self.replicas == 0 { 0 } else { self.standby }
    }
}

impl Model {
    /// The GPU class that it names.
    pub fn gpu_class(&self) -> Option<&str> {
        match &self.backend {
            Backend::Own(own) => own.gpu.as_ref()?.class.as_deref(),
            Backend::Hosted { .. } => None,
        }
    }

    /// Whether engines sleep while their groups stand by.
    pub fn sleeps(&self) -> bool {
        matches!(&self.backend, Backend::Own(own) if own.sleeps)
    }

    /// When groups are kept up.
    pub fn schedules(&self) -> &[Schedule] {
        match &self.backend {
            Backend::Own(own) => &own.schedules,
            Backend::Hosted { .. } => &[],
        }
    }

    /// Where an engine answers that it is loaded, unless it does where AIOS knows.
    pub fn engine_health(&self) -> Option<&str> {
        match &self.backend {
            Backend::Own(own) => own.health.as_deref(),
            Backend::Hosted { .. } => None,
        }
    }

    /// Groups that there shall be, with those that stand by.
    pub fn groups(&self) -> i32 {
        match &self.backend {
            Backend::Own(own) => i32::try_from(own.replicas + own.waiting()).unwrap_or(i32::MAX),
            Backend::Hosted { .. } => 1,
        }
    }

    /// The server that every ingress of the model is.
    pub fn server(&self) -> Subject {
        let mut hosts = names::service_hosts(&model_service(&self.name), &self.namespace);
        hosts.extend(names::service_hosts(
            &standby_service(&self.name),
            &self.namespace,
        ));
        if matches!(&self.backend, Backend::Own(own) if own.rollout.is_some()) {
            let next = next_service(&self.name);
            hosts.extend(names::service_hosts(&next, &self.namespace));
        }
        Subject::Server(hosts)
    }
}
