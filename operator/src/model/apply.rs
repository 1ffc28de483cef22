//! Writes a model's objects: configuration before workloads, orphans swept last.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::ResourceExt;

use crate::{
    apply::sweep_model,
    context::Context,
    control::Enforcement,
    error::Result,
    model::{
        build::Desired,
        fetch::Found,
        prefetch::{Fetched, fetched},
        status::Applied,
        validate::{Backend, Model},
    },
};

pub async fn apply(
    context: &Context,
    model: &Model,
    found: &Found,
    desired: Desired,
) -> Result<Applied> {
    let (applier, namespace) = (&context.applier, model.namespace.as_str());
    applier.apply(namespace, &desired.account).await?;
    applier.apply(namespace, &desired.certificate).await?;
    for service in &desired.services {
        applier.apply(namespace, service).await?;
    }
    if let Some(claim) = &desired.claim {
        applier.apply(namespace, claim).await?;
    }
    let mut weights = found.weights.clone();
    if let Some(job) = &desired.prefetch {
        // Jobs are immutable, and one that ended is the proof of its weights: it stays as it is.
        if weights == Some(Fetched::Missing) {
            let job = applier.apply::<Job>(namespace, job).await?;
            weights = Some(fetched(Some(&job), &[]));
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
    let mut active = None;
    if let Some(workload) = &desired.active {
        active = Some(applier.apply(namespace, workload).await?);
    } else if let Some(name) = desired.kept.first() {
        active = applier.get::<Deployment>(namespace, name).await?;
    }
    let mut standby = None;
    if let Some(workload) = &desired.standby {
        standby = Some(applier.apply(namespace, workload).await?);
    } else if let Some(name) = desired.kept.get(1) {
        standby = applier.get::<Deployment>(namespace, name).await?;
    }
    sweep(context, model, &desired).await?;
    let (desired_standby, credentials) = match &model.backend {
        Backend::Own(own) => (own.standby, None),
        Backend::Hosted { .. } => (0, found.credentials.clone()),
    };
    Ok(Applied {
        credentials,
        weights,
        replicas: replicas(active.as_ref()),
        ready: ready(active.as_ref()),
        updated: settled(active.as_ref()),
        standby_ready: ready(standby.as_ref()),
        desired_standby,
        engine: matches!(model.backend, Backend::Own(_)),
        enforcement: Enforcement::default(),
        renewal: None,
        retry: retry.filter(|left| !left.is_zero()),
    })
}

async fn sweep(context: &Context, model: &Model, desired: &Desired) -> Result<()> {
    let Some(cell) = context.stores.cell(&model.namespace) else {
        return Ok(());
    };
    let (applier, children, namespace) = (&context.applier, &cell.children, &model.namespace);
    let uid = model
        .owner
        .first()
        .map(|owner| owner.uid.clone())
        .unwrap_or_default();
    let owner = (model.name.as_str(), uid.as_str());
    let mut workloads = desired.kept.clone();
    workloads.extend(
        [&desired.active, &desired.standby]
            .into_iter()
            .flatten()
            .map(Deployment::name_any),
    );
    sweep_model(applier, &children.deployments, namespace, owner, &workloads).await?;
    let services: Vec<String> = desired.services.iter().map(ResourceExt::name_any).collect();
    sweep_model(applier, &children.services, namespace, owner, &services).await?;
    let jobs: Vec<String> = desired.prefetch.iter().map(ResourceExt::name_any).collect();
    sweep_model(applier, &children.jobs, namespace, owner, &jobs).await?;
    let claims: Vec<String> = desired.claim.iter().map(ResourceExt::name_any).collect();
    sweep_model(applier, &children.claims, namespace, owner, &claims).await
}

fn ready(workload: Option<&Deployment>) -> i32 {
    workload
        .and_then(|w| w.status.as_ref()?.ready_replicas)
        .unwrap_or_default()
}

fn replicas(workload: Option<&Deployment>) -> i32 {
    workload
        .and_then(|w| w.status.as_ref()?.replicas)
        .unwrap_or_default()
}

/// Whether the server has rolled the workload out as it is specified now.
fn settled(workload: Option<&Deployment>) -> bool {
    let Some(workload) = workload else {
        return false;
    };
    let status = workload.status.clone().unwrap_or_default();
    let wanted = workload
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    status.observed_generation >= workload.metadata.generation
        && status.updated_replicas.unwrap_or_default() == wanted
        && status.replicas.unwrap_or_default() == wanted
}
