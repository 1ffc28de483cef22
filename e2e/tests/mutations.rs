//! Whatever is done to a field of a spec, it is refused with a remedy, or it is taken; and once it is
//! taken back, everything is as if it had never been. Against a real API server, without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aios_e2e::eventually;
use aios_e2e::testing::{ControlPlane, Programs, Running, apply_yaml, outside};
use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Client, ResourceExt};
use mutate::{Mutation, mutations};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

const FULL: &str = include_str!("support/full.yaml");
const KINDS: [(&str, &str); 4] = [
    ("ModelDeployment", "hosted"),
    ("ModelDeployment", "own"),
    ("PolicySet", "rules"),
    ("WritingPipeline", "letters"),
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
/// Namespaces in which fields are changed at once.
const AT_ONCE: usize = 6;
/// Statuses wait for objects that may still arrive.
const RESTED: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_secs(40);

/// Conditions and children, by name.
type State = BTreeMap<String, Value>;

struct Place {
    client: Client,
    namespace: String,
}

#[tokio::test]
async fn three_hundred_mutated_specs_are_refused_with_a_remedy_or_leave_no_trace() {
    let programs = Programs::ensure().await.unwrap();
    let plane = ControlPlane::start(&programs, &[outside::OPERATOR])
        .await
        .unwrap();
    let program = std::env::current_exe().unwrap();
    let operator = program.ancestors().nth(2).unwrap().join("operator");
    assert!(
        operator.is_file(),
        "{} is missing: make build",
        operator.display()
    );
    let _operator = Running::operator(&plane, &operator, 16).await.unwrap();

    let mut places = Vec::new();
    for index in 0..AT_ONCE {
        let client = plane.client().await.unwrap();
        places.push(
            Place::new(client, format!("mutated-{index}"))
                .await
                .unwrap(),
        );
    }
    let table = Arc::new(Place::table());
    assert!(table.len() >= 300, "{} mutations", table.len());
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for (index, place) in places.into_iter().enumerate() {
        let table = table.clone();
        let suffering = async move {
            let before = place.rested().await.unwrap();
            let mut bad = Vec::new();
            for (kind, name, mutation) in table.iter().skip(index).step_by(AT_ONCE) {
                if let Err(error) = place.suffers(kind, name, mutation, &before).await {
                    let (at, how) = (&mutation.at, mutation.how);
                    let said = format!("{kind} {name} {at}, {how}: {error:#}");
                    eprintln!("{said}");
                    bad.push(said);
                }
            }
            bad
        };
        tasks.spawn_local_on(suffering, &local);
    }
    let bad: Vec<String> = local.run_until(tasks.join_all()).await.concat();
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        table.len(),
        bad.join("\n")
    );
}

impl Place {
    async fn new(client: Client, namespace: String) -> Result<Self> {
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        let all = Api::<Namespace>::all(client.clone());
        all.create(&PostParams::default(), &object).await?;
        apply_yaml(&client, Some(&namespace), FULL).await?;
        Ok(Self { client, namespace })
    }

    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn own(&self, kind: &str) -> Api<DynamicObject> {
        self.api("aios.dev", "v1alpha1", kind)
    }

    async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.own(kind).get(name).await?)?)
    }

    /// As it was written: what the server fills in is nobody's field to forget.
    fn table() -> Vec<(&'static str, &'static str, Mutation)> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(FULL).unwrap();
        let mut table = Vec::new();
        for (kind, name) in KINDS {
            let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
            let object = objects.iter().find(is).unwrap();
            table.extend(mutations(object).into_iter().map(|one| (kind, name, one)));
        }
        table
    }

    /// One field is changed and changed back.
    async fn suffers(
        &self,
        kind: &str,
        name: &str,
        mutation: &Mutation,
        before: &State,
    ) -> Result<()> {
        let good = self.get(kind, name).await?;
        match self.write(kind, name, &mutation.of(&good)["spec"]).await? {
            Written::Refused(said) => return remedy(mutation, &said),
            Written::Taken(generation) => self.observed(kind, name, generation).await?,
        }
        stalled_says_why(&self.get(kind, name).await?)?;
        match self.write(kind, name, &good["spec"]).await? {
            Written::Refused(said) => bail!("the good spec was refused: {said}"),
            Written::Taken(generation) => self.observed(kind, name, generation).await?,
        }
        eventually("all is as before", DEADLINE, async || {
            let now = self.state().await?;
            ensure!(now == *before, "{}", difference(before, &now));
            Ok(Some(()))
        })
        .await
    }

    /// Replaces the spec.
    async fn write(&self, kind: &str, name: &str, spec: &Value) -> Result<Written> {
        let api = self.own(kind);
        loop {
            let mut object = api.get(name).await?;
            object.data["spec"] = spec.clone();
            match api.replace(name, &PostParams::default(), &object).await {
                Ok(object) => {
                    return Ok(Written::Taken(
                        object.metadata.generation.unwrap_or_default(),
                    ));
                }
                Err(kube::Error::Api(error)) if error.code == 409 => {}
                Err(kube::Error::Api(error)) if error.code == 422 || error.code == 400 => {
                    return Ok(Written::Refused(error.message.clone()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn observed(&self, kind: &str, name: &str, generation: i64) -> Result<()> {
        eventually("the operator saw it", DEADLINE, async || {
            let object = self.get(kind, name).await?;
            let observed = object["status"]["observedGeneration"].as_i64();
            Ok((observed == Some(generation)).then_some(()))
        })
        .await
    }

    /// What there is once nothing changes any more.
    async fn rested(&self) -> Result<State> {
        let mut last = State::new();
        let mut since = Instant::now();
        eventually("nothing changes any more", DEADLINE, async || {
            let now = self.state().await?;
            let observed = KINDS
                .iter()
                .all(|(kind, name)| now.contains_key(&format!("{kind}/{name}")));
            if now != last {
                (last, since) = (now, Instant::now());
            }
            Ok((observed && since.elapsed() > RESTED).then(|| last.clone()))
        })
        .await
    }

    async fn state(&self) -> Result<State> {
        let mut state = State::new();
        for (kind, name) in KINDS {
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

enum Written {
    Taken(i64),
    Refused(String),
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

/// A refusal names the field, or what it belongs to.
fn remedy(mutation: &Mutation, said: &str) -> Result<()> {
    let named = mutation.names().any(|name| said.contains(name));
    ensure!(
        named && said.len() > 20,
        "the refusal does not say what to mend: {said}"
    );
    Ok(())
}

/// An object that cannot be brought about says which field is to blame.
fn stalled_says_why(object: &Value) -> Result<()> {
    let conditions = object["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten() {
        let is = |key: &str, value: &str| condition[key] == value;
        if is("type", "Stalled") && is("status", "True") && is("reason", "InvalidSpec") {
            let said = condition["message"].as_str().unwrap_or_default();
            ensure!(
                said.contains("spec") && said.contains(": "),
                "it is stalled without a remedy: {said}"
            );
        }
    }
    Ok(())
}

fn difference(before: &State, now: &State) -> String {
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
