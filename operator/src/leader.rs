//! Leadership: one operator reconciles and serves; the others wait, healthy. Whoever loses the lease
//! ends its process, so that no task of an old leader writes again.

use std::time::Duration;

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    names::{FIELD_MANAGER, LABEL_LEADER, OPERATOR},
    settings::Settings,
};

/// Seconds after which a silent leader's lease is free.
const DURATION: u64 = 15;
/// Seconds before that at which it is renewed.
const GRACE: u64 = 5;

/// How often the leader looks at its lease.
const CONFIRM: Duration = Duration::from_secs(5);

pub struct Election {
    leases: Api<Lease>,
    identity: String,
    leads: watch::Receiver<bool>,
    task: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
}

impl Election {
    /// Takes part. Its client is its own: a slow reconcile never delays a renewal.
    pub async fn join(client: Client, settings: &Settings) -> kube_lease_manager::Result<Self> {
        let leases = Api::namespaced(client.clone(), &settings.namespace);
        let manager = LeaseManagerBuilder::new(client, OPERATOR)
            .with_namespace(&settings.namespace)
            .with_identity(settings.identity())
            .with_duration(DURATION)
            .with_grace(GRACE)
            // Exclusion rests on apply conflicts between managers: each operator is one of its own.
            .with_field_manager(format!("{FIELD_MANAGER}-{}", settings.identity()))
            .build()
            .await?;
        let (leads, task) = manager.watch().await;
        Ok(Self {
            leases,
            identity: settings.identity(),
            leads,
            task,
        })
    }

    /// Waits until this operator leads. `false` when the election itself ended.
    pub async fn won(&mut self) -> bool {
        self.leads.wait_for(|leads| *leads).await.is_ok()
    }

    /// Waits until this operator no longer leads, or can no longer know that it does.
    pub async fn lost(&mut self) {
        let unsure = unconfirmed(&self.leases, &self.identity);
        tokio::select! {
            _ = self.leads.wait_for(|leads| !*leads) => {}
            () = unsure => tracing::error!("the lease could not be confirmed"),
        }
    }

    /// Gives the lease back, so that the next leader need not wait for it to end.
    pub async fn leave(self) {
        drop(self.leads);
        match self.task.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back"),
            Err(error) => tracing::warn!(%error, "the election ended badly"),
        }
    }
}

/// Returns once the lease was not seen in our hands for as long as it lasts. The manager keeps on
/// trying while the API server is away; a leader that cannot renew must end before its successor
/// starts.
async fn unconfirmed(leases: &Api<Lease>, identity: &str) {
    let limit = Duration::from_secs(DURATION);
    let mut confirmed = Instant::now();
    while confirmed.elapsed() < limit {
        tokio::time::sleep(CONFIRM).await;
        let asked = Instant::now();
        let left = limit.saturating_sub(confirmed.elapsed());
        if let Ok(Ok(lease)) = tokio::time::timeout(left, leases.get(OPERATOR)).await
            && lease
                .spec
                .is_some_and(|spec| spec.holder_identity.as_deref() == Some(identity))
        {
            confirmed = asked;
        }
    }
}

/// Marks this pod as the leader's or unmarks it: the control Service selects the mark.
pub async fn mark(client: &Client, settings: &Settings, leads: bool) -> Result<(), kube::Error> {
    let Some(pod) = &settings.pod_name else {
        return Ok(());
    };
    let value = leads.then_some("true");
    let patch = json!({"metadata": {"labels": {LABEL_LEADER: value}}});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    Api::<Pod>::namespaced(client.clone(), &settings.namespace)
        .patch_metadata(pod, &params, &Patch::Merge(&patch))
        .await
        .map(drop)
}
