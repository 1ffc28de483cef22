//! Several operators share one cluster's namespaces by their labels, and none is ever served by two.
//! Against a real API server with the chart's policy, without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use aios_crds::{PolicySet, WritingPipeline};
use aios_e2e::testing::outside::{self, OPERATOR};
use aios_e2e::testing::{
    AuditLog, BEGINNING, ControlPlane, Programs, Request, Running, apply_yaml, client_of,
};
use aios_e2e::tools::Tool;
use aios_e2e::{eventually, files};
use anyhow::{Result, ensure};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Namespace},
    events::v1::Event,
    rbac::v1::ClusterRole,
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::process::Command;

const FULL: &str = include_str!("support/full.yaml");
const DEADLINE: Duration = Duration::from_mins(3);
const A: &str = "aios-a";
const B: &str = "aios-b";

/// A control plane with two operators' namespaces and accounts.
struct Scene {
    plane: ControlPlane,
    client: Client,
    program: PathBuf,
}

impl Scene {
    async fn open() -> Self {
        let programs = Programs::ensure().await.unwrap();
        let plane = ControlPlane::start(&programs, &[]).await.unwrap();
        for namespace in [A, B] {
            plane.account(namespace, OPERATOR).await.unwrap();
        }
        Self {
            client: plane.client().await.unwrap(),
            program: outside::built_operator().unwrap(),
            plane,
        }
    }

    /// What the chart installs beside an operator of a share, and the operator.
    async fn install(&self, namespace: &str, selector: &Value) -> Running {
        let values = self.plane.scratch().join(format!("{namespace}.yaml"));
        std::fs::write(&values, json!({"namespaceSelector": selector}).to_string()).unwrap();
        let policy = rendered(namespace, &values).await;
        apply_yaml(&self.client, None, &policy).await.unwrap();
        let selector = selector.to_string();
        Running::operator_for(
            &self.plane,
            &self.program,
            namespace,
            ("AIOS_NAMESPACE_SELECTOR", &selector),
        )
        .await
        .unwrap()
    }

    /// A namespace with one object of each kind.
    async fn tenant(&self, name: &str, labels: &Value) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels}});
        apply_yaml(&self.client, None, &namespace.to_string())
            .await
            .unwrap();
        apply_yaml(&self.client, Some(name), FULL).await.unwrap();
    }

    async fn label(&self, name: &str, labels: &Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let params = PatchParams::default();
        namespaces.patch(name, &params, &patch).await.unwrap();
    }

    /// Waits until an operator has claimed a namespace, made its gateway and looked at its pipeline.
    async fn is_served_by(&self, operator: &str, namespace: &str) {
        let what = format!("{namespace} is served by {operator}");
        eventually(&what, DEADLINE, async || {
            let claim = self.claim(namespace).await?;
            ensure!(claim.as_deref() == Some(operator), "{claim:?} claims it");
            let sets = Api::<StatefulSet>::namespaced(self.client.clone(), namespace);
            let gateway = serde_json::to_string(&sets.get("aios-gateway").await?)?;
            let uri = format!("https://aios-operator.{operator}.svc:8443");
            ensure!(gateway.contains(&uri), "the gateway does not dial {uri}");
            let pipelines = Api::<WritingPipeline>::namespaced(self.client.clone(), namespace);
            let pipeline = pipelines.get("letters").await?;
            let observed = pipeline.status.map(|status| status.observed_generation);
            Ok((observed == pipeline.metadata.generation).then_some(()))
        })
        .await
        .unwrap();
    }

    async fn claim(&self, namespace: &str) -> Result<Option<String>> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let trust = maps.get_opt("aios-ca").await?;
        Ok(trust.and_then(|map| map.labels().get("aios.dev/operator").cloned()))
    }

    /// Effective writes of an operator in a namespace, and those of others in order before and after.
    fn writes(&self, namespace: &str) -> Vec<Request> {
        let log: AuditLog = self.plane.audit();
        let mut found = log.since(BEGINNING).unwrap();
        found.retain(|request| {
            let is_by_one = [A, B].iter().any(|one| request.is_by(one, OPERATOR));
            is_by_one && request.is_write() && request.namespace == namespace && request.code < 300
        });
        found
    }
}

/// The policy of the chart that holds an operator to its share.
async fn rendered(namespace: &str, values: &Path) -> String {
    let helm = Tool::Helm.ensure().await.unwrap().join("helm");
    let mut command = Command::new(helm);
    command
        .args([
            "template",
            "aios",
            "-n",
            namespace,
            "-s",
            "templates/share.yaml",
            "-f",
        ])
        .arg(values)
        .arg(files::repository().join("charts/aios"));
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    String::from_utf8(done.stdout).unwrap()
}

fn shard(name: &str) -> Value {
    json!({"matchLabels": {"example.com/shard": name}})
}

fn labels(shard: &str) -> Value {
    json!({"example.com/shard": shard})
}

