//! Another group of a revision that the spec no longer makes: only its objects know how to run it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::apps::v1::{StatefulSet, StatefulSetSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;

use crate::{
    model::groups::{Place, Role},
    names::{Component, LABEL_COMPONENT, LABEL_GROUP, LABEL_REVISION, LABEL_SLOT, LABEL_SPARE},
};

/// StatefulSets of a group at `place`, made after the first of its revision among `sets`. Empty if there is
/// none.
pub fn group(sets: &[StatefulSet], name: &str, place: &Place) -> Vec<StatefulSet> {
    let is_of = |set: &&StatefulSet| set.labels().get(LABEL_REVISION) == Some(&place.revision);
    let of_revision = || sets.iter().filter(is_of);
    let Some(from) = of_revision().find_map(|set| set.labels().get(LABEL_GROUP)) else {
        return Vec::new();
    };
    of_revision()
        .filter(|set| set.labels().get(LABEL_GROUP) == Some(from))
        .filter_map(|set| copy(set, from, name, place))
        .collect()
}

fn copy(set: &StatefulSet, from: &str, name: &str, place: &Place) -> Option<StatefulSet> {
    // A group's name stands in its pods too, where they dial each other.
    let text = serde_json::to_string(set.spec.as_ref()?).ok()?;
    let mut spec: StatefulSetSpec = serde_json::from_str(&text.replace(from, name)).ok()?;
    let mut labels = set.labels().clone();
    place_labels(&mut labels, name, place);
    if let Some(of_pods) = spec.template.metadata.as_mut() {
        place_labels(of_pods.labels.get_or_insert_default(), name, place);
    }
    Some(StatefulSet {
        metadata: ObjectMeta {
            name: Some(set.name_any().replace(from, name)),
            namespace: set.namespace(),
            labels: Some(labels),
            owner_references: set.metadata.owner_references.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    })
}

fn place_labels(labels: &mut BTreeMap<String, String>, name: &str, place: &Place) {
    labels.insert(LABEL_GROUP.into(), name.into());
    labels.insert(LABEL_SLOT.into(), place.slot.to_string());
    let shard = Component::Shard.as_str();
    if labels
        .get(LABEL_COMPONENT)
        .is_none_or(|known| known == shard)
    {
        return;
    }
    let component = place.role.component().as_str();
    labels.insert(LABEL_COMPONENT.into(), component.into());
    labels.remove(LABEL_SPARE);
    if place.role == Role::Standby {
        labels.insert(LABEL_SPARE.into(), "true".into());
    }
}
