//! A group's further pods: they hold a part of the model and are dialled by their leader alone.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PodSpec};

use crate::{
    model::{
        build::{base, engine, group},
        groups::Place,
        validate::{Model, Own},
    },
    names::{self, Component},
    pods::scratch_volume,
    settings::Settings,
};

/// A shard has nothing to finish once its leader is told to go, and no leader may find one that ends.
const END_SECONDS: i64 = 1;

pub fn shards(
    settings: &Settings,
    model: &Model,
    own: &Own,
    group: &str,
    place: &Place,
) -> StatefulSet {
    let spec = group::Set {
        name: names::group_shards(group),
        service: names::model_shards(&model.name),
        replicas: i32::try_from(own.pods.saturating_sub(1)).unwrap_or(i32::MAX),
        labels: group::labels(model, Component::Shard, group, place),
        pod: pod(settings, model, own),
    };
    group::set(model, spec)
}

pub fn pod(settings: &Settings, model: &Model, own: &Own) -> PodSpec {
    PodSpec {
        containers: vec![engine::shard(settings, own)],
        volumes: Some(vec![scratch_volume()]),
        termination_grace_period_seconds: Some(END_SECONDS),
        ..base(model)
    }
}
