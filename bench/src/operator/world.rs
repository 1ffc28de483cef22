//! What is applied: pipelines and models, spread over namespaces. Pure, but for applying it.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use aios_e2e::testing::control_plane::NAMESPACE;

pub const MODEL: &str = "ModelDeployment";
pub const PIPELINE: &str = "WritingPipeline";
pub const PARENTS: [&str; 2] = [MODEL, PIPELINE];
/// Label of every child, whoever makes it.
pub const OURS: &str = "app.kubernetes.io/managed-by=aios-operator";

/// What the operator keeps for itself, as its CA, is nobody's child.
pub fn is_childs_place(namespace: Option<&str>) -> bool {
    namespace.is_some_and(|namespace| namespace != NAMESPACE)
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Id {
    pub fn of<K: Resource>(kind: &str, object: &K) -> Self {
        Self {
            kind: kind.to_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }

    /// Of an object that names its own kind.
    pub fn of_typed(object: &DynamicObject) -> Self {
        let kind = object.types.as_ref().map_or("", |types| &types.kind);
        Self::of(kind, object)
    }
}

/// How much is applied: so many of both kinds, evenly over the namespaces.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub each: usize,
    pub namespaces: usize,
    /// Requests at once of the client that applies.
    pub concurrency: usize,
}

impl Size {
    pub const fn parents(self) -> usize {
        self.each * 2
    }

    fn namespace(self, index: usize) -> String {
        format!("bench-{:04}", index * self.namespaces / self.each.max(1))
    }

    /// Every object, namespace by namespace, each pipeline after the model it drafts with.
    pub fn objects(self) -> Vec<DynamicObject> {
        let both = |index: usize| {
            let namespace = self.namespace(index);
            [model(&namespace, index), pipeline(&namespace, index)]
        };
        (0..self.each).flat_map(both).collect()
    }
}

/// Of an AIOS kind.
pub fn resource(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("aios.dev", "v1alpha1", kind))
}

pub fn model_name(index: usize) -> String {
    format!("model-{index:05}")
}

fn object(kind: &str, namespace: &str, name: &str, spec: &Value) -> DynamicObject {
    DynamicObject::new(name, &resource(kind))
        .within(namespace)
        .data(json!({"spec": spec}))
}

fn model(namespace: &str, index: usize) -> DynamicObject {
    let spec = json!({
        "hosted": {"provider": "OpenAICompatible", "model": "writer-large",
            "baseURL": "http://models.example.internal:8080/v1"},
        "pricing": {"inputPerMillion": "0.15", "outputPerMillion": "0.60", "currency": "EUR"},
    });
    object(MODEL, namespace, &model_name(index), &spec)
}

fn pipeline(namespace: &str, index: usize) -> DynamicObject {
    let text = "Dear {{ customer.name }},\n\n{{ slots.opening }}\n\nOur next talk is about \
        {{ customer.topic }}.\n\nYour team\nWritten with AI assistance.\n";
    let spec = json!({
        "content": {
            "kind": "Email",
            "variables": {"type": "object", "required": ["customerId", "customer"], "properties": {
                "customerId": {"type": "integer"},
                "customer": {"type": "object", "required": ["id", "name", "topic"], "properties": {
                    "id": {"type": "integer"},
                    "name": {"type": "string", "minLength": 1, "maxLength": 80},
                    "topic": {"type": "string", "minLength": 1, "maxLength": 120}}}}},
            "subjectVariable": "customer.id",
            "skeletons": [{"language": "en",
                "parts": [
                    {"name": "subject", "template": {"inline": "Welcome, {{ customer.name }}"}},
                    {"name": "text", "template": {"inline": text}}],
                "slots": [{"name": "opening", "safe": "We are glad to have you with us.",
                    "prompt": "Write one short sentence about {{ customer.topic }}.",
                    "maxTokens": 40, "maxSentences": 1}]}],
        },
        "context": [{"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}],
        "models": {"draft": {"routes": [{"model": model_name(index)}]}},
        "publish": [{"name": "receiver",
            "webhook": {"url": "http://receiver.example.internal/deliveries", "readBack": true}}],
    });
    object(PIPELINE, namespace, &format!("pipeline-{index:05}"), &spec)
}

/// A spec that differs with each turn: a price of a model, a text of a pipeline.
fn change(kind: &str, turn: usize) -> Value {
    if kind == MODEL {
        json!({"spec": {"pricing": {"outputPerMillion": format!("{}.60", turn % 1000 + 1)}}})
    } else {
        json!({"spec": {"publish": [{"name": "receiver", "webhook": {
            "url": format!("http://receiver.example.internal/deliveries/{turn}"),
            "readBack": true}}]}})
    }
}

/// Makes the namespaces that a size needs.
pub async fn namespaces(client: &Client, size: Size) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut names: Vec<String> = (0..size.each).map(|index| size.namespace(index)).collect();
    names.dedup();
    stream::iter(names)
        .map(|name| {
            let api = api.clone();
            async move {
                let namespace = Namespace {
                    metadata: kube::api::ObjectMeta {
                        name: Some(name),
                        ..Default::default()
                    },
                    ..Namespace::default()
                };
                api.create(&PostParams::default(), &namespace).await
            }
        })
        .buffer_unordered(size.concurrency)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(())
}

/// Creates objects with bounded concurrency, and tells of each as the server has it.
pub async fn create(
    client: &Client,
    objects: Vec<DynamicObject>,
    concurrency: usize,
    created: impl Fn(DynamicObject) + Send + Sync,
) -> Result<()> {
    let created = &created;
    stream::iter(objects.into_iter().map(Ok::<_, anyhow::Error>))
        .try_for_each_concurrent(concurrency, |object| {
            let client = client.clone();
            async move {
                let api = api_of(client, &object)?;
                let answer = api.create(&PostParams::default(), &object).await?;
                created(answer);
                Ok(())
            }
        })
        .await
}

/// The API of an object's own kind and namespace.
pub fn api_of(client: Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("an object without a kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let namespace = object
        .namespace()
        .context("an object without a namespace")?;
    Ok(Api::namespaced_with(
        client,
        &namespace,
        &ApiResource::from_gvk(&kind),
    ))
}

/// One change of a spec: the object, its new generation, and when it was asked for.
pub struct Changed {
    pub id: Id,
    pub generation: i64,
    pub asked: Instant,
}

/// Changes one object's spec.
pub async fn write_spec(
    client: Client,
    object: Arc<DynamicObject>,
    turn: usize,
) -> Result<Changed> {
    let api = api_of(client, &object)?;
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let asked = Instant::now();
    let patch = Patch::Merge(change(kind, turn));
    let answer = api
        .patch(&object.name_any(), &PatchParams::default(), &patch)
        .await?;
    Ok(Changed {
        id: Id::of_typed(&object),
        generation: answer.metadata.generation.unwrap_or_default(),
        asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_spread_evenly_and_follow_the_model_they_use() {
        let size = Size {
            each: 4,
            namespaces: 2,
            concurrency: 1,
        };
        let objects = size.objects();
        assert_eq!(objects.len(), size.parents());
        let placed: Vec<_> = objects
            .iter()
            .map(|object| object.namespace().unwrap())
            .collect();
        assert_eq!(
            placed.iter().filter(|name| *name == "bench-0000").count(),
            4
        );
        assert_eq!(objects[0].types.as_ref().unwrap().kind, MODEL);
    }

    #[test]
    fn two_turns_write_two_specs() {
        assert_ne!(change(MODEL, 1), change(MODEL, 2));
        assert_ne!(change(PIPELINE, 1), change(PIPELINE, 2));
    }
}
