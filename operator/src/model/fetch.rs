//! The only reads: Secrets, groups and their pods, the prefetch Job, and why it failed if it did.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::api::ListParams;

use crate::{
    context::Context,
    error::Result,
    model::{
        groups::{Group, seen},
        prefetch::{Fetched, fetched},
        validate::{Backend, Model},
    },
    names::{self, LABEL_GROUP, LABEL_MODEL},
};

pub struct Found {
    /// Whether the provider's key is there; `None` when the model needs none.
    pub credentials: Option<Credentials>,
    pub certificate: Option<Secret>,
    /// How far the weights are; `None` for hosted models.
    pub weights: Option<Fetched>,
    /// The Job that fetches them.
    pub prefetch: Option<Job>,
    /// Groups that exist.
    pub groups: Vec<Group>,
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
        .get_own::<Secret>(namespace, &names::model_tls(&model.name))
        .await?;
    let (mut credentials, mut weights, mut prefetch) = (None, None, None);
    let mut groups = Vec::new();
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
                    let selector = format!("batch.kubernetes.io/job-name={name}");
                    context
                        .applier
                        .list::<Pod>(namespace, &selector, &by(&selector))
                        .await?
                }
                _ => Vec::new(),
            };
            weights = Some(fetched(job.as_ref(), &pods));
            prefetch = job;
            let selector = format!("{LABEL_MODEL}={},{LABEL_GROUP}", model.name);
            let sets = context
                .applier
                .list::<StatefulSet>(namespace, &selector, &by(&selector))
                .await?;
            let pods = context
                .applier
                .list::<Pod>(namespace, &selector, &by(&selector))
                .await?;
            groups = seen(&sets, &pods);
        }
    }
    Ok(Found {
        credentials,
        certificate,
        weights,
        prefetch,
        groups,
    })
}

fn by(labels: &str) -> ListParams {
    ListParams::default().labels(labels)
}
