//! The real metrics-server, from which a HorizontalPodAutoscaler learns what pods use. A cluster has
//! one; it stays with the cluster.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::{Cluster, apply_yaml, eventually};
use crate::images::Image;
use crate::tools::lock;

const DEADLINE: Duration = Duration::from_mins(2);
/// Those of the project itself, for a cluster whose kubelets sign their own certificates.
const SERVER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: metrics-server, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics-server-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'metrics-server:system:auth-delegator'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:auth-delegator'}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:metrics-server'}
rules:
- {apiGroups: [''], resources: [nodes/metrics], verbs: [get]}
- {apiGroups: [''], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'system:metrics-server'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:metrics-server'}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec:
  selector: {k8s-app: metrics-server}
  ports: [{name: https, port: 443, targetPort: https}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: metrics-server, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: metrics-server}}
  template:
    metadata: {labels: {k8s-app: metrics-server}}
    spec:
      serviceAccountName: metrics-server
      containers:
      - name: metrics-server
        image: IMAGE
        args:
        - --cert-dir=/tmp
        - --secure-port=10250
        - --kubelet-preferred-address-types=InternalIP
        - --kubelet-insecure-tls
        - --metric-resolution=10s
        - --kubelet-request-timeout=5s
        ports: [{name: https, containerPort: 10250}]
        readinessProbe: {httpGet: {path: /readyz, port: https, scheme: HTTPS}, periodSeconds: 2}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
";
/// Registered only once it answers: namespaces cannot end while a group of the API does not.
const REGISTRATION: &str = "
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.k8s.io
  version: v1beta1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
";

/// Runs it, unless it runs.
///
/// # Errors
/// If the cluster is not local, or it does not become ready.
pub async fn run(cluster: &Cluster) -> Result<()> {
    cluster.require_local("metrics-server")?;
    let _one_at_a_time = lock(&cluster.options().dir.lock().with_extension("metrics.lock")).await?;
    cluster.load(Image::MetricsServer).await?;
    let client = cluster.client();
    let manifests = SERVER.replace("IMAGE", &Image::MetricsServer.reference());
    apply_yaml(&client, None, &manifests).await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-system");
    eventually("metrics-server is ready", DEADLINE, async || {
        let status = deployments.get("metrics-server").await?.status;
        let ready = status.context("it has no status")?.ready_replicas;
        Ok((ready == Some(1)).then_some(()))
    })
    .await?;
    apply_yaml(&client, None, REGISTRATION).await?;
    eventually("what pods use is known", DEADLINE, async || {
        let request = http::Request::get("/apis/metrics.k8s.io/v1beta1/pods").body(Vec::new())?;
        let answer: serde_json::Value = serde_json::from_str(&client.request_text(request).await?)?;
        let items = answer["items"].as_array().map(Vec::len);
        Ok((items > Some(0)).then_some(()))
    })
    .await
}
