//! The only reads: Secrets, the prefetch Job, and why it failed if it did.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::{Api, api::ListParams};

use crate::{
    context::Context,
    error::{Error, Result, Verb},
    model::{
        prefetch::{Fetched, fetched},
        validate::{Backend, Model},
    },
    names,
};

pub struct Found {
    /// Whether the provider's key is there; `None` when the model needs none.
    pub credentials: Option<Credentials>,
    pub certificate: Option<Secret>,
    /// How far the weights are; `None` for hosted models.
    pub weights: Option<Fetched>,
    /// The Job that fetches them.
    pub prefetch: Option<Job>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Ready,
    /// Secret and key that are missing.
    Missing {
        secret: String,
        key: String,
    },
}

pub async fn fetch(model: &Model, context: &Context) -> Result<Found> {
    let namespace = model.namespace.as_str();
    let certificate = context
        .applier
        .get::<Secret>(namespace, &names::model_tls(&model.name))
        .await?;
    let (mut credentials, mut weights, mut prefetch) = (None, None, None);
    match &model.backend {
        Backend::Hosted {
            credentials: Some(reference),
        } => {
            let secret = context
                .applier
                .get::<Secret>(namespace, &reference.name)
                .await?;
            let data = secret.and_then(|secret| secret.data).unwrap_or_default();
            let held = data
                .get(&reference.key)
                .is_some_and(|value| !value.0.is_empty());
            credentials = Some(if held {
                Credentials::Ready
            } else {
                Credentials::Missing {
                    secret: reference.name.clone(),
                    key: reference.key.clone(),
                }
            });
        }
        Backend::Hosted { credentials: None } => {}
        Backend::Own(own) => {
            let name = names::model_prefetch(&model.name, &own.hash);
            let job = context.applier.get::<Job>(namespace, &name).await?;
            let pods = match &job {
                Some(job)
                    if job
                        .status
                        .as_ref()
                        .is_some_and(|s| s.failed.unwrap_or(0) > 0) =>
                {
                    pods_of(context, namespace, &name).await?
                }
                _ => Vec::new(),
            };
            weights = Some(fetched(job.as_ref(), &pods));
            prefetch = job;
        }
    }
    Ok(Found {
        credentials,
        certificate,
        weights,
        prefetch,
    })
}

async fn pods_of(context: &Context, namespace: &str, job: &str) -> Result<Vec<Pod>> {
    let selector = format!("batch.kubernetes.io/job-name={job}");
    let api = Api::<Pod>::namespaced(context.applier.client(), namespace);
    let pods = api.list(&ListParams::default().labels(&selector)).await;
    context.metrics.requested(Verb::List, pods.is_ok());
    Ok(pods
        .map_err(|error| Error::api(Verb::List, "Pod", job, error))?
        .items)
}
