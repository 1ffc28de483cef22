//! The only reads: pipelines and models from the watches, Secrets and the gateway from the server.

use aios_crds::{ModelDeployment, WritingPipeline};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret};

use crate::{
    context::Context,
    error::Result,
    names::{CLIENT_TLS, GATEWAY, GATEWAY_TLS},
};

pub struct Found {
    pub pipelines: Vec<WritingPipeline>,
    pub models: Vec<ModelDeployment>,
    pub client: Option<Secret>,
    pub serving: Option<Secret>,
    pub gateway: Option<StatefulSet>,
}

pub async fn fetch(namespace: &str, context: &Context) -> Result<Found> {
    let pipelines = context.stores.pipelines(namespace);
    let models = context.stores.models(namespace);
    let (mut client, mut serving, mut gateway) = (None, None, None);
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
    }
    Ok(Found {
        pipelines,
        models,
        client,
        serving,
        gateway,
    })
}
