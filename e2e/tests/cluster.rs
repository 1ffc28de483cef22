//! The cluster keeps what the other suites lean on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use aios_e2e::testing::await_condition;
use aios_e2e::{Cluster, TestNamespace, eventually};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::Api;
use kube::runtime::conditions::{is_job_completed, is_pod_running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(90);

/// A file server under Pod Security `restricted`, with a Service.
const SERVER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: server
    image: aios/weights:dev
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    resources: {limits: {nvidia.com/gpu: 1}}
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
";

/// Fetches the served file by the Service's name into a volume.
const FETCH: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: weights}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: fetch}
spec:
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: fetch
        image: aios/inference-sidecar:dev
        command:
        - inference-sidecar
        - prefetch
        - --file={\"name\":\"model\",\"uri\":\"http://server/SmolLM2-135M-Instruct.Q4_1.gguf\",\"digest\":\"sha256:DIGEST\",\"path\":\"/weights/model.gguf\"}
        volumeMounts: [{name: weights, mountPath: /weights}]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumes: [{name: weights, persistentVolumeClaim: {claimName: weights}}]
";

/// Of the model in the image `aios/weights`.
const DIGEST: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

async fn namespace(prefix: &str) -> TestNamespace {
    TestNamespace::new(&Cluster::shared().await.unwrap(), prefix)
        .await
        .unwrap()
}

async fn serving(prefix: &str) -> TestNamespace {
    let namespace = namespace(prefix).await;
    namespace.apply(SERVER).await.unwrap();
    await_condition(
        &namespace.api::<Pod>(),
        "server",
        DEADLINE,
        is_pod_running(),
    )
    .await
    .unwrap();
    namespace
}

#[tokio::test]
async fn a_restricted_job_reaches_a_service_by_name_and_writes_to_a_volume() {
    let namespace = serving("volume").await;
    namespace
        .apply(&FETCH.replace("DIGEST", DIGEST))
        .await
        .unwrap();
    await_condition(
        &namespace.api::<Job>(),
        "fetch",
        DEADLINE,
        is_job_completed(),
    )
    .await
    .unwrap();

    let (client, name) = (namespace.client(), namespace.name().to_owned());
    namespace.delete().await.unwrap();
    let volumes: Api<PersistentVolume> = Api::all(client);
    let is_of_namespace = |volume: &PersistentVolume| {
        let claim = volume
            .spec
            .as_ref()
            .and_then(|spec| spec.claim_ref.as_ref());
        claim.and_then(|claim| claim.namespace.as_ref()) == Some(&name)
    };
    eventually("the volume has gone with its claim", DEADLINE, async || {
        let left = volumes.list(&kube::api::ListParams::default()).await?;
        Ok((!left.items.iter().any(is_of_namespace)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_forward_reaches_a_service_and_a_killed_container_starts_again() {
    let namespace = serving("kill").await;
    let forward = namespace.forward_service("server", 80).await.unwrap();
    let answers = async || {
        let mut stream = TcpStream::connect(forward.address()).await?;
        stream
            .write_all(b"HEAD /SmolLM2-135M-Instruct.Q4_1.gguf HTTP/1.0\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.contains(" 200 ").then_some(()))
    };
    eventually("the Service answers", DEADLINE, answers)
        .await
        .unwrap();

    namespace.kill_container("server", "server").await.unwrap();
    eventually("the container has started again", DEADLINE, async || {
        let pod = namespace.api::<Pod>().get("server").await?;
        let statuses = pod
            .status
            .and_then(|status| status.container_statuses)
            .unwrap_or_default();
        Ok(statuses
            .iter()
            .any(|status| status.restart_count == 1 && status.ready)
            .then_some(()))
    })
    .await
    .unwrap();
    eventually("the Service answers again", DEADLINE, answers)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_audit_log_counts_who_wrote_what() {
    let cluster = Cluster::shared().await.unwrap();
    let log = cluster.audit_log().unwrap();
    let mark = log.mark().unwrap();
    let namespace = TestNamespace::new(&cluster, "audit").await.unwrap();
    namespace
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}")
        .await
        .unwrap();
    let is_ours = |resource: &'static str| {
        let name = namespace.name().to_owned();
        move |request: &aios_e2e::testing::Request| {
            request.is_write()
                && request.resource == resource
                && request.namespace == name
                && request.user == "admin"
        }
    };
    assert_eq!(log.count(mark, is_ours("configmaps")).unwrap(), 1);
    assert_eq!(log.count(mark, is_ours("secrets")).unwrap(), 0);
}

#[tokio::test]
async fn a_pod_that_is_not_restricted_is_refused() {
    let namespace = namespace("refused").await;
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: aios/weights:dev}]}}";
    let error = namespace.apply(pod).await.unwrap_err();
    assert!(format!("{error:#}").contains("restricted"), "{error:#}");
}
