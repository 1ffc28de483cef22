//! The cluster that tests share.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::AuditLog;
use crate::files;
use crate::images::{self, Image};
use crate::procs::Group;
use crate::provider::{Options, Provider};
use crate::tools::lock;

/// Set to the name of the cluster that tests use; default [`Options::DEFAULT_NAME`].
const NAME: &str = "AIOS_CLUSTER_NAME";

/// `up` is asked for once a process, however many tests it runs.
static UP: OnceCell<()> = OnceCell::const_new();

/// A cluster that is up. Each test gets a client of its own, since a client is
/// bound to the runtime that made it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    options: Options,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Attaches to the cluster, and brings it up first if it is not: with the
    /// images of the working tree. It stays up.
    ///
    /// # Errors
    /// If it cannot be brought up, with the remedy.
    pub async fn shared() -> Result<Self> {
        let name = shared_name();
        UP.get_or_try_init(|| bring_up(&name, &[])).await?;
        Self::attach(Options::named(&name)?).await
    }

    /// Attaches to a cluster that is up.
    pub async fn attach(options: Options) -> Result<Self> {
        if !options.is_up().await? {
            bail!("cluster {} is not up: make cluster-up", options.dir.name());
        }
        let kubeconfig = options.kubeconfig()?;
        Ok(Self {
            client: client_of(&kubeconfig).await?,
            options,
            kubeconfig,
        })
    }

    /// As an administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// As a ServiceAccount, with a token of its own (`kubectl create token`).
    pub async fn client_with_token(&self, token: &str) -> Result<Client> {
        let mut config = config_of(&self.kubeconfig).await?;
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.to_owned().into()),
            ..Default::default()
        };
        Ok(Client::try_from(config)?)
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Loads an image that one suite alone needs, unless it is there.
    pub async fn load(&self, image: Image) -> Result<()> {
        let dir = &self.options.dir;
        let _one_at_a_time = lock(&dir.lock().with_extension("images.lock")).await?;
        images::load(self.options.provider, dir, &[image]).await?;
        Ok(())
    }

    /// # Errors
    /// If the cluster is not local: others keep no log here.
    pub fn audit_log(&self) -> Result<AuditLog> {
        self.require_local("the audit log")?;
        Ok(AuditLog::at(self.options.dir.audit_log()))
    }

    /// etcd's files, to be searched for what must not be in them. What was
    /// deleted may still be there.
    pub fn etcd_files(&self) -> Result<PathBuf> {
        self.require_local("etcd's files")?;
        Ok(self.options.dir.etcd_data())
    }

    pub(super) fn is_local(&self) -> bool {
        self.options.provider == Provider::Local
    }

    pub(super) fn require_local(&self, what: &str) -> Result<()> {
        if self.is_local() {
            return Ok(());
        }
        bail!("{what}: only with AIOS_CLUSTER=local")
    }
}

/// Of the cluster that tests share.
pub(super) fn shared_name() -> String {
    std::env::var(NAME).unwrap_or_else(|_| Options::DEFAULT_NAME.to_owned())
}

/// Asks the command line to do it: the node's processes are that program.
pub(super) async fn bring_up(name: &str, options: &[&str]) -> Result<()> {
    let mut command = Command::from(asked("up", name, options));
    let status = Group::spawn(&mut command)?.wait().await?;
    anyhow::ensure!(
        status.success(),
        "the cluster could not be brought up ({status})"
    );
    Ok(())
}

/// The command line of clusters.
pub(super) fn asked(action: &str, name: &str, options: &[&str]) -> std::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(files::repository());
    command.args(["run", "--quiet", "--bin", "cluster", "--", action]);
    command.args(["--name", name]).args(options);
    command
}

/// A client by a kubeconfig file.
pub async fn client_of(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(config_of(kubeconfig).await?)?)
}

async fn config_of(kubeconfig: &Path) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}
