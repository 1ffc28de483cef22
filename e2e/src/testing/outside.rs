//! Processes that work on a bare control plane from outside, as the operator can.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::control_plane::{ControlPlane, NAMESPACE, free_port};
use super::eventually;
use crate::procs::{self, Group};

const DEADLINE: Duration = Duration::from_mins(1);
/// The operator's ServiceAccount.
pub const OPERATOR: &str = "aios-operator";

/// The operator's program beside the running test's.
///
/// # Errors
/// When it is not built.
pub fn built_operator() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).context("a test of no folder")?;
    let operator = folder.join("operator");
    ensure!(
        operator.is_file(),
        "{} is missing: make build",
        operator.display()
    );
    Ok(operator)
}

/// A process that ends with this value.
pub struct Running {
    group: Group,
    log: PathBuf,
    listens: u16,
}

impl Running {
    /// Its number.
    ///
    /// # Errors
    /// When it ended, with what it said last.
    pub fn id(&self) -> Result<u32> {
        let id = self.group.id();
        id.with_context(|| format!("the process ended:\n{}", procs::tail(&self.log, 10)))
    }

    /// The port that it listens on once it is ready.
    pub fn listens(&self) -> u16 {
        self.listens
    }

    /// Waits until it ends by itself, and says what it said last.
    pub async fn ended(&mut self) -> anyhow::Error {
        let how = match self.group.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::anyhow!("the process ended, {how}:\n{}", procs::tail(&self.log, 10))
    }

    pub async fn stop(self) -> Result<()> {
        self.group.stop().await
    }

    /// Starts a process, and waits until it listens.
    pub async fn start(mut command: Command, log: &Path, listens: u16) -> Result<Self> {
        let file = File::create(log)?;
        command
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file);
        let running = Self {
            group: Group::spawn(&mut command)?,
            log: log.to_owned(),
            listens,
        };
        let ready = eventually("the process is ready", DEADLINE, async || {
            Ok(TcpStream::connect(("127.0.0.1", listens)).await.ok())
        });
        ready
            .await
            .map(drop)
            .with_context(|| format!("it says:\n{}", procs::tail(log, 10)))?;
        Ok(running)
    }

    /// The operator: what its pod has from the chart, as variables.
    pub async fn operator(
        plane: &ControlPlane,
        program: &Path,
        concurrency: usize,
    ) -> Result<Self> {
        Self::operator_at(plane, program, concurrency, free_port()?).await
    }

    /// The same where data planes look for it.
    pub async fn operator_at(
        plane: &ControlPlane,
        program: &Path,
        concurrency: usize,
        control: u16,
    ) -> Result<Self> {
        let log = plane.scratch().join("operator.log");
        let folder = plane.scratch().to_owned();
        let mut command = operator(plane, program, (NAMESPACE, &folder), control).await?;
        command.env("AIOS_CONCURRENCY", concurrency.to_string());
        // It listens for data planes once it leads and every watch has listed.
        Self::start(command, &log, control).await
    }

    /// One of several operators, in a namespace of its own, with a setting more than its pod has by default.
    pub async fn operator_for(
        plane: &ControlPlane,
        program: &Path,
        namespace: &str,
        setting: (&str, &str),
    ) -> Result<Self> {
        let control = free_port()?;
        let (command, log) = with(plane, program, namespace, (setting, control)).await?;
        Self::start(command, &log, control).await
    }

    /// The same, which need not come to lead: it lacks what it would need for that.
    pub async fn operator_that_lacks(
        plane: &ControlPlane,
        program: &Path,
        namespace: &str,
        setting: (&str, &str),
    ) -> Result<Self> {
        let (mut command, log) = with(plane, program, namespace, (setting, free_port()?)).await?;
        let admin = free_port()?;
        command.env("AIOS_ADMIN_ADDRESS", format!("127.0.0.1:{admin}"));
        Self::start(command, &log, admin).await
    }
}

/// An operator in a namespace of its own, and where it logs.
async fn with(
    plane: &ControlPlane,
    program: &Path,
    namespace: &str,
    ((name, value), control): ((&str, &str), u16),
) -> Result<(Command, PathBuf)> {
    let folder = plane.scratch().join(namespace);
    std::fs::create_dir_all(&folder)?;
    let mut command = operator(plane, program, (namespace, &folder), control).await?;
    command.env(name, value);
    Ok((command, folder.join("operator.log")))
}

/// What the operator's pod has from the chart. Its files are in `folder`.
async fn operator(
    plane: &ControlPlane,
    program: &Path,
    (namespace, folder): (&str, &Path),
    control: u16,
) -> Result<Command> {
    let admin = free_port()?;
    let image = |name: &str| format!("example.com/aios/{name}:outside");
    let mut command = Command::new(program);
    command
        .env(
            "KUBECONFIG",
            plane.kubeconfig_in(namespace, OPERATOR).await?,
        )
        .env("AIOS_OPERATOR_NAMESPACE", namespace)
        .env("AIOS_IMAGE_PIPELINE", image("pipeline"))
        .env("AIOS_IMAGE_SIDECAR", image("inference-sidecar"))
        .env("AIOS_IMAGE_LLAMA_CPP", image("llama-cpp"))
        .env("AIOS_CONTROL_ADDRESS", format!("127.0.0.1:{control}"))
        .env("AIOS_ADMIN_ADDRESS", format!("127.0.0.1:{admin}"))
        .env("AIOS_TLS_DIR", folder);
    Ok(command)
}
