//! From what was read to what the builders need, so that they cannot go wrong.

use std::{collections::BTreeSet, time::Duration};

use aios_compile::references;
use aios_crds::writing_pipeline::DeletionPolicy;
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};

use kube::Resource;

use crate::{
    apply::owned_by,
    ca::{Authority, Issued, Need, Subject, need, seen},
    error::Result,
    names::{self, GATEWAY},
    tenant::fetch::Found,
};

/// A namespace with at least one pipeline or model.
pub struct Tenant {
    pub namespace: String,
    /// Every pipeline and model.
    pub owners: Vec<OwnerReference>,
    /// There is one once there is a pipeline.
    pub gateway: Option<GatewayNeeds>,
}

pub struct GatewayNeeds {
    /// Every pipeline.
    pub owners: Vec<OwnerReference>,
    /// Secrets that publishers sign with.
    pub secrets: BTreeSet<String>,
    /// Whether volume and keys go with the last pipeline: only if all say so.
    pub delete_data: bool,
}

/// Certificates, kept or fresh.
pub struct Papers {
    pub ca: String,
    pub client: Issued,
    pub serving: Option<Issued>,
    /// When the next one is due.
    pub look_again: Option<Duration>,
}

pub fn validate(namespace: &str, found: &Found) -> Option<Tenant> {
    let pipelines: Vec<_> = owners(&found.pipelines).collect();
    let owners: Vec<_> = pipelines
        .iter()
        .cloned()
        .chain(owners(&found.models))
        .collect();
    if owners.is_empty() {
        return None;
    }
    let secrets = found
        .pipelines
        .iter()
        .flat_map(|pipeline| references::of_pipeline(&pipeline.spec).secrets)
        .map(|(secret, _)| secret)
        .collect();
    let delete_data = found
        .pipelines
        .iter()
        .all(|p| p.spec.deletion_policy == DeletionPolicy::Delete);
    let gateway = (!pipelines.is_empty()).then_some(GatewayNeeds {
        owners: pipelines,
        secrets,
        delete_data,
    });
    Some(Tenant {
        namespace: namespace.to_owned(),
        owners,
        gateway,
    })
}

/// As owners of what is shared, none of them its controller.
pub fn owners<K: Resource<DynamicType = ()>>(
    objects: &[K],
) -> impl Iterator<Item = OwnerReference> {
    objects.iter().filter_map(|object| owned_by(object, false))
}

/// Keeps certificates that are good and issues the others.
pub fn papers(
    tenant: &Tenant,
    found: &Found,
    authority: &Authority,
    now: Timestamp,
) -> Result<Papers> {
    let client = Subject::Client(names::tenant_identity(&tenant.namespace));
    let (client, mut look_again) = paper(authority, &client, found.client.as_ref(), now)?;
    let mut serving = None;
    if tenant.gateway.is_some() {
        let subject = Subject::Server(names::service_hosts(GATEWAY, &tenant.namespace));
        let (issued, again) = paper(authority, &subject, found.serving.as_ref(), now)?;
        serving = Some(issued);
        look_again = look_again.min(again);
    }
    Ok(Papers {
        ca: authority.bundle().to_owned(),
        client,
        serving,
        look_again: Some(look_again),
    })
}

/// A good certificate as it is stored, else a fresh one; and when to look again.
pub fn paper(
    authority: &Authority,
    subject: &Subject,
    stored: Option<&Secret>,
    now: Timestamp,
) -> Result<(Issued, Duration)> {
    let stored = stored.and_then(|secret| seen(authority, secret));
    match (
        need(stored.as_ref().map(|(seen, _)| seen), &subject.names(), now),
        stored,
    ) {
        (Need::Keep(left), Some((_, issued))) => Ok((issued, left)),
        _ => Ok((authority.issue(subject, now)?, Duration::from_hours(1))),
    }
}
