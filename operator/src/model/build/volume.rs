//! The volume that keeps a model's weights. All groups of the model mount it, on one node.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    model::{
        build::meta,
        validate::{Model, Own},
    },
    names::{self, Component},
};

pub fn claim(model: &Model, own: &Own) -> PersistentVolumeClaim {
    let cache = &own.weights.cache;
    PersistentVolumeClaim {
        metadata: meta(
            model,
            names::model_weights(&model.name),
            Component::Prefetch,
        ),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: cache.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(cache.size.clone()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
