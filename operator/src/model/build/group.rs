//! A group's leader: the engine with its ingress, which alone is dialled.

use std::collections::BTreeMap;

use aios_proto::canonical;
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy},
        core::v1::{PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use crate::{
    model::{
        build::{base, engines, engines::Meeting, ingress, meta, shards},
        groups::{Place, Role},
        validate::{Model, Own},
    },
    names::{
        self, Component, LABEL_COMPONENT, LABEL_GROUP, LABEL_REVISION, LABEL_SLOT, LABEL_SPARE,
    },
    settings::Settings,
};

/// Hex digits of a revision: a model has few at a time.
const REVISION_DIGITS: usize = 6;

/// Names what the pods of a group run. Everything counts that its pods are specified by.
pub fn revision(settings: &Settings, model: &Model, own: &Own) -> String {
    let pods = [
        pod(settings, model, own, "any"),
        shards::pod(settings, model, own, "any"),
    ];
    let text = canonical::to_vec(&pods).unwrap_or_default();
    let digest = canonical::digest(&text);
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(REVISION_DIGITS)
        .collect()
}

pub fn leader(
    settings: &Settings,
    model: &Model,
    own: &Own,
    name: &str,
    place: &Place,
) -> StatefulSet {
    let mut labels = labels(model, place.role.component(), name, place);
    if place.role == Role::Standby {
        labels.insert(LABEL_SPARE.into(), "true".into());
    }
    let spec = Set {
        name: name.to_owned(),
        service: governing(model, own),
        replicas: 1,
        labels,
        pod: pod(settings, model, own, name),
    };
    set(model, spec)
}

/// The Service that gives the leader's pod its name, where its shards dial it.
fn governing(model: &Model, own: &Own) -> String {
    match engines::meeting(own) {
        Meeting::ShardsJoin(_) if own.pods > 1 => names::model_shards(&model.name),
        _ => names::model_service(&model.name),
    }
}

/// The ingress is a native sidecar: it is up before the engine and ends after.
pub(super) fn pod(settings: &Settings, model: &Model, own: &Own, group: &str) -> PodSpec {
    let mut ingress = ingress::container(settings, model, None);
    ingress.restart_policy = Some("Always".into());
    let mut volumes = ingress::volumes(model, None);
    volumes.extend(engines::leader_volumes(model, own));
    PodSpec {
        init_containers: Some(vec![ingress]),
        containers: vec![engines::leader(settings, model, own, group)],
        volumes: Some(volumes),
        ..base(model)
    }
}

pub(super) fn labels(
    model: &Model,
    component: Component,
    group: &str,
    place: &Place,
) -> BTreeMap<String, String> {
    let mut labels = names::model_labels(component, &model.name);
    labels.insert(LABEL_GROUP.into(), group.into());
    labels.insert(LABEL_REVISION.into(), place.revision.clone());
    labels.insert(LABEL_SLOT.into(), place.slot.to_string());
    labels
}

/// A StatefulSet of a group.
pub(super) struct Set {
    pub name: String,
    pub service: String,
    pub replicas: i32,
    pub labels: BTreeMap<String, String>,
    pub pod: PodSpec,
}

/// All pods at once, and none replaced but by us: a new revision is another group.
pub(super) fn set(model: &Model, set: Set) -> StatefulSet {
    let component = set.labels.get(LABEL_COMPONENT).cloned().unwrap_or_default();
    let is_shard = component == Component::Shard.as_str();
    let mut selector: BTreeMap<String, String> = set
        .labels
        .iter()
        .filter(|(key, _)| key.as_str() == LABEL_GROUP)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut labels = set.labels.clone();
    let part = if is_shard { "shards" } else { "leader" };
    for map in [&mut selector, &mut labels] {
        map.insert(LABEL_PART.into(), part.into());
    }
    StatefulSet {
        metadata: ObjectMeta {
            labels: Some(set.labels),
            ..meta(model, set.name, Component::Engine)
        },
        spec: Some(StatefulSetSpec {
            replicas: Some(set.replicas),
            service_name: Some(set.service),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".into()),
                rolling_update: None,
            }),
            revision_history_limit: Some(1),
            selector: LabelSelector {
                match_labels: Some(selector),
                match_expressions: None,
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(set.pod),
            },
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// Tells the pods of a group's two StatefulSets apart, whatever their role.
const LABEL_PART: &str = "aios.dev/part";
