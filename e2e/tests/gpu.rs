//! GPU nodes: made by the real Karpenter for a model and gone with it, or a condition says why not.
//! KWOK plays the nodes and their pods. Those pods never serve, so the model itself never is Ready.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use aios_crds::ModelDeployment;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{Karpenter, install};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const DEADLINE: Duration = Duration::from_mins(3);
const FINALIZER: &str = "aios.dev/node-pool";

/// Its weights are never fetched: KWOK's pods only say that they ran.
const MODEL: &str = "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: NAME}
spec:
  selfHosted:
    engine: {name: LlamaCpp, resources: {cpu: 100m, memory: 1Gi}}
    model:
      uri: http://weights:8080/model.gguf
      digest: sha256:DIGEST
      cache: {size: 64Mi}
    gpu: {class: CLASS, count: COUNT}
";

fn model(name: &str, class: &str, count: u8) -> String {
    MODEL
        .replace("NAME", name)
        .replace("DIGEST", &"ab".repeat(32))
        .replace("CLASS", class)
        .replace("COUNT", &count.to_string())
}

struct Stage {
    karpenter: Karpenter,
    namespace: TestNamespace,
}

impl Stage {
    /// AIOS, and no Karpenter yet.
    async fn set(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        install(&cluster).await.unwrap();
        Self {
            karpenter: Karpenter::absent(&cluster).await.unwrap(),
            namespace: TestNamespace::new(&cluster, prefix).await.unwrap(),
        }
    }

    fn models(&self) -> Api<ModelDeployment> {
        self.namespace.api()
    }

    /// Waits until `NodePoolReady` of a model is as it should be; returns its message.
    async fn nodes(&self, name: &str, status: &str, reason: &str) -> String {
        let models = self.models();
        let what = format!("NodePoolReady of {name} is {status}/{reason}");
        eventually(&what, DEADLINE, async || {
            let now = condition(&models.get(name).await?, "NodePoolReady");
            let now = now.context("there is no such condition")?;
            ensure!(
                (now.status.as_str(), now.reason.as_str()) == (status, reason),
                "{now:?}"
            );
            Ok(Some(now.message))
        })
        .await
        .unwrap()
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        self.namespace.cluster().kubectl(arguments).await.unwrap()
    }

    /// `kind/name` of NodePools, NodeClaims and nodes of the namespace.
    async fn made(&self) -> String {
        let of = format!("aios.dev/namespace={}", self.namespace.name());
        let kinds = "nodepools.karpenter.sh,nodeclaims.karpenter.sh,nodes";
        self.kubectl(&["get", kinds, "-l", &of, "-o", "name"]).await
    }

    async fn all_is_gone(&self) {
        eventually(
            "NodePool, NodeClaim and node are gone",
            DEADLINE,
            async || {
                let left = self.made().await;
                ensure!(left.is_empty(), "{left}");
                Ok(Some(()))
            },
        )
        .await
        .unwrap();
    }

    async fn delete(&self, name: &str) {
        let gone = DeleteParams::default();
        self.models().delete(name, &gone).await.unwrap();
    }

    async fn is_gone(&self, name: &str) {
        let models = self.models();
        eventually("the model is gone", DEADLINE, async || {
            Ok(models.get_opt(name).await?.is_none().then_some(()))
        })
        .await
        .unwrap();
    }

    async fn end(self) {
        self.namespace.delete().await.unwrap();
        self.karpenter.stop().await.unwrap();
    }
}

fn condition(model: &ModelDeployment, kind: &str) -> Option<Condition> {
    let conditions = &model.status.as_ref()?.conditions;
    conditions.iter().find(|one| one.type_ == kind)
}

