//! Writes a tenant's objects: configuration before workloads.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::{
    context::Context,
    error::{Error, Result},
    tenant::{
        Gateway,
        build::{Desired, GatewayObjects, Workload, keys},
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
        store_conflict,
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
    let ready = match &workload {
        Workload::Alone(set) => {
            let set = applier.apply(namespace, set.as_ref()).await?;
            set.status.and_then(|status| status.ready_replicas)
        }
        Workload::Replicated { deployment, budget } => {
            applier.apply(namespace, budget.as_ref()).await?;
            let deployment = applier.apply(namespace, deployment.as_ref()).await?;
            deployment.status.and_then(|status| status.ready_replicas)
        }
    };
    applier
        .apply_existing::<PersistentVolumeClaim>(namespace, &claim)
        .await?;
    Ok(Gateway {
        applied: true,
        ready: ready.unwrap_or_default() > 0,
        store_conflict,
        error: None,
    })
}
