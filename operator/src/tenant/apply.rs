//! Writes a tenant's objects: configuration before workloads.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::{
    context::Context,
    error::{Error, Result},
    tenant::{
        Gateway,
        build::{Desired, GatewayObjects, keys},
        validate::Tenant,
    },
};

pub async fn apply(context: &Context, tenant: &Tenant, desired: Desired) -> Result<Gateway> {
    let (applier, namespace) = (&context.applier, tenant.namespace.as_str());
    applier.apply(namespace, &desired.trust).await?;
    applier.apply(namespace, &desired.client).await?;
    let Some(gateway) = desired.gateway else {
        return Ok(Gateway::default());
    };
    let GatewayObjects {
        keys_meta,
        serving,
        account,
        worker,
        role,
        binding,
        service,
        policy,
        workload,
        claim,
    } = *gateway;
    // Keys before anything that mounts them; once made they are never written again.
    if applier
        .apply_existing(namespace, &keys_meta)
        .await?
        .is_none()
    {
        let fresh = keys::fresh(namespace).map_err(Error::Randomness)?;
        applier.create_once(namespace, &fresh).await?;
        applier.apply_existing(namespace, &keys_meta).await?;
    }
    applier.apply(namespace, &serving).await?;
    applier.apply(namespace, &account).await?;
    applier.apply(namespace, &worker).await?;
    applier.apply(namespace, &role).await?;
    applier.apply(namespace, &binding).await?;
    applier.apply(namespace, &service).await?;
    applier.apply(namespace, &policy).await?;
    let workload = applier.apply(namespace, &workload).await?;
    applier
        .apply_existing::<PersistentVolumeClaim>(namespace, &claim)
        .await?;
    let ready = workload
        .status
        .and_then(|status| status.ready_replicas)
        .unwrap_or_default()
        > 0;
    Ok(Gateway {
        applied: true,
        ready,
        error: None,
    })
}
