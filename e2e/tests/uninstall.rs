//! What operations.md says of removing AIOS, word by word, on a cluster of its own: the kinds go with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use aios_e2e::images::Image;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{Karpenter, OwnCluster};
use aios_e2e::{Cluster, TestNamespace, eventually, files};
use anyhow::{Context, ensure};

const DEADLINE: Duration = Duration::from_mins(3);
const MANUAL: &str = include_str!("../../docs/operations.md");
/// One of each kind; its model has GPU nodes that KWOK plays.
const TENANT: &str = "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: large}
spec:
  selfHosted:
    engine: {name: LlamaCpp, resources: {cpu: 100m, memory: 1Gi}}
    model:
      uri: http://weights:8080/model.gguf
      digest: sha256:DIGEST
      cache: {size: 64Mi}
    gpu: {class: l4, count: 1}
---
apiVersion: aios.dev/v1alpha1
kind: PolicySet
metadata: {name: house}
spec:
  rules:
  - {name: no-promises, terms: {list: [risk-free]}, action: Block}
---
apiVersion: aios.dev/v1alpha1
kind: WritingPipeline
metadata: {name: letters}
spec:
  content:
    kind: Email
    variables: {type: object}
    skeletons:
    - language: en
      parts:
      - {name: subject, template: {inline: Hello}}
      - {name: text, template: {inline: 'Dear reader, {{ slots.letter }} Written with AI assistance.'}}
      slots: [{name: letter, prompt: Write a letter., safe: Thank you., maxTokens: 40}]
  models:
    draft: {routes: [{model: large}]}
  policyRefs: [{name: house}]
";
/// Of the chart, beside those of a namespace.
const CLUSTER_WIDE: &str = "clusterroles,clusterrolebindings,validatingadmissionpolicies,\
    validatingadmissionpolicybindings,flowschemas,priorityclasses";

/// Dropped in this order: a namespace tells what is in it.
struct Stage {
    namespace: TestNamespace,
    own: OwnCluster,
}

impl Stage {
    fn cluster(&self) -> &Cluster {
        self.own.cluster()
    }