#[tokio::test]
async fn gpu_nodes_come_with_a_model_once_karpenter_is_there_and_go_with_it() {
    let mut stage = Stage::set("gpu").await;
    stage
        .namespace
        .apply(&model("large", "l4", 1))
        .await
        .unwrap();
    let said = stage.nodes("large", "False", "KarpenterMissing").await;
    assert!(said.contains("install Karpenter"), "{said}");
    let bare = stage.models().get("large").await.unwrap();
    assert!(bare.finalizers().is_empty(), "{:?}", bare.finalizers());

    stage.karpenter.start().await.unwrap();
    // Pods may be ready a moment before the watch of NodeClaims shows their node.
    eventually("the node is counted", DEADLINE, async || {
        let said = stage.nodes("large", "True", "Ready").await;
        Ok(said.contains("1 of 1 nodes").then_some(()))
    })
    .await
    .unwrap();
    let held = stage.models().get("large").await.unwrap();
    assert_eq!(held.finalizers(), [FINALIZER]);

    let pods: Api<Pod> = stage.namespace.api();
    let engines = ListParams::default().labels("app.kubernetes.io/component=engine");
    let engine = eventually("the engine runs on its node", DEADLINE, async || {
        let found = pods
            .list(&engines)
            .await?
            .items
            .pop()
            .context("no engine")?;
        let phase = found
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        ensure!(phase == Some("Running"), "{phase:?}");
        Ok(Some(found))
    })
    .await
    .unwrap();
    let node = engine.spec.unwrap().node_name.unwrap();
    let node = Api::<Node>::all(stage.namespace.client())
        .get(&node)
        .await
        .unwrap();
    let label = |key: &str| node.labels().get(key).map(String::as_str);
    assert_eq!(label("aios.dev/gpu-class"), Some("l4"));
    assert_eq!(label("aios.dev/namespace"), Some(stage.namespace.name()));
    assert_eq!(label("node.kubernetes.io/instance-type"), Some("gpu-l4-1"));
    let taints = node.spec.unwrap().taints.unwrap_or_default();
    assert!(
        taints.iter().any(|one| one.key == "nvidia.com/gpu"),
        "{taints:?}"
    );

    // Pods that only say they run confirm nothing, and the model says so once they had their time.
    eventually("the model waits for its pods", DEADLINE, async || {
        let shown = stage.models().get("large").await?;
        let of = |kind| condition(&shown, kind).context("there is no such condition");
        let (shards, ready) = (of("ShardsReady")?, of("Ready")?);
        ensure!(shards.status == "True", "{shards:?}");
        ensure!(ready.reason == "AwaitingDataPlane", "{ready:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();

    // A second model of the class shares the NodePool, and keeps it when the first one goes.
    stage
        .namespace
        .apply(&model("second", "l4", 1))
        .await
        .unwrap();
    stage.nodes("second", "True", "Ready").await;
    stage.delete("large").await;
    stage.is_gone("large").await;
    let made = stage.made().await;
    assert_eq!(made.matches("nodepool.karpenter.sh/").count(), 1, "{made}");
    stage.delete("second").await;
    stage.is_gone("second").await;
    stage.all_is_gone().await;
    stage.end().await;
}

#[tokio::test]
async fn when_no_gpu_comes_the_condition_says_why_and_what_to_change() {
    let mut stage = Stage::set("no-gpu").await;
    stage.karpenter.start().await.unwrap();
    let apply = async |name, class, count| {
        stage
            .namespace
            .apply(&model(name, class, count))
            .await
            .unwrap();
    };

    apply("unknown", "h100", 1).await;
    let said = stage.nodes("unknown", "False", "GpuClassUnknown").await;
    assert!(said.contains("`l4`") && said.contains("`scarce`"), "{said}");

    apply("orphan", "orphaned", 1).await;
    let said = stage.nodes("orphan", "False", "NodesUnavailable").await;
    assert!(
        said.contains("gpuClasses[orphaned]") && said.contains("nodeClass"),
        "{said}"
    );

    apply("huge", "l4", 16).await;
    let said = stage.nodes("huge", "False", "NodesUnavailable").await;
    assert!(said.contains("ask for fewer GPUs"), "{said}");

    // What a limit leaves is Karpenter's to count, and it counts late: this one leaves nothing.
    apply("late", "scarce", 1).await;
    let said = stage.nodes("late", "False", "NodesUnavailable").await;
    assert!(said.contains("nvidia.com/gpu 0 of 0"), "{said}");
    assert!(said.contains("gpuClasses[scarce].limits"), "{said}");

    for name in ["unknown", "orphan", "huge", "late"] {
        stage.delete(name).await;
        stage.is_gone(name).await;
    }
    stage.all_is_gone().await;
    stage.end().await;
}

#[tokio::test]
async fn a_node_on_its_way_is_told_step_by_step() {
    let mut stage = Stage::set("on-its-way").await;
    stage.karpenter.start().await.unwrap();
    stage
        .namespace
        .apply(&model("patient", "slow", 1))
        .await
        .unwrap();
    eventually(
        "the machine is launched, no node yet",
        DEADLINE,
        async || {
            let said = stage.nodes("patient", "Unknown", "NodesProvisioning").await;
            ensure!(said.contains("is launched, not yet registered"), "{said}");
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
    let said = stage.nodes("patient", "True", "Ready").await;
    assert!(said.contains("1 of 1 nodes"), "{said}");
    stage.delete("patient").await;
    stage.is_gone("patient").await;
    stage.all_is_gone().await;
    stage.end().await;
}

#[tokio::test]
async fn weights_are_fetched_in_the_zone_that_has_the_gpus_of_their_engine() {
    let mut stage = Stage::set("zones").await;
    stage.karpenter.start().await.unwrap();
    // The cheaper nodes, of one GPU, are in the other zone.
    stage
        .namespace
        .apply(&model("wide", "l4", 4))
        .await
        .unwrap();
    stage.nodes("wide", "True", "Ready").await;
    let client = stage.namespace.client();
    let claims: Api<PersistentVolumeClaim> = stage.namespace.api();
    let volume = claims.get("wide-weights").await.unwrap().spec.unwrap();
    let volume = Api::<PersistentVolume>::all(client.clone())
        .get(&volume.volume_name.unwrap())
        .await
        .unwrap();
    let place = serde_json::to_value(volume.spec.unwrap().node_affinity).unwrap();
    let place = &place["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
    assert_eq!(place["values"], json!(["zone-b"]), "{place}");

    let pods: Api<Pod> = stage.namespace.api();
    let engines = ListParams::default().labels("app.kubernetes.io/component=engine");
    let node = eventually("the engine has its node", DEADLINE, async || {
        let found = pods.list(&engines).await?.items.pop();
        Ok(found.context("no engine")?.spec.unwrap().node_name)
    })
    .await
    .unwrap();
    let node = Api::<Node>::all(client).get(&node).await.unwrap();
    let label = |key: &str| node.labels().get(key).map(String::as_str);
    assert_eq!(label("topology.kubernetes.io/zone"), Some("zone-b"));
    assert_eq!(label("node.kubernetes.io/instance-type"), Some("gpu-l4-4"));
    stage.delete("wide").await;
    stage.is_gone("wide").await;
    stage.all_is_gone().await;
    stage.end().await;
}

#[tokio::test]
async fn existing_nodes_of_a_class_need_no_karpenter() {
    let stage = Stage::set("rack").await;
    stage
        .namespace
        .apply(&model("own", "rack", 1))
        .await
        .unwrap();
    let said = stage.nodes("own", "False", "NodesUnavailable").await;
    assert!(said.contains("e2e.aios.dev/rack=gpu"), "{said}");

    let nodes = Api::<Node>::all(stage.namespace.client());
    let label = |value: Option<&str>| {
        Patch::Merge(json!({"metadata": {"labels": {"e2e.aios.dev/rack": value}}}))
    };
    let params = PatchParams::default();
    nodes
        .patch("node0", &params, &label(Some("gpu")))
        .await
        .unwrap();
    stage.nodes("own", "Unknown", "NodesProvisioning").await;
    nodes.patch("node0", &params, &label(None)).await.unwrap();
    assert!(
        stage
            .models()
            .get("own")
            .await
            .unwrap()
            .finalizers()
            .is_empty()
    );
    stage.end().await;
}

#[tokio::test]
async fn a_model_deleted_while_the_operator_is_away_goes_with_its_nodes_when_it_is_back() {
    let mut stage = Stage::set("away").await;
    stage.karpenter.start().await.unwrap();
    stage
        .namespace
        .apply(&model("left", "l4", 1))
        .await
        .unwrap();
    stage
        .namespace
        .apply(&model("forced", "l4", 1))
        .await
        .unwrap();
    for name in ["left", "forced"] {
        stage.nodes(name, "True", "Ready").await;
    }

    let operators = Api::<Deployment>::namespaced(stage.namespace.client(), SYSTEM);
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams::default();
        operators
            .patch("aios-operator", &params, &patch)
            .await
            .unwrap();
        eventually("the operator is scaled", DEADLINE, async || {
            let status = operators.get("aios-operator").await?.status;
            let now = status.and_then(|status| status.ready_replicas).unwrap_or(0);
            Ok((now == replicas).then_some(()))
        })
        .await
        .unwrap();
    };
    scale(0).await;
    stage.delete("left").await;
    stage.delete("forced").await;
    // What operations.md says for when the operator is gone for good.
    let none = "{\"metadata\":{\"finalizers\":null}}";
    let patch = ["patch", "mdep", "forced", "--type=merge", "-p", none];
    stage.namespace.kubectl(&patch).await.unwrap();
    stage.is_gone("forced").await;
    let waits = stage.models().get("left").await.unwrap();
    assert!(waits.metadata.deletion_timestamp.is_some());
    assert_eq!(waits.finalizers(), [FINALIZER]);
    assert!(stage.made().await.contains("nodepool.karpenter.sh/"));

    scale(1).await;
    stage.is_gone("left").await;
    stage.all_is_gone().await;
    stage.end().await;
}

#[tokio::test]
async fn headroom_is_a_node_more_than_asked_for_and_goes_with_the_last_model() {
    let mut stage = Stage::set("headroom").await;
    let apply = async |name, class| {
        let model = model(name, class, 1);
        stage.namespace.apply(&model).await.unwrap();
    };
    apply("early", "roomy").await;
    let said = stage.nodes("early", "False", "KarpenterMissing").await;
    assert!(said.contains("has no CapacityBuffer"), "{said}");

    stage.karpenter.start().await.unwrap();
    let of = format!("aios.dev/namespace={}", stage.namespace.name());
    let listed = async |kind: &str| {
        let asked = ["get", kind, "-l", &of, "-o", "name"];
        let found = stage.namespace.kubectl(&asked).await;
        found.unwrap_or_default()
    };
    eventually(
        "there is a node for the model and one for nobody",
        DEADLINE,
        async || {
            let said = stage.nodes("early", "True", "Ready").await;
            ensure!(said.contains("asks for room for 1 more pods"), "{said}");
            let made = stage.made().await;
            let nodes = made.matches("node/").count();
            ensure!(nodes == 2, "{made}");
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
    assert_eq!(listed("capacitybuffers").await.lines().count(), 1);
    assert_eq!(listed("podtemplates").await.lines().count(), 1);

    stage.delete("early").await;
    stage.is_gone("early").await;
    eventually("the headroom is gone", DEADLINE, async || {
        let left = listed("capacitybuffers,podtemplates").await;
        ensure!(left.is_empty(), "{left}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    // The fake cloud may leave a node whose claim was taken back while it made it.
    eventually("NodePool and NodeClaims are gone", DEADLINE, async || {
        let made = stage.made().await;
        ensure!(!made.contains("karpenter.sh/"), "{made}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    stage.end().await;
}
