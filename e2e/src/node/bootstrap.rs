//! What a fresh API server is given before the cluster counts as up.

use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{GPUS, NODE, relay, volumes};
use crate::files::ClusterDir;
use crate::testing::{apply_yaml, client_of, eventually};

const DEADLINE: Duration = Duration::from_mins(2);

/// DNS reads Services; the class provides volumes; see [`volumes`].
fn objects() -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: system:coredns}}
rules:
- {{apiGroups: [''], resources: [services, pods, namespaces], verbs: [list, watch]}}
- {{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: system:coredns}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}}
subjects:
- {{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {class}
  annotations: {{storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: {provisioner}
reclaimPolicy: Delete
volumeBindingMode: WaitForFirstConsumer
",
        class = volumes::CLASS,
        provisioner = volumes::PROVISIONER,
    )
}

/// Waits for the API server, applies the objects, and waits until pods can run.
pub async fn run(dir: &ClusterDir) -> Result<()> {
    let client = api_server(dir).await?;
    apply_yaml(&client, None, &objects()).await?;
    advertise_gpus(&client).await?;
    node_ready(&client).await?;
    default_account(&client).await?;
    dns_ready(dir).await
}

async fn api_server(dir: &ClusterDir) -> Result<Client> {
    eventually("the API server is ready", DEADLINE, async || {
        let client = client_of(&dir.kubeconfig()).await?;
        let request = http::Request::get("/readyz").body(Vec::new())?;
        client.request_text(request).await?;
        Ok(Some(client))
    })
    .await
}

async fn advertise_gpus(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let gpus = json!({"nvidia.com/gpu": GPUS});
    let patch = json!({"status": {"capacity": gpus, "allocatable": gpus}});
    eventually("the node has registered", DEADLINE, async || {
        nodes
            .patch_status(NODE, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        Ok(Some(()))
    })
    .await
}

async fn node_ready(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    eventually("the node is Ready", DEADLINE, async || {
        let node = nodes.get(NODE).await?;
        let untainted = node
            .spec
            .as_ref()
            .is_none_or(|spec| spec.taints.as_ref().is_none_or(Vec::is_empty));
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let ready = conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one.type_ == "Ready" && one.status == "True")
        });
        if !(ready && untainted) {
            bail!("{}: {conditions:?}", node.name_any());
        }
        Ok(Some(()))
    })
    .await
}

/// Pods are refused until their namespace has its ServiceAccount.
async fn default_account(client: &Client) -> Result<()> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    eventually("the default ServiceAccount exists", DEADLINE, async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await?;
    Ok(())
}

async fn dns_ready(dir: &ClusterDir) -> Result<()> {
    eventually("DNS is ready", DEADLINE, async || {
        let mut stream = relay::dial(&dir.dial_socket(), "127.0.0.1:8181").await?;
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.starts_with("HTTP/1.0 200").then_some(()))
    })
    .await
}
