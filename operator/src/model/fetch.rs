//! The only reads: Secrets, groups and their pods, the prefetch Job, and why it failed if it did.

use aios_crds::{cold_start::ColdStart, reference::KeyRef, rollout::RolloutStatus};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::api::ListParams;

use crate::{
    apply::Child,
    context::Context,
    control::Index,
    error::Result,
    model::{
        groups::{Group, seen},
        kserve,
        ledger::{self, Entry, Facts, is_of_job},
        prefetch::{Fetched, look},
        rollout,
        validate::{Backend, Model, Own},
    },
    names::{self, LABEL_GROUP, LABEL_MODEL},
};

pub struct Found {
    /// Whether the keys of provider or sources are there; `None` when the model needs none.
    pub credentials: Option<Credentials>,
    /// How far the weights are; `None` for models that need none.
    pub weights: Option<Fetched>,
    /// The Job that fetches them.
    pub prefetch: Option<Job>,
    /// Groups that exist.
    pub groups: Vec<Group>,
    /// StatefulSets of the groups.
    pub sets: Vec<StatefulSet>,
    /// Models with a rollout only.
    pub rollout: Option<rollout::Found>,
    /// The newest start of a group.
    pub started: Option<Entry>,
    /// Whether KServe is installed, of models that it may run, or ran.
    pub kserve: bool,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Ready,
    /// The weights are there already.
    Unneeded,
    /// Secret and key that are missing.
    Missing {
        secret: String,
        key: String,
    },
}

/// What was told before of a model's start and of its rollout.
#[derive(Clone, Copy, Default)]
pub struct Before<'a> {
    /// The revision that the spec makes, of models with a rollout.
    pub wanted: Option<&'a str>,
    pub start: Option<&'a ColdStart>,
    pub rollout: Option<&'a RolloutStatus>,
}

pub async fn fetch(model: &Model, before: Before<'_>, context: &Context) -> Result<Found> {
    let (namespace, at) = (model.namespace.as_str(), Timestamp::now());
    let (mut credentials, mut weights, mut prefetch) = (None, None, None);
    let (mut groups, mut sets, mut rollout) = (Vec::new(), Vec::new(), None);
    let mut started = None;
    match &model.backend {
        Backend::Hosted { credentials: key } => {
            if let Some(key) = key {
                credentials = Some(held(context, namespace, [key]).await?);
            }
        }
        Backend::Own(own) => {
            let of_model = format!("{LABEL_MODEL}={}", model.name);
            // Of groups, and of the prefetch Job.
            let pods: Vec<Pod> = labelled(context, namespace, &of_model).await?;
            if !own.weights.is_empty() {
                let (found, job) = brought(model, own, context, &pods).await?;
                let files = own.weights.files();
                let keys: Vec<&KeyRef> =
                    files.filter_map(|file| file.credentials.as_ref()).collect();
                if !keys.is_empty() {
                    credentials = Some(if found.is_ready() {
                        Credentials::Unneeded
                    } else {
                        held(context, namespace, keys).await?
                    });
                }
                (weights, prefetch) = (Some(found), job);
            }
            let selector = format!("{of_model},{LABEL_GROUP}");
            sets = labelled::<StatefulSet>(context, namespace, &selector).await?;
            groups = seen(&sets, &pods);
            let facts = Facts {
                groups: &groups,
                pods: &pods,
                prefetch: prefetch.as_ref(),
                last: before.start,
            };
            started = ledger::newest(&facts, |uid| {
                context.hub.read(|index| index.first_token(namespace, uid))
            });
            if let (Some(wanted), Some(spec)) = (before.wanted, &own.rollout) {
                let seen = (groups.as_slice(), at);
                let asked = (model, own.replicas as usize, spec);
                let found = rollout::fetch(context, asked, seen, wanted, before.rollout);
                rollout = Some(found.await?);
            }
        }
    }
    let kserve = kserve::is_concerned(context, model).await?;
    Ok(Found {
        credentials,
        weights,
        prefetch,
        groups,
        sets,
        rollout,
        started,
        kserve,
        at,
    })
}

async fn labelled<K: Child>(context: &Context, namespace: &str, labels: &str) -> Result<Vec<K>> {
    let which = ListParams::default().labels(labels);
    context.applier.list(namespace, labels, &which).await
}

/// Whether every key is there, or the first that is not.
async fn held<'a>(
    context: &Context,
    namespace: &str,
    keys: impl IntoIterator<Item = &'a KeyRef>,
) -> Result<Credentials> {
    for reference in keys {
        let secret = context
            .applier
            .get::<Secret>(namespace, &reference.name)
            .await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let held = data
            .get(&reference.key)
            .is_some_and(|value| !value.0.is_empty());
        if !held {
            return Ok(Credentials::Missing {
                secret: reference.name.clone(),
                key: reference.key.clone(),
            });
        }
    }
    Ok(Credentials::Ready)
}

/// How far the weights are, and the Job that brings them.
async fn brought(
    model: &Model,
    own: &Own,
    context: &Context,
    pods: &[Pod],
) -> Result<(Fetched, Option<Job>)> {
    let namespace = model.namespace.as_str();
    let name = names::model_prefetch(&model.name, &own.weights.hash);
    let job = context.applier.get::<Job>(namespace, &name).await?;
    let of_job = pods.iter().filter(|pod| is_of_job(pod, &name));
    let pods: Vec<Pod> = of_job.cloned().collect();
    let report = |index: &Index| index.weights_report(namespace, &model.name).cloned();
    let report = context.hub.read(report);
    Ok((
        look(&own.weights, job.as_ref(), &pods, report.as_ref()),
        job,
    ))
}
