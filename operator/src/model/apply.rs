//! Writes a model's objects: configuration before workloads, orphans swept last.

mod groups;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service},
    networking::v1::NetworkPolicy,
};
use kube::ResourceExt;

use crate::{
    apply::sweep_model,
    context::Context,
    control::Enforcement,
    error::Result,
    model::{
        build::Desired,
        fetch::{Credentials, Found},
        groups::{Group, SPREAD},
        kserve,
        prefetch::{Fetched, look},
        rollout::Asking,
        status::{Applied, Standing},
        validate::{Backend, Model},
    },
    names::group_shards,
};

pub async fn apply(
    context: &Context,
    model: &Model,
    found: &Found,
    desired: Desired,
) -> Result<Applied> {
    let (applier, namespace) = (&context.applier, model.namespace.as_str());
    applier.apply(namespace, &desired.account).await?;
    if let Some(certificate) = &desired.certificate {
        applier.apply(namespace, certificate).await?;
    }
    for service in &desired.services {
        applier.apply(namespace, service).await?;
    }
    if let Some(policy) = &desired.network {
        applier.apply(namespace, policy).await?;
    }
    if let Some(claim) = &desired.claim {
        applier.apply(namespace, claim).await?;
    }
    let mut weights = found.weights.clone();
    if let Some(job) = &desired.prefetch {
        // Jobs are immutable, and one that ended is the proof of its weights: it stays as it is.
        let may_fetch = !matches!(found.credentials, Some(Credentials::Missing { .. }));
        if let (Some(Fetched::Missing), true, Backend::Own(own)) =
            (&weights, may_fetch, &model.backend)
        {
            let job = applier.apply::<Job>(namespace, job).await?;
            weights = Some(look(&own.weights, Some(&job), &[], None));
        }
    }
    let retry = weights
        .as_ref()
        .and_then(|weights| weights.retry_in(Timestamp::now()));
    if let (Some(Duration::ZERO), Some(job)) = (retry, &found.prefetch) {
        // Its deletion brings us back, to make it anew.
        let uid = job.uid().unwrap_or_default();
        applier
            .delete::<Job>(namespace, &job.name_any(), &uid)
            .await?;
    }
    let mut ingress = None;
    if let Some(workload) = &desired.hosted {
        ingress = Some(applier.apply(namespace, workload).await?);
    } else if let Some(name) = &desired.kept {
        ingress = applier.get::<Deployment>(namespace, name).await?;
    }
    groups::apply(context, namespace, &found.groups, &desired.groups).await?;
    let inference = kserve::apply(context, model, found, &desired.inference).await?;
    let inference = inference.as_ref().map(kserve::told);
    if let Some(asking) = found
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.due.as_ref())
    {
        evaluate(context, namespace, asking, desired.evaluation.as_ref()).await?;
    }
    sweep(context, model, &desired).await?;
    let standing = match &model.backend {
        Backend::Own(own) => match &inference {
            Some(told) => told.standing,
            None => Standing::of_groups(own.waiting(), found, &desired),
        },
        Backend::Hosted { .. } => Standing::of_ingress(ingress.as_ref()),
    };
    Ok(Applied {
        credentials: found.credentials.clone(),
        weights,
        standing,
        engine: matches!(model.backend, Backend::Own(_)),
        enforcement: Enforcement::default(),
        renewal: None,
        nodes: None,
        nodes_again: None,
        scaled: None,
        hold_for: Duration::ZERO,
        retry: retry.filter(|left| !left.is_zero()),
        groups_again: unknown_groups(model, found),
        inference,
        started: found.started.clone(),
        rolled: None,
        spending: None,
    })
}

/// Jobs are immutable: one that is there is left alone until it is to be made anew, to which its deletion
/// brings us back.
async fn evaluate(
    context: &Context,
    namespace: &str,
    asking: &Asking,
    desired: Option<&Job>,
) -> Result<()> {
    let applier = &context.applier;
    match (&asking.job, desired) {
        (None, Some(desired)) => applier.apply::<Job>(namespace, desired).await.map(drop),
        (Some(job), _) if asking.outcome.retry_in(Timestamp::now()) == Some(Duration::ZERO) => {
            let uid = job.uid().unwrap_or_default();
            applier
                .delete::<Job>(namespace, &job.name_any(), &uid)
                .await
        }
        _ => Ok(()),
    }
}

/// When groups that have just become ready will be known to every node.
fn unknown_groups(model: &Model, found: &Found) -> Option<Duration> {
    let waits = matches!(&model.backend, Backend::Own(own) if own.standby > 0);
    let is_new = |group: &Group| group.is_ready() && !group.is_known(found.at);
    let any = waits && found.groups.iter().any(is_new);
    any.then_some(SPREAD.unsigned_abs())
}

async fn sweep(context: &Context, model: &Model, desired: &Desired) -> Result<()> {
    let (applier, namespace) = (&context.applier, &model.namespace);
    let uid = model
        .owner
        .first()
        .map(|owner| owner.uid.clone())
        .unwrap_or_default();
    let owner = (model.name.as_str(), uid.as_str());
    let deployments: Vec<String> = desired
        .hosted
        .iter()
        .map(ResourceExt::name_any)
        .chain(desired.kept.clone())
        .collect();
    sweep_model::<Deployment>(applier, namespace, owner, &deployments).await?;
    let sets: Vec<String> = desired
        .groups
        .iter()
        .flat_map(|group| [group.name.clone(), group_shards(&group.name)])
        .collect();
    sweep_model::<StatefulSet>(applier, namespace, owner, &sets).await?;
    let services: Vec<String> = desired.services.iter().map(ResourceExt::name_any).collect();
    let policies: Vec<String> = desired.network.iter().map(ResourceExt::name_any).collect();
    sweep_model::<NetworkPolicy>(applier, namespace, owner, &policies).await?;
    sweep_model::<Service>(applier, namespace, owner, &services).await?;
    let jobs = desired.prefetch.iter().chain(&desired.evaluation);
    let jobs: Vec<String> = jobs.map(ResourceExt::name_any).collect();
    sweep_model::<Job>(applier, namespace, owner, &jobs).await?;
    if desired.groups.iter().any(|group| group.sets.is_empty()) {
        // What runs on older weights may still read the cache that the new ones do without.
        return Ok(());
    }
    let claims: Vec<String> = desired.claim.iter().map(ResourceExt::name_any).collect();
    sweep_model::<PersistentVolumeClaim>(applier, namespace, owner, &claims).await
}
