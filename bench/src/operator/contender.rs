//! Who is measured as a process: the operator as it ships, and the Go twin.

use std::path::{Path, PathBuf};

use aios_e2e::{
    files, procs,
    testing::{ControlPlane, Running, control_plane::free_port, outside},
};
use anyhow::Result;
use serde::Serialize;
use tokio::process::Command;

/// Objects of one kind that are reconciled at once: the operator's default.
pub const CONCURRENCY: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    Operator,
    /// A bare client that creates the same objects.
    Floor,
    /// The same with server-side apply.
    FloorApply,
    /// The same reconcilers in Go, on controller-runtime.
    Twin,
}

impl Contender {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Floor, Self::FloorApply, Self::Twin];

    /// Its ServiceAccount.
    pub const fn account(self) -> &'static str {
        match self {
            Self::Operator => outside::OPERATOR,
            Self::Floor => "floor",
            Self::FloorApply => "floor-apply",
            Self::Twin => "twin",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Floor => "raw floor (create)",
            Self::FloorApply => "raw floor (server-side apply)",
            Self::Twin => "twin (Go, controller-runtime)",
        }
    }
}

/// The operator, outside the cluster.
pub async fn operator(plane: &ControlPlane, program: &Path) -> Result<Running> {
    Running::operator(plane, program, CONCURRENCY).await
}

/// The next operator, at the address of one that died.
pub async fn next_operator(plane: &ControlPlane, program: &Path, at: u16) -> Result<Running> {
    Running::operator_at(plane, program, CONCURRENCY, at).await
}

pub async fn twin(plane: &ControlPlane, program: &Path, templates: &Path) -> Result<Running> {
    let ready = free_port()?;
    let mut command = Command::new(program);
    command
        .env(
            "KUBECONFIG",
            plane.kubeconfig_of(Contender::Twin.account()).await?,
        )
        .arg(format!("--templates={}", templates.display()))
        .arg(format!("--concurrency={CONCURRENCY}"))
        .arg(format!("--ready=127.0.0.1:{ready}"));
    Running::start(command, &plane.scratch().join("twin.log"), ready).await
}

/// Builds the twin; Go keeps what it built.
pub async fn build_twin(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("twin");
    let mut command = Command::new("go");
    command
        .current_dir(files::repository().join("bench/operator/twin"))
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(".");
    procs::logged(&mut command, &folder.join("twin-build.log")).await?;
    Ok(program)
}