    /// Runs lines of the manual in the tenant's namespace.
    async fn run(&self, lines: &[&str]) {
        for line in lines {
            let line = line.replace("NAMESPACE", self.namespace.name());
            let words = shell_words(&line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (program, arguments) = words.split_first().unwrap();
            let said = match *program {
                "kubectl" => self.cluster().kubectl(arguments).await,
                "helm" => self.cluster().helm(arguments).await,
                other => panic!("{other} of {line}"),
            };
            said.with_context(|| line.clone()).unwrap();
        }
    }

    async fn install(&self) {
        let charts = files::repository().join("charts");
        let (kinds, chart) = (charts.join("aios-crds"), charts.join("aios"));
        let values = files::repository().join("e2e/values.yaml");
        let kinds = ["upgrade", "--install", "aios-crds", kinds.to_str().unwrap()];
        self.cluster().helm(&kinds).await.unwrap();
        let arguments = [
            "upgrade",
            "--install",
            "aios",
            chart.to_str().unwrap(),
            "-n",
            SYSTEM,
            "--create-namespace",
            "--wait",
            "--timeout=3m",
            "--set",
            "images.tag=dev",
            "--values",
            values.to_str().unwrap(),
        ];
        self.cluster().helm(&arguments).await.unwrap();
    }

    async fn tenant_has_nodes(&self) {
        let tenant = TENANT.replace("DIGEST", &"ab".repeat(32));
        self.namespace.apply(&tenant).await.unwrap();
        eventually("the model has its nodes", DEADLINE, async || {
            let path = "{.status.conditions[?(@.type=='NodePoolReady')].status}";
            let asked = ["get", "mdep", "large", "-o", &format!("jsonpath={path}")];
            let status = self.namespace.kubectl(&asked).await?;
            ensure!(status == "True", "NodePoolReady is {status:?}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    async fn listed(&self, kinds: &str) -> Vec<String> {
        let asked = ["get", kinds, "-A", "-o", "name"];
        let said = self.cluster().kubectl(&asked).await.unwrap();
        said.lines().map(ToOwned::to_owned).collect()
    }

    async fn nodes_are_gone(&self) {
        eventually("nodes and what made them are gone", DEADLINE, async || {
            let kinds = "nodepools.karpenter.sh,nodeclaims.karpenter.sh,nodes";
            let mut left = self.listed(kinds).await;
            left.retain(|name| name != "node/node0");
            ensure!(left.is_empty(), "{left:?}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
}

/// The blocks of commands in the manual's chapter, one after the other.
fn blocks() -> Vec<Vec<&'static str>> {
    let (_, chapter) = MANUAL.split_once("\n## Uninstall\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let blocks = chapter.split("```").skip(1).step_by(2);
    blocks.map(|block| block.trim().lines().collect()).collect()
}

/// Words of a line, with single quotes as in a shell.
fn shell_words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| {
            if index % 2 == 1 {
                return vec![part.to_owned()];
            }
            part.split_whitespace().map(ToOwned::to_owned).collect()
        })
        .collect()
}

#[tokio::test]
async fn aios_is_removed_in_the_documented_order_and_freed_by_hand_in_another() {
    let images = [Image::Operator, Image::Pipeline, Image::InferenceSidecar];
    let own = OwnCluster::up("gone", &images).await.unwrap();
    let mut karpenter = Karpenter::absent(own.cluster()).await.unwrap();
    karpenter.start().await.unwrap();
    let namespace = TestNamespace::new(own.cluster(), "tenant").await.unwrap();
    let stage = Stage { namespace, own };
    let [in_order, by_hand] = blocks().try_into().unwrap();

    // The operator is gone first: the model waits for it, until it is freed by hand.
    stage.install().await;
    stage.tenant_has_nodes().await;
    stage
        .run(&["helm uninstall aios -n aios-system --wait"])
        .await;
    let delete = ["delete", "mdep", "large", "--wait=false"];
    stage.namespace.kubectl(&delete).await.unwrap();
    assert_eq!(stage.listed("modeldeployments").await.len(), 1);
    let named: Vec<String> = by_hand
        .iter()
        .map(|line| line.replace("NAME ", "large "))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    stage.run(&named).await;
    assert!(stage.listed("modeldeployments").await.is_empty());
    stage.nodes_are_gone().await;

    stage.install().await;
    stage.tenant_has_nodes().await;
    let (delete, uninstall) = in_order.split_first().unwrap();
    stage.run(&[delete]).await;
    let pools = stage.listed("nodepools.karpenter.sh").await;
    assert!(pools.is_empty(), "gone with the last model: {pools:?}");
    stage.nodes_are_gone().await;
    stage.run(uninstall).await;

    let mut left = stage.listed(CLUSTER_WIDE).await;
    left.retain(|name| name.contains("aios"));
    assert!(left.is_empty(), "{left:?}");
    let kinds = async || {
        let mut kinds = stage.listed("customresourcedefinitions").await;
        kinds.retain(|name| name.ends_with(".aios.dev"));
        kinds
    };
    let kept = kinds().await;
    assert_eq!(kept.len(), 5, "{kept:?}");
    let of_tenant = ["get", "pvc,secrets", "-o", "name"];
    let of_tenant = stage.namespace.kubectl(&of_tenant).await.unwrap();
    let retained = "persistentvolumeclaim/data-aios-gateway-0\nsecret/aios-tenant";
    assert_eq!(of_tenant.trim(), retained);
    let delete = [
        &["delete"][..],
        &kept.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    stage.cluster().kubectl(&delete).await.unwrap();
    assert!(kinds().await.is_empty());

    stage.namespace.delete().await.unwrap();
    karpenter.stop().await.unwrap();
}