#[tokio::test]
async fn namespaces_are_shared_by_label_and_one_that_moves_is_left_before_it_is_taken() {
    let scene = Scene::open().await;
    scene.tenant("one", &labels("a")).await;
    let _a = scene.install(A, &shard("a")).await;
    let _b = scene.install(B, &shard("b")).await;
    // One is there before its operator, one comes later.
    scene.tenant("two", &labels("b")).await;
    scene.tenant("nobodys", &json!({})).await;
    scene.is_served_by(A, "one").await;
    scene.is_served_by(B, "two").await;
    let by_other = |namespace: &str, other: &str| {
        let mut written = scene.writes(namespace);
        written.retain(|request| request.is_by(other, OPERATOR));
        written
    };
    assert!(by_other("one", B).is_empty(), "{:?}", by_other("one", B));
    assert!(by_other("two", A).is_empty(), "{:?}", by_other("two", A));

    scene.label("one", &labels("b")).await;
    scene.is_served_by(B, "one").await;
    // From now on the old one is refused, whatever it still wants to write.
    let account = scene.plane.kubeconfig_in(A, OPERATOR).await.unwrap();
    let late = client_of(&account).await.unwrap();
    let write = async |namespace: &str| {
        let mut map = ConfigMap::default();
        map.metadata.name = Some("late".into());
        let maps = Api::<ConfigMap>::namespaced(late.clone(), namespace);
        maps.create(&PostParams::default(), &map).await
    };
    let refused = write("one").await.unwrap_err().to_string();
    assert!(
        refused.contains("is not of the namespaceSelector"),
        "{refused}"
    );
    write(A).await.unwrap();
    // What is in no namespace is everybody's.
    let mut wide = ClusterRole::default();
    wide.metadata.name = Some("wide".into());
    let roles = Api::<ClusterRole>::all(late.clone());
    roles.create(&PostParams::default(), &wide).await.unwrap();

    let policies = Api::<PolicySet>::namespaced(scene.client.clone(), "one");
    let edit = Patch::Merge(json!({"spec": {"review": {"due": "12h"}}}));
    let params = PatchParams::default();
    let edited = policies.patch("rules", &params, &edit).await.unwrap();
    eventually("the change is seen", DEADLINE, async || {
        let status = policies.get("rules").await?.status;
        let observed = status.map(|status| status.observed_generation);
        Ok((observed == edited.metadata.generation).then_some(()))
    })
    .await
    .unwrap();
    let written = scene.writes("one");
    let taken = written
        .iter()
        .position(|request| request.is_by(B, OPERATOR))
        .unwrap();
    let late: Vec<_> = written[taken..]
        .iter()
        .filter(|request| request.is_by(A, OPERATOR))
        .collect();
    assert!(late.is_empty(), "{late:#?}");
    let touched = scene.writes("nobodys");
    assert!(touched.is_empty(), "{touched:#?}");
}

#[tokio::test]
async fn of_two_selectors_that_overlap_the_second_operator_refuses_and_says_whose_it_is() {
    let scene = Scene::open().await;
    let everything =
        json!({"matchExpressions": [{"key": "example.com/shard", "operator": "Exists"}]});
    let a = scene.install(A, &everything).await;
    scene.tenant("both", &labels("b")).await;
    scene.is_served_by(A, "both").await;
    let b = scene.install(B, &shard("b")).await;
    let events = Api::<Event>::namespaced(scene.client.clone(), "default");
    let told = eventually("an event of the namespace names it", DEADLINE, async || {
        let found = events.list(&ListParams::default()).await?;
        let about = |event: &Event| {
            let regarding = event.regarding.as_ref();
            event.reason.as_deref() == Some("ServedByAnother")
                && regarding.and_then(|one| one.name.as_deref()) == Some("both")
        };
        Ok(found.into_iter().find(about).and_then(|event| event.note))
    })
    .await
    .unwrap();
    assert!(told.contains(A) && told.contains(B), "{told}");

    // What nobody looks at is told why.
    a.stop().await.unwrap();
    let policy = json!({"apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
        "metadata": {"name": "late"},
        "spec": {"rules": [{"name": "short", "action": "Review", "length": {"maxWords": 500}}]}});
    apply_yaml(&scene.client, Some("both"), &policy.to_string())
        .await
        .unwrap();
    let policies = Api::<PolicySet>::namespaced(scene.client.clone(), "both");
    let stalled = async |reason: &str| {
        eventually(&format!("it says {reason}"), DEADLINE, async || {
            let status = policies.get("late").await?.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
            Ok(ready.filter(|one| one.reason == reason))
        })
        .await
        .unwrap()
    };
    let said = stalled("ServedByAnother").await;
    assert!(
        said.status == "False" && said.message.contains(A),
        "{said:?}"
    );
    let by_b: Vec<_> = scene
        .writes("both")
        .into_iter()
        .filter(|request| request.is_by(B, OPERATOR) && request.name != "late")
        .collect();
    assert!(by_b.is_empty(), "{by_b:#?}");

    // The remedy that the message names.
    let maps = Api::<ConfigMap>::namespaced(scene.client.clone(), "both");
    maps.delete("aios-ca", &DeleteParams::default())
        .await
        .unwrap();
    scene.is_served_by(B, "both").await;
    stalled("Ready").await;
    b.stop().await.unwrap();
}

#[tokio::test]
async fn an_operator_with_another_selector_lets_go_what_it_no_longer_selects() {
    let scene = Scene::open().await;
    let everything =
        json!({"matchExpressions": [{"key": "example.com/shard", "operator": "Exists"}]});
    let a = scene.install(A, &everything).await;
    scene.tenant("one", &labels("b")).await;
    scene.is_served_by(A, "one").await;
    let _b = scene.install(B, &shard("b")).await;
    a.stop().await.unwrap();
    let _a = scene.install(A, &shard("a")).await;
    scene.is_served_by(B, "one").await;
}
