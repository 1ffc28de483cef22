//! Of several operators one leads, and no other's write takes effect, whenever it arrives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

use aios_crds::PolicySet;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{AuditLog, Mark, Request, freeze, install, thaw};
use aios_e2e::{Cluster, TestNamespace, eventually, files};
use anyhow::{Result, ensure};
use asking::Asking;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, ResourceExt};
use scene::{DEADLINE, PIPELINE, Scene, leader};
use serde_json::json;
use tokio::sync::Mutex;

/// The longest that a cluster may be without a leader.
const FAILOVER: Duration = Duration::from_secs(10);
const OPERATOR: &str = "operator";
/// The tests move the one operator that all share.
static TURN: Mutex<()> = Mutex::const_new(());

/// Two replicas, ready.
async fn replicas(cluster: &Cluster) -> Vec<String> {
    install(cluster).await.unwrap();
    let chart = files::repository().join("charts/aios");
    let two = "operator.replicas=2";
    let upgrade = [
        "upgrade",
        "--reuse-values",
        // Another suite may have scaled it.
        "--force-conflicts",
        "--wait",
        "--timeout=3m",
        "-n",
        SYSTEM,
        "aios",
    ];
    let arguments = [&upgrade[..], &[chart.to_str().unwrap(), "--set", two]].concat();
    cluster.helm(&arguments).await.unwrap();
    eventually("two operators stand by", DEADLINE, async || {
        let found = operators(cluster).await?;
        let names: Vec<_> = found
            .iter()
            .filter(|pod| is_ready(pod))
            .map(ResourceExt::name_any)
            .collect();
        ensure!(names.len() == 2 && found.len() == 2, "{names:?}");
        Ok(Some(names))
    })
    .await
    .unwrap()
}

async fn operators(cluster: &Cluster) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(cluster.client(), SYSTEM);
    let named = ListParams::default().labels("app.kubernetes.io/component=operator");
    Ok(pods.list(&named).await?.items)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

async fn restarts(cluster: &Cluster, pod: &str) -> Result<i32> {
    let pod = Api::<Pod>::namespaced(cluster.client(), SYSTEM)
        .get(pod)
        .await?;
    let containers = pod.status.and_then(|status| status.container_statuses);
    Ok(containers
        .unwrap_or_default()
        .iter()
        .map(|one| one.restart_count)
        .sum())
}

/// What a pod asked the API server to change: questions, its own Lease and its own mark apart.
fn writes(log: &AuditLog, mark: Mark, pod: &str) -> Result<Vec<Request>> {
    let mut found = log.since(mark)?;
    found.retain(|request| {
        request.pod == pod
            && request.is_write()
            && request.resource != "leases"
            && !request.resource.ends_with("reviews")
            && !(request.resource == "pods" && request.name == pod)
    });
    Ok(found)
}

