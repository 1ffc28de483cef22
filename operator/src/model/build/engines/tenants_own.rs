//! A server of the tenant's own. It is told by environment where its weights stand, BentoML also where
//! to listen, and everything else by its own arguments.

use aios_crds::{model_deployment::EngineName, text_engine::BentoMLEngine};
use k8s_openapi::api::core::v1::{Container, EnvVar};

use super::container;
use crate::{
    model::{build::volume, validate::Own},
    pods::{env, scratch_mount},
    settings::Settings,
};

pub fn leader(settings: &Settings, own: &Own) -> Container {
    // The root file system is read-only.
    let mut variables = vec![env("HOME", "/tmp")];
    if own.engine.name == EngineName::BentoML {
        let bentoml = own.engine.bentoml.clone().unwrap_or_default();
        variables.extend(of_bentoml(&bentoml));
    }
    if !own.weights.is_empty() {
        variables.push(env("AIOS_WEIGHTS_PATH", own.weights.path()));
    }
    let mut mounts = volume::mounts(&own.weights, false);
    mounts.push(scratch_mount());
    Container {
        args: (!own.engine.args.is_empty()).then(|| own.engine.args.clone()),
        env: Some(variables),
        volume_mounts: Some(mounts),
        ..container(settings, own, "")
    }
}

/// What `bentoml serve` reads; the ingress alone dials it.
fn of_bentoml(engine: &BentoMLEngine) -> [EnvVar; 4] {
    [
        env("BENTOML_HOST", "127.0.0.1"),
        env("BENTOML_PORT", engine.port.to_string()),
        env("BENTOML_HOME", "/tmp/bentoml"),
        env("BENTOML_DO_NOT_TRACK", "True"),
    ]
}
