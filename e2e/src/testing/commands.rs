//! Command-line tools, pointed at the cluster.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Cluster;
use crate::procs::output;
use crate::tools::Tool;

impl Cluster {
    /// Runs `kubectl` and returns what it printed.
    ///
    /// # Errors
    /// If it fails: with what it said on standard error.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(self.command("kubectl").args(arguments)).await
    }

    /// The same, with a text as its standard input: `["apply", "-f", "-"]`.
    pub async fn kubectl_stdin(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = self
            .command("kubectl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start kubectl")?;
        let mut stdin = child
            .stdin
            .take()
            .context("kubectl has no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let done = child.wait_with_output().await?;
        anyhow::ensure!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Runs the Helm of [`Tool::Helm`].
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let helm = Tool::Helm.ensure().await?.join("helm");
        output(self.command(helm).args(arguments)).await
    }

    /// Any command, with `KUBECONFIG` set, and the `kubectl` that belongs to
    /// the cluster first on the PATH.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("PATH", tools_first());
        command
    }
}

/// A user's own tools serve where the project's are not built.
pub(super) fn tools_first() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let built = [Tool::Kubernetes, Tool::Helm]
        .into_iter()
        .filter_map(|tool| tool.path().ok());
    std::env::join_paths(built.chain(std::env::split_paths(&path))).unwrap_or(path)
}
