//! What an engine says of itself, in the words that all engines have in common.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot ask fails"
)]

use aios_e2e::{TestNamespace, eventually};
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::scene::DEADLINE;

/// Waits until the ingress before an engine says a number of what the engine says of itself, which is above
/// 0 but for gauges.
pub async fn says(namespace: &TestNamespace, model: &str, name: &str) {
    let selector = format!("aios.dev/model={model},app.kubernetes.io/component=engine");
    let which = ListParams::default().labels(&selector);
    let pods = namespace.api::<Pod>().list(&which).await.unwrap();
    let pod = pods.items.first().expect("a pod of the model").name_any();
    let forward = namespace.forward_pod(&pod, 9090).await.unwrap();
    let url = format!("http://{}/metrics", forward.address());
    eventually(&format!("{model} says {name}"), DEADLINE, async || {
        let text = reqwest::get(&url).await?.text().await?;
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.with_context(|| format!("none of {name} in\n{text}"))?;
        let value: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        ensure!(value > 0.0 || !name.ends_with("_total"), "{line}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}
