//! The leader's mark on its pod, which the control Service selects.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    names::{FIELD_MANAGER, LABEL_LEADER, LABEL_NAME, LEASE},
    settings::Settings,
};

/// How often the API server is asked whether it knows the new leader.
const ASK: Duration = Duration::from_millis(100);

/// Longer than any API server is behind its own writes.
const LATE: Duration = Duration::from_secs(10);

/// Waits until the API server lets this leader write: its policy may see the Lease a moment late.
pub async fn admitted(client: &Client, settings: &Settings) -> Result<(), kube::Error> {
    let Some(pod) = &settings.pod_name else {
        return Ok(());
    };
    let (begun, mut is_told) = (Instant::now(), false);
    while let Err(error) = patch(client, settings, pod, true, true).await {
        if !matches!(&error, kube::Error::Api(status) if status.code == 403) {
            return Err(error);
        }
        if !is_told && begun.elapsed() > LATE {
            is_told = true;
            tracing::warn!(
                %error,
                "this replica holds Lease {LEASE}, and the API server goes by an older one: it stopped watching \
                 Leases when the last policy that reads them lost its binding (kubernetes/kubernetes#130887). \
                 Restart the API server, or delete the ValidatingAdmissionPolicyBinding whose paramRef is this Lease \
                 until you can"
            );
        }
        tokio::time::sleep(ASK).await;
    }
    Ok(())
}

/// Marks this pod as the leader's, and takes the mark from a predecessor that could not.
pub async fn mark(client: &Client, settings: &Settings) -> Result<(), kube::Error> {
    let Some(pod) = &settings.pod_name else {
        return Ok(());
    };
    let marked = ListParams::default().labels(&format!("{LABEL_NAME}=aios,{LABEL_LEADER}=true"));
    let found = Api::<Pod>::namespaced(client.clone(), &settings.namespace)
        .list_metadata(&marked)
        .await?;
    for other in found.items.iter().map(ResourceExt::name_any) {
        if other != *pod {
            gone_is_fine(patch(client, settings, &other, false, false).await)?;
        }
    }
    patch(client, settings, pod, true, false).await
}

/// Takes the mark from this pod. Who does not lead may do this, and nothing else.
pub async fn unmark(client: &Client, settings: &Settings) -> Result<(), kube::Error> {
    match &settings.pod_name {
        Some(pod) => patch(client, settings, pod, false, false).await,
        None => Ok(()),
    }
}

async fn patch(
    client: &Client,
    settings: &Settings,
    pod: &str,
    leads: bool,
    dry_run: bool,
) -> Result<(), kube::Error> {
    let value = leads.then_some("true");
    let patch = json!({"metadata": {"labels": {LABEL_LEADER: value}}});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        dry_run,
        ..PatchParams::default()
    };
    Api::<Pod>::namespaced(client.clone(), &settings.namespace)
        .patch_metadata(pod, &params, &Patch::Merge(&patch))
        .await
        .map(drop)
}

fn gone_is_fine(patched: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match patched {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => patched,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::mark;
    use crate::testing::{self, server::Server};
    use http::Method;
    use serde_json::json;

    #[tokio::test]
    async fn a_leader_takes_the_mark_from_a_frozen_predecessor_before_it_marks_itself() {
        let pods = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {}, "items": [
                {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": {"name": "old"}},
                {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": {"name": "new"}}]});
        let server = Server::start(move |request, _| match request.method() {
            &Method::GET => (200, pods.clone()),
            _ => (
                200,
                json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": {"name": "any"}}),
            ),
        });
        let mut settings = testing::settings();
        settings.pod_name = Some("new".into());
        let _ = mark(&server.client, &settings).await;
        let written: Vec<_> = server
            .requests()
            .into_iter()
            .filter(|request| request.method == Method::PATCH)
            .map(|request| {
                let pod = request.path.rsplit('/').next().unwrap().to_owned();
                (
                    pod,
                    request.body["metadata"]["labels"]["aios.dev/leader"].clone(),
                )
            })
            .collect();
        assert_eq!(
            written,
            [
                ("old".to_owned(), json!(null)),
                ("new".to_owned(), json!("true"))
            ]
        );
    }
}