/// Gives whoever leads something to write.
async fn change_the_policy(namespace: &TestNamespace, text: &str) {
    let rule =
        json!({"name": text, "action": "Review", "terms": {"list": [text], "match": "Word"}});
    let policy = json!({"apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
        "metadata": {"name": "moving"}, "spec": {"rules": [rule]}});
    let params = PatchParams::apply("test").force();
    namespace
        .api::<PolicySet>()
        .patch("moving", &params, &Patch::Apply(&policy))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_frozen_leader_is_succeeded_within_ten_seconds_and_writes_nothing_once_thawed() {
    let _turn = TURN.lock().await;
    let scene = Scene::open("frozen").await;
    let namespace = &scene.namespace;
    let cluster = namespace.cluster();
    replicas(cluster).await;
    let log = cluster.audit_log().unwrap();
    // The gateway knows its caller from now on.
    scene.upload(&scene::records(2, |_| "saving")).await;
    let author = scene.gateway("author").await;
    let (first, second) = (scene::pointer(1), scene::pointer(2));
    let write = async |pointer, key| author.create_document(PIPELINE, pointer, key).await;
    write(&first, "before").await.unwrap();
    scene.published_at_least(1).await;
    // Somebody's texts go on all the while.
    let asking = Asking::start(&scene).await;
    asking.more(1).await;

    let old = leader(namespace).await;
    let restarted = restarts(cluster, &old).await.unwrap();
    let mark = log.mark().unwrap();
    freeze(cluster, SYSTEM, (&old, OPERATOR)).await.unwrap();
    let answered = asking.all().len();
    change_the_policy(namespace, "one").await;
    write(&second, "meanwhile").await.unwrap();
    let new = eventually("another leads and writes", FAILOVER, async || {
        let now = leader(namespace).await;
        ensure!(now != old, "{old} still holds the lease");
        let written = writes(&log, mark, &now)?;
        Ok(written
            .iter()
            .any(|request| request.code < 300)
            .then_some(now))
    })
    .await
    .unwrap();
    let mark = log.mark().unwrap();
    let meanwhile = asking.all().len() - answered;
    assert!(meanwhile > 2, "{meanwhile} texts came without a leader");
    scene.published_at_least(2).await;

    // It wakes up with a change to answer that it has not seen yet.
    change_the_policy(namespace, "two").await;
    thaw(cluster, SYSTEM, (&old, OPERATOR)).await.unwrap();
    eventually(
        "the old leader has ended its process",
        DEADLINE,
        async || {
            ensure!(restarts(cluster, &old).await? > restarted, "{old} goes on");
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
    assert_eq!(leader(namespace).await, new);
    asking.more(2).await;
    for slots in asking.all() {
        assert!(!slots.contains("RoutesExhausted"), "{slots}");
    }
    let late = writes(&log, mark, &old).unwrap();
    let effective: Vec<_> = late.iter().filter(|request| request.code < 400).collect();
    assert!(effective.is_empty(), "{effective:#?}");
    eventually("the new leader alone is marked", DEADLINE, async || {
        let marked: Vec<_> = operators(cluster)
            .await?
            .iter()
            .filter(|pod| pod.labels().contains_key("aios.dev/leader"))
            .map(ResourceExt::name_any)
            .collect();
        ensure!(marked == [new.clone()], "{marked:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_api_server_refuses_writes_of_a_replica_that_does_not_lead() {
    let _turn = TURN.lock().await;
    let cluster = Cluster::shared().await.unwrap();
    let replicas = replicas(&cluster).await;
    let namespace = TestNamespace::new(&cluster, "fence").await.unwrap();
    let leads = leader(&namespace).await;
    let waits = replicas.iter().find(|pod| **pod != leads).unwrap();
    // As each of them, without what it knows about its own lease.
    let as_pod = async |pod: &str| -> Client {
        let bound = ["--bound-object-kind=Pod", "--bound-object-name", pod];
        let token = ["create", "token", "-n", SYSTEM, "aios-operator"];
        let token = cluster
            .kubectl(&[&token[..], &bound].concat())
            .await
            .unwrap();
        cluster.client_with_token(token.trim()).await.unwrap()
    };
    let write = async |client: Client, name: &str| {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        let maps = Api::<ConfigMap>::namespaced(client, namespace.name());
        maps.create(&PostParams::default(), &map).await
    };
    write(as_pod(&leads).await, "by-the-leader").await.unwrap();
    let refused = write(as_pod(waits).await, "by-another").await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("does not hold Lease aios-operator-leader"),
        "{refused}"
    );

    // A replica may take the leader's mark from itself, and not give it.
    let pods = Api::<Pod>::namespaced(as_pod(waits).await, SYSTEM);
    let mark = async |value: Option<&str>, pod: &str| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"aios.dev/leader": value}}}));
        pods.patch_metadata(pod, &PatchParams::default(), &patch)
            .await
    };
    mark(None, waits).await.unwrap();
    mark(Some("true"), waits).await.unwrap_err();
    mark(None, &leads).await.unwrap_err();

    // Outside of a pod there is no other than the operator's own word.
    let token = cluster
        .kubectl(&["create", "token", "-n", SYSTEM, "aios-operator"])
        .await
        .unwrap();
    let outside = cluster.client_with_token(token.trim()).await.unwrap();
    write(outside, "from-elsewhere").await.unwrap();
    // Nobody else is asked for a Lease.
    write(cluster.client(), "by-an-administrator")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_lease_does_not_queue_behind_the_operators_other_requests() {
    let _turn = TURN.lock().await;
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    let token = cluster
        .kubectl(&["create", "token", "-n", SYSTEM, "aios-operator"])
        .await
        .unwrap();
    let operator = cluster.client_with_token(token.trim()).await.unwrap();
    let level = async |path: String| {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let answer = operator.send(request).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let level = &answer.headers()["x-kubernetes-pf-prioritylevel-uid"];
        level.to_str().unwrap().to_owned()
    };
    let levels = Api::<PriorityLevelConfiguration>::all(cluster.client());
    let elections = levels.get("leader-election").await.unwrap().uid().unwrap();

    let lease =
        format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/aios-operator-leader");
    assert_eq!(level(lease).await, elections);
    assert_ne!(
        level("/apis/aios.dev/v1alpha1/policysets".into()).await,
        elections
    );
}

#[tokio::test]
async fn a_leader_that_ends_in_order_leaves_its_lease_to_the_next() {
    let _turn = TURN.lock().await;
    let cluster = Cluster::shared().await.unwrap();
    replicas(&cluster).await;
    let namespace = TestNamespace::new(&cluster, "handover").await.unwrap();
    let log = cluster.audit_log().unwrap();
    let (old, mark) = (leader(&namespace).await, log.mark().unwrap());
    let pods = Api::<Pod>::namespaced(cluster.client(), SYSTEM);
    pods.delete(&old, &DeleteParams::default()).await.unwrap();
    change_the_policy(&namespace, "one").await;
    eventually("another leads and writes", FAILOVER, async || {
        let now = leader(&namespace).await;
        ensure!(now != old && !now.is_empty(), "{old} still holds the lease");
        let written = writes(&log, mark, &now)?;
        Ok(written
            .iter()
            .any(|request| request.code < 300)
            .then_some(()))
    })
    .await
    .unwrap();
}
