//! The raw floor: a bare client that writes the very same children and statuses, with the same
//! number of requests at once, and decides nothing. What the API server itself costs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    recording::Recording,
    world::{self, Id, Size},
};

/// How children are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `POST`: the least that a child can cost.
    Create,
    /// Server-side apply, as whoever shares objects with others writes them.
    Apply,
}

enum Work {
    Child(Value),
    Status(Id, Value),
}

/// What waits for its owners.
struct Plan {
    /// Children and how many of their owners are still missing.
    waiting: Vec<(usize, Value)>,
    of_owner: HashMap<Id, Vec<usize>>,
    /// Children of nobody, which outlive their makers, by namespace.
    of_nobody: HashMap<String, Vec<Value>>,
    statuses: HashMap<Id, Value>,
    uids: HashMap<Id, String>,
}

impl Plan {
    fn new(recording: &Recording) -> Self {
        let mut of_owner: HashMap<Id, Vec<usize>> = HashMap::new();
        let mut of_nobody: HashMap<String, Vec<Value>> = HashMap::new();
        let mut waiting = Vec::new();
        for (index, child) in recording.children.iter().enumerate() {
            waiting.push((child.owners.len(), child.object.clone()));
            if child.owners.is_empty() {
                let namespace = child.object.pointer("/metadata/namespace");
                let namespace = namespace.and_then(Value::as_str).unwrap_or_default();
                let all = of_nobody.entry(namespace.to_owned()).or_default();
                all.push(child.object.clone());
            }
            for owner in &child.owners {
                of_owner.entry(owner.clone()).or_default().push(index);
            }
        }
        Self {
            waiting,
            of_owner,
            of_nobody,
            statuses: recording.statuses.clone(),
            uids: HashMap::new(),
        }
    }

    /// What can be written now that a parent exists.
    fn created(&mut self, parent: &DynamicObject) -> Vec<Work> {
        let id = Id::of_typed(parent);
        let uid = parent.metadata.uid.clone().unwrap_or_default();
        self.uids.insert(id.clone(), uid);
        let nobodys = self.of_nobody.remove(&id.namespace);
        let mut work: Vec<Work> = nobodys.into_iter().flatten().map(Work::Child).collect();
        for index in self.of_owner.remove(&id).unwrap_or_default() {
            let Some((missing, object)) = self.waiting.get_mut(index) else {
                continue;
            };
            *missing -= 1;
            if *missing == 0 {
                let mut object = std::mem::take(object);
                owned_anew(&mut object, &id.namespace, &self.uids);
                work.push(Work::Child(object));
            }
        }
        if let Some(status) = self.statuses.remove(&id) {
            work.push(Work::Status(id, status));
        }
        work
    }
}

/// The recorded owners' uids are another server's.
fn owned_anew(object: &mut Value, namespace: &str, uids: &HashMap<Id, String>) {
    let references = object.pointer_mut("/metadata/ownerReferences");
    for reference in references
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let text = |key: &str| reference[key].as_str().unwrap_or_default().to_owned();
        let id = Id {
            kind: text("kind"),
            namespace: namespace.to_owned(),
            name: text("name"),
        };
        if let Some(uid) = uids.get(&id) {
            reference["uid"] = json!(uid);
        }
    }
}

/// Applies the world with one client, and writes children and statuses with the other.
pub async fn replay(
    applying: &Client,
    writing: &Client,
    recording: &Recording,
    size: Size,
    (way, at_once): (Way, usize),
) -> Result<()> {
    let plan = Arc::new(Mutex::new(Plan::new(recording)));
    let (sender, receiver) = mpsc::unbounded_channel();
    let created = {
        let plan = plan.clone();
        move |parent: DynamicObject| {
            let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            for work in plan.created(&parent) {
                let _ = sender.send(work);
            }
        }
    };
    let apply = world::create(applying, size.objects(), size.concurrency, created);
    let works = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|work| (work, receiver))
    });
    let write = works
        .map(|work| write(writing.clone(), work, way))
        .buffer_unordered(at_once);
    let write = async {
        tokio::pin!(write);
        while let Some(written) = write.next().await {
            written?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(apply, write).map(drop)
}

async fn write(client: Client, work: Work, way: Way) -> Result<()> {
    let params = PatchParams::apply("floor").force();
    match work {
        Work::Child(object) => {
            let object: DynamicObject = serde_json::from_value(object)?;
            let api = world::api_of(client, &object)?;
            let name = object
                .metadata
                .name
                .as_deref()
                .context("a child without a name")?;
            match way {
                Way::Create => api.create(&PostParams::default(), &object).await?,
                Way::Apply => api.patch(name, &params, &Patch::Apply(&object)).await?,
            };
        }
        Work::Status(id, status) => {
            let resource = world::resource(&id.kind);
            let api: Api<DynamicObject> = Api::namespaced_with(client, &id.namespace, &resource);
            let patch = json!({"apiVersion": resource.api_version, "kind": id.kind,
                "metadata": {"name": id.name}, "status": status});
            match way {
                Way::Create => {
                    let patch = Patch::Merge(&patch);
                    api.patch_status(&id.name, &PatchParams::default(), &patch)
                        .await?
                }
                Way::Apply => {
                    api.patch_status(&id.name, &params, &Patch::Apply(&patch))
                        .await?
                }
            };
        }
    }
    Ok(())
}
