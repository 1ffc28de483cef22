//! From the spec to what the builders need, so that they cannot go wrong.

use aios_compile::{Diagnostic, model_service, standby_service};
use aios_crds::{
    ModelDeployment,
    model_deployment::{Engine, Gpu, SelfHosted, Weights},
    reference::KeyRef,
};
use aios_proto::config::ModelConfig;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::{apply::owned_by, ca::Subject, names};

/// Calls that one engine decodes at once at most; the ingress lets more wait.
const MAX_SLOTS: u32 = 16;

/// A model that compiles.
pub struct Model {
    pub name: String,
    pub namespace: String,
    pub owner: Vec<OwnerReference>,
    pub config: ModelConfig,
    pub backend: Backend,
}

pub enum Backend {
    Hosted { credentials: Option<KeyRef> },
    Own(Box<Own>),
}

/// A model that is served here.
pub struct Own {
    pub engine: Engine,
    pub weights: Weights,
    /// Path of the file on its volume. Another digest is another file: an engine that still runs
    /// keeps its own.
    pub file: String,
    /// Names the prefetch Job: one for each source and digest.
    pub hash: String,
    pub gpu: Option<Gpu>,
    pub replicas: i32,
    pub standby: i32,
    pub slots: u32,
    pub context_tokens: u32,
}

pub fn validate(model: &ModelDeployment) -> Result<Model, Vec<Diagnostic>> {
    let (name, namespace) = (model.name_any(), model.namespace().unwrap_or_default());
    let config = aios_compile::model(&name, &namespace, &model.spec)?;
    let backend = match &model.spec.self_hosted {
        Some(own) => Backend::Own(Box::new(self_hosted(model, own))),
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
    })
}

fn self_hosted(model: &ModelDeployment, own: &SelfHosted) -> Own {
    let limits = &model.spec.limits;
    let digest = own.model.digest.trim_start_matches("sha256:");
    let source = Sha256::digest(format!("{}\n{}", own.model.uri, own.model.digest));
    let short = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    Own {
        engine: own.engine.clone(),
        weights: own.model.clone(),
        file: format!("/weights/{}.gguf", short(digest, 32)),
        hash: short(&hex::encode(source), 10),
        gpu: own.gpu.clone(),
        replicas: model.spec.replicas,
        standby: own.warm.standby,
        slots: limits.max_in_flight.clamp(1, MAX_SLOTS),
        context_tokens: limits.context_tokens,
    }
}

impl Model {
    /// The server that every ingress of the model is.
    pub fn server(&self) -> Subject {
        let mut hosts = names::service_hosts(&model_service(&self.name), &self.namespace);
        hosts.extend(names::service_hosts(
            &standby_service(&self.name),
            &self.namespace,
        ));
        Subject::Server(hosts)
    }
}
