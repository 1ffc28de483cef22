//! A namespace with one object of each kind, and all that the operator made of them: what two states
//! are compared by, on a control plane without a node.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot look fails"
)]
// Every suite that includes this file uses another part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aios_e2e::eventually;
use aios_e2e::testing::apply_yaml;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

const FULL: &str = include_str!("full.yaml");
const REST: &str = include_str!("rest.yaml");
const WIDE: &str = include_str!("wide.yaml");
/// Kind and name.
pub type Named = (&'static str, &'static str);
/// One of each kind, and another of models.
pub const KINDS: [Named; 6] = [
    ("ModelDeployment", "hosted"),
    ("ModelDeployment", "own"),
    ("PolicySet", "rules"),
    ("ClusterPolicySet", MANDATE),
    ("WritingPipeline", "letters"),
    ("WritingRun", "monday"),
];
/// Those with the other fields.
pub const OTHERS: [Named; 3] = [
    ("ModelDeployment", "custom"),
    ("PolicySet", "every"),
    ("WritingPipeline", "articles"),
];
/// The policy of the platform is of no namespace: each place has one of its own, for itself.
const MANDATE: &str = "mandate";
/// Values of Secrets in a place. Nothing may tell them.
pub const SECRETS: [&str; 3] = [
    "the-key-of-a-provider",
    "the-token-of-a-hub",
    "a-secret-of-thirty-two-characters",
];
const CHILDREN: [(&str, &str, &str); 9] = [
    ("", "v1", "ServiceAccount"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "PersistentVolumeClaim"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("batch", "v1", "Job"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
];
/// Statuses wait for objects that may still arrive.
const RESTED: Duration = Duration::from_secs(20);
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Conditions and children, by name.
pub type State = BTreeMap<String, Value>;

pub struct Place {
    pub client: Client,
    pub namespace: String,
    objects: Vec<Named>,
}

/// Every document as it is written.
pub fn documents() -> Vec<Value> {
    let texts = [FULL, REST, WIDE].into_iter();
    let each = texts.map(|text| serde_saphyr::from_multiple::<Value>(text).unwrap());
    each.flatten().collect()
}

impl Place {
    /// With an object of each kind.
    pub async fn new(client: Client, namespace: String) -> Result<Self> {
        let labels = json!({"place": namespace});
        let object = json!({"metadata": {"name": namespace, "labels": labels}});
        let object: Namespace = serde_json::from_value(object)?;
        let all = Api::<Namespace>::all(client.clone());
        all.create(&PostParams::default(), &object).await?;
        let mandate = format!("{{name: {MANDATE}-{namespace}}}");
        let rest = REST
            .replace(&format!("{{name: {MANDATE}}}"), &mandate)
            .replace("{place: here}", &labels.to_string());
        for text in [FULL, &rest] {
            apply_yaml(&client, Some(&namespace), text).await?;
        }
        let objects = KINDS.to_vec();
        Ok(Self {
            client,
            namespace,
            objects,
        })
    }

    /// With those that have the other fields, too.
    pub async fn widened(mut self) -> Result<Self> {
        apply_yaml(&self.client, Some(&self.namespace), WIDE).await?;
        self.objects.extend(OTHERS);
        Ok(self)
    }

    pub fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub fn own(&self, kind: &str) -> Api<DynamicObject> {
        if kind == "ClusterPolicySet" {
            let kind = GroupVersionKind::gvk("aios.dev", "v1alpha1", kind);
            return Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
        }
        self.api("aios.dev", "v1alpha1", kind)
    }

    /// What the object is named on the server.
    pub fn name(&self, name: &str) -> String {
        if name == MANDATE {
            return format!("{MANDATE}-{}", self.namespace);
        }
        name.to_owned()
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        let object = self.own(kind).get(&self.name(name)).await?;
        Ok(serde_json::to_value(object)?)
    }

    pub async fn observed(&self, kind: &str, name: &str, generation: i64) -> Result<()> {
        eventually("the operator saw it", DEADLINE, async || {
            let object = self.get(kind, name).await?;
            let observed = object["status"]["observedGeneration"].as_i64();
            Ok((observed == Some(generation)).then_some(()))
        })
        .await
    }

    /// What there is once nothing changes any more.
    pub async fn rested(&self) -> Result<State> {
        let mut last = State::new();
        let mut since = Instant::now();
        eventually("nothing changes any more", DEADLINE, async || {
            let now = self.state().await?;
            let observed = self
                .objects
                .iter()
                .all(|(kind, name)| now.contains_key(&format!("{kind}/{name}")));
            if now != last {
                (last, since) = (now, Instant::now());
            }
            Ok((observed && since.elapsed() > RESTED).then(|| last.clone()))
        })
        .await
    }

    pub async fn state(&self) -> Result<State> {
        let mut state = State::new();
        for (kind, name) in &self.objects {
            let object = self.get(kind, name).await?;
            let mut conditions = object["status"]["conditions"].clone();
            for condition in conditions.as_array_mut().into_iter().flatten() {
                let condition = condition.as_object_mut().context("a condition")?;
                condition.remove("lastTransitionTime");
                condition.remove("observedGeneration");
            }
            state.insert(format!("{kind}/{name}"), conditions);
        }
        for (group, version, kind) in CHILDREN {
            let ours = ListParams::default().labels("app.kubernetes.io/managed-by=aios-operator");
            for object in self.api(group, version, kind).list(&ours).await? {
                let key = format!("{kind}/{}", object.name_any());
                state.insert(key, essence(kind, serde_json::to_value(&object)?));
            }
        }
        Ok(state)
    }
}

/// A child without what each object has of its own.
fn essence(kind: &str, mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for own in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ] {
            metadata.remove(own);
        }
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    assigned(kind, &mut object["spec"]);
    if let Some(text) = object.pointer_mut("/data/snapshot.json") {
        let snapshot = text
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        *text = unnumbered(snapshot.unwrap_or_default());
        if let Some(annotations) = object.pointer_mut("/metadata/annotations") {
            // A digest over those numbers, too.
            annotations
                .as_object_mut()
                .map(|all| all.remove("aios.dev/applied"));
        }
    }
    object
}

/// What the server gives to an object that is made anew.
fn assigned(kind: &str, spec: &mut Value) {
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
        if kind == "Job" {
            spec.remove("selector");
        }
    }
    if let Some(labels) = spec
        .pointer_mut("/template/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.retain(|key, _| !key.ends_with("controller-uid"));
    }
}

/// Configuration without the numbers that grow with every change.
fn unnumbered(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter(|(key, _)| {
                    !matches!(key.as_str(), "sequence" | "ownerGeneration" | "generation")
                })
                .map(|(key, value)| (key, unnumbered(value)));
            Value::Object(kept.collect())
        }
        Value::Array(list) => list.into_iter().map(unnumbered).collect(),
        other => other,
    }
}

/// The first places where two states differ.
pub fn difference(before: &State, now: &State) -> String {
    let names = before.keys().chain(now.keys());
    let differ = names.filter(|name| before.get(*name) != now.get(*name));
    let texts = differ.map(|name| {
        let text = |state: &State| {
            state
                .get(name)
                .map_or("nothing".to_owned(), Value::to_string)
        };
        let (now, before) = (text(now), text(before));
        let same = now
            .bytes()
            .zip(before.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let near = |text: &str| {
            text.get(same.saturating_sub(80)..)
                .unwrap_or(text)
                .chars()
                .take(300)
                .collect::<String>()
        };
        format!("{name} is …{} and was …{}", near(&now), near(&before))
    });
    texts.take(2).collect::<Vec<_>>().join("; ")
}
