//! A server of the tenant's own. It is told by environment where its weights stand, and everything else
//! by its own arguments.

use k8s_openapi::api::core::v1::Container;

use super::container;
use crate::{
    model::{build::volume, validate::Own},
    pods::{env, scratch_mount},
    settings::Settings,
};

pub fn leader(settings: &Settings, own: &Own) -> Container {
    // The root file system is read-only.
    let mut variables = vec![env("HOME", "/tmp")];
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
