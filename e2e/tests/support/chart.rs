//! What the chart renders.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose chart cannot be rendered fails"
)]

use aios_e2e::files;
use aios_e2e::tools::Tool;
use serde_json::Value;
use tokio::process::Command;

/// What the chart makes in a release's namespace and in the cluster, or what Helm says instead.
pub async fn documents(namespace: &str, values: &[&str]) -> Result<Vec<Value>, String> {
    let helm = Tool::Helm.ensure().await.unwrap().join("helm");
    let chart = files::repository().join("charts/aios");
    let mut command = Command::new(helm);
    command
        .args(["template", "aios", "-n", namespace])
        .arg(chart)
        .args(values);
    let done = command.output().await.unwrap();
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    Ok(serde_saphyr::from_multiple(&String::from_utf8(done.stdout).unwrap()).unwrap())
}
