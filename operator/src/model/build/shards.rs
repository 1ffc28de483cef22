//! A group's further pods: they hold a part of the model and serve their leader alone.

use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetOrdinals},
    core::v1::PodSpec,
};

use crate::{
    model::{
        build::{base, engines, engines::Meeting, group},
        groups::Place,
        validate::{Model, Own},
    },
    names::{self, Component},
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
        pod: pod(settings, model, own, group),
    };
    let mut set = group::set(model, spec);
    if let (Meeting::ShardsJoin(_), Some(spec)) = (engines::meeting(own), &mut set.spec) {
        // A pod's number is its rank, and 0 is the leader's.
        spec.ordinals = Some(StatefulSetOrdinals { start: Some(1) });
    }
    set
}

pub fn pod(settings: &Settings, model: &Model, own: &Own, group: &str) -> PodSpec {
    PodSpec {
        containers: vec![engines::shard(settings, model, own, group)],
        volumes: Some(engines::shard_volumes(model, own)),
        termination_grace_period_seconds: Some(END_SECONDS),
        ..base(model)
    }
}
