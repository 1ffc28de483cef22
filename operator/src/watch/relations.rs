//! From an object to those it concerns. Pure: only labels are read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    control::Pod,
    names::{Component, FIELD_MANAGER, LABEL_COMPONENT, LABEL_MANAGED_BY, LABEL_MODEL, LABEL_RUN},
};

/// Whose child an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Model(String),
    Run(String),
    /// The namespace's trust, keys and gateway.
    Tenant,
}

/// The object that a child belongs to; `None` for objects that are not ours.
pub fn of_child(meta: &ObjectMeta) -> Option<Target> {
    let component = component(meta)?;
    let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
    if let Some(run) = label(LABEL_RUN) {
        return Some(Target::Run(run));
    }
    if let Some(model) = label(LABEL_MODEL) {
        return Some(Target::Model(model));
    }
    matches!(
        component,
        Component::Tenant | Component::Gateway | Component::Worker
    )
    .then_some(Target::Tenant)
}

/// A data plane's pod that runs now; `None` for other pods.
pub fn of_pod(meta: &ObjectMeta, now: Timestamp) -> Option<Pod> {
    let component = component(meta)?;
    Some(Pod {
        uid: meta.uid.clone()?,
        name: meta.name.clone()?,
        component,
        model: meta.labels.as_ref()?.get(LABEL_MODEL).cloned(),
        seen: now,
    })
}

fn component(meta: &ObjectMeta) -> Option<Component> {
    let labels = meta.labels.as_ref()?;
    if labels.get(LABEL_MANAGED_BY)? != FIELD_MANAGER {
        return None;
    }
    Component::parse(labels.get(LABEL_COMPONENT)?)
}

#[cfg(test)]
mod tests {
    use super::{Component, FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_RUN, Target, of_child};
    use crate::names::{labels, model_labels};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn meta(labels: std::collections::BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            labels: Some(labels),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_child_leads_to_its_object() {
        let model = meta(model_labels(Component::Engine, "small"));
        assert_eq!(of_child(&model), Some(Target::Model("small".into())));
        let mut run = labels(Component::Worker, "mail");
        run.insert(LABEL_RUN.into(), "batch".into());
        assert_eq!(of_child(&meta(run)), Some(Target::Run("batch".into())));
        let gateway = meta(labels(Component::Gateway, "aios"));
        assert_eq!(of_child(&gateway), Some(Target::Tenant));
    }

    #[test]
    fn objects_of_others_lead_nowhere() {
        let mut foreign = labels(Component::Gateway, "aios");
        foreign.insert(LABEL_MANAGED_BY.into(), "helm".into());
        assert_eq!(of_child(&meta(foreign)), None);
        assert_eq!(of_child(&ObjectMeta::default()), None);
        assert_ne!(FIELD_MANAGER, "helm");
    }
}
