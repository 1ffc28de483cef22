//! Volumes that hold a model's weights: the cache of what is fetched, and what is mounted as it is.

use std::collections::BTreeMap;

use aios_compile::Source;
use k8s_openapi::{
    api::core::v1::{
        ImageVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
        PersistentVolumeClaimVolumeSource, Volume, VolumeMount, VolumeResourceRequirements,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    model::{
        build::meta,
        validate::{Model, Own},
        weights::{CACHE, Weights, claim_folder, image_folder, short},
    },
    names::{self, Component},
    pods::mount,
};

/// The cache, where anything is fetched. All groups of the model mount it.
pub fn claim(model: &Model, own: &Own) -> Option<PersistentVolumeClaim> {
    let cache = own.weights.cache.as_ref()?;
    own.weights.is_fetched().then(|| PersistentVolumeClaim {
        metadata: meta(
            model,
            names::model_weights(&model.name),
            Component::Prefetch,
        ),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![cache.access_mode.as_str().into()]),
            storage_class_name: cache.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(cache.size.clone()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}

/// Volumes of a pod that reads or brings the weights.
pub fn volumes(model: &Model, weights: &Weights) -> Vec<Volume> {
    places(weights)
        .into_iter()
        .map(|(name, place)| match place {
            Place::Cache => Volume {
                persistent_volume_claim: Some(claimed(&names::model_weights(&model.name), false)),
                name,
                ..Volume::default()
            },
            Place::Claim(claim) => Volume {
                persistent_volume_claim: Some(claimed(claim, true)),
                name,
                ..Volume::default()
            },
            Place::Image(reference) => Volume {
                image: Some(ImageVolumeSource {
                    reference: Some(reference.to_owned()),
                    pull_policy: Some("IfNotPresent".into()),
                }),
                name,
                ..Volume::default()
            },
        })
        .collect()
}

/// Where they are mounted. Only a prefetch writes, and only to the cache.
pub fn mounts(weights: &Weights, writes: bool) -> Vec<VolumeMount> {
    places(weights)
        .into_iter()
        .map(|(name, place)| match place {
            Place::Cache => mount(&name, CACHE, !writes),
            Place::Claim(claim) => mount(&name, &claim_folder(claim), true),
            Place::Image(reference) => mount(&name, &image_folder(reference), true),
        })
        .collect()
}

/// Where a file stands.
enum Place<'a> {
    Cache,
    Claim(&'a str),
    Image(&'a str),
}

/// Each place once, by the name of its volume: two files may stand in one place.
fn places(weights: &Weights) -> BTreeMap<String, Place<'_>> {
    weights
        .files()
        .map(|file| match &file.source {
            Source::Http { .. } | Source::HuggingFace { .. } | Source::Snapshot { .. } => {
                ("weights".into(), Place::Cache)
            }
            Source::Claim { name, .. } => (format!("claim-{}", short(name)), Place::Claim(name)),
            Source::Image { reference, .. } => (
                format!("image-{}", short(reference)),
                Place::Image(reference),
            ),
        })
        .collect()
}

fn claimed(name: &str, read_only: bool) -> PersistentVolumeClaimVolumeSource {
    PersistentVolumeClaimVolumeSource {
        claim_name: name.to_owned(),
        read_only: read_only.then_some(true),
    }
}
