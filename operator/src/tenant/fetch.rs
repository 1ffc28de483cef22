//! The only reads: pipelines and models from the watches, Secrets and the gateway from the server.

use aios_crds::{ModelDeployment, WritingPipeline};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Secret},
};

use crate::{
    context::Context,
    error::Result,
    names::{CLIENT_TLS, GATEWAY, GATEWAY_DATA, GATEWAY_TLS},
};

#[derive(Default)]
pub struct Found {
    pub pipelines: Vec<WritingPipeline>,
    pub models: Vec<ModelDeployment>,
    pub client: Option<Secret>,
    pub serving: Option<Secret>,
    /// The gateway with a volume.
    pub gateway: Option<StatefulSet>,
    /// The gateway with PostgreSQL.
    pub replicas: Option<Deployment>,
    /// Only read where the platform offers PostgreSQL.
    pub claim: Option<PersistentVolumeClaim>,
    pub postgres: Option<Secret>,
}

pub async fn fetch(namespace: &str, context: &Context) -> Result<Found> {
    let pipelines = context.stores.pipelines(namespace);
    let models = context.stores.models(namespace);
    let (mut client, mut serving, mut gateway) = (None, None, None);
    let (mut replicas, mut claim, mut postgres) = (None, None, None);
    if !pipelines.is_empty() || !models.is_empty() {
        client = context
            .applier
            .get_own::<Secret>(namespace, CLIENT_TLS)
            .await?;
    }
    if !pipelines.is_empty() {
        serving = context
            .applier
            .get_own::<Secret>(namespace, GATEWAY_TLS)
            .await?;
        gateway = context
            .applier
            .get::<StatefulSet>(namespace, GATEWAY)
            .await?;
        replicas = context
            .applier
            .get_own::<Deployment>(namespace, GATEWAY)
            .await?;
    }
    if let (Some(secret), false) = (
        &context.settings.gateway_postgres_secret,
        pipelines.is_empty(),
    ) {
        postgres = if gateway.is_some() {
            context.applier.get_own::<Secret>(namespace, secret).await?
        } else {
            // The watch may not have shown yet what decides where documents are for good.
            context.applier.get::<Secret>(namespace, secret).await?
        };
        if postgres.is_some() && gateway.is_none() && replicas.is_none() {
            // Retained from an earlier gateway, it may not carry our labels any more.
            claim = context
                .applier
                .get::<PersistentVolumeClaim>(namespace, GATEWAY_DATA)
                .await?;
        }
    }
    Ok(Found {
        pipelines,
        models,
        client,
        serving,
        gateway,
        replicas,
        claim,
        postgres,
    })
}
