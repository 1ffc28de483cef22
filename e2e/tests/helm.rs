//! Charts: upgraded, uninstalled, and waited for as any other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/objects.rs"]
mod objects;

use std::fs;

use aios_crds::WritingPipeline;
use aios_e2e::testing::install;
use aios_e2e::{Cluster, TestNamespace, eventually, files};
use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use objects::names;
use serde_json::Value;

const QUICKSTART: &str = include_str!("../../examples/quickstart/quickstart.yaml");
const CLUSTER_WIDE: &str = "clusterroles,clusterrolebindings,validatingadmissionpolicies,\
    validatingadmissionpolicybindings";
const DEADLINE: std::time::Duration = std::time::Duration::from_mins(2);

async fn namespace(prefix: &str) -> TestNamespace {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    TestNamespace::new(&cluster, prefix).await.unwrap()
}

async fn helm(namespace: &TestNamespace, arguments: &[&str]) -> String {
    let all = [arguments, &["-n", namespace.name()]].concat();
    namespace.cluster().helm(&all).await.unwrap()
}

#[tokio::test]
async fn a_chart_with_the_quickstart_is_installed_when_it_is_ready_and_leaves_what_retain_names() {
    let namespace = namespace("wrapped").await;
    let chart = tempfile::tempdir().unwrap();
    let path = chart.path();
    fs::create_dir(path.join("templates")).unwrap();
    fs::write(
        path.join("Chart.yaml"),
        "apiVersion: v2\nname: wrapped\nversion: 0.1.0\n",
    )
    .unwrap();
    // Its templates are Jinja, not Helm's.
    fs::write(path.join("quickstart.yaml"), QUICKSTART).unwrap();
    fs::write(
        path.join("templates/all.yaml"),
        "{{ .Files.Get \"quickstart.yaml\" }}\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();

    helm(
        &namespace,
        &["install", "--wait", "--timeout=4m", "wrapped", path],
    )
    .await;
    let pipeline = namespace
        .api::<WritingPipeline>()
        .get("welcome")
        .await
        .unwrap();
    let status = pipeline.status.unwrap();
    let ready = status
        .conditions
        .iter()
        .find(|one| one.type_ == "Ready")
        .unwrap();
    assert_eq!(ready.status, "True", "{ready:?}");
    assert_eq!(
        Some(status.observed_generation),
        pipeline.metadata.generation
    );

    helm(
        &namespace,
        &["uninstall", "--wait", "--timeout=4m", "wrapped"],
    )
    .await;
    eventually("all but volume and keys have gone", DEADLINE, async || {
        let left = names(&namespace).await?;
        let kept = [
            "persistentvolumeclaim/data-aios-gateway-0",
            "secret/aios-tenant",
        ];
        ensure!(left == kept, "{left:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// A release of its own that serves no tenant: the shared one stays for the other tests.
#[tokio::test]
async fn a_release_is_upgraded_with_other_values_and_uninstalled_without_a_trace() {
    let namespace = namespace("release").await;
    let chart = files::repository().join("charts/aios");
    let watch = format!("watchNamespaces={{{}}}", namespace.name());
    let base = |more: &'static [&'static str]| {
        let mut all = vec!["upgrade", "--install", "--wait", "--timeout=3m", "second"];
        all.push(chart.to_str().unwrap());
        all.extend(["--set", "images.tag=dev", "--set", "rbac.people=false"]);
        all.extend(["--set", "rbac.aggregate=false", "--set"]);
        all.push(&watch);
        all.extend(more);
        all
    };
    helm(&namespace, &base(&[])).await;
    let other: &[&str] = &[
        "--set",
        "operator.log.level=debug",
        "--set",
        "gateway.storage.size=2Gi",
        "--set",
        "networkPolicy.enabled=true",
        "--set",
        "operator.replicas=2",
    ];
    helm(&namespace, &base(other)).await;
    let operator = namespace
        .api::<Deployment>()
        .get("aios-operator")
        .await
        .unwrap();
    let operator = serde_json::to_value(operator).unwrap();
    assert_eq!(operator["status"]["readyReplicas"], 2);
    let env = operator["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let value =
        |name: &str| -> &Value { &env.iter().find(|one| one["name"] == name).unwrap()["value"] };
    assert_eq!(value("RUST_LOG"), "debug");
    assert_eq!(value("AIOS_GATEWAY_STORAGE_SIZE"), "2Gi");

    // The same again is no change.
    let generation = operator["metadata"]["generation"].clone();
    helm(&namespace, &base(other)).await;
    let again = namespace
        .api::<Deployment>()
        .get("aios-operator")
        .await
        .unwrap();
    assert_eq!(again.metadata.generation, generation.as_i64());

    helm(
        &namespace,
        &["uninstall", "--wait", "--timeout=3m", "second"],
    )
    .await;
    let cluster_wide = namespace
        .cluster()
        .kubectl(&["get", CLUSTER_WIDE, "-o", "name"])
        .await
        .unwrap();
    assert!(!cluster_wide.contains(namespace.name()), "{cluster_wide}");
    eventually("only the CA is left", DEADLINE, async || {
        // Tenants trust it: a later release goes on with it.
        let left = names(&namespace).await?;
        ensure!(left == ["secret/aios-ca"], "{left:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}
