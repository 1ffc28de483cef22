//! What the operator wrote, read back and reduced to the fields that it sent: the bare client
//! writes the same again, and the twin fills its templates from it. Pure, but for reading.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::{Map, Value, json};

use super::world::{self, Id, MODEL, OURS, PARENTS, PIPELINE};

/// Kinds of children, by group, version, kind.
const CHILDREN: [(&str, &str, &str); 9] = [
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Secret"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
];

/// A child as it was sent, and whose it is.
#[derive(Clone, Debug)]
pub struct Child {
    pub object: Value,
    pub owners: Vec<Id>,
}

pub struct Recording {
    pub children: Vec<Child>,
    /// The last status of every parent.
    pub statuses: HashMap<Id, Value>,
}

impl Recording {
    pub async fn of(client: &Client) -> Result<Self> {
        let mut children = Vec::new();
        for (group, version, kind) in CHILDREN {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let all = api.list(&ListParams::default().labels(OURS)).await?.items;
            let is_child = |object: &DynamicObject| {
                world::is_childs_place(object.metadata.namespace.as_deref())
            };
            for object in all.into_iter().filter(is_child) {
                let mut live = serde_json::to_value(&object)?;
                live["apiVersion"] = json!(resource.api_version);
                live["kind"] = json!(kind);
                children.push(child(&live));
            }
        }
        let mut statuses = HashMap::new();
        for kind in PARENTS {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &world::resource(kind));
            for object in api.list(&ListParams::default()).await?.items {
                let id = Id::of(kind, &object);
                let status = object.data.get("status").cloned();
                statuses.insert(id, status.context("a parent without a status")?);
            }
        }
        Ok(Self { children, statuses })
    }

    /// One model's and one namespace's objects, as templates for the twin.
    pub fn templates(&self) -> Result<Value> {
        let is_models =
            |child: &&Child| matches!(child.owners.as_slice(), [owner] if owner.kind == MODEL);
        let first = self
            .children
            .iter()
            .find(is_models)
            .context("no model has a child")?;
        let owner = first.owners.first().context("a child without an owner")?;
        let of_model = self.children.iter().filter(is_models);
        let model: Vec<&Value> = of_model
            .filter(|child| child.owners.first() == Some(owner))
            .map(|child| &child.object)
            .collect();
        let shared = self.children.iter().filter(|child| !is_models(child));
        let here = json!(owner.namespace);
        let tenant: Vec<Value> = shared
            .filter(|child| child.object.pointer("/metadata/namespace") == Some(&here))
            .map(|child| {
                let models = child.owners.iter().any(|owner| owner.kind == MODEL);
                json!({"object": without_owners(&child.object), "ownedByModels": models})
            })
            .collect();
        let pipeline = self
            .statuses
            .iter()
            .find(|(id, _)| id.kind == PIPELINE && id.namespace == owner.namespace);
        let templates = json!({
            "model": model.iter().map(|object| without_owners(object)).collect::<Vec<_>>(),
            "tenant": tenant,
            "modelStatus": self.statuses.get(owner),
            "pipelineStatus": pipeline.map(|(_, status)| status),
        });
        let text = templates
            .to_string()
            .replace(&owner.namespace, "NAMESPACE")
            .replace(&owner.name, "MODEL");
        Ok(serde_json::from_str(&text)?)
    }

    /// Children by kind.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for child in &self.children {
            let kind = child.object.get("kind").and_then(Value::as_str);
            *counts
                .entry(kind.unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        counts
    }
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("ownerReferences");
    }
    object
}

/// The fields that the operator sent, by what the server says it manages.
fn child(live: &Value) -> Child {
    let managers = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let mut fields = Map::new();
    for manager in managers.into_iter().flatten() {
        let by = manager
            .get("manager")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if by.starts_with("aios-operator")
            && let Some(more) = manager.get("fieldsV1").and_then(Value::as_object)
        {
            merge(&mut fields, more);
        }
    }
    let mut object = owned(live, &fields);
    for key in ["apiVersion", "kind", "type"] {
        if let Some(value) = live.get(key) {
            object[key] = value.clone();
        }
    }
    for key in ["name", "namespace"] {
        object["metadata"][key] = live["metadata"][key].clone();
    }
    let namespace = live["metadata"]["namespace"].as_str().unwrap_or_default();
    let references = live
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let owners = references.into_iter().flatten().map(|reference| Id {
        kind: reference["kind"].as_str().unwrap_or_default().to_owned(),
        namespace: namespace.to_owned(),
        name: reference["name"].as_str().unwrap_or_default().to_owned(),
    });
    Child {
        owners: owners.collect(),
        object,
    }
}

/// Two managers' fields as one's.
fn merge(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, value) in more {
        match (fields.get_mut(key).and_then(Value::as_object_mut), value) {
            (Some(held), Value::Object(value)) => merge(held, value),
            _ => drop(fields.insert(key.clone(), value.clone())),
        }
    }
}

/// What of a value is in `fields`, which is `FieldsV1` of structured-merge-diff: `f:` a field, `k:`
/// an element by its keys, `v:` an element by its value.
fn owned(live: &Value, fields: &Map<String, Value>) -> Value {
    if fields.keys().all(|key| key == ".") {
        return live.clone();
    }
    let under = |value: &Value, sub: &Value| {
        sub.as_object()
            .map_or_else(|| value.clone(), |sub| owned(value, sub))
    };
    match live {
        Value::Object(map) => {
            let kept = fields.iter().filter_map(|(key, sub)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), under(map.get(name)?, sub)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let kept = items.iter().filter_map(|item| {
                fields.iter().find_map(|(key, sub)| {
                    if let Some(keys) = key.strip_prefix("k:") {
                        let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
                        let same = keys.iter().all(|(key, value)| item.get(key) == Some(value));
                        return same.then(|| under(item, sub));
                    }
                    let value: Value = serde_json::from_str(key.strip_prefix("v:")?).ok()?;
                    (value == *item).then(|| item.clone())
                })
            });
            Value::Array(kept.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_is_kept() {
        let live = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"x": "1", "y": "2"},
                "ownerReferences": [{"uid": "o", "kind": "ModelDeployment", "name": "m"}],
                "managedFields": [{"manager": "aios-operator", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:x": {}}, "f:ownerReferences": {"k:{\"uid\":\"o\"}": {}}},
                    "f:spec": {"f:ports": {"k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}}]},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "TCP"}]},
        });
        let child = child(&live);
        assert_eq!(
            child.object,
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "a", "namespace": "n", "labels": {"x": "1"},
                    "ownerReferences": [{"uid": "o", "kind": "ModelDeployment", "name": "m"}]},
                "spec": {"ports": [{"port": 1}]}})
        );
        assert_eq!(child.owners[0].name, "m");
    }
}
